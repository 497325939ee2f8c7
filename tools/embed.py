#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Makes C of texts, so that what shows or reads them needs no file.
usage: embed.py hazards|policies FOLDER OUTPUT.c OUTPUT.d
The folder itself is among the dependencies: a text that is added is noticed.
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


def pages(folder):
    return {entry.name: os.path.join(entry.path, "README.md") for entry in os.scandir(folder) if entry.is_dir()}


def profiles(folder):
    return {entry.name[:-5]: entry.path for entry in os.scandir(folder) if entry.name.endswith(".yaml")}


# Where the texts are, and the array that they become.
KINDS = {
    "hazards": (pages, "cli/explain.h", "const struct explain_text explain_texts[]"),
    "policies": (profiles, "enforce/profiles.h", "const struct profiles_text profiles_texts[]"),
}


def main():
    kind, folder, out, depfile = sys.argv[1:]
    find, header, array = KINDS[kind]
    texts = {name: path for name, path in sorted(find(folder).items()) if os.path.exists(path)}
    with open(out, "w", encoding="ascii") as f:
        f.write(f'/* SPDX-License-Identifier: MIT */\n#include "{header}"\n\n{array} = {{\n')
        f.writelines(row(name, path) for name, path in texts.items())
        f.write("\t{ NULL, NULL },\n};\n")
    with open(depfile, "w", encoding="utf-8") as f:
        f.write(f"{out}: {' '.join([folder, *texts.values()])}\n")


main()
