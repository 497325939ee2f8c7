#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Makes C of the catalogue's texts, so that `circlip explain` needs no file.
usage: embed.py HAZARDS-FOLDER OUTPUT.c OUTPUT.d
The folder itself is among the dependencies: a hazard that is added is noticed.
"""
import os
import sys

PLAIN = set(range(32, 127)) - set(b'"\\?')


def literal(data):
    # Octal, as a hexadecimal escape would swallow digits behind it.
    return "".join(chr(byte) if byte in PLAIN else f"\\{byte:03o}" for byte in data)


def row(name, path):
    with open(path, "rb") as f:
        lines = f.read().splitlines(keepends=True)
    return f'\t{{ "{name}",\n' + "\n".join(f'\t  "{literal(line)}"' for line in lines or [b""]) + " },\n"


def main():
    folder, out, depfile = sys.argv[1:]
    texts = {entry.name: os.path.join(entry.path, "README.md") for entry in os.scandir(folder) if entry.is_dir()}
    texts = {name: path for name, path in sorted(texts.items()) if os.path.exists(path)}
    with open(out, "w", encoding="ascii") as f:
        f.write('/* SPDX-License-Identifier: MIT */\n#include "cli/explain.h"\n\nconst struct explain_text explain_texts[] = {\n')
        f.writelines(row(name, path) for name, path in texts.items())
        f.write("\t{ NULL, NULL },\n};\n")
    with open(depfile, "w", encoding="utf-8") as f:
        f.write(f"{out}: {' '.join([folder, *texts.values()])}\n")


main()
