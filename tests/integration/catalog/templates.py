#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Strict readers of definitions whose software cannot be had here. Prints what was read, as JSON.

    templates.py opennebula|opennebula-image|proxmox FILE

OpenNebula: the grammar of its templates (NAME = "value", NAME = [ A = "b", C = "d" ]) and the attributes
that its references of templates know. Proxmox: the arguments that qm was given, one a line, against the
options and properties of "qm create" in its manual page.
"""
import base64
import json
import re
import sys

VM = {"NAME", "CPU", "VCPU", "MEMORY", "DESCRIPTION"}
VM_VECTORS = {
    "OS": {"ARCH", "BOOT", "MACHINE", "FIRMWARE", "FIRMWARE_SECURE", "SD_DISK_BUS", "UUID", "KERNEL", "KERNEL_CMD"},
    "DISK": {"IMAGE", "IMAGE_ID", "DEV_PREFIX", "TARGET", "DRIVER", "CACHE", "DISCARD", "SIZE"},
    "NIC": {"NETWORK", "NETWORK_ID", "MODEL"},
    "NIC_DEFAULT": {"MODEL"},
    "FEATURES": {"ACPI", "APIC", "PAE", "GUEST_AGENT", "VIRTIO_SCSI_QUEUES"},
    "GRAPHICS": {"TYPE", "LISTEN", "PORT", "PASSWD", "KEYMAP"},
    "CONTEXT": {"NETWORK", "SET_HOSTNAME", "SSH_PUBLIC_KEY", "USER_DATA", "START_SCRIPT", "TOKEN"},
}
IMAGE = {"NAME", "PATH", "TYPE", "FORMAT", "DRIVER", "DEV_PREFIX", "PERSISTENT", "DESCRIPTION", "SIZE"}
VALUES = {
    "TYPE": "OS|CDROM|DATABLOCK|KERNEL|RAMDISK|CONTEXT|VNC|SPICE|SDL", "FORMAT": "raw|qcow2|vmdk", "PERSISTENT": "YES|NO",
    "DEV_PREFIX": "hd|sd|vd|xvd", "ARCH": "i686|x86_64|aarch64", "SD_DISK_BUS": "scsi|sata", "FIRMWARE_SECURE": "YES|NO",
    "FIRMWARE": "BIOS|/.*", "ACPI": "YES|NO", "BOOT": r"(disk|nic)\d+(,(disk|nic)\d+)*", "MEMORY": r"\d+", "VCPU": r"\d+",
    "CPU": r"\d+(\.\d+)?", "MODEL": "virtio|e1000|rtl8139",
}


def check(name, value):
    assert name not in VALUES or re.fullmatch(VALUES[name], value), "%s = %s" % (name, value)


def opennebula(text, scalars, vectors):
    out, at = {}, 0
    scalar = re.compile(r'([A-Z_]+) *= *"([^"]*)"')
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        found = scalar.match(text, at)
        if found:
            name, value = found.groups()
            assert name in scalars, name
            assert name not in out, "%s twice" % name
            check(name, value)
            out[name] = value
            at = found.end()
        else:
            found = re.compile(r"([A-Z_]+) *= *\[").match(text, at)
            assert found, "no attribute: %r" % text[at:at + 40]
            name = found.group(1)
            assert name in vectors, name
            at, members = found.end(), {}
            while True:
                at += re.compile(r"\s*").match(text, at).end() - at
                member = scalar.match(text, at)
                assert member, "no member of %s: %r" % (name, text[at:at + 40])
                assert member.group(1) in vectors[name] and member.group(1) not in members, member.group(0)
                check(*member.groups())
                members[member.group(1)] = member.group(2)
                at = re.compile(r"\s*").match(text, member.end()).end()
                assert text[at] in ",]", text[at:at + 40]
                at += 1
                if text[at - 1] == "]":
                    break
            out.setdefault(name, []).append(members)
        assert text[at] == "\n", "more on the line: %r" % text[at:at + 40]
    return out


QM = {
    "name": r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?", "ostype": "l24|l26|other", "memory": r"\d+", "cores": r"\d+",
    "cpu": "host|max|kvm64|x86-64-v2-AES", "arch": "x86_64|aarch64", "machine": "pc|q35|virt", "bios": "seabios|ovmf",
    "scsihw": "lsi|lsi53c810|megasas|pvscsi|virtio-scsi-pci|virtio-scsi-single", "serial0": r"socket|/dev/.+",
    "boot": r"order=[a-z]+\d+(;[a-z]+\d+)*",
}
DRIVE = {"discard": "ignore|on", "import-from": "/.+", "cache": "none|writethrough|writeback|unsafe|directsync",
         "format": "raw|qcow2|vmdk", "media": "cdrom|disk", "ssd": "0|1"}
UUID = r"[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}"


def properties(value, known, default):
    out = {}
    for i, part in enumerate(value.split(",")):
        key, equals, text = part.partition("=")
        if not equals:
            assert i == 0 and default, "'%s' is no property" % part
            key, text = default, part
        assert key not in out, "%s twice" % key
        assert key == default or key in known, key
        assert key == default or re.fullmatch(known[key], text), part
        out[key] = text
    return out


def proxmox(lines):
    assert lines[:1] == ["create"] and re.fullmatch(r"\d{3,9}", lines[1]), lines[:2]
    words, out = lines[2:], {"vmid": lines[1]}
    assert len(words) % 2 == 0
    for option, value in zip(words[::2], words[1::2]):
        assert option.startswith("--") and option[2:] not in out, option
        name = option[2:]
        if name in QM:
            assert re.fullmatch(QM[name], value), (name, value)
            out[name] = value
        elif re.fullmatch(r"virtio\d|virtio1[0-5]|scsi[12]?\d|sata[0-5]|ide[0-3]", name):
            out[name] = properties(value, DRIVE, "file")
            assert re.fullmatch(r"[a-z][a-z0-9._-]*:0|/.+", out[name]["file"]), value
        elif name == "efidisk0":
            out[name] = properties(value, {"efitype": "2m|4m", "pre-enrolled-keys": "0|1"}, "file")
        elif name == "net0":
            out[name] = properties(value, {"bridge": r"[-_.\w\d]+", "firewall": "0|1", "tag": r"\d+"}, "model")
            assert out[name]["model"] in ("virtio", "e1000"), value
        elif name == "smbios1":
            coded = "base64=1" in value
            known = {"uuid": UUID, "base64": "1"}
            known.update(dict.fromkeys(("manufacturer", "product", "serial", "version", "sku", "family"),
                                       "[A-Za-z0-9+/]+={0,2}"))
            out[name] = properties(value, known, None)
            for key in set(out[name]) - {"uuid", "base64"}:
                assert coded
                out[name][key] = base64.b64decode(out[name][key], validate=True).decode()
        else:
            raise AssertionError("qm create has no option " + option)
    if "boot" in out:
        assert out["boot"].partition("=")[2] in out
    return out


def main():
    kind, path = sys.argv[1:]
    with open(path, encoding="utf-8") as source:
        text = source.read()
    if kind == "opennebula":
        read = opennebula(text, VM, VM_VECTORS)
        assert {"NAME", "CPU", "MEMORY", "DISK"} <= set(read)
    elif kind == "opennebula-image":
        read = opennebula(text, IMAGE, {})
        assert {"NAME", "PATH", "TYPE"} <= set(read)
    else:
        read = proxmox(text.splitlines())
    json.dump(read, sys.stdout, indent=1)


main()
