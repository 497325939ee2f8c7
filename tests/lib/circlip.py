# SPDX-License-Identifier: MIT
"""Runs circlip, and programs under `circlip check`, and reads back what it wrote."""
import json
import os
import signal
import subprocess
import tempfile
import time


class Run:
    """What one run left: exit status, output, findings and summary."""

    def __init__(self, status, out, err, records, hung):
        self.status, self.out, self.err, self.records, self.hung = status, out, err, records, hung
        self.findings = [r for r in records if r.get("type") == "finding"]
        self.summary = next((r for r in records if r.get("type") == "summary"), None)

    def at_least(self, *levels):
        return [f for f in self.findings if f.get("level") in levels]


def binary():
    return os.environ.get("CIRCLIP", "build/src/cli/circlip")


def verb(*words, stdin="", env=None, timeout=180, **more):
    """circlip with these words: its status, and what it said."""
    return subprocess.run([binary(), *words], input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout,
                          env={**os.environ, **(env or {})}, **more)


def read_records(path):
    """The JSON Lines that are complete; a line still being written is left for the next look."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line.strip()]


def command(program, log, options=()):
    return [binary(), "check", "--format", "json", "--log", log, *options, "--", *program]


def check(program, options=(), timeout=180, enough=None, grace=2.0, env=None, cwd=None):
    """
    Runs `program`. When `enough(findings)` holds and the program still runs `grace` seconds later, or when `timeout` is over, it is
    interrupted as a person would do it: with SIGINT to circlip.
    """
    with tempfile.TemporaryDirectory(prefix="circlip-test-") as folder:
        log = os.path.join(folder, "log")
        out, err = open(os.path.join(folder, "out"), "w+b"), open(os.path.join(folder, "err"), "w+b")
        process = subprocess.Popen(command(program, log, options), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                   env=env, cwd=cwd, start_new_session=True)
        hung = wait(process, log, timeout, enough, grace)
        with out, err:
            out.seek(0), err.seek(0)
            return Run(process.returncode, out.read().decode(errors="replace"), err.read().decode(errors="replace"),
                       read_records(log), hung)


def wait(process, log, timeout, enough, grace):
    """True when the program had to be ended from outside."""
    end, seen = time.monotonic() + timeout, None
    while time.monotonic() < end:
        try:
            process.wait(0.1)
            return False
        except subprocess.TimeoutExpired:
            pass
        if enough and seen is None and enough([r for r in read_records(log) if r.get("type") == "finding"]):
            seen = time.monotonic()
        if seen is not None and time.monotonic() - seen > grace:
            break
    stop(process)
    return True


def stop(process):
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
