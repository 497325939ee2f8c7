#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Programs that signals interrupt while circlip makes their rings: on this kernel, and as on one before Linux 5.19 (or under a runtime that
does not ask for it), where a signal ends the call even while it is being answered.
usage: interrupted.py [MECHANISM]...
"""
import ctypes
import errno
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import restricted  # noqa: E402
from tap import Tap  # noqa: E402

PROGRAM = os.path.join(os.environ.get("CIRCLIP_BUILD", "build"), "tests/run/interrupted")
THREADS, ROUNDS = 4, 200
SYS_SECCOMP, SET_MODE_FILTER, NEW_LISTENER, WAIT_KILLABLE_RECV = 317, 1, 1 << 3, 1 << 5
# What a supervisor that does not trace cannot rule out where calls are ended while they are answered; src/enforce/serve-thread.c says why.
WINDOW = {"strip": ("other", "overwritten")}


def can_wait():
    """Whether this kernel knows the flag: a filter that is nowhere is looked for only then."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(SYS_SECCOMP, SET_MODE_FILTER, NEW_LISTENER | WAIT_KILLABLE_RECV, None)
    return ctypes.get_errno() == errno.EFAULT


def interrupted(tap, mechanism, how, prefix, excepted):
    name = f"{mechanism}, {how}: each ring is the one asked for, and as it is told"
    run = restricted.run([PROGRAM, "rings", mechanism, str(THREADS), str(ROUNDS)], "allow-all", ["--mechanism", mechanism], prefix=prefix, timeout=600)
    lines = run.lines()
    problems = ["it hung"] * run.hung + [run.err[-600:]] * bool(run.err)
    problems += [f"{lines.get('made')} rings, not {THREADS * ROUNDS}"] * (lines.get("made") != str(THREADS * ROUNDS))
    problems += [f"{key}: {lines.get(key)}" for key in ("failed", "other", "untrue", "overwritten", "lost") if key not in excepted and lines.get(key) != "0"]
    problems += ["no call was ended, so nothing was tried"] * bool(prefix and lines.get("ended") == "0")
    tap.result(name, problems + run.all("wrong")[:5] * bool(problems))
    tap.note(", ".join(f"{key} {lines.get(key)}" for key in ("signals", "ended", *excepted)))


def main():
    tap = Tap()
    for mechanism, why in restricted.available().items():
        if mechanism == "task" or mechanism not in (sys.argv[1:] or restricted.MECHANISMS):
            continue  # under `task` the kernel makes them
        if why:
            tap.skip(mechanism, why)
            continue
        interrupted(tap, mechanism, "calls that are being answered go on", [], () if can_wait() else WINDOW.get(mechanism, ()))
        interrupted(tap, mechanism, "calls that are being answered end", [PROGRAM, "older"], WINDOW.get(mechanism, ()))
    tap.done()


main()
