#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""qemu-img, which enters rings from coroutines on small stacks of their own: bench and convert with io_uring."""
import filecmp
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreign  # noqa: E402
from tap import Tap  # noqa: E402


def without_time(outcome):
    return outcome.status, re.sub(r"[0-9.]+ seconds", "", outcome.out), outcome.err


def main():
    tap = Tap()
    foreign.need(tap, "qemu-img")
    with foreign.folder() as folder:
        image = os.path.join(folder, "from.raw")
        with open(image, "wb") as f:
            for i in range(16 * 256):
                f.write((i * 2654435761 % 2**32).to_bytes(4, "little") * 1024)
        bench = ["qemu-img", "bench", "-i", "io_uring", "-f", "raw", "-c", "5000", "-d", "32", "-s", "4096"]
        foreign.compare(tap, "bench", [*bench, image], same=without_time)
        foreign.compare(tap, "bench, direct", [*bench, "-t", "none", image], same=without_time)
        foreign.compare(tap, "bench, writing", [*bench, "-w", "--flush-interval", "100", image], same=without_time)
        source = f"driver=raw,file.driver=file,file.filename={image},file.aio=io_uring"
        target = os.path.join(folder, "to.qcow2")
        run = foreign.compare(tap, "convert", ["qemu-img", "convert", "--image-opts", source, "-O", "qcow2", target], same=without_time)
        back = os.path.join(folder, "back.raw")
        foreign.bare(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", target, back])
        tap.result("convert: the copy is the same", [] if run and filecmp.cmp(image, back, shallow=False) else ["it differs"])
    tap.done()


main()
