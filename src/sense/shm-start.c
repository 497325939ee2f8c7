/* SPDX-License-Identifier: MIT */
/* Starts the program as a shell would: same group, descriptors and signals; only the environment has the shim. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sense/shm-inner.h"

#define SHIM_FILE "libcirclip-shim.so"

/* Relative to the executable's directory: in the build tree, then installed. */
static const char *const places[] = { "../src/shim",    "../shim",          "src/shim",
				      "../lib/circlip", "../lib64/circlip", "../lib/x86_64-linux-gnu/circlip" };

static int use_shim(const char *path, char ret_path[PATH_MAX])
{
	return realpath(path, ret_path) && access(ret_path, R_OK) == 0 ? 0 : -errno;
}

static int search_shim(char ret_path[PATH_MAX], struct err *err)
{
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return err_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(path, sizeof(path), "%s/%s/" SHIM_FILE, self, places[i]);
		if (use_shim(path, ret_path) == 0)
			return 0;
	}
	return err_set(err, -ENOENT, SHIM_FILE " was not found near '%s'; CIRCLIP_SHIM can name it", self);
}

int shm_start_find_shim(char ret_path[PATH_MAX], struct err *err)
{
	const char *given = getenv("CIRCLIP_SHIM");
	int r;

	if (given && *given) {
		r = use_shim(given, ret_path);
		if (r < 0)
			return err_set(err, r, "CIRCLIP_SHIM: '%s': %s", given, strerror(-r));
	} else {
		r = search_shim(ret_path, err);
		if (r < 0)
			return r;
	}
	if (strpbrk(ret_path, " :"))
		return err_set(err, -ENOTSUP,
			       "'%s' cannot be preloaded: LD_PRELOAD separates paths by spaces and colons", ret_path);
	return 0;
}

struct environment {
	char **list;
	char preload[PATH_MAX * 2 + SHM_RUNTIME_BYTES];
	char socket[160];
};

static bool is_set(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static int fill_preload(struct environment *environment, const char *runtime, const char *shim, struct err *err)
{
	const char *old = getenv("LD_PRELOAD");
	bool has_old = old && *old;
	int n = snprintf(environment->preload, sizeof(environment->preload), "LD_PRELOAD=%s%s%s%s%s", runtime,
			 *runtime ? ":" : "", shim, has_old ? ":" : "", has_old ? old : "");

	return n < (int)sizeof(environment->preload) ? 0 : err_set(err, -E2BIG, "LD_PRELOAD is too long");
}

static int fill_environment(struct environment *environment, const char *runtime, const char *shim,
			    const char *socket_name, struct err *err)
{
	size_t n = 0, used = 0;
	int r = fill_preload(environment, runtime, shim, err);

	if (r < 0)
		return r;
	while (environ[n])
		n++;
	environment->list = calloc(n + 3, sizeof(char *));
	if (!environment->list)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		if (!is_set(environ[i], "LD_PRELOAD") && !is_set(environ[i], SHARED_ENV))
			environment->list[used++] = environ[i];
	snprintf(environment->socket, sizeof(environment->socket), SHARED_ENV "=%s", socket_name);
	environment->list[used++] = environment->preload;
	environment->list[used++] = environment->socket;
	return 0;
}

struct launch {
	const char *path;
	char *const *argv;
	char **shell_argv; /* for a script without interpreter line */
	char *const *environment;
	struct sigaction child_action; /* SIGCHLD as it was */
	int report;
};

/* In the child. Between fork and exec only what is async-signal-safe. */
static void become(const struct launch *launch)
{
	int code;

	sigaction(SIGCHLD, &launch->child_action, NULL);
	execve(launch->path, launch->argv, launch->environment);
	if (errno == ENOEXEC)
		execve("/bin/sh", launch->shell_argv, launch->environment);
	code = errno;
	(void)!write(launch->report, &code, sizeof(code));
	_exit(127);
}

static int make_shell_argv(struct launch *launch)
{
	size_t n = 0;

	while (launch->argv[n])
		n++;
	launch->shell_argv = calloc(n + 2, sizeof(char *));
	if (!launch->shell_argv)
		return -ENOMEM;
	launch->shell_argv[0] = (char *)"sh";
	launch->shell_argv[1] = (char *)launch->path;
	for (size_t i = 1; i < n; i++)
		launch->shell_argv[i + 1] = launch->argv[i];
	return 0;
}

static int spawn(struct launch *launch, pid_t *ret_pid, struct err *err)
{
	CLEANUP(cleanup_fd) int from = -1;
	int ends[2], code = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, -errno, "pipe: %s", strerror(errno));
	from = ends[0];
	launch->report = ends[1];
	pid = fork();
	if (pid == 0)
		become(launch);
	code = errno;
	close(ends[1]);
	if (pid < 0)
		return err_set(err, -code, "fork: %s", strerror(code));
	do
		n = read(from, &code, sizeof(code));
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		*ret_pid = pid;
		return 0;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err_set(err, -code, "'%s' cannot be executed: %s", launch->path, strerror(code));
}

/* With SIGCHLD ignored the program's status would be thrown away; the program itself gets it as it was. */
static void want_status(struct launch *launch)
{
	struct sigaction normal = { .sa_handler = SIG_DFL };

	sigaction(SIGCHLD, NULL, &launch->child_action);
	if (launch->child_action.sa_handler == SIG_IGN)
		sigaction(SIGCHLD, &normal, NULL);
}

int shm_start(const struct shm_program *program, char *const *argv, const char *shim, const char *socket_name,
	      pid_t *ret_pid, struct err *err)
{
	CLEANUP(cleanup_free) struct environment *environment = calloc(1, sizeof(*environment));
	struct launch launch = { .path = program->path, .argv = argv };
	int r;

	if (!environment || make_shell_argv(&launch) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	r = fill_environment(environment, program->runtime, shim, socket_name, err);
	launch.environment = environment->list;
	want_status(&launch);
	if (r == 0)
		r = spawn(&launch, ret_pid, err);
	free(environment->list);
	free(launch.shell_argv);
	return r;
}
