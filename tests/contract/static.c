/* SPDX-License-Identifier: MIT */
/* Linked without any shared library: nothing can be preloaded into it. */
#include <stdio.h>

int main(void)
{
	puts("static");
	return 0;
}
