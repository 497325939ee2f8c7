#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
liburing's own test programs, alone and under `circlip run` with a policy that allows all: the same outcome, but for those in
liburing-expected.txt, each with its reason. What passes or fails by itself from one time to the other is tried again.
usage: liburing.py MECHANISM [SHARE | TEST...]      SHARE: every so many-th test only
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
import restricted  # noqa: E402
from tap import Tap  # noqa: E402

SECONDS, ATTEMPTS = 20, 3


def read_expected():
    """{(test, mechanism): reason}"""
    expected = {}
    with open(os.path.join(HERE, "liburing-expected.txt"), encoding="utf-8") as f:
        for line in f:
            words = line.partition(":")[0].split()
            if len(words) == 2 and not line.startswith("#"):
                expected.update({(words[0], mechanism): line.partition(":")[2].strip() for mechanism in words[1].split(",")})
    return expected


def outcome_of(status):
    number = -status if status < 0 else status - 128
    return {0: "pass", 77: "skip"}.get(status, f"killed by {signal.Signals(number).name}" if number in signal.valid_signals() else "fail")


def outcome(command):
    with tempfile.TemporaryDirectory(prefix="circlip-test-", dir="/var/tmp") as folder, open(os.path.join(folder, ".out"), "w+b") as out:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        try:
            result = outcome_of(process.wait(SECONDS))
        except subprocess.TimeoutExpired:
            result = "timeout"
        try:
            os.killpg(process.pid, signal.SIGKILL)  # also what it left behind
        except ProcessLookupError:
            pass
        process.wait()
        out.seek(0)
        return result, out.read()[-800:].decode(errors="replace")


def try_one(program, mechanism):
    """What differs may do so by chance, either way."""
    under_command = [restricted.binary(mechanism), "run", "--policy", "allow-all", "--mechanism", mechanism, "--", program]
    for _ in range(ATTEMPTS):
        alone, (under, text) = outcome([program])[0], outcome(under_command)
        if alone == under:
            break
    return alone, under, text


def source(tap):
    place = os.path.join(os.environ.get("CIRCLIP_BUILD") or "/var/tmp", "liburing-source")
    made = subprocess.run([os.path.join(HERE, "..", "programs", "liburing-source"), place], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if made.returncode == 77:
        tap.skip("liburing's tests", made.stderr.strip().splitlines()[-1])
        tap.done()
    if made.returncode:
        tap.fail("liburing's tests are built", made.stderr[-2000:])
        tap.done()
    return made.stdout.strip()


def chosen(folder, words):
    programs = sorted(glob.glob(os.path.join(folder, "*.t")))
    if words and words[0].isdigit():
        return programs[:: int(words[0])]
    return [os.path.join(folder, name + ".t") for name in words] or programs


def main():
    tap, mechanism = Tap(), sys.argv[1]
    why_not = restricted.available()[mechanism]
    if why_not:
        tap.skip(mechanism, why_not)
        tap.done()
    programs, expected = chosen(source(tap), sys.argv[2:]), read_expected()
    with ThreadPoolExecutor(2) as pool:
        for program, (alone, under, text) in zip(programs, pool.map(lambda p: try_one(p, mechanism), programs)):
            name = os.path.basename(program)[:-2]
            if (name, mechanism) in expected and alone != under:
                tap.skip(f"{name}: {alone} alone, {under} under {mechanism}", "listed: " + expected[name, mechanism])
            else:
                tap.result(f"{name}: {alone} both alone and under {mechanism}", [] if alone == under else [f"under {mechanism}: {under}", text])
    tap.done()


main()
