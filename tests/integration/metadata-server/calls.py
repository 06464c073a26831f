#!/usr/bin/python3
"""System calls of a program that its unit's filter refuses.

usage: calls.py UNIT TRACE    TRACE is what strace -f -o wrote
"""
import re
import subprocess
import sys


def calls_of(word):
    """A system call, or all of a group of systemd's."""
    if not word.startswith("@"):
        return {word}
    text = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True,
                          check=True).stdout
    words = (line.split("#")[0].strip() for line in text.splitlines()[1:])
    return set().union(*(calls_of(w) for w in words if w))


def allowed_by(unit):
    """The first line of a filter makes it a list of what is allowed; later ones add, or with ~ take away."""
    allowed = calls_of("@default")
    for line in open(unit, encoding="utf-8"):
        if m := re.match(r"SystemCallFilter=(~?)(.*)", line):
            calls = set().union(*(calls_of(w) for w in m[2].split()))
            allowed = allowed - calls if m[1] else allowed | calls
    return allowed


if len(sys.argv) != 3:
    sys.exit(__doc__)
with open(sys.argv[2], encoding="utf-8", errors="replace") as trace:
    used = {m[1] for m in (re.match(r"\d+ +(\w+)\(", line) for line in trace) if m}
if "execve" not in used or "bind" not in used:
    sys.exit("calls.py: that is no trace of a server")
print(*sorted(used - allowed_by(sys.argv[1])))
