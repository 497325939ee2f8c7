/* SPDX-License-Identifier: MIT */
#include "enforce/agent-keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* LAYOUT: another one for every change of what the structs hold, and of the policy's fields. */
enum { MAGIC = 0x70696c63, LAYOUT = 1, SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static int map(int memory, struct agent_kept **ret_kept)
{
	void *kept = mmap(NULL, sizeof(struct agent_kept), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);

	if (kept == MAP_FAILED)
		return -errno;
	*ret_kept = kept;
	return 0;
}

int agent_keep_new(struct agent_kept **ret_kept, int *ret_memory)
{
	CLEANUP(cleanup_fd) int memory = memfd_create("circlip-container", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint32_t name;
	int r;

	if (memory < 0 || ftruncate(memory, sizeof(struct agent_kept)) < 0 || fcntl(memory, F_ADD_SEALS, SEALS) < 0 ||
	    getrandom(&name, sizeof name, 0) != sizeof name)
		return -errno;
	r = map(memory, ret_kept);
	if (r < 0)
		return r;
	(*ret_kept)->magic = MAGIC;
	(*ret_kept)->layout = LAYOUT;
	(*ret_kept)->bytes = sizeof(struct agent_kept);
	(*ret_kept)->name = name;
	*ret_memory = memory;
	memory = -1;
	return 0;
}

#define IS_TEXT(array) (memchr((array), 0, sizeof(array)) != NULL)

static bool is_sound(const struct agent_kept *kept)
{
	const struct oci_state *state = &kept->state;

	return kept->magic == MAGIC && kept->layout == LAYOUT && kept->bytes == sizeof *kept && IS_TEXT(state->id) &&
	       IS_TEXT(state->bundle) && IS_TEXT(state->metadata) && IS_TEXT(state->policy) &&
	       (unsigned int)state->status <= OCI_STOPPED;
}

int agent_keep_open(int memory, struct agent_kept **ret_kept, struct err *err)
{
	CLEANUP(cleanup_agent_keep) struct agent_kept *kept = NULL;
	int seals = fcntl(memory, F_GET_SEALS), r;
	struct stat seen;

	/* Sealed and whole: reading it cannot fail later. */
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(memory, &seen) < 0 || seen.st_size != sizeof *kept)
		return err_set(err, -EPROTO, "what was kept of it is of another kind or version");
	r = map(memory, &kept);
	if (r < 0)
		return err_set(err, r, "what was kept of it cannot be read: %s", strerror(-r));
	if (!is_sound(kept))
		return err_set(err, -EPROTO, "what was kept of it is of another version, or damaged");
	*ret_kept = kept;
	kept = NULL;
	return 0;
}

struct agent_kept *agent_keep_free(struct agent_kept *kept)
{
	if (kept)
		munmap(kept, sizeof *kept);
	return NULL;
}

/*
 * A lock belongs to an open file description, which children share and which ends with the last of them. The agent's
 * descriptor is another one.
 */
int agent_keep_hold(int memory, struct agent_kept *kept)
{
	char path[32];
	int fd;

	snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
		return -errno;
	return munmap(kept, offsetof(struct agent_kept, account)) < 0 ? -errno : 0;
}

bool agent_keep_is_idle(int memory)
{
	if (flock(memory, LOCK_EX | LOCK_NB) < 0)
		return false;
	(void)flock(memory, LOCK_UN);
	return true;
}
