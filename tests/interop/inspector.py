#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""imgconv is at least as strict as OpenStack's image inspector on everything that it knows.

    inspector.py INSPECTOR IMGCONV FOLDER ROUNDS

Images by qemu-img are damaged at random places of what the inspector looks at (the same ones each
time) and shown to both. What the inspector calls unsafe, imgconv must refuse to convert; a raw disk
whose partition table it calls unsafe, imgconv must warn of.
"""
import importlib.util
import json
import logging
import os
import random
import subprocess
import sys
import types
from unittest import mock


# All that it checks of the formats that we read.
RULES = {"backing_file", "data_file", "unknown_features", "descriptor", "footer", "mbr", "banned"}


def load_inspector(path):
    """The module alone: what it imports of its package is stood in for."""
    for name in ("oslo_utils", "oslo_utils.imageutils"):
        sys.modules[name] = types.ModuleType(name)
    i18n = types.ModuleType("oslo_utils._i18n")
    i18n._ = lambda s: s
    sys.modules["oslo_utils._i18n"] = i18n
    luks = mock.MagicMock()
    sys.modules["oslo_utils.imageutils._luks"] = luks
    sys.modules["oslo_utils.imageutils"]._luks = luks
    units = types.ModuleType("oslo_utils.units")
    units.Ki, units.Mi, units.Gi = 1 << 10, 1 << 20, 1 << 30
    sys.modules["oslo_utils.units"] = units
    sys.modules["oslo_utils"].units = units
    spec = importlib.util.spec_from_file_location("format_inspector", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def their_verdict(inspector, path):
    """(format, None if it is safe, else why it is not)"""
    try:
        found = inspector.detect_file_format(path)
    except inspector.ImageFormatError as e:
        return "several", str(e)
    if found is None:
        return "unknown", None
    try:
        found.safety_check()
    except (inspector.SafetyCheckFailed, inspector.ImageFormatError) as e:
        return str(found), "%s %s" % (e, getattr(e, "failures", ""))
    return str(found), None


def our_verdict(imgconv, path, their_format):
    """None if imgconv takes the image without a word, else what it says."""
    if their_format in ("raw", "gpt", "unknown"):
        p = subprocess.run([imgconv, "info", "-o", "json", path], capture_output=True, text=True,
                           errors="replace", check=False)
        if p.returncode:
            return p.stderr
        info = json.loads(p.stdout)
        return "; ".join(info.get("warnings", [])) or None
    out = path + ".out"
    p = subprocess.run([imgconv, "convert", "-q", "--force", "-O", "raw", path, out],
                       capture_output=True, text=True, errors="replace", check=False)
    if p.returncode == 0:
        os.unlink(out)
        return None
    if p.returncode != 1:
        raise SystemExit("imgconv ended with %d: %s" % (p.returncode, p.stderr))
    return p.stderr


def bases(folder):
    """Images to damage: name, bytes, and where."""
    raw = os.path.join(folder, "base.raw")
    with open(raw, "wb") as f:
        f.write(random.Random(1).randbytes(300000) + bytes(700000 - 300000 + 348576))
    kinds = [
        # not extended_l2: the inspector knows nothing of it, we read it
        ("qcow2", []), ("qcow2", ["compat=0.10"]),
        ("qcow2", ["compression_type=zstd"]), ("vpc", []), ("vpc", ["subformat=fixed"]), ("vdi", []),
        ("vmdk", []), ("vmdk", ["subformat=streamOptimized"]), ("vmdk", ["subformat=monolithicFlat"]),
    ]
    for i, (kind, options) in enumerate(kinds):
        path = os.path.join(folder, "base.%d.%s" % (i, kind))
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind,
                        *sum((["-o", o] for o in options), []), raw, path], check=True)
        with open(path, "rb") as f:
            data = f.read()
        yield "%s %s" % (kind, " ".join(options)), data
        if kind == "vmdk":
            # ... and streamOptimized as the specification has it
            ours = os.path.join(folder, "base.ours.vmdk")
            subprocess.run([IMGCONV, "convert", "-q", "--force", "-O", "vmdk", "-o",
                            "subformat=streamOptimized", raw, ours], check=True)
            with open(ours, "rb") as f:
                yield "vmdk ours", f.read()
    # What names other files, or is not to be read at all.
    other = os.path.join(folder, "base.other")
    for kind, options in (("qcow2", ["-F", "raw", "-b", raw]), ("qcow2", ["-o", "data_file=" + raw + ".data"]),
                          ("qed", []), ("vmdk", ["-o", "subformat=twoGbMaxExtentSparse"])):
        subprocess.run(["qemu-img", "create", "-q", "-f", kind, *options, other,
                        *(["1M"] if "-b" not in options else [])], check=True)
        with open(other, "rb") as f:
            yield " ".join((kind, *options)), f.read()
    table = bytearray(1 << 20)
    table[440:512] = (b"\0" * 6 + b"\x80\x20\x21\0\x83\x3f\x20\0\0\x08\0\0\0\x06\0\0").ljust(70, b"\0") + b"\x55\xaa"
    yield "raw with a partition table", bytes(table)
    table[446:462] = b"\0\0\2\0\xee\xff\xff\xff\1\0\0\0\xff\x07\0\0"
    yield "raw with a protective table", bytes(table)


def damaged(rnd, data):
    """A copy with one to three places changed, mostly in what has a meaning."""
    out = bytearray(data)
    for _ in range(rnd.choice((1, 1, 1, 2, 3))):
        where = rnd.choice((rnd.randrange(120), rnd.randrange(512), rnd.randrange(446, 512),
                            rnd.randrange(min(len(out), 2048)),
                            len(out) - 1 - rnd.randrange(min(len(out), 1536))))
        where = min(where, len(out) - 1)
        how = rnd.randrange(4)
        if how == 0:
            out[where] ^= 1 << rnd.randrange(8)
        elif how == 1:
            out[where] = rnd.randrange(256)
        elif how == 2:
            out[where:where + 4] = rnd.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0"))
        else:
            out[where:where + 8] = rnd.choice((bytes(8), b"\xff" * 8, b"/etc/pas", b"CD001\1\0\0"))
    return bytes(out[:len(data)])


def main():
    global IMGCONV
    inspector = load_inspector(sys.argv[1])
    IMGCONV, folder, rounds = sys.argv[2], sys.argv[3], int(sys.argv[4])
    logging.disable(logging.CRITICAL)
    rnd = random.Random(42)
    path = os.path.join(folder, "image")
    counts = {"unsafe": 0, "safe": 0}
    broken = set()
    laxer = 0
    for name, data in list(bases(folder)):
        for i in range(rounds):
            image = damaged(rnd, data) if i else data
            with open(path, "wb") as f:
                f.write(image)
            kind, why = their_verdict(inspector, path)
            counts["unsafe" if why else "safe"] += 1
            broken.update(rule for rule in RULES if why and "'%s'" % rule in why)
            if why and not our_verdict(IMGCONV, path, kind):
                laxer += 1
                kept = os.path.join(folder, "laxer.%d" % laxer)
                os.rename(path, kept)
                print("%s, damage %d (%s): %s is taken by imgconv, by the inspector: %s" %
                      (name, i, kept, kind, why))
    print("%d unsafe, %d safe" % (counts["unsafe"], counts["safe"]))
    # Nothing is proved by damage that nobody sees.
    if counts["unsafe"] < rounds:
        print("too few images were unsafe")
        return 1
    if broken != RULES:
        print("no image broke the rules: %s" % ", ".join(sorted(RULES - broken)))
        return 1
    return 1 if laxer else 0


if __name__ == "__main__":
    sys.exit(main())
