/* SPDX-License-Identifier: MIT */
/*
 * The memory functions that compilers call of their own accord, in general registers: libc's use vector registers,
 * which code that runs in the place of a system call must not touch. Hidden, so that only the shim's own calls end
 * here.
 */
#include <stddef.h>
#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN void *memcpy(void *to, const void *from, size_t n);
HIDDEN void *memmove(void *to, const void *from, size_t n);
HIDDEN void *memset(void *to, int byte, size_t n);
HIDDEN int memcmp(const void *a, const void *b, size_t n);
HIDDEN size_t strlen(const char *s);

enum { SHORT = 512 }; /* the string instructions take their time to start */

void *memcpy(void *to, const void *from, size_t n)
{
	void *start = to;
	size_t words = n < SHORT ? n / 8 : 0;

	for (size_t i = 0; i < words; i++) {
		uint64_t word;

		__asm__ volatile("mov (%1,%3,8), %0\n mov %0, (%2,%3,8)"
				 : "=&r"(word)
				 : "r"(from), "r"(to), "r"(i)
				 : "memory");
	}
	if (n < SHORT && n % 8 == 0)
		return start;
	to = (uint64_t *)to + words;
	from = (const uint64_t *)from + words;
	n -= words * 8;
	__asm__ volatile("cld; rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return start;
}

void *memmove(void *to, const void *from, size_t n)
{
	if ((char *)to <= (const char *)from || (char *)to >= (const char *)from + n)
		return memcpy(to, from, n);
	for (volatile char *t = to; n--;)
		t[n] = ((const char *)from)[n];
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	void *start = to;

	__asm__ volatile("cld; rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (((const volatile char *)s)[n])
		n++;
	return n;
}
