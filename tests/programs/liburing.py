#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
liburing's own test programs, from Debian's source package, library static and libc dynamic: the same pass and fail alone and under check.
Exceptions stand with their reasons in liburing-expected.txt. Findings are welcome here, since many tests misuse on purpose; what is reported is
told, and must be listed there too.
usage: liburing.py [TEST...]
"""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import circlip  # noqa: E402
import liburing  # noqa: E402
from tap import Tap  # noqa: E402

UNDER_SECONDS = 60


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


def attempt(program):
    """(alone, under, the run). What never ends by itself: that it does not end under check either, or is ended by SIGINT, is the same."""
    alone = liburing.run([program])[0]
    endless = alone == "timeout"
    with tempfile.TemporaryDirectory(prefix="circlip-test-", dir="/var/tmp") as folder:
        run = circlip.check([program], ["--fail-on", "never"], timeout=liburing.ENDLESS_SECONDS if endless else UNDER_SECONDS, cwd=folder)
    return alone, "timeout" if endless and run.hung else liburing.outcome_of(run.status, run.hung), run


def judge(tap, name, results, differs, reports):
    """Outcomes may differ by chance, so the last attempt counts; what was reported was reported, whenever that was."""
    alone, under, run = results[-1]
    if name in differs and alone != under:
        tap.skip(f"{name}: {alone} alone, {under} under check", "listed: " + differs[name])
    else:
        tap.result(f"{name}: {alone} both alone and under check", [] if alone == under else [f"alone: {alone}; under check: {under}", run.err[-800:]])
    found = [f for _, _, run in results for f in run.at_least("warning", "error")]
    unlisted = [f"{f['level']} {f['hazard']}: {f.get('message')}" for f in found if f["hazard"] not in reports.get(name, set())]
    if found:
        tap.result(f"{name}: what is reported is known", unlisted)


def main():
    tap = Tap()
    programs = liburing.chosen(liburing.source(tap), sys.argv[1:])
    differs, reports = read_expected(os.path.join(HERE, "liburing-expected.txt"))
    for program, results in liburing.each(programs, attempt, lambda program, result: result[0] == result[1] or liburing.name_of(program) in differs):
        judge(tap, liburing.name_of(program), results, differs, reports)
    tap.done()


if __name__ == "__main__":
    main()
