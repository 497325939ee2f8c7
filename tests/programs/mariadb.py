#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""MariaDB, whose InnoDB does its I/O through io_uring: a server of its own is started, a table filled and read, and the server shut down."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import circlip  # noqa: E402
import foreign  # noqa: E402
from tap import Tap  # noqa: E402

ROWS = 20000
WORK = f"""
CREATE DATABASE work; USE work;
CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(200), KEY (name)) ENGINE=InnoDB;
INSERT INTO t SELECT seq, CONCAT(REPEAT('x', 100), seq) FROM seq_1_to_{ROWS};
UPDATE t SET name = CONCAT(name, 'y') WHERE id % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
FLUSH TABLES;
"""
READ = "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)), MD5(GROUP_CONCAT(id ORDER BY name LIMIT 100)) FROM work.t"
STARTED = "ready for connections"


def server(folder):
    user = ["--user=root"] if os.getuid() == 0 else []
    return [foreign.where("mariadbd"), "--no-defaults", *user, f"--datadir={folder}/data", f"--socket={folder}/s", f"--pid-file={folder}/pid",
            f"--log-error={folder}/error.log", "--skip-networking", "--innodb-use-native-aio=1", "--innodb-buffer-pool-size=8M",
            "--innodb-flush-method=O_DIRECT", f"--tmpdir={folder}"]


def client(folder, statements):
    return foreign.bare(["mariadb", "--no-defaults", f"--socket={folder}/s", "-N", "-B", "-e", statements], timeout=120)


def read_log(folder):
    try:
        with open(os.path.join(folder, "error.log"), encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def wait_started(folder, process):
    """True when the server says that it is ready; looked for, because it tells nobody."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if STARTED in read_log(folder):
            return True
        time.sleep(0.05)
    return False


def use(folder, process):
    """What a client sees; the server is told to shut down in any case."""
    if not wait_started(folder, process):
        circlip.stop(process)
        return ["it did not start", read_log(folder)[-3000:]]
    done = [client(folder, WORK), client(folder, READ), client(folder, "SHUTDOWN")]
    return [(o.status, o.out, o.err) for o in done]


def prepare(folder, name):
    """A copy of the freshly made data, so that both servers begin with the same."""
    place = os.path.join(folder, name)
    os.mkdir(place)
    shutil.copytree(os.path.join(folder, "empty"), os.path.join(place, "data"))
    return place


def alone(folder):
    place = prepare(folder, "alone")
    process = subprocess.Popen(server(place), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen = use(place, process)
    try:
        return seen, process.wait(120), read_log(place)
    except subprocess.TimeoutExpired:
        process.kill()
        return seen, "hung", read_log(place)


def watched(tap, folder, outcome):
    place = prepare(folder, "watched")
    server_run = foreign.Watched(server(place))
    seen = use(place, server_run.process)
    run, counted = server_run.finish(120)
    # The status of a server that was told to shut down is part of the comparison.
    same = [] if (seen, run.status) == outcome[:2] else [f"alone: {outcome[:2]}", f"under check: {(seen, run.status)}", read_log(place)[-3000:], run.err[-2000:]]
    tap.result("server: same outcome as alone", same + ["it hung"] * run.hung)
    foreign.judge(tap, "server", run, counted, server_run.why_uncounted)


def main():
    tap = Tap()
    foreign.need(tap, "mariadbd", "mariadb", "mariadb-install-db")
    with foreign.folder() as folder:
        made = foreign.bare(["mariadb-install-db", "--no-defaults", *(["--user=root"] if os.getuid() == 0 else []),
                             f"--datadir={folder}/empty", "--auth-root-authentication-method=normal", "--skip-test-db"])
        tap.result("a data folder is made", [] if made.status == 0 else [made.err[-2000:]])
        outcome = alone(folder)
        if "io_uring" not in outcome[2]:
            tap.skip("server", "this server does not use io_uring: " + " | ".join(line for line in outcome[2].splitlines() if "aio" in line.lower()))
            tap.done()
        watched(tap, folder, outcome)
    tap.done()


main()
