/* SPDX-License-Identifier: MIT */
/* Finds programs and tells beforehand which of them cannot be watched: a preloaded object needs a dynamic loader of the
 * same kind that heeds the environment. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sense/shm-inner.h"

#ifdef __x86_64__
#define OUR_MACHINE EM_X86_64
#else
#error "this reader knows x86-64 only, as does the shim"
#endif

/* The kernel's limit of interpreters that are scripts themselves (exec_binprm). */
enum { MAX_DEPTH = 5, MAX_SEGMENTS = 1024, MAX_DYNAMIC = 4096, FIRST_BYTES = 256 };

static bool is_executable_file(const char *path, int *ret_code)
{
	struct stat st;

	if (stat(path, &st) < 0)
		*ret_code = errno == EACCES ? -EACCES : *ret_code;
	else if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		*ret_code = -EACCES;
	else
		return true;
	return false;
}

static int find_in_path(const char *name, char ret_path[PATH_MAX], struct err *err)
{
	const char *list = getenv("PATH");
	int code = -ENOENT;

	for (list = list ? list : "/bin:/usr/bin"; list; list = *list ? list + 1 : NULL) {
		int length = (int)strcspn(list, ":");
		char path[PATH_MAX];

		if (snprintf(path, sizeof(path), "%.*s%s%s", length, list, length ? "/" : "./", name) < PATH_MAX &&
		    is_executable_file(path, &code)) {
			strcpy(ret_path, path);
			return 0;
		}
		list += length;
	}
	return err_set(err, code, code == -ENOENT ? "'%s' was not found in PATH" : "'%s' in PATH: permission denied",
		       name);
}

int shm_program_find(const char *name, char ret_path[PATH_MAX], struct err *err)
{
	struct stat st;

	if (!*name)
		return err_set(err, -ENOENT, "the program's name is empty");
	if (strlen(name) >= PATH_MAX)
		return err_set(err, -ENOENT, "'%.64s...': name too long", name);
	if (!strchr(name, '/'))
		return find_in_path(name, ret_path, err);
	if (stat(name, &st) < 0)
		return err_set(err, errno == EACCES ? -EACCES : -ENOENT, "'%s': %s", name, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EACCES, "'%s' is a directory", name);
	if (!S_ISREG(st.st_mode) || access(name, X_OK) < 0)
		return err_set(err, -EACCES, "'%s' cannot be executed: permission denied", name);
	strcpy(ret_path, name);
	return 0;
}

struct elf {
	int fd;
	const char *path;
	Elf64_Ehdr header;
	Elf64_Phdr segments[MAX_SEGMENTS];
	unsigned n_segments;
	char interpreter[PATH_MAX];
};

static bool read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

