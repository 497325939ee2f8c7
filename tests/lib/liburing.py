# SPDX-License-Identifier: MIT
"""
liburing's own test programs, from Debian's source package: where they are, what became of one, and all of them several at a time. Most of
them wait, and some never end, so that there are more at a time than CPUs.
"""
import ctypes
import fcntl
import glob
import os
import signal
import socket
import struct
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
WORKERS, AGAIN = 3 * (os.cpu_count() or 1), 2
ENDLESS_SECONDS = 20  # for what does not end by itself
CLONE_NEWNET, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8913, 0x8914, 1


def source(tap):
    """The folder of the built tests; ends the test where they cannot be had."""
    place = os.path.join(os.environ.get("CIRCLIP_BUILD") or "/var/tmp", "liburing-source")
    made = subprocess.run([os.path.join(HERE, "..", "programs", "liburing-source"), place], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if made.returncode == 77:
        tap.skip("liburing's tests", made.stderr.strip().splitlines()[-1])
        tap.done()
    if made.returncode:
        tap.fail("liburing's tests are built", made.stderr[-2000:])
        tap.done()
    return made.stdout.strip()


def chosen(folder, words):
    """All programs; or every so many-th; or those that are named."""
    programs = sorted(glob.glob(os.path.join(folder, "*.t")))
    if words and words[0].isdigit():
        return programs[:: int(words[0])]
    return [os.path.join(folder, name + ".t") for name in words] or programs


def name_of(program):
    return os.path.basename(program)[:-2]


def outcome_of(status, hung=False):
    """pass, skip, fail (with whatever status: a crash is told apart) or timeout"""
    if hung:
        return "timeout"
    number = -status if status < 0 else status - 128
    if number in signal.valid_signals():
        return f"killed by {signal.Signals(number).name}"
    return {0: "pass", 77: "skip"}.get(status, "fail")


def run(command, seconds=ENDLESS_SECONDS):
    """(what became of it, the end of what it said), in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="circlip-test-", dir="/var/tmp") as folder, open(os.path.join(folder, ".out"), "w+b") as out:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        try:
            result = outcome_of(process.wait(seconds))
        except subprocess.TimeoutExpired:
            result = "timeout"
        try:
            os.killpg(process.pid, signal.SIGKILL)  # also what it left behind
        except ProcessLookupError:
            pass
        process.wait()
        out.seek(0)
        return result, out.read()[-800:].decode(errors="replace")


def own_network():
    """They bind ports of fixed numbers: one at a time in each network. Who may not make one shares, as they would by themselves."""
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) < 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack_from("h", request, 16)[0]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def each(programs, attempt, settled):
    """
    (program, all that `attempt(program)` gave), in order. What is not `settled(program, result)` may be so by chance, or because others were
    busy: it is tried again when nothing else runs, some times.
    """
    with ProcessPoolExecutor(WORKERS, initializer=own_network) as pool:
        tried = [[result] for result in pool.map(attempt, programs)]
    for program, results in zip(programs, tried):
        for _ in range(AGAIN):
            if not settled(program, results[-1]):
                results.append(attempt(program))
    return list(zip(programs, tried))
