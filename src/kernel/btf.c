/* SPDX-License-Identifier: MIT */
#include "kernel/btf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

enum { SIZE_MAX_BTF = 256 << 20 };

/* What follows a type, by its kind: so many bytes, and so many for each of its members. Unknown kinds have no row. */
static const struct {
	uint8_t known, fixed, each;
} kinds[] = {
	[BTF_KIND_INT] = { 1, 4, 0 },        [BTF_KIND_PTR] = { 1, 0, 0 },      [BTF_KIND_ARRAY] = { 1, 12, 0 },
	[BTF_KIND_STRUCT] = { 1, 0, 12 },    [BTF_KIND_UNION] = { 1, 0, 12 },   [BTF_KIND_ENUM] = { 1, 0, 8 },
	[BTF_KIND_FWD] = { 1, 0, 0 },        [BTF_KIND_TYPEDEF] = { 1, 0, 0 },  [BTF_KIND_VOLATILE] = { 1, 0, 0 },
	[BTF_KIND_CONST] = { 1, 0, 0 },      [BTF_KIND_RESTRICT] = { 1, 0, 0 }, [BTF_KIND_FUNC] = { 1, 0, 0 },
	[BTF_KIND_FUNC_PROTO] = { 1, 0, 8 }, [BTF_KIND_VAR] = { 1, 4, 0 },      [BTF_KIND_DATASEC] = { 1, 0, 12 },
	[BTF_KIND_FLOAT] = { 1, 0, 0 },      [BTF_KIND_DECL_TAG] = { 1, 4, 0 }, [BTF_KIND_TYPE_TAG] = { 1, 0, 0 },
	[BTF_KIND_ENUM64] = { 1, 0, 12 },
};

struct sections {
	const char *types, *strings;
	size_t types_size, strings_size;
};

static int find_sections(const char *btf, size_t size, struct sections *ret_sections)
{
	struct btf_header head;
	size_t room;

	if (size < sizeof(head))
		return -EINVAL;
	memcpy(&head, btf, sizeof(head));
	if (head.magic != BTF_MAGIC || head.hdr_len < sizeof(head) || head.hdr_len > size)
		return -EINVAL;
	room = size - head.hdr_len;
	if (head.type_off > room || head.type_len > room - head.type_off || head.str_off > room ||
	    head.str_len > room - head.str_off)
		return -EINVAL;
	*ret_sections = (struct sections){ .types = btf + head.hdr_len + head.type_off,
					   .types_size = head.type_len,
					   .strings = btf + head.hdr_len + head.str_off,
					   .strings_size = head.str_len };
	return 0;
}

static int is_named(const struct sections *s, uint32_t offset, const char *name)
{
	size_t length = strlen(name) + 1;

	return offset < s->strings_size && length <= s->strings_size - offset &&
	       memcmp(s->strings + offset, name, length) == 0;
}

int btf_find_function(const void *btf, size_t size, const char *name)
{
	struct sections s;
	size_t at = 0;
	int r = find_sections(btf, size, &s);

	if (r < 0)
		return r;
	for (int id = 1; s.types_size - at >= sizeof(struct btf_type); id++) {
		struct btf_type type;
		size_t more;

		memcpy(&type, s.types + at, sizeof(type));
		if (BTF_INFO_KIND(type.info) >= sizeof(kinds) / sizeof(*kinds) ||
		    !kinds[BTF_INFO_KIND(type.info)].known)
			return -EINVAL;
		if (BTF_INFO_KIND(type.info) == BTF_KIND_FUNC && is_named(&s, type.name_off, name))
			return id;
		more = sizeof(type) + kinds[BTF_INFO_KIND(type.info)].fixed +
		       (size_t)BTF_INFO_VLEN(type.info) * kinds[BTF_INFO_KIND(type.info)].each;
		if (more > s.types_size - at)
			return -EINVAL;
		at += more;
	}
	return -ENOENT;
}

int btf_read_kernel(void **ret_btf, size_t *ret_size)
{
	CLEANUP(cleanup_fd) int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_free) char *btf = NULL;
	struct stat status;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size <= 0 || status.st_size > SIZE_MAX_BTF)
		return -EFBIG;
	btf = malloc((size_t)status.st_size);
	if (!btf)
		return -ENOMEM;
	while (n < (size_t)status.st_size) {
		ssize_t r = read(fd, btf + n, (size_t)status.st_size - n);

		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*ret_btf = btf;
	*ret_size = n;
	btf = NULL;
	return 0;
}
