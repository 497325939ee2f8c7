# SPDX-License-Identifier: MIT
"""Counts the requests that the kernel took from a process and its descendants, by its own tracepoints."""
import atexit
import glob
import os
import subprocess
import tempfile
import uuid

ROOTS = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
EVENTS = ("io_uring_submit_req", "io_uring_req_failed")
BUFFER_KB = 32768  # per CPU


class Unavailable(Exception):
    pass


def has_events(root):
    return os.path.isdir(os.path.join(root, "events", "io_uring"))


def mounted():
    """A tracefs: the system's, or one mounted for as long as this test runs; None = not to be had."""
    root = next(filter(has_events, ROOTS), None)
    if root or os.geteuid():
        return root
    place = tempfile.mkdtemp(prefix="circlip-tracefs-")
    if subprocess.run(["mount", "-t", "tracefs", "tracefs", place], capture_output=True).returncode:
        os.rmdir(place)
        return None

    def leave():
        subprocess.run(["umount", "--lazy", place], capture_output=True)
        os.rmdir(place)

    atexit.register(leave)
    ROOTS.insert(0, place)
    return place if has_events(place) else None


class Count:
    """
    A trace instance of its own, so that nobody else's tracing is touched. Counted are the processes that this one starts from now on, and
    those that they start.
    """

    def __init__(self):
        root = mounted()
        if root is None:
            raise Unavailable("tracefs is not mounted and cannot be, or has no io_uring events")
        self.path = os.path.join(root, "instances", "circlip-" + uuid.uuid4().hex[:12])
        try:
            os.mkdir(self.path)
        except OSError as error:
            raise Unavailable(f"a trace instance cannot be made: {error.strerror}") from error
        try:
            self._set("options/event-fork", "1")
            self._set("buffer_size_kb", str(BUFFER_KB))
            # Before the events, and never written again: opening the list for writing empties it, and an empty list means everybody.
            self._set("set_event_pid", str(os.getpid()))
            for event in EVENTS:
                self._set(f"events/io_uring/{event}/enable", "1")
        except OSError as error:
            self.close()
            raise Unavailable(f"the io_uring events cannot be switched on: {error}") from error

    def _set(self, name, value):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as f:
            f.write(value)

    def result(self):
        """(requests, dropped)"""
        counts = {"entries": 0, "overrun": 0, "dropped events": 0, "commit overrun": 0}
        for path in glob.glob(os.path.join(self.path, "per_cpu/cpu*/stats")):
            with open(path, encoding="ascii") as f:
                for line in f:
                    key, _, value = line.partition(":")
                    if key in counts:
                        counts[key] += int(value)
        return counts["entries"], counts["overrun"] + counts["dropped events"] + counts["commit overrun"]

    def close(self):
        for event in EVENTS:
            try:
                self._set(f"events/io_uring/{event}/enable", "0")
            except OSError:
                pass
        os.rmdir(self.path)
