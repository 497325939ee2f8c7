/* SPDX-License-Identifier: MIT */
/* The ids of the process after they changed. */
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/inner.h"

void creds_after(struct call *call)
{
	struct event_credentials event = { 0 };
	struct emit emit;

	if (call->result < 0 || !emit_open(&emit))
		return;
	SYS3(SYS_getresuid, &event.ruid, &event.euid, &event.suid);
	SYS3(SYS_getresgid, &event.rgid, &event.egid, &event.sgid);
	emit.stack = stack_take(&emit, call->registers);
	emit_event(&emit, EVENT_CREDENTIALS, 0, &event, sizeof(event));
	emit_close(&emit);
}

/* libc makes these calls in every thread of the process, by itself. */

SHIM_EXPORT int setuid(uid_t uid)
{
	struct call call = CALL(SYS_setuid, uid);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(setuid)(uid));
}

SHIM_EXPORT int seteuid(uid_t uid)
{
	struct call call = CALL(SYS_setresuid, (uint64_t)-1, uid, (uint64_t)-1);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(seteuid)(uid));
}

SHIM_EXPORT int setreuid(uid_t real, uid_t effective)
{
	struct call call = CALL(SYS_setreuid, real, effective);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(setreuid)(real, effective));
}

SHIM_EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	struct call call = CALL(SYS_setresuid, real, effective, saved);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(setresuid)(real, effective, saved));
}

SHIM_EXPORT int setgid(gid_t gid)
{
	struct call call = CALL(SYS_setgid, gid);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(setgid)(gid));
}

SHIM_EXPORT int setegid(gid_t gid)
{
	struct call call = CALL(SYS_setresgid, (uint64_t)-1, gid, (uint64_t)-1);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(setegid)(gid));
}

SHIM_EXPORT int setregid(gid_t real, gid_t effective)
{
	struct call call = CALL(SYS_setregid, real, effective);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(setregid)(real, effective));
}

SHIM_EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved)
{
	struct call call = CALL(SYS_setresgid, real, effective, saved);

	call_before(&call);
	return (int)call_return(&call, REAL_FUNCTION(setresgid)(real, effective, saved));
}
