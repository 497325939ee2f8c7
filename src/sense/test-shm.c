/* SPDX-License-Identifier: MIT */
/* The reader of shared memory, against writers that keep the rules and writers that break them: this program, started
 * by the reader again, in the role that its argument names. Preloaded is an object that does nothing here: libc. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after those it needs */
#include <cmocka.h>

#include "base/err.h"
#include "event/event.h"
#include "event/source.h"
#include "sense/shm-inner.h"
#include "sense/shm.h"
#include "sense/test-shm-writer.h"

struct watch {
	struct source *source;
	unsigned kinds[EVENT_KIND_COUNT];
	unsigned n_good, n_bad;       /* marks of write_one() */
	uint32_t marks[SHARED_SLOTS]; /* by tid: the last */
	unsigned n_disorder;
	uint64_t seq;
	int32_t exit_status;
	uint32_t exit_clean;
	unsigned n_synthetic_exits;
	char notices[4096];
	int status;
};

static char self[PATH_MAX];

static void start(struct watch *watch, const char *role, const char *argument)
{
	char *argv[] = { self, (char *)"--writer", (char *)role, (char *)argument, NULL };
	struct sense_shm_options options = { .argv = argv };
	struct err err = { "" };

	memset(watch, 0, sizeof(*watch));
	watch->status = -1;
	if (sense_shm_new(&options, &watch->source, &err) < 0)
		fail_msg("%s", err.text);
}

static void note_thread(struct watch *watch, const struct event *event)
{
	uint32_t *last = &watch->marks[event->tid % SHARED_SLOTS];

	watch->n_bad += event->ring == SHM_WRITER_BAD;
	watch->n_good += event->ring != SHM_WRITER_BAD;
	watch->n_disorder += event->ring != SHM_WRITER_BAD && event->ring != *last + 1;
	*last = event->ring == SHM_WRITER_BAD ? *last : event->ring;
}

static void note(struct watch *watch, const struct event *event)
{
	bool synthetic = event->flags & EVENT_SYNTHETIC;

	watch->kinds[event->kind]++;
	if (synthetic ? event->seq < watch->seq : event->seq <= watch->seq)
		watch->n_disorder++;
	watch->seq = event->seq;
	if (event->kind == EVENT_THREAD_START && event->ring)
		note_thread(watch, event);
	if (event->kind == EVENT_PROCESS_EXIT) {
		watch->exit_status = ((const struct event_exit *)event)->status;
		watch->exit_clean = ((const struct event_exit *)event)->clean;
		watch->n_synthetic_exits += synthetic;
	}
	if (event->kind == EVENT_NOTICE && strlen(watch->notices) + 300 < sizeof(watch->notices))
		snprintf(watch->notices + strlen(watch->notices), 300, "%.*s\n",
			 (int)((const struct event_notice *)event)->length,
			 (const char *)(event + 1) + sizeof(struct event_notice) - sizeof(struct event));
}

/* Until an event of this kind, or the end: what next() said. */
static int run_until(struct watch *watch, unsigned kind)
{
	for (;;) {
		const struct event *event;
		struct err err = { "" };
		int r = watch->source->next(watch->source, UINT64_MAX, &event, &err);

		if (r < 0)
			fail_msg("%s", err.text);
		if (r == SOURCE_EVENT)
			note(watch, event);
		if (r == SOURCE_END || (r == SOURCE_EVENT && event->kind == kind))
			return r;
	}
}

static void finish(struct watch *watch)
{
	const struct event *event;

	assert_int_equal(run_until(watch, EVENT_KIND_COUNT), SOURCE_END);
	assert_int_equal(watch->source->next(watch->source, UINT64_MAX, &event, NULL), SOURCE_END);
	assert_true(sense_shm_status(watch->source, &watch->status));
	watch->source = watch->source->destroy(watch->source);
	assert_null(watch->source);
	assert_int_equal(watch->n_disorder, 0);
}

static void watch_role(struct watch *watch, const char *role, const char *argument)
{
	start(watch, role, argument);
	finish(watch);
}

static void test_few(void **state)
{
	struct watch watch;

	watch_role(&watch, "few", NULL);
	assert_int_equal(WEXITSTATUS(watch.status), 7);
	assert_int_equal(watch.n_good, 10);
	assert_int_equal(watch.kinds[EVENT_PROCESS_START], 1);
	assert_int_equal(watch.kinds[EVENT_PROCESS_EXIT], 1);
	assert_int_equal(watch.exit_clean, 1);
	assert_int_equal(watch.kinds[EVENT_LOST] + watch.kinds[EVENT_NOTICE], 0);
}

