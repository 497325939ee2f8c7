#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Node 20 or newer with UV_USE_IO_URING=1: libuv sends file operations and, in some versions, epoll's changes through rings."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreign  # noqa: E402
from tap import Tap  # noqa: E402


def main():
    tap = Tap()
    foreign.need(tap, "node")
    version = foreign.bare(["node", "--version"]).out.strip()
    if int((re.match(r"v(\d+)", version) or [0, 0])[1]) < 20:
        tap.skip("files", f"node {version} is older than 20 and does not use io_uring")
        tap.done()
    work = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node-work.js")
    with foreign.folder() as folder:
        foreign.compare(tap, "files", ["node", work, folder], env={**os.environ, "UV_USE_IO_URING": "1"})
    tap.done()


main()
