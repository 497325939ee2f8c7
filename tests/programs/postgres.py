#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
PostgreSQL 18 with io_method=io_uring, alone, under `circlip run`, in a container that `circlip agent` serves, and under `circlip check`: the
same answers each time. It makes a ring for each process that it may have, before it forks them, and a process that needs a page which
another one is reading waits on the other's ring; so rings are inherited, used by many, and made again after a crash.
"""
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import circlip  # noqa: E402
import foreign  # noqa: E402
import kernel  # noqa: E402
import packages  # noqa: E402
import postgres  # noqa: E402
import restricted  # noqa: E402
from containers import Agent, Container, Stage  # noqa: E402
from tap import Tap  # noqa: E402

CONNECTIONS = 100  # the default, and fewer than its rings
SETTINGS = (f"max_connections={CONNECTIONS}",)
# Larger than the server's cache.
FILL = ("CREATE TABLE t AS SELECT id, md5(id::text) AS name, repeat('x', 100) AS pad FROM generate_series(1, 150000) id", "CREATE INDEX ON t (name)",
        "VACUUM ANALYZE t")
READ = ("SHOW io_method", "SELECT count(*), sum(id), md5(string_agg(left(name, 4), '' ORDER BY id)) FROM t",
        "SELECT count(*), max(id) FROM t WHERE name BETWEEN 'ab' AND 'abc'", "SELECT count(*) FROM t a JOIN t b ON a.id = b.id + 1 WHERE a.name < b.name")
BOOKS = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), (SELECT count(*) FROM pgbench_history)"
SCAN = "\\set n random(1, 7)\nSELECT count(*), sum(id) FROM t WHERE id % 7 = :n - 1;\n"


def told(outcome):
    return outcome.status, outcome.out, outcome.err


def use(server):
    """What clients see, without what differs from time to time."""
    seen = [told(server.sql(*FILL)), told(server.sql(*READ))]
    # Four at once go through the same table, and meet in pages that are being read.
    bench = [server.bench("-i", "-q", "-s", "1"), server.bench("-c", "4", "-j", "2", "-t", "5", "-f", "/data/scan.sql"),
             server.bench("-c", "4", "-j", "2", "-t", "100")]
    seen += [(o.status, [line for line in o.out.splitlines() if "transactions" in line]) for o in bench]
    return seen + [told(server.sql(BOOKS))]


class Counted:
    """The kernel's own count of requests, where it can be had."""

    def __init__(self):
        self.why, self.count = None, None
        try:
            self.count = kernel.Count()
        except kernel.Unavailable as error:
            self.why = str(error)

    def judge(self, tap, name):
        if self.why:
            tap.skip(name, self.why)
            return
        requests, _ = self.count.result()
        self.count.close()
        tap.result(name, [] if requests else ["the kernel saw none"])
        tap.note(f"{requests} requests")


def session(server, prefix=()):
    """(what clients saw, how many rings there were, its status)"""
    server.start(prefix, SETTINGS)
    if not server.ready():
        server.remove()
        return ["it did not start", server.said()[-2000:]], 0, None
    rings = postgres.rings(server.pid())
    return use(server), rings, server.stop()


def alone(tap, server):
    counted = Counted()
    outcome = session(server)
    tap.result("alone: it starts with io_uring, and a ring for each connection at least",
               [] if outcome[1] > CONNECTIONS and outcome[0][1][1].startswith("io_uring\n") else [str(outcome)[-2000:], server.said()[-2000:]])
    tap.note(f"{outcome[1]} rings at max_connections={CONNECTIONS}")
    counted.judge(tap, "alone: its requests went through rings")
    return outcome


def unlike(outcome, seen):
    return [] if outcome == seen else [f"alone: {str(outcome)[-1500:]}", f"now: {str(seen)[-1500:]}"]


def remarks(denied):
    """It asks for a ring in memory of its own first, and takes a refusal for an answer; nothing else may be refused."""
    return [f"denied: {d}" for d in denied if not d.startswith("set-up flag NO_MMAP")]


# --- circlip run

def crashed(tap, name, server):
    """A process of it is killed: it starts over, with new rings beside the old ones."""
    os.kill(server.child("walwriter"), 9)
    started = server.ready(times=2)
    tap.result(f"{name}: after a crash it makes its rings anew", [] if started and postgres.rings(server.pid()) > CONNECTIONS else [server.said()[-2000:]])
    return told(server.sql(*READ))


def restrained(tap, make, outcome, mechanism):
    name = f"run --policy database, {mechanism}"
    server = make(f"run-{mechanism}")
    counted = Counted()
    server.start(postgres.circlip_inside("run", "--policy", "database", "--mechanism", mechanism, "--format", "json", "--log", "/data/run.log", "--"), SETTINGS)
    if not server.ready():
        tap.fail(f"{name}: it starts", server.said()[-3000:])
        server.remove()
        return
    rings = postgres.rings(server.pid())
    seen = use(server)
    again = crashed(tap, name, server)
    status = server.stop()
    records = circlip.read_records(os.path.join(server.data, "run.log"))
    summary = next((r for r in records if r["type"] == "summary"), {})
    tap.result(f"{name}: as alone, before and after", unlike(outcome, (seen, rings, status)) + unlike(outcome[0][1], again))
    made = summary.get("made", 0) + summary.get("altered", 0)
    tap.result(f"{name}: all rings are restricted ones, nothing that it needs is denied",
               remarks(r["what"] for r in records if r["type"] == "denied") + ([] if made >= 2 * rings and not summary.get("failed") else [str(summary)]))
    counted.judge(tap, f"{name}: its requests went through rings")
    server.remove()