static bool read_text(int fd, char *to, size_t room, uint64_t offset)
{
	ssize_t n = offset <= INT64_MAX ? pread(fd, to, room - 1, (off_t)offset) : -1;

	to[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static const Elf64_Phdr *find_segment(const struct elf *elf, uint32_t type)
{
	for (unsigned i = 0; i < elf->n_segments; i++)
		if (elf->segments[i].p_type == type)
			return &elf->segments[i];
	return NULL;
}

/* File offset of an address, or UINT64_MAX. */
static uint64_t offset_of(const struct elf *elf, uint64_t address)
{
	for (unsigned i = 0; i < elf->n_segments; i++) {
		const Elf64_Phdr *segment = &elf->segments[i];

		if (segment->p_type == PT_LOAD && address - segment->p_vaddr < segment->p_filesz)
			return segment->p_offset + (address - segment->p_vaddr);
	}
	return UINT64_MAX;
}

static int read_elf(struct elf *elf, struct err *err)
{
	if (elf->header.e_phentsize != sizeof(Elf64_Phdr) || elf->header.e_phnum > MAX_SEGMENTS ||
	    !read_at(elf->fd, elf->segments, elf->header.e_phnum * sizeof(Elf64_Phdr), elf->header.e_phoff))
		return err_set(err, -ENOTSUP, "'%s' is a damaged executable", elf->path);
	elf->n_segments = elf->header.e_phnum;
	return 0;
}

static int check_machine(const struct elf *elf, struct err *err)
{
	if (elf->header.e_ident[EI_CLASS] == ELFCLASS64 && elf->header.e_ident[EI_DATA] == ELFDATA2LSB &&
	    elf->header.e_machine == OUR_MACHINE)
		return 0;
	return err_set(err, -ENOTSUP,
		       "'%s' is built for another architecture (ELF machine %u, %s): only 64-bit x86 can be watched",
		       elf->path, elf->header.e_machine,
		       elf->header.e_ident[EI_CLASS] == ELFCLASS32 ? "32 bits" : "64 bits");
}

static int check_privileges(const struct elf *elf, struct err *err)
{
	char unused[64];
	struct stat st;

	if (fstat(elf->fd, &st) < 0)
		return err_set(err, -errno, "'%s': %s", elf->path, strerror(errno));
	if (st.st_mode & S_ISUID)
		return err_set(err, -ENOTSUP, "'%s' is set-user-ID: the loader preloads nothing into such programs",
			       elf->path);
	/* Without the execute bit it once meant mandatory locking. */
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return err_set(err, -ENOTSUP, "'%s' is set-group-ID: the loader preloads nothing into such programs",
			       elf->path);
	if (fgetxattr(elf->fd, "security.capability", unused, sizeof(unused)) > 0)
		return err_set(err, -ENOTSUP,
			       "'%s' has file capabilities: the loader preloads nothing into such programs", elf->path);
	return 0;
}

static bool is_runtime(const char *name)
{
	static const char *const runtimes[] = { "libasan.so",        "libtsan.so",       "liblsan.so",
						"libhwasan.so",      "libclang_rt.asan", "libclang_rt.tsan",
						"libclang_rt.hwasan" };

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(*runtimes); i++)
		if (strncmp(name, runtimes[i], strlen(runtimes[i])) == 0)
			return true;
	return false;
}

struct dynamic {
	Elf64_Dyn entries[MAX_DYNAMIC];
	size_t n;
	uint64_t strings; /* file offset */
};

static bool read_dynamic(const struct elf *elf, struct dynamic *dynamic)
{
	const Elf64_Phdr *segment = find_segment(elf, PT_DYNAMIC);
	size_t most;

	if (!segment)
		return false;
	most = segment->p_filesz / sizeof(Elf64_Dyn);
	most = most < MAX_DYNAMIC ? most : MAX_DYNAMIC;
	if (!read_at(elf->fd, dynamic->entries, most * sizeof(Elf64_Dyn), segment->p_offset))
		return false;
	dynamic->strings = UINT64_MAX;
	for (dynamic->n = 0; dynamic->n < most && dynamic->entries[dynamic->n].d_tag != DT_NULL; dynamic->n++)
		if (dynamic->entries[dynamic->n].d_tag == DT_STRTAB)
			dynamic->strings = offset_of(elf, dynamic->entries[dynamic->n].d_un.d_ptr);
	return dynamic->strings != UINT64_MAX;
}

/* Sanitizers' runtimes insist on being the first object; the loader finds them by the name the program asks for. */
static void find_runtime(const struct elf *elf, const struct dynamic *dynamic, char ret_runtime[SHM_RUNTIME_BYTES])
{
	for (size_t i = 0; i < dynamic->n; i++) {
		char name[SHM_RUNTIME_BYTES];

		if (dynamic->entries[i].d_tag == DT_NEEDED &&
		    read_text(elf->fd, name, sizeof(name), dynamic->strings + dynamic->entries[i].d_un.d_val) &&
		    is_runtime(name) && !strpbrk(name, " :")) {
			strcpy(ret_runtime, name);
			return;
		}
	}
}

/* The loader can be run as a program itself, then it heeds the environment: ld.so PROGRAM. */
static bool is_loader(const struct elf *elf, const struct dynamic *dynamic)
{
	for (size_t i = 0; i < dynamic->n; i++) {
		char name[64];

		if (dynamic->entries[i].d_tag == DT_SONAME &&
		    read_text(elf->fd, name, sizeof(name), dynamic->strings + dynamic->entries[i].d_un.d_val))
			return strncmp(name, "ld-linux", 8) == 0;
	}
	return false;
}

static int check_interpreter(struct elf *elf, const struct dynamic *dynamic, struct err *err)
{
	const Elf64_Phdr *segment = find_segment(elf, PT_INTERP);
	const char *base;

	if (!segment && dynamic && is_loader(elf, dynamic))
		return 0;
	if (!segment)
		return err_set(err, -ENOTSUP, "'%s' is statically linked: it has no loader that would preload the shim",
			       elf->path);
	if (!read_text(elf->fd, elf->interpreter, sizeof(elf->interpreter), segment->p_offset))
		return err_set(err, -ENOTSUP, "'%s' is a damaged executable", elf->path);
	if (access(elf->interpreter, F_OK) < 0)
		return err_set(err, -ENOENT, "'%s' needs the loader '%s', which is not there", elf->path,
			       elf->interpreter);
	base = strrchr(elf->interpreter, '/');
	if (strncmp(base ? base + 1 : elf->interpreter, "ld-musl", 7) == 0)
		return err_set(err, -ENOTSUP, "'%s' is built for musl: the shim needs glibc", elf->path);
	return 0;
}

static int inspect_elf(int fd, const char *path, char ret_runtime[SHM_RUNTIME_BYTES], struct err *err)
{
	CLEANUP(cleanup_free) struct elf *elf = calloc(1, sizeof(*elf));
	CLEANUP(cleanup_free) struct dynamic *dynamic = calloc(1, sizeof(*dynamic));
	bool has_dynamic;
	int r;

	if (!elf || !dynamic)
		return err_set(err, -ENOMEM, "out of memory");
	elf->fd = fd;
	elf->path = path;
	if (!read_at(fd, &elf->header, sizeof(elf->header), 0))
		return err_set(err, -ENOTSUP, "'%s' is a damaged executable", path);
	r = check_machine(elf, err);
	r = r < 0 ? r : check_privileges(elf, err);
	r = r < 0 ? r : read_elf(elf, err);
	if (r < 0)
		return r;
	has_dynamic = read_dynamic(elf, dynamic);
	r = check_interpreter(elf, has_dynamic ? dynamic : NULL, err);
	if (r == 0 && has_dynamic)
		find_runtime(elf, dynamic, ret_runtime);
	return r;
}

/* "#! /interpreter argument": the interpreter, or /bin/sh for a text without such a line, which shells and execvp(3)
 * hand to it. */
static void find_interpreter(char first[FIRST_BYTES], char ret_path[PATH_MAX])
{
	char *start = first + 2;

	strcpy(ret_path, "/bin/sh");
	if (first[0] != '#' || first[1] != '!')
		return;
	start += strspn(start, " \t");
	start[strcspn(start, " \t\r\n")] = '\0';
	if (*start)
		strcpy(ret_path, start);
}

static int inspect(const char *path, unsigned depth, char ret_runtime[SHM_RUNTIME_BYTES], struct err *err)
{
	char first[FIRST_BYTES] = { 0 }, next[PATH_MAX];
	CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	/* What may be executed but not read cannot be judged; the kernel will. */
	if (fd < 0)
		return errno == EACCES && access(path, X_OK) == 0
			       ? 0
			       : err_set(err, errno == ENOENT ? -ENOENT : -EACCES, "'%s': %s", path, strerror(errno));
	if (pread(fd, first, sizeof(first) - 1, 0) < 0)
		return err_set(err, -EACCES, "'%s': %s", path, strerror(errno));
	if (memcmp(first, ELFMAG, SELFMAG) == 0)
		return inspect_elf(fd, path, ret_runtime, err);
	if (depth >= MAX_DEPTH)
		return err_set(err, -EACCES, "'%s': too many interpreters", path);
	find_interpreter(first, next);
	r = inspect(next, depth + 1, ret_runtime, err);
	return r < 0 ? err_wrap(err, r, "'%s' is run by '%s'", path, next) : 0;
}

int shm_program_inspect(const char *path, char ret_runtime[SHM_RUNTIME_BYTES], struct err *err)
{
	ret_runtime[0] = '\0';
	return inspect(path, 0, ret_runtime, err);
}
