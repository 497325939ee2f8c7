#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""plocate, which reads its index through io_uring: a copy without the set-gid bit (with it the preload is ignored), on a database of its own."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import foreign  # noqa: E402
from tap import Tap  # noqa: E402


def prepare(folder):
    tree = os.path.join(folder, "tree")
    for i in range(40):
        os.makedirs(os.path.join(tree, f"directory-{i}"))
        for j in range(50):
            open(os.path.join(tree, f"directory-{i}", f"file-{i * j}-{j}.txt"), "w", encoding="ascii").close()
    copy = os.path.join(folder, "plocate")
    shutil.copyfile(foreign.where("plocate"), copy)
    os.chmod(copy, 0o755)
    database = os.path.join(folder, "db")
    made = foreign.bare([foreign.where("updatedb.plocate") or "updatedb", "-U", tree, "-o", database, "-l", "no",
                         "--prunepaths", "", "--prunefs", "", "--prunenames", "", "--prune-bind-mounts", "no"])
    return copy, database, made


def main():
    tap = Tap()
    foreign.need(tap, "plocate")
    with foreign.folder() as folder:
        copy, database, made = prepare(folder)
        tap.result("updatedb makes a database", [] if made.status == 0 else [made.err])
        for name, arguments in {"a name": ["file-77"], "many": ["-l", "1000", "txt"], "existing ones": ["-e", "file-1"],
                                "a pattern": ["directory-1*file-2"], "nothing": ["nowhere-to-be-found"]}.items():
            foreign.compare(tap, name, [copy, "-d", database, *arguments], cwd=folder)
    tap.done()


main()
