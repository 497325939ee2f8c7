# SPDX-License-Identifier: MIT
"""What somebody else's programs are given to do, and what of their answers is the same each time."""
import os
import re
import shutil

import foreign

HERE = os.path.dirname(os.path.abspath(__file__))


def fio(folder, *options):
    return ["fio", "--name=job", "--ioengine=io_uring", "--bs=4k", "--iodepth=32", "--size=4m", "--randseed=1", f"--directory={folder}", f"--aux-path={folder}", "--minimal",
            *options]


def fio_figures(outcome):
    """Status, and per job what is no time: error, KiB read, KiB written."""
    jobs = [line.split(";") for line in outcome.out.splitlines() if line.startswith("3;")]
    return outcome.status, [(j[2], j[4], j[5], j[46]) for j in jobs]


def qemu_bench(image, count, *options):
    return ["qemu-img", "bench", "-i", "io_uring", "-f", "raw", "-c", str(count), "-d", "32", "-s", "4096", *options, image]


def without_seconds(outcome):
    return outcome.status, re.sub(r"[0-9.]+ seconds", "", outcome.out), outcome.err


def plocate(folder):
    """(the command, how making its database went): a copy without the set-gid bit, with which no preload is obeyed."""
    tree = os.path.join(folder, "tree")
    for i in range(40):
        os.makedirs(os.path.join(tree, f"directory-{i}"))
        for j in range(50):
            open(os.path.join(tree, f"directory-{i}", f"file-{i * j}-{j}.txt"), "w", encoding="ascii").close()
    copy, database = os.path.join(folder, "plocate"), os.path.join(folder, "db")
    shutil.copyfile(foreign.where("plocate"), copy)
    os.chmod(copy, 0o755)
    made = foreign.bare([foreign.where("updatedb.plocate") or "updatedb", "-U", tree, "-o", database, "-l", "no",
                         "--prunepaths", "", "--prunefs", "", "--prunenames", "", "--prune-bind-mounts", "no"])
    return [copy, "-d", database], made


NODE_ENVIRONMENT = {**os.environ, "UV_USE_IO_URING": "1"}


def node(folder):
    return ["node", os.path.join(HERE, "..", "programs", "node-work.js"), folder]


def why_no_node():
    if not foreign.where("node"):
        return "node is not installed"
    version = foreign.bare(["node", "--version"]).out.strip()
    number = re.match(r"v(\d+)", version)
    return None if number and int(number[1]) >= 20 else f"node {version} is older than 20 and does not use io_uring"