static void test_unseen_program(void **state)
{
	struct watch watch;

	watch_role(&watch, "nothing", NULL);
	assert_int_equal(WEXITSTATUS(watch.status), 3);
	assert_non_null(strstr(watch.notices, "did not load the shim"));
}

static void test_threads(void **state)
{
	struct watch watch;

	watch_role(&watch, "threads", NULL);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.n_good, SHM_WRITER_THREADS * SHM_WRITER_PER_THREAD);
	assert_int_equal(watch.kinds[EVENT_LOST] + watch.kinds[EVENT_NOTICE], 0);
}

static void test_large_records(void **state)
{
	struct watch watch;

	watch_role(&watch, "large", NULL);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.n_good, 200);
	assert_int_equal(watch.kinds[EVENT_LOST], 0);
	assert_int_equal(watch.n_synthetic_exits, 1);
	assert_int_equal(watch.exit_clean, 0);
	assert_int_equal(watch.exit_status, 0);
}

static void test_thread_vanishes(void **state)
{
	struct watch watch;

	watch_role(&watch, "vanish", NULL);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.n_good, 2);
	assert_int_equal(watch.kinds[EVENT_LOST], 1);
}

static void test_killed_while_writing(void **state)
{
	struct watch watch;

	watch_role(&watch, "die-busy", NULL);
	assert_int_equal(WTERMSIG(watch.status), SIGKILL);
	assert_int_equal(watch.n_good, 1);
	assert_int_equal(watch.kinds[EVENT_LOST], 1);
	assert_int_equal(watch.n_synthetic_exits, 1);
	assert_int_equal(watch.exit_status, SIGKILL);
}

static void test_never_finishes(void **state)
{
	struct watch watch;

	start(&watch, "stay-busy", NULL);
	shm_set_patience(watch.source, 1000000);
	finish(&watch);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.n_good, 1);
	assert_non_null(strstr(watch.notices, "never finished"));
	assert_int_equal(watch.kinds[EVENT_LOST], 1);
}

static void test_daemon(void **state)
{
	struct watch watch;

	watch_role(&watch, "daemon", NULL);
	assert_int_equal(watch.status, 0);
	assert_int_equal(watch.kinds[EVENT_FORK], 2);
	assert_int_equal(watch.kinds[EVENT_PROCESS_EXIT], 3);
	assert_int_equal(watch.n_synthetic_exits, 1);
	assert_int_equal(watch.exit_status, -1);
	assert_int_equal(watch.kinds[EVENT_LOST] + watch.kinds[EVENT_NOTICE], 0);
}

static void test_evil(void **state)
{
	const struct shm_evil *evil;

	for (unsigned i = 0; (evil = shm_writer_evil(i)); i++) {
		struct watch watch;

		start(&watch, "evil", evil->name);
		assert_int_equal(run_until(&watch, EVENT_KIND_COUNT), SOURCE_END);
		if (watch.n_good != SHM_WRITER_AFTER || watch.n_bad > 1 || !watch.kinds[EVENT_LOST] ||
		    !strstr(watch.notices, evil->blame))
			fail_msg("%s: %u good, %u bad, %u lost, notices: %s", evil->name, watch.n_good, watch.n_bad,
				 watch.kinds[EVENT_LOST], watch.notices);
		finish(&watch);
	}
}

static void test_scribble(void **state)
{
	struct watch watch;

	start(&watch, "scribble", NULL);
	shm_set_patience(watch.source, 1000000);
	assert_int_equal(run_until(&watch, EVENT_KIND_COUNT), SOURCE_END);
	assert_true(sense_shm_status(watch.source, &watch.status));
	assert_int_equal(watch.status, 0);
	watch.source->destroy(watch.source);
}

static void test_signal(void **state)
{
	struct watch watch;

	start(&watch, "signal", NULL);
	assert_int_equal(run_until(&watch, EVENT_THREAD_START), SOURCE_EVENT);
	assert_false(sense_shm_status(watch.source, &watch.status));
	assert_int_equal(kill(sense_shm_pid(watch.source), 0), 0);
	sense_shm_signal(watch.source, SIGUSR1);
	finish(&watch);
	assert_int_equal(WEXITSTATUS(watch.status), 5);
}

