# SPDX-License-Identifier: MIT
"""MariaDB, whose InnoDB does its I/O through io_uring: servers of our own, each with a copy of the same data, and what a client sees of one."""
import os
import shutil
import time

import circlip
import foreign

PROGRAMS = ("mariadbd", "mariadb", "mariadb-install-db")
USER = ["--user=root"] if os.getuid() == 0 else []
WORK = """
CREATE DATABASE work; USE work;
CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(200), KEY (name)) ENGINE=InnoDB;
INSERT INTO t SELECT seq, CONCAT(REPEAT('x', 100), seq) FROM seq_1_to_20000;
UPDATE t SET name = CONCAT(name, 'y') WHERE id % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
FLUSH TABLES;
"""
READ = "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)), MD5(GROUP_CONCAT(id ORDER BY name LIMIT 100)) FROM work.t"


def make_data(folder):
    return foreign.bare(["mariadb-install-db", "--no-defaults", *USER, f"--datadir={folder}/empty", "--auth-root-authentication-method=normal",
                         "--skip-test-db"])


def copy_data(folder, name):
    """Where a server is to live that begins with the freshly made data."""
    place = os.path.join(folder, name)
    shutil.copytree(os.path.join(folder, "empty"), os.path.join(place, "data"))
    return place


def server(place):
    return [foreign.where("mariadbd"), "--no-defaults", *USER, f"--datadir={place}/data", f"--socket={place}/s", f"--pid-file={place}/pid",
            f"--log-error={place}/error.log", "--skip-networking", "--innodb-use-native-aio=1", "--innodb-buffer-pool-size=8M",
            "--innodb-flush-method=O_DIRECT", f"--tmpdir={place}"]


def log(place):
    try:
        with open(os.path.join(place, "error.log"), encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def is_ready(place, process):
    """Whether the server came to say that it is ready; looked for, because it tells nobody."""
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        if "ready for connections" in log(place):
            return True
        time.sleep(0.05)
    return False


def use(place, process):
    """What a client sees; the server is told to shut down in any case."""
    if not is_ready(place, process):
        circlip.stop(process)
        return ["it did not start", log(place)[-3000:]]
    done = [foreign.bare(["mariadb", "--no-defaults", f"--socket={place}/s", "-N", "-B", "-e", text]) for text in (WORK, READ, "SHUTDOWN")]
    return [(o.status, o.out, o.err) for o in done]
