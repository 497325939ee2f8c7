/* SPDX-License-Identifier: MIT */
/* Memory that is kept, by whom it is held, and what is not taken for it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "enforce/agent-keep.h"

static void is_found_again(void **state)
{
	struct agent_kept *kept, *again;
	struct err err = { "" };
	int memory;

	assert_int_equal(agent_keep_new(&kept, &memory), 0);
	strcpy(kept->state.id, "it");
	atomic_store(&kept->account.listeners[63].serve.last, 7);
	agent_keep_free(kept);
	assert_int_equal(agent_keep_open(memory, &again, &err), 0);
	assert_string_equal(again->state.id, "it");
	assert_int_equal(again->account.listeners[63].serve.last, 7);
	agent_keep_free(again);
	close(memory);
}

static void refuses_others(void **state)
{
	struct agent_kept *kept, *again;
	struct err err = { "" };
	int memory, other = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), pair[2];

	assert_int_equal(pipe(pair), 0);
	assert_int_equal(agent_keep_open(pair[0], &again, &err), -EPROTO);
	assert_int_equal(agent_keep_open(other, &again, &err), -EPROTO);
	assert_int_equal(ftruncate(other, sizeof *kept), 0); /* could be cut short later */
	assert_int_equal(agent_keep_open(other, &again, &err), -EPROTO);
	assert_int_equal(agent_keep_new(&kept, &memory), 0);
	assert_int_equal(ftruncate(memory, 4096), -1);
	kept->layout++;
	assert_int_equal(agent_keep_open(memory, &again, &err), -EPROTO);
	kept->layout--;
	memset(kept->state.bundle, 'x', sizeof kept->state.bundle);
	assert_int_equal(agent_keep_open(memory, &again, &err), -EPROTO);
	kept->state.bundle[0] = '\0';
	kept->state.status = (enum oci_status) - 1;
	assert_int_equal(agent_keep_open(memory, &again, &err), -EPROTO);
	kept->state.status = OCI_RUNNING;
	assert_int_equal(agent_keep_open(memory, &again, &err), 0);
	agent_keep_free(again);
	agent_keep_free(kept);
	close(memory);
	close(other);
	close(pair[0]);
	close(pair[1]);
}

/* A worker holds it, then only a child that outlives the worker. */
static void __attribute__((noreturn)) work(int memory, struct agent_kept *kept, int ready, int life)
{
	char byte = 0;

	if (agent_keep_hold(memory, kept) < 0)
		_exit(1);
	close(memory);
	atomic_store(&kept->account.astray, true);
	if (fork() == 0)
		_exit(read(life, &byte, 1) == 0 && write(ready, &byte, 1) == 1 ? 0 : 1);
	_exit(write(ready, &byte, 1) == 1 ? 0 : 1);
}

static void is_held_by_children(void **state)
{
	struct agent_kept *kept;
	int memory, ready[2], life[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(agent_keep_new(&kept, &memory) | pipe(ready) | pipe(life), 0);
	assert_true(agent_keep_is_idle(memory));
	pid = fork();
	if (pid == 0) {
		close(life[1]);
		work(memory, kept, ready[1], life[0]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(kept->account.astray);
	assert_false(agent_keep_is_idle(memory));
	close(life[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(read(ready[0], &byte, 1), 0); /* its descriptors are closed, one after the other */
	while (!agent_keep_is_idle(memory))
		;
	close(ready[0]);
	close(life[0]);
	close(memory);
	agent_keep_free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_found_again),
		cmocka_unit_test(refuses_others),
		cmocka_unit_test(is_held_by_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
