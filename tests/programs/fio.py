#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fio's io_uring engine, which goes through libc's syscall(): plain, with a polling thread, fixed buffers, registered files, several jobs."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreign  # noqa: E402
import workloads  # noqa: E402
from tap import Tap  # noqa: E402

KINDS = {
    "reads": ["--rw=randread"],
    "writes": ["--rw=randwrite"],
    "a polling thread": ["--rw=randread", "--sqthread_poll=1"],
    "fixed buffers": ["--rw=randrw", "--fixedbufs=1"],
    "registered files": ["--rw=randread", "--registerfiles=1"],
    "a polling thread, fixed buffers and registered files": ["--rw=randread", "--sqthread_poll=1", "--fixedbufs=1", "--registerfiles=1"],
    "vectors without offsets in batches": ["--rw=read", "--nonvectored=0", "--iodepth_batch=8", "--iodepth_batch_complete=4"],
    "direct": ["--rw=randread", "--direct=1"],
    "verified writes": ["--rw=write", "--verify=crc32c", "--do_verify=1"],
    "four jobs": ["--rw=randread", "--numjobs=4"],
    "four threads": ["--rw=randread", "--numjobs=4", "--thread"],
}


def main():
    tap = Tap()
    foreign.need(tap, "fio")
    with foreign.folder() as folder:
        for name, options in KINDS.items():
            foreign.compare(tap, name, workloads.fio(folder, *options), same=workloads.fio_figures, cwd=folder)
    tap.done()


main()
