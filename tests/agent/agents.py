# SPDX-License-Identifier: MIT
"""What the tests of the agent share: its rules and policies, and how results are judged."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from containers import Agent, Manager, Stage, why_not  # noqa: E402
from tap import Tap  # noqa: E402

PROBE = os.path.join(os.environ.get("CIRCLIP_BUILD", "build"), "tests/agent/probe")
KILLABLE = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
EPERM, ENOMEM, EACCES, EMFILE, ENOSYS, ENOTSUP = -1, -12, -13, -24, -38, -95

POLICIES = {"strict": "ops: [NOP, READ]\nringsPerContainer: 6\n", "other": "ops: [NOP, SOCKET]\n", "roomy": "ops: [NOP, READ]\n",
            "limited": "ops: [NOP]\nregisteredFiles: 32\nregisteredBufferBytes: 64K\n"}
RULES = """default: refuse
rules:
  - metadata: strict
    policy: {folder}/strict.yaml
  - metadata: by-annotation
    annotation: other
    policy: {folder}/other.yaml
  - metadata: roomy
    policy: {folder}/roomy.yaml
  - metadata: limited
    policy: {folder}/limited.yaml
"""


def new_agent(stage, options=(), rules=RULES, before=(), manager=False, program=None):
    folder = stage.agent_folder()
    for name, text in POLICIES.items():
        with open(os.path.join(folder, name + ".yaml"), "w", encoding="utf-8") as f:
            f.write(text)
    # A busy machine must not make it lose patience with those that do nothing wrong.
    return Agent(folder, rules.format(folder=folder), ["--patience", "3", *options], before, program,
                 Manager(folder) if manager else None)


def differs(found, **wanted):
    return [f"{word} is {found.get(word)}, not {value}" for word, value in wanted.items() if found.get(word) != value]


def holds(found, word, test, what):
    return [] if word in found and test(found[word]) else [f"{word} is {found.get(word)}, which is not {what}"]


def pid_of(agent, container):
    return (agent.container(container.id) or {}).get("worker")


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def begin():
    """Tap, stage, and the runtimes that work here; the others are skipped."""
    tap = Tap()
    if os.geteuid() != 0:
        tap.skip("all", "containers are made as root")
        tap.done()
    stage, usable = Stage(PROBE), []
    for runtime in ("runc", "crun"):
        why = why_not(stage, runtime)
        tap.skip(f"{runtime}: all", why) if why else usable.append(runtime)
    return tap, stage, usable
