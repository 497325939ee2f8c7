/* SPDX-License-Identifier: MIT */
/* The symbols of libc that make, duplicate or close descriptors. Streams and directories count: libc closes what is
 * behind them by a call of its own that nobody sees. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/inner.h"

SHIM_EXPORT int close(int fd)
{
	struct call call = CALL(SYS_close, (uint64_t)fd);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(close)(fd));
}

SHIM_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	struct call call = CALL(SYS_close_range, first, last, (uint64_t)flags);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(close_range)(first, last, flags));
}

SHIM_EXPORT void closefrom(int first)
{
	struct call call = CALL(SYS_close_range, (uint64_t)(first < 0 ? 0 : first), UINT32_MAX, 0);

	call_before(&call);
	REAL_FUNCTION(closefrom)(first);
	call_return(&call, 0);
}

SHIM_EXPORT int dup(int fd)
{
	struct call call = CALL(SYS_dup, (uint64_t)fd);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(dup)(fd));
}

SHIM_EXPORT int dup2(int from, int to)
{
	struct call call = CALL(SYS_dup2, (uint64_t)from, (uint64_t)to);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(dup2)(from, to));
}

SHIM_EXPORT int dup3(int from, int to, int flags)
{
	struct call call = CALL(SYS_dup3, (uint64_t)from, (uint64_t)to, (uint64_t)flags);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(dup3)(from, to, flags));
}

static bool wanted(int command)
{
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC || command == F_SETFL;
}

/* Whatever the third argument is, if there is one, it is in the same register. */
#define FCNTL(name)                                                                                                    \
	SHIM_EXPORT int name(int fd, int command, ...)                                                                 \
	{                                                                                                              \
		struct call call = CALL(SYS_fcntl, (uint64_t)fd, (uint64_t)command);                                   \
		va_list list;                                                                                          \
		void *argument;                                                                                        \
                                                                                                                       \
		va_start(list, command);                                                                               \
		argument = va_arg(list, void *);                                                                       \
		va_end(list);                                                                                          \
		if (!wanted(command))                                                                                  \
			return REAL_FUNCTION(name)(fd, command, argument);                                             \
		call.args[2] = (uint64_t)argument;                                                                     \
		call_before(&call);                                                                                    \
		return (int)call_return(&call, REAL_FUNCTION(name)(fd, command, argument));                            \
	}

FCNTL(fcntl)
FCNTL(fcntl64)

SHIM_EXPORT int listen(int fd, int backlog)
{
	struct call call = CALL(SYS_listen, (uint64_t)fd, (uint64_t)backlog);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(listen)(fd, backlog));
}

SHIM_EXPORT int pipe(int fds[2])
{
	struct call call = CALL(SYS_pipe, (uint64_t)fds);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(pipe)(fds));
}

SHIM_EXPORT int pipe2(int fds[2], int flags)
{
	struct call call = CALL(SYS_pipe2, (uint64_t)fds, (uint64_t)flags);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(pipe2)(fds, flags));
}

SHIM_EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	struct call call = CALL(SYS_socketpair, (uint64_t)domain, (uint64_t)type, (uint64_t)protocol, (uint64_t)fds);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(socketpair)(domain, type, protocol, fds));
}

/* ---- streams and directories ---- */

/* -1 where there is none. */
static uint64_t behind(FILE *stream)
{
	int saved = errno, fd = fileno_unlocked(stream);

	errno = saved;
	return (uint64_t)fd;
}

/* libc answers EINVAL for none, whatever its header promises the compiler. */
static uint64_t behind_directory(DIR *volatile directory)
{
	DIR *here = directory;

	return (uint64_t)(here ? dirfd(here) : -1);
}

SHIM_EXPORT int fclose(FILE *stream)
{
	struct call call = CALL(SYS_close, behind(stream));

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(fclose)(stream));
}

SHIM_EXPORT int pclose(FILE *stream)
{
	struct call call = CALL(SYS_close, behind(stream));

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(pclose)(stream));
}

SHIM_EXPORT int closedir(DIR *directory)
{
	struct call call = CALL(SYS_close, behind_directory(directory));

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(closedir)(directory));
}

#define FREOPEN(name)                                                                                                  \
	SHIM_EXPORT FILE *name(const char *path, const char *mode, FILE *stream)                                       \
	{                                                                                                              \
		struct call call = CALL(SYS_close, behind(stream));                                                    \
		FILE *result;                                                                                          \
                                                                                                                       \
		call_before(&call);                                                                                    \
		result = REAL_FUNCTION(name)(path, mode, stream);                                                      \
		call_return(&call, 0);                                                                                 \
		return result;                                                                                         \
	}

FREOPEN(freopen)
FREOPEN(freopen64)
