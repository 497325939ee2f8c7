#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""plocate, which reads its index through io_uring, on a database of its own."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreign  # noqa: E402
import workloads  # noqa: E402
from tap import Tap  # noqa: E402


def main():
    tap = Tap()
    foreign.need(tap, "plocate")
    with foreign.folder() as folder:
        locate, made = workloads.plocate(folder)
        tap.result("updatedb makes a database", [] if made.status == 0 else [made.err])
        for name, arguments in {"a name": ["file-77"], "many": ["-l", "1000", "txt"], "existing ones": ["-e", "file-1"],
                                "a pattern": ["directory-1*file-2"], "nothing": ["nowhere-to-be-found"]}.items():
            foreign.compare(tap, name, [*locate, *arguments], cwd=folder)
    tap.done()


main()
