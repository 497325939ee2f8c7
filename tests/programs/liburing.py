#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
liburing's own test programs, from Debian's source package, library static and libc dynamic: the same pass and fail alone and under check.
Exceptions stand with their reasons in liburing-expected.txt. Findings are welcome here, since many tests misuse on purpose; what is reported is
told, and must be listed there too.
usage: liburing.py [TEST...]
"""
import glob
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import circlip  # noqa: E402
from tap import Tap  # noqa: E402

ALONE_SECONDS, UNDER_SECONDS = 20, 60


def read_expected(path):
    """{test: reason} and {test: {hazards}} from lines `differs TEST: reason` and `reports TEST HAZARD...: reason`."""
    differs, reports = {}, {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            words = line.split("#")[0].partition(":")[0].split()
            if words and words[0] == "differs":
                differs[words[1]] = line.partition(":")[2].strip()
            elif words and words[0] == "reports":
                reports.setdefault(words[1], set()).update(words[2:])
    return differs, reports


def outcome_of(status, hung):
    """pass, skip, fail (with whatever status: a crash is told apart) or timeout"""
    if hung:
        return "timeout"
    number = -status if status < 0 else status - 128
    if number in signal.valid_signals():
        return f"killed by {signal.Signals(number).name}"
    return {0: "pass", 77: "skip"}.get(status, "fail")


def run_alone(program):
    with tempfile.TemporaryDirectory(prefix="circlip-test-") as folder, open(os.path.join(folder, ".out"), "w+b") as out:
        process = subprocess.Popen([program], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        try:
            status, hung = process.wait(ALONE_SECONDS), False
        except subprocess.TimeoutExpired:
            status, hung = None, True
        try:
            os.killpg(process.pid, signal.SIGKILL)  # also what it left behind
        except ProcessLookupError:
            pass
        process.wait()
    return outcome_of(status, hung)


def run_under(program):
    with tempfile.TemporaryDirectory(prefix="circlip-test-") as folder:
        return circlip.check([program], ["--fail-on", "never"], timeout=UNDER_SECONDS, cwd=folder)


def try_one(program):
    alone, run = run_alone(program), run_under(program)
    if alone == "timeout":
        # It never ends by itself: that it does not end either, or is ended by SIGINT, is the same.
        return alone, "timeout" if run.hung else outcome_of(run.status, False), run
    return alone, outcome_of(run.status, run.hung), run


def judge(tap, name, result, differs, reports):
    alone, under, run = result
    told = [f"alone: {alone}; under check: {under}", run.err[-800:]]
    if name in differs:
        if alone == under:
            tap.ok(f"{name}: {alone}")
        else:
            tap.skip(f"{name}: {alone} alone, {under} under check", "listed: " + differs[name])
    else:
        tap.result(f"{name}: {alone} both alone and under check", [] if alone == under else told)
    found = {f["hazard"] for f in run.at_least("warning", "error")}
    unlisted = found - reports.get(name, set())
    if found:
        tap.result(f"{name}: what is reported is known", [f"{f['level']} {f['hazard']}: {f.get('message')}" for f in run.at_least("warning", "error") if f["hazard"] in unlisted])


def source(tap):
    """The folder of the built tests."""
    place = os.path.join(os.environ.get("CIRCLIP_BUILD") or "/var/tmp", "liburing-source")
    made = subprocess.run([os.path.join(HERE, "liburing-source"), place], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if made.returncode == 77:
        tap.skip("liburing's tests", made.stderr.strip().splitlines()[-1])
        tap.done()
    if made.returncode:
        tap.fail("liburing's tests are built", made.stderr[-2000:])
        tap.done()
    return made.stdout.strip()


def main():
    tap = Tap()
    folder = source(tap)
    programs = [os.path.join(folder, name + ".t") for name in sys.argv[1:]] or sorted(glob.glob(os.path.join(folder, "*.t")))
    differs, reports = read_expected(os.path.join(HERE, "liburing-expected.txt"))
    with ThreadPoolExecutor(2) as pool:
        for program, result in zip(programs, pool.map(try_one, programs)):
            judge(tap, os.path.basename(program)[:-2], result, differs, reports)
    tap.done()


main()
