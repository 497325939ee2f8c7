# SPDX-License-Identifier: MIT
"""
Compares the speed of two processes on a machine that others use too.

A figure of a busy machine, a virtual one above all, changes by tens of percent within seconds, so two runs one after the other say little
about each other. Here both sides live at the same time, on one CPU, and take turns in slices of half a millisecond (A B B A, then B A A B),
told to by pipes; a slice counts its own processor time. One ratio comes from each four slices, over which the machine hardly changes. What is
left is luck that a process keeps for life, such as where its pages lie: so the pair is begun anew many times, the median of a pair's ratios
is one observation, and the result is the median of those with its 95% interval, found by drawing observations anew (bootstrap).

Slices are that short because this was tried: bare against bare, with other work on both CPUs, a pair's median spread by 4% with slices of 10
or 30 ms, and by 1 to 2% with half a millisecond, in the same time. Whether it is good enough where it runs is seen by comparing bare with
bare, which is a row of every table.
"""
import os
import random
import statistics
import subprocess
import sys

LIVES, ROUNDS = 24, 60
SLICE_NS = 500_000
DRAWS = 2000


class Side:
    """`kind` is "ring" or the error that the ring was refused with."""

    def __init__(self, command, **options):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, **options)
        self.kind, self.pid = (self.answer().split() + ["", ""])[:2]
        if not self.pid:
            sys.exit(f"bench: {' '.join(command)}: it did not start")

    def answer(self):
        return self.process.stdout.readline()

    def ask(self, line):
        """The numbers that it answers with."""
        self.process.stdin.write(f"{line}\n")
        answer = self.answer()
        if not answer:
            sys.exit(f"bench: {' '.join(self.command)}: it ended early, with status {self.process.wait(60)}")
        return [float(word) for word in answer.split()]

    def slice(self, count):
        return self.ask(count)[0]

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)


class Comparison:
    """`ratio` is the rate of b as a share of a's, `low` and `high` its interval, `ns` what one of a's operations takes."""

    def __init__(self, observations, ns, kinds=None):
        draws = sorted(statistics.median(random.choices(observations, k=len(observations))) for _ in range(DRAWS))
        self.ratio, self.low, self.high = statistics.median(observations), draws[int(DRAWS * 0.025)], draws[int(DRAWS * 0.975)]
        self.ns, self.kinds = ns, kinds

    def text(self):
        return f"{self.ratio:6.3f}  ({self.low:.3f} to {self.high:.3f})"


def fitting_count(side, first, slice_ns):
    """How many operations fill a slice; the quickest of some, since the first ones are slow. A whole number of batches of 32."""
    took = min(side.slice(first) for _ in range(5))
    return max(32, int(first * slice_ns / took) // 32 * 32)


def rounds(a, b, count, n):
    """n ratios, each of four slices, and what a's slices took."""
    ratios, took_a = [], []
    for i in range(n):
        order = [a, b, b, a] if i % 2 == 0 else [b, a, a, b]
        took = [side.slice(count) for side in order]
        outer, inner = took[0] + took[3], took[1] + took[2]
        ratios.append(outer / inner if i % 2 == 0 else inner / outer)
        took_a.append((outer if i % 2 == 0 else inner) / 2)
    return ratios, took_a


def one_life(begin_a, begin_b):
    a, b = begin_a(), begin_b()
    count = fitting_count(a, 3200, SLICE_NS)
    b.slice(count)
    ratios, took = rounds(a, b, count, ROUNDS)
    kinds = a.kind, b.kind
    a.end()
    b.end()
    return statistics.median(ratios), statistics.median(took) / count, kinds


def compare(pairs, lives=LIVES):
    """{name: Comparison} of {name: (begin_a, begin_b)}; the pairs take turns too, life by life."""
    found = {name: [] for name in pairs}
    for _ in range(lives):
        for name, (begin_a, begin_b) in pairs.items():
            found[name].append(one_life(begin_a, begin_b))
    return {name: Comparison([life[0] for life in got], statistics.median(life[1] for life in got), got[0][2]) for name, got in found.items()}


def stay_on_one_cpu():
    """This process and all that it starts from now on."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def blocks_file(folder, size=4 * 1024 * 1024):
    """Written now, so it is in the page cache."""
    path = os.path.join(folder, "blocks")
    with open(path, "wb") as f:
        f.write(os.urandom(size))
    os.chmod(path, 0o644)
    return path
