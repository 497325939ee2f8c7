#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
liburing's own test programs, alone and under `circlip run` with a policy that allows all: the same outcome, but for those in
liburing-expected.txt, each with its reason. What passes or fails by itself from one time to the other is tried again.
usage: liburing.py MECHANISM [SHARE | TEST...]      SHARE: every so many-th test only
"""
import functools
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import liburing  # noqa: E402
import restricted  # noqa: E402
from tap import Tap  # noqa: E402


def read_expected():
    """{(test, mechanism): reason}"""
    expected = {}
    with open(os.path.join(HERE, "liburing-expected.txt"), encoding="utf-8") as f:
        for line in f:
            words = line.partition(":")[0].split()
            if len(words) == 2 and not line.startswith("#"):
                expected.update({(words[0], mechanism): line.partition(":")[2].strip() for mechanism in words[1].split(",")})
    return expected


def attempt(mechanism, program):
    """(alone, under, what it said there)"""
    return liburing.run([program])[0], *liburing.run([restricted.binary(mechanism), "run", "--policy", "allow-all", "--mechanism", mechanism, "--", program])


def main():
    tap, mechanism = Tap(), sys.argv[1]
    why_not = restricted.available()[mechanism]
    if why_not:
        tap.skip(mechanism, why_not)
        tap.done()
    programs, expected = liburing.chosen(liburing.source(tap), sys.argv[2:]), read_expected()

    def settled(program, result):
        return result[0] == result[1] or (liburing.name_of(program), mechanism) in expected

    for program, results in liburing.each(programs, functools.partial(attempt, mechanism), settled):
        name, (alone, under, text) = liburing.name_of(program), results[-1]
        if (name, mechanism) in expected and alone != under:
            tap.skip(f"{name}: {alone} alone, {under} under {mechanism}", "listed: " + expected[name, mechanism])
        else:
            tap.result(f"{name}: {alone} both alone and under {mechanism}", [] if alone == under else [f"under {mechanism}: {under}", text])
    tap.done()


if __name__ == "__main__":
    main()
