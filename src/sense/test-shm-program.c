/* SPDX-License-Identifier: MIT */
/* Programs that cannot be watched are refused before anything ran. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after those it needs */
#include <cmocka.h>

#include "base/err.h"
#include "sense/shm-inner.h"
#include "sense/shm.h"

static char folder[] = "/tmp/circlip-test-shm-XXXXXX";

static const char *make_file(const char *name, const void *bytes, size_t n, mode_t mode)
{
	static char path[sizeof(folder) + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

struct image {
	Elf64_Ehdr header;
	Elf64_Phdr interpreter;
	char text[64];
};

static struct image make_image(uint16_t machine, const char *interpreter)
{
	struct image image = { .header = {
				       .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
				       .e_type = ET_DYN,
				       .e_machine = machine,
				       .e_phentsize = sizeof(Elf64_Phdr),
				       .e_phnum = 1,
				       .e_phoff = offsetof(struct image, interpreter) } };

	image.interpreter.p_type = interpreter ? PT_INTERP : PT_NULL;
	image.interpreter.p_offset = offsetof(struct image, text);
	image.interpreter.p_filesz = sizeof(image.text);
	snprintf(image.text, sizeof(image.text), "%s", interpreter ? interpreter : "");
	return image;
}

static void refused(const char *path, int code, const char *text)
{
	char *argv[] = { (char *)path, NULL };
	struct sense_shm_options options = { .argv = argv };
	struct source *source = NULL;
	struct err err = { "" };
	int r = sense_shm_new(&options, &source, &err);

	if (r != code || source || !strstr(err.text, text))
		fail_msg("%s: %d, %s", path, r, err.text);
}

static void refused_image(struct image image, mode_t mode, int code, const char *text)
{
	refused(make_file("program", &image, sizeof(image), mode), code, text);
}

static void refused_script(const char *line, int code, const char *text)
{
	refused(make_file("script", line, strlen(line), 0755), code, text);
}

static void test_refused(void **state)
{
	static const char loader[] = "/lib64/ld-linux-x86-64.so.2";
	struct image truncated = make_image(EM_X86_64, loader);
	char line[128];

	refused("no-such-program", -ENOENT, "was not found in PATH");
	refused("/no/such/program", -ENOENT, "No such file");
	refused("", -ENOENT, "empty");
	refused(folder, -EACCES, "is a directory");
	refused_image(make_image(EM_X86_64, loader), 0600, -EACCES, "permission denied");
	refused_image(make_image(EM_X86_64, NULL), 0755, -ENOTSUP, "statically linked");
	refused_image(make_image(EM_AARCH64, loader), 0755, -ENOTSUP, "another architecture");
	refused_image(make_image(EM_X86_64, loader), 04755, -ENOTSUP, "set-user-ID");
	refused_image(make_image(EM_X86_64, loader), 02755, -ENOTSUP, "set-group-ID");
	refused_image(make_image(EM_X86_64, "/no/such/loader"), 0755, -ENOENT, "/no/such/loader");
	truncated.header.e_phoff = UINT64_MAX - 8;
	refused_image(truncated, 0755, -ENOTSUP, "damaged");
	refused(make_file("header", &truncated, 20, 0755), -ENOTSUP, "damaged");
	refused_image(make_image(EM_X86_64, NULL), 0755, -ENOTSUP, "statically linked");
	snprintf(line, sizeof(line), "#! %s/program with argument\n", folder);
	refused_script(line, -ENOTSUP, "statically linked");
	refused_script("#!/no/such/interpreter\n", -ENOENT, "/no/such/interpreter");
	snprintf(line, sizeof(line), "#!%s/script\n", folder);
	refused_script(line, -EACCES, "too many interpreters");
}

static void test_sanitizers(void **state)
{
	char runtime[SHM_RUNTIME_BYTES];
	struct err err = { "" };

	assert_int_equal(shm_program_inspect("/bin/sh", runtime, &err), 0);
	assert_string_equal(runtime, "");
	assert_int_equal(shm_program_inspect("/proc/self/exe", runtime, &err), 0);
#ifdef __SANITIZE_ADDRESS__
	assert_non_null(strstr(runtime, "asan"));
#else
	assert_string_equal(runtime, "");
#endif
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "program", "script", "header" };
	char path[sizeof(folder) + 64];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sanitizers),
	};

	if (!mkdtemp(folder))
		return 99;
	return cmocka_run_group_tests(tests, NULL, remove_folder);
}
