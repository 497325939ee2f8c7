#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""MariaDB, whose InnoDB does its I/O through io_uring: a server of its own is started, a table filled and read, and the server shut down."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreign  # noqa: E402
import mariadb  # noqa: E402
from tap import Tap  # noqa: E402


def alone(folder):
    place = mariadb.copy_data(folder, "alone")
    process = subprocess.Popen(mariadb.server(place), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen = mariadb.use(place, process)
    try:
        return seen, process.wait(120), mariadb.log(place)
    except subprocess.TimeoutExpired:
        process.kill()
        return seen, "hung", mariadb.log(place)


def watched(tap, folder, outcome):
    place = mariadb.copy_data(folder, "watched")
    server_run = foreign.Watched(mariadb.server(place))
    seen = mariadb.use(place, server_run.process)
    run, counted = server_run.finish(120)
    # The status of a server that was told to shut down is part of the comparison.
    same = [] if (seen, run.status) == outcome[:2] else [f"alone: {outcome[:2]}", f"under check: {(seen, run.status)}", mariadb.log(place)[-3000:], run.err[-2000:]]
    tap.result("server: same outcome as alone", same + ["it hung"] * run.hung)
    foreign.judge(tap, "server", run, counted, server_run.why_uncounted)


def main():
    tap = Tap()
    foreign.need(tap, *mariadb.PROGRAMS)
    with foreign.folder() as folder:
        made = mariadb.make_data(folder)
        tap.result("a data folder is made", [] if made.status == 0 else [made.err[-2000:]])
        outcome = alone(folder)
        if "io_uring" not in outcome[2]:
            tap.skip("server", "this server does not use io_uring: " + " | ".join(line for line in outcome[2].splitlines() if "aio" in line.lower()))
            tap.done()
        watched(tap, folder, outcome)
    tap.done()


main()