def run(tap, make, outcome):
    available = restricted.available("database")
    # Nobody is asked under task, and the guard of caller is root's to load; circlip is in the server's root folder here, and not root.
    usable = [m for m in ("enable", "strip") if available[m] is None]
    if not usable:
        tap.skip("run --policy database", "circlip run cannot enforce it here: " + str(available["strip"]))
    for mechanism in usable:
        restrained(tap, make, outcome, mechanism)


# --- circlip agent

class Inside(Container):
    """A server in a container of its own root."""

    def __init__(self, stage, server, profile=None):
        self.server = server
        super().__init__(stage, "runc", server.command(*SETTINGS), profile)

    def config(self, words, *rest):
        made = super().config(words, *rest)
        made["root"]["path"] = self.server.place
        made["process"].update(args=words, user={"uid": postgres.USER, "gid": postgres.USER})
        made["mounts"] += [{"destination": at, "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]} for at in ("/dev/shm", "/tmp")]
        made["mounts"].append({"destination": "/data", "type": "bind", "source": self.server.data, "options": ["bind", "rw"]})
        return made

    def session(self):
        self.start()
        if not self.server.ready(self.text, self.process):
            return ["it did not start", self.text()[-2000:]], 0, None
        status = None
        seen = use(self.server)
        self.signal("INT")
        try:
            status = self.process.wait(180)
        except subprocess.TimeoutExpired:
            self.delete()
        return seen, status


def profile(stage, agent):
    base = os.path.join(stage.folder, "none.json")
    with open(base, "w", encoding="utf-8") as f:
        json.dump({"linux": {}}, f)
    done = subprocess.run([circlip.binary(), "agent", "profile", "--runtime", "runc", "--policy", "database", "--socket", agent.socket, "--metadata", "postgres",
                           "--base", base], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    return json.loads(done.stdout)["linux"]["seccomp"]


def served(tap, make, outcome, stage):
    name = "a container with the agent, policy database"
    if not shutil.which("runc"):
        tap.skip(name, "runc is not installed")
        return
    bare = Inside(stage, make("bare"))
    if bare.session() != (outcome[0], outcome[2]):
        tap.skip(name, "runc cannot run it here: " + bare.text().strip()[-300:])
        return
    agent = Agent(stage.agent_folder(), "default: refuse\nrules:\n  - metadata: postgres\n    policy: database\n").start()
    try:
        counted = Counted()
        container = Inside(stage, make("served"), profile(stage, agent))
        tap.result(f"{name}: as alone", unlike((outcome[0], outcome[2]), container.session()))
        counted.judge(tap, f"{name}: its requests went through rings")
        ended = agent.events("container-ended", container.id)
        denied = remarks(e["what"] for e in agent.events("setup-denied", container.id))
        tap.result(f"{name}: nothing that it needs is denied", denied)
        tap.note(str(ended))
    finally:
        agent.end()


def agent(tap, make, outcome):
    stage = Stage(packages.tool("true"))
    try:
        served(tap, make, outcome, stage)
    finally:
        stage.close()


# --- circlip check

def check(tap, make, outcome):
    server = make("check")
    counted = Counted()
    seen = session(server, postgres.circlip_inside("check", "--fail-on", "warning", "--format", "json", "--log", "/data/check.log", "--"))
    tap.result("check: same outcome as alone", unlike(outcome, seen))
    run = circlip.Run(seen[2], "", server.said(), circlip.read_records(os.path.join(server.data, "check.log")), seen[2] is None)
    numbers = None
    if counted.count:
        numbers = counted.count.result()
        counted.count.close()
    foreign.judge(tap, "check", run, numbers, counted.why)


def main():
    tap = Tap()
    try:
        place = postgres.root()
    except packages.Unavailable as error:
        tap.skip("all", f"PostgreSQL {postgres.FIRST} cannot be had: {error}")
        tap.done()
    with foreign.folder() as folder:
        template = postgres.Server(place, folder, "template")
        with open(os.path.join(template.data, "scan.sql"), "w", encoding="ascii") as f:
            f.write(SCAN)
        problems = template.make()
        tap.result("a database is made", problems)
        if not problems:
            outcome = alone(tap, postgres.Server(place, folder, "alone", template))
            for subject in (run, agent, check):
                if not sys.argv[1:] or subject.__name__ in sys.argv[1:]:
                    subject(tap, lambda name: postgres.Server(place, folder, name, template), outcome)
    tap.done()


main()
