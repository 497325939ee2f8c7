# SPDX-License-Identifier: MIT
"""
Packages of another of Debian's suites, for tests that need what this machine's own has not. They are fetched with apt from the mirror that
the machine has configured, but with lists and caches of our own, so that the machine's apt never hears of another suite, and are unpacked
into a folder; nothing is installed.
"""
import glob
import os
import re
import shutil
import subprocess
import tempfile

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FETCH_SECONDS = 300


class Unavailable(Exception):
    pass


def tool(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not found:
        raise Unavailable(f"{name} is not installed")
    return found


class Apt:
    """apt with one suite, that touches nothing of the machine's own but reads its keyring."""

    def __init__(self, folder, suite):
        self.folder = os.path.abspath(folder)
        for name in ("lists/partial", "cache/archives/partial", "state", "etc"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        with open(os.path.join(self.folder, "sources.list"), "w", encoding="ascii") as f:
            f.write(f"deb [arch=amd64 signed-by={KEYRING}] {mirror()} {suite} main\n")
        open(os.path.join(self.folder, "status"), "w", encoding="ascii").close()
        self.options = ["-qq"]
        for key, value in {"Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "etc", "Dir::State": "state",
                           "Dir::State::lists": "lists", "Dir::State::status": "status", "Dir::Cache": "cache"}.items():
            self.options += ["-o", f"{key}={os.path.join(self.folder, value)}"]
        if os.getuid() == 0:
            self.options += ["-o", "APT::Sandbox::User=root"]

    def __call__(self, program, *words, cwd=None):
        try:
            run = subprocess.run([tool(program), *self.options, *words], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                 timeout=FETCH_SECONDS, errors="replace")
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{program} {words[0]} took more than {FETCH_SECONDS} s") from error
        if run.returncode:
            raise Unavailable(f"{program} {' '.join(words)}: {(run.stderr.strip() or run.stdout.strip() or 'failed').splitlines()[-1]}")
        return run.stdout

    def needs(self, package, pattern):
        """Those that `package` depends on and whose names match."""
        return sorted(set(re.findall(rf"Depends: ({pattern})", self("apt-cache", "depends", package))))

    def closure(self, packages, pattern):
        """These packages, and all that they come to depend on by way of names that match."""
        needs, package = {}, None
        for line in self("apt-cache", "depends", "--recurse", "--important", *packages).splitlines():
            found = re.match(r"[ |]+(?:Pre)?Depends: (\S+)", line)
            if not line.startswith((" ", "|")):
                package = line.strip()
            elif found and re.match(pattern, found[1]):
                needs.setdefault(package, []).append(found[1])
        seen, ahead = set(), list(packages)
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += needs.get(name, [])
        return sorted(seen)


def mirror():
    """Debian's mirror, as this machine has it."""
    files = ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        for match in re.finditer(r"^(?:deb\s+(?:\[[^]]*\]\s*)?|URIs:\s*)(https?://\S+/debian)/?(?:\s|$)", text, re.M):
            return match[1]
    raise Unavailable("no Debian mirror is set up for apt")


def roots():
    return os.environ.get("CIRCLIP_ROOTS") or os.path.join(os.environ.get("CIRCLIP_BUILD") or "build", "roots")


def root(name, suite, choose, follow):
    """
    The folder `name` with these packages and what they depend on unpacked in it; fetched when it is not here yet. `choose(apt)` says which
    packages; `follow` is what names of dependencies must match to be followed: programs come with much that no test needs.
    """
    place = os.path.abspath(os.path.join(roots(), name))
    if os.path.isdir(place):
        return place
    os.makedirs(roots(), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"fetch-{name}-", dir=roots()) as folder:
        apt = Apt(os.path.join(folder, "apt"), suite)
        apt("apt-get", "update")
        packages = apt.closure(choose(apt), follow)
        os.mkdir(os.path.join(folder, "packages"))
        apt("apt-get", "download", *packages, cwd=os.path.join(folder, "packages"))
        made = os.path.join(folder, "root")
        for part in ("lib", "lib64", "bin", "sbin"):
            os.makedirs(os.path.join(made, "usr", part))
            os.symlink(os.path.join("usr", part), os.path.join(made, part))
        for part in ("proc", "sys", "dev", "tmp", "etc", "data"):
            os.mkdir(os.path.join(made, part))
        for package in glob.glob(os.path.join(folder, "packages", "*.deb")):
            subprocess.run([tool("dpkg-deb"), "-x", package, made], check=True)
        os.chmod(made, 0o755)
        os.rename(made, place)
    return place
