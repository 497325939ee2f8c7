# SPDX-License-Identifier: MIT
"""Runs programs under `circlip run` and reads back what it told."""
import functools
import json
import os
import pwd
import signal
import subprocess
import tempfile

import circlip

MECHANISMS = ("task", "caller", "enable", "strip")
# circlip with its guard taken away, for machines where BPF programs cannot be loaded: all but what the guard itself forbids can be tried.
UNGUARDED = os.path.join(os.environ.get("CIRCLIP_BUILD") or "build", "tests/hostile/circlip-unguarded")


class Run:
    """What one run left: exit status, output, what was told, whether it had to be ended."""

    def __init__(self, status, out, err, records, hung):
        self.status, self.out, self.err, self.records, self.hung = status, out, err, records, hung
        self.summary = next((r for r in records if r.get("type") == "summary"), None)

    def of(self, kind):
        return [r for r in self.records if r.get("type") == kind]

    def lines(self):
        """Lines `key value` of the output."""
        return dict(line.split(" ", 1) for line in self.out.splitlines() if " " in line)

    def all(self, key):
        return [line.split(" ", 1)[1] for line in self.out.splitlines() if line.split(" ", 1)[0] == key]


def unprivileged(user="nobody"):
    """Prefix that makes a command run as somebody else, for root only."""
    entry = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


@functools.lru_cache(None)
def binary(mechanism=None):
    """The circlip to be used for it."""
    if mechanism != "caller" or dry("allow-all", "--mechanism", "caller")[0] or not os.path.exists(UNGUARDED):
        return circlip.binary()
    return UNGUARDED


def run(program, policy, options=(), timeout=180, prefix=(), cwd=None, env=None, stdin=""):
    """`policy`: a profile's name, or the text of a file."""
    with tempfile.TemporaryDirectory(prefix="circlip-test-") as folder:
        os.chmod(folder, 0o777)
        name = policy
        if "\n" in policy or ":" in policy:
            name = os.path.join(folder, "policy.yaml")
            with open(name, "w", encoding="utf-8") as f:
                f.write(policy)
        log = os.path.join(folder, "log")
        command = [*prefix, binary(mechanism_of(options)), "run", "--policy", name, "--format", "json", "--log", log, *options, "--", *program]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                                   cwd=cwd, env=env, start_new_session=True)
        try:
            out, err = process.communicate(stdin, timeout)
            hung = False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            hung = True
        return Run(process.returncode, out, err, circlip.read_records(log), hung)


def mechanism_of(options):
    return options[options.index("--mechanism") + 1] if "--mechanism" in options else None


def dry(policy_file, *options, by=None):
    """(whether it would run, what it says)"""
    done = subprocess.run([by or circlip.binary(), "run", "--dry-run", "--policy", policy_file, *options], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=180)
    return done.returncode == 0, done.stdout + done.stderr


def available(policy="allow-all"):
    """{mechanism: None, or why not}"""
    found = {}
    for mechanism in MECHANISMS:
        possible, text = dry(policy, "--mechanism", mechanism, by=binary(mechanism))
        found[mechanism] = None if possible else text.strip().splitlines()[-1]
    return found


def parse(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
