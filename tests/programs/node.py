#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Node 20 or newer with UV_USE_IO_URING=1: libuv sends file operations and, in some versions, epoll's changes through rings."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreign  # noqa: E402
import workloads  # noqa: E402
from tap import Tap  # noqa: E402


def main():
    tap = Tap()
    why_not = workloads.why_no_node()
    if why_not:
        tap.skip("files", why_not)
        tap.done()
    with foreign.folder() as folder:
        foreign.compare(tap, "files", workloads.node(folder), env=workloads.NODE_ENVIRONMENT)
    tap.done()


main()
