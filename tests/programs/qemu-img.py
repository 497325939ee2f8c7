#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""qemu-img, which enters rings from coroutines on small stacks of their own: bench and convert with io_uring."""
import filecmp
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreign  # noqa: E402
import workloads  # noqa: E402
from tap import Tap  # noqa: E402


def main():
    tap = Tap()
    foreign.need(tap, "qemu-img")
    with foreign.folder() as folder:
        image = os.path.join(folder, "from.raw")
        with open(image, "wb") as f:
            for i in range(16 * 256):
                f.write((i * 2654435761 % 2**32).to_bytes(4, "little") * 1024)
        for name, options in (("bench", []), ("bench, direct", ["-t", "none"]), ("bench, writing", ["-w", "--flush-interval", "100"])):
            foreign.compare(tap, name, workloads.qemu_bench(image, 5000, *options), same=workloads.without_seconds)
        source = f"driver=raw,file.driver=file,file.filename={image},file.aio=io_uring"
        target = os.path.join(folder, "to.qcow2")
        run = foreign.compare(tap, "convert", ["qemu-img", "convert", "--image-opts", source, "-O", "qcow2", target], same=workloads.without_seconds)
        back = os.path.join(folder, "back.raw")
        foreign.bare(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", target, back])
        tap.result("convert: the copy is the same", [] if run and filecmp.cmp(image, back, shallow=False) else ["it differs"])
    tap.done()


main()
