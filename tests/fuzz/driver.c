/* SPDX-License-Identifier: MIT */
/*
 * Stands in for libFuzzer: replays a folder of inputs through LLVMFuzzerTestOneInput() and then a number of mutations
 * of them. Everything follows from the seed and the number of the mutation, so a failure is repeated by starting at the
 * number it names.
 *
 * usage: fuzz-NAME CORPUS-FOLDER [MUTATIONS [SEED [FIRST]]]
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { INPUT_MAX = 64 * 1024, INPUTS_MAX = 1024, SECONDS_EACH = 20, MEGABYTES_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
	uint8_t *data;
	size_t size;
};

static struct input corpus[INPUTS_MAX];
static size_t n_corpus;
static uint64_t current; /* number of the mutation being run, for the message when it is the last one */

/* xorshift64*: good enough to mutate with, and the same everywhere */
static uint64_t driver_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static void driver_tell(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "\nat mutation %llu\n", (unsigned long long)current);

	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

static void driver_died(int number)
{
	driver_tell();
	signal(number, SIG_DFL);
	raise(number);
}

static int driver_read_file(const char *folder, const char *name)
{
	char path[4096];
	FILE *file;
	struct input *input = &corpus[n_corpus];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	input->data = malloc(INPUT_MAX);
	if (!file || !input->data)
		return -errno;
	input->size = fread(input->data, 1, INPUT_MAX, file);
	fclose(file);
	n_corpus++;
	return 0;
}

static int driver_name_order(const void *a, const void *b)
{
	return strcmp((*(struct dirent *const *)a)->d_name, (*(struct dirent *const *)b)->d_name);
}

static int driver_read_corpus(const char *folder)
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, NULL, NULL);

	if (n > 0)
		qsort(names, (size_t)n, sizeof(*names), driver_name_order);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.' && n_corpus < INPUTS_MAX &&
		    driver_read_file(folder, names[i]->d_name) < 0)
			fprintf(stderr, "%s/%s: cannot be read\n", folder, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return n < 0 && errno != ENOENT ? -errno : 0;
}

static uint64_t driver_number(uint64_t *state)
{
	static const uint64_t telling[] = {
		0,      1,      2,      3,          7,          8,          0x7f,      0x80,       0xff,
		0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, UINT64_MAX, UINT64_MAX - 4095,
		4096
	};
	uint64_t r = driver_random(state);

	return r & 1 ? telling[(r >> 8) % (sizeof(telling) / sizeof(telling[0]))] : r >> (r >> 58);
}

/* Overwrites, at a place aligned to its own size more often than not, with a number that is telling more often than
 * not. */
static void driver_overwrite(uint8_t *data, size_t size, uint64_t *state)
{
	uint64_t r = driver_random(state), number = driver_number(state);
	size_t width = (size_t)1 << (r & 3), at = (r >> 8) % size;

	if (r & 0x70)
		at &= ~(width - 1);
	if (width <= size - at)
		memcpy(data + at, &number, width);
}

static size_t driver_move(uint8_t *data, size_t size, uint64_t *state)
{
	uint64_t r = driver_random(state);
	size_t from = (r >> 8) % size, n = (r >> 32) % (size - from) + 1;

	if (r & 1) { /* cut out */
		memmove(data + from, data + from + n, size - from - n);
		return size - n;
	}
	if (n > INPUT_MAX - size)
		n = INPUT_MAX - size;
	memmove(data + from + n, data + from, size - from); /* double */
	return size + n;
}

static size_t driver_splice(uint8_t *data, size_t size, uint64_t *state)
{
	uint64_t r = driver_random(state);
	const struct input *other = &corpus[r % n_corpus];
	size_t at = size ? (r >> 16) % size : 0, from = other->size ? (r >> 32) % other->size : 0;
	size_t n = other->size - from < INPUT_MAX - at ? other->size - from : INPUT_MAX - at;

	memcpy(data + at, other->data + from, n);
	return at + n > size ? at + n : size;
}

static size_t driver_noise(uint8_t *data, uint64_t *state)
{
	size_t size = driver_random(state) % 512;

	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(driver_random(state) >> 24);
	return size;
}

static size_t driver_mutate(uint8_t *data, uint64_t *state)
{
	uint64_t r = driver_random(state);
	const struct input *input = n_corpus ? &corpus[(r >> 8) % n_corpus] : NULL;
	size_t size;

	if (!input || !(r & 31))
		return driver_noise(data, state);
	memcpy(data, input->data, input->size);
	size = input->size;
	for (size_t n = (r >> 48) % 8 + 1; n && size; n--) {
		uint64_t kind = driver_random(state) % 16;

		if (kind == 0)
			size = driver_move(data, size, state);
		else if (kind == 1)
			size = driver_splice(data, size, state);
		else if (kind < 6)
			data[driver_random(state) % size] ^= (uint8_t)(1u << (r & 7));
		else
			driver_overwrite(data, size, state);
	}
	return size;
}

static void driver_run(const uint8_t *data, size_t size)
{
	/* An exact allocation, so that a sanitizer sees the first byte beyond it. */
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	alarm(SECONDS_EACH);
	LLVMFuzzerTestOneInput(copy, size);
	alarm(0);
	free(copy);
}

static bool driver_grew(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss / 1024 > MEGABYTES_MAX;
}

static void driver_watch(void)
{
	static const int deadly[] = { SIGALRM, SIGABRT, SIGILL, SIGFPE };

	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], driver_died);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(driver_tell);
	else
		signal(SIGSEGV, driver_died);
}

int main(int argc, char **argv)
{
	static uint8_t data[INPUT_MAX];
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 0, seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;

	if (argc < 2 || driver_read_corpus(argv[1]) < 0) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER [MUTATIONS [SEED [FIRST]]]\n", argv[0]);
		return 2;
	}
	driver_watch();
	for (size_t i = 0; i < n_corpus; i++)
		driver_run(corpus[i].data, corpus[i].size);
	for (current = argc > 4 ? strtoull(argv[4], NULL, 0) : 0; current < count; current++) {
		uint64_t state = (seed << 40) + current * UINT64_C(0x9e3779b97f4a7c15) + 1;

		driver_run(data, driver_mutate(data, &state));
		if (current % 4096 == 0 && driver_grew()) {
			fprintf(stderr, "more than %d MiB in use at mutation %llu\n", MEGABYTES_MAX,
				(unsigned long long)current);
			return 1;
		}
	}
	printf("%zu inputs and %llu mutations\n", n_corpus, (unsigned long long)count);
	return 0;
}
