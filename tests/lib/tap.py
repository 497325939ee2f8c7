# SPDX-License-Identifier: MIT
"""TAP output for the whole-program tests: one line per thing that was tried. What failed is a list of problems, empty when nothing did."""
import sys
import traceback


def differs(what, got, wanted):
    return [] if got == wanted else [f"{what} is {got!r}, not {wanted!r}"]


def lacks(text, *parts):
    return [f"it lacks {part!r}: {text[:800]}" for part in parts if part not in text]


class Tap:
    def __init__(self):
        self.n = 0
        self.failed = 0

    def _line(self, ok, name, tail=""):
        self.n += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.n} - {name}{tail}", flush=True)

    def ok(self, name):
        self._line(True, name)

    def skip(self, name, reason):
        self._line(True, name, f" # SKIP {reason}")

    def fail(self, name, *details):
        self._line(False, name)
        self.note(*details)

    def result(self, name, problems):
        """Passes when the list of problems is empty, else fails and tells them."""
        self.fail(name, *problems) if problems else self.ok(name)

    def note(self, *details):
        for detail in details:
            for line in str(detail).splitlines():
                print(f"#   {line}", flush=True)

    def each(self, subjects):
        """Runs the functions that the command line names, or all, and ends. One that breaks must not hide the others."""
        named = {subject.__name__: subject for subject in subjects}
        for name in sys.argv[1:] or named:
            try:
                named[name](self)
            except Exception:
                self.fail(name, traceback.format_exc())
        self.done()

    def done(self):
        print(f"1..{self.n}", flush=True)
        sys.exit(1 if self.failed else 0)
