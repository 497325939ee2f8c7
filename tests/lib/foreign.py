# SPDX-License-Identifier: MIT
"""Somebody else's program, alone and under `circlip check`: same outcome, nothing accused, and every request seen."""
import os
import shutil
import subprocess
import sys
import tempfile

import circlip
import kernel


def need(tap, *programs):
    """Ends the test as skipped when a program is not installed."""
    for program in programs:
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            tap.skip("all", f"{program} is not installed")
            tap.done()


def where(program):
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Outcome:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err


def bare(command, timeout=300, env=None, cwd=None):
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=env, cwd=cwd, errors="replace", text=True)
    return Outcome(run.returncode, run.stdout, run.stderr)


class Watched:
    """A program under `circlip check`, with the kernel counting beside it where that can be had. For servers: start, then finish."""

    def __init__(self, command, options=(), env=None, cwd=None):
        self.folder = tempfile.mkdtemp(prefix="circlip-test-")
        self.log = os.path.join(self.folder, "log")
        self.why_uncounted, self.count = None, None
        try:
            self.count = kernel.Count()
        except kernel.Unavailable as error:
            self.why_uncounted = str(error)
        self.out = open(os.path.join(self.folder, "out"), "w+b")
        self.err = open(os.path.join(self.folder, "err"), "w+b")
        self.process = subprocess.Popen(circlip.command(command, self.log, ["--fail-on", "warning", *options]), stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=self.err, env=env, cwd=cwd, start_new_session=True)

    def finish(self, timeout=180):
        """The circlip.Run, and the kernel's (requests, dropped) or None."""
        hung = circlip.wait(self.process, self.log, timeout, None, 0)
        texts = []
        for f in (self.out, self.err):
            f.seek(0)
            texts.append(f.read().decode(errors="replace"))
            f.close()
        counted = None
        if self.count:
            counted = self.count.result()
            self.count.close()
        run = circlip.Run(self.process.returncode, *texts, circlip.read_records(self.log), hung)
        shutil.rmtree(self.folder, ignore_errors=True)
        return run, counted


def requests_seen(run):
    return (run.summary or {}).get("requests", 0)


def tell_findings(run):
    found = run.at_least("warning", "error")
    return [f"{f['level']} {f['hazard']} (pid {f.get('pid')}): {f.get('message')}" for f in found]


def judge(tap, name, run, counted, why_uncounted, allowed=()):
    """The lines that every foreign program gets. `allowed`: hazards that it really has, with the evidence beside the call."""
    accused = [f for f in run.at_least("warning", "error") if f["hazard"] not in allowed]
    run_for_text = circlip.Run(run.status, "", "", accused, run.hung)
    tap.result(f"{name}: nothing at error or warning", tell_findings(run_for_text))
    seen = requests_seen(run)
    tap.result(f"{name}: requests were seen", [] if seen else ["none; the summary says: " + str(run.summary), run.err[-1500:]])
    tap.note(f"{seen} requests seen, the kernel counted {counted[0] if counted else 'not'}")
    if counted is None:
        tap.skip(f"{name}: the kernel counted as many", why_uncounted)
    elif counted[1]:
        tap.skip(f"{name}: the kernel counted as many", f"the trace buffer dropped {counted[1]} events")
    else:
        problems = [] if counted[0] == seen and seen else [f"seen {seen}, counted {counted[0]}"]
        tap.result(f"{name}: the kernel counted as many", problems)


def compare(tap, name, command, same=None, timeout=300, env=None, cwd=None, before=None, options=(), allowed=()):
    """`same(outcome)` is what must not differ between the two runs; by default status and stdout. `before()` restores the stage."""
    same = same or (lambda o: (o.status, o.out))
    if before:
        before()
    alone = same(bare(command, timeout, env, cwd))
    if before:
        before()
    watched = Watched(command, options, env, cwd)
    run, counted = watched.finish(timeout * 2)
    under = same(Outcome(run.status, run.out, run.err))
    problems = [] if alone == under else [f"alone: {str(alone)[-800:]}", f"under check: {str(under)[-800:]}", run.err[-1500:]]
    tap.result(f"{name}: same outcome as alone", problems + ["it hung"] * run.hung)
    judge(tap, name, run, counted, watched.why_uncounted, allowed)
    return run


def folder():
    """A scratch folder on a file system where io_uring does what it does for users (not tmpfs, which knows no O_DIRECT)."""
    return tempfile.TemporaryDirectory(prefix="circlip-test-", dir=os.environ.get("CIRCLIP_BUILD") or "/var/tmp")


if __name__ == "__main__":
    sys.exit("this is a module")