static void test_time_passes(void **state)
{
	const struct event *event;
	struct watch watch;
	int r;

	start(&watch, "signal", NULL);
	assert_int_equal(run_until(&watch, EVENT_TICK), SOURCE_EVENT);
	assert_int_equal(run_until(&watch, EVENT_TICK), SOURCE_EVENT);
	do
		r = watch.source->next(watch.source, 1, &event, NULL);
	while (r == SOURCE_EVENT);
	assert_int_equal(r, SOURCE_AGAIN);
	sense_shm_signal(watch.source, 0);
	assert_int_equal(run_until(&watch, EVENT_KIND_COUNT), SOURCE_END);
	assert_true(sense_shm_status(watch.source, &watch.status));
	assert_int_equal(WTERMSIG(watch.status), SIGTERM);
	watch.source->destroy(watch.source);
}

static void test_detach(void **state)
{
	struct watch watch;
	int status;

	start(&watch, "silence", NULL);
	assert_int_equal(run_until(&watch, EVENT_THREAD_START), SOURCE_EVENT);
	sense_shm_detach(watch.source);
	assert_int_equal(run_until(&watch, EVENT_KIND_COUNT), SOURCE_END);
	assert_int_equal(waitpid(sense_shm_pid(watch.source), &status, 0), sense_shm_pid(watch.source));
	assert_int_equal(WEXITSTATUS(status), 6);
	watch.source->destroy(watch.source);
}

static void test_stopped_by_writer(void **state)
{
	struct watch watch;

	start(&watch, "stop-reader", NULL);
	assert_int_equal(run_until(&watch, EVENT_NOTICE), SOURCE_EVENT);
	assert_non_null(strstr(watch.notices, "in vain"));
	sense_shm_signal(watch.source, SIGKILL);
	finish(&watch);
	assert_int_equal(watch.n_good, 1);
}

static void test_program_is_left_alone(void **state)
{
	int before = shm_writer_count_descriptors();
	struct watch watch;

	watch_role(&watch, "group", NULL);
	assert_int_equal(watch.status, 0);
	watch_role(&watch, "descriptors", NULL);
	assert_int_equal(WEXITSTATUS(watch.status), before);
	assert_int_equal(shm_writer_count_descriptors(), before);
}
/* ---- programs of other kinds ---- */

static void write_script(char *path, const char *text)
{
	int fd;

	strcpy(strrchr(path, '-') + 1, "XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
}

static void test_scripts_run(void **state)
{
	struct watch watch = { 0 };
	char path[] = "/tmp/circlip-test-shm-XXXXXX";
	char *argv[] = { path, (char *)"4", NULL };
	struct sense_shm_options options = { .argv = argv };
	static const char *const texts[] = { "#!/bin/sh\nexit $1\n", "exit $1\n" };

	for (unsigned i = 0; i < 2; i++) {
		write_script(path, texts[i]);
		assert_int_equal(sense_shm_new(&options, &watch.source, NULL), 0);
		finish(&watch);
		unlink(path);
		assert_int_equal(WEXITSTATUS(watch.status), 4);
	}
}

/* ---- with the shim itself ---- */

static void test_shim(void **state)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"/bin/true; /bin/true & exit 9", NULL };
	struct sense_shm_options options = { .argv = argv };
	struct watch watch = { 0 };
	struct err err = { "" };
	char shim[PATH_MAX];

	unsetenv("CIRCLIP_SHIM");
	if (shm_start_find_shim(shim, &err) < 0) {
		print_message("%s\n", err.text);
		skip();
	}
	if (sense_shm_new(&options, &watch.source, &err) < 0)
		fail_msg("%s", err.text);
	finish(&watch);
	assert_int_equal(WEXITSTATUS(watch.status), 9);
	assert_int_equal(watch.kinds[EVENT_PROCESS_START], 3);
	assert_int_equal(watch.kinds[EVENT_EXEC], watch.kinds[EVENT_FORK]); /* shells prefer vfork, but for & */
	assert_int_equal(watch.n_synthetic_exits, 0);
	assert_int_equal(watch.kinds[EVENT_LOST] + watch.kinds[EVENT_NOTICE], 0);
}

static void use_harmless_shim(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	Dl_info info;

	if (!libc || !dladdr(dlsym(libc, "getppid"), &info))
		exit(99);
	setenv("CIRCLIP_SHIM", info.dli_fname, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_unseen_program),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_large_records),
		cmocka_unit_test(test_thread_vanishes),
		cmocka_unit_test(test_killed_while_writing),
		cmocka_unit_test(test_never_finishes),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_evil),
		cmocka_unit_test(test_scribble),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_time_passes),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_stopped_by_writer),
		cmocka_unit_test(test_program_is_left_alone),
		cmocka_unit_test(test_scripts_run),
		cmocka_unit_test(test_shim),
	};

	if (argc > 2 && strcmp(argv[1], "--writer") == 0)
		return shm_writer_act(argv[2], argv[3]);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 99;
	use_harmless_shim();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
