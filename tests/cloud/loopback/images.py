# SPDX-License-Identifier: Apache-2.0
"""The registered images: a JSON file of attributes, and what EC2's filters see in them.

An image is a dict with the keys of NEW below. state may also be 'deregistered', which EC2 does not show, but remembers.
"""

import json
import os
import re
import secrets
import threading
import time

from .snapshots import write_json

STATES = ("pending", "available", "invalid", "deregistered", "transient", "failed", "error", "disabled")

NEW = {
    "id": None, "name": None, "description": None, "location": None, "state": "available", "state-reason": None,
    "owner-id": None, "owner-alias": None, "is-public": False, "launch-permissions": [], "architecture": "x86_64",
    "image-type": "machine", "kernel-id": None, "ramdisk-id": None, "platform": None, "creation-date": None,
    "root-device-type": "ebs", "root-device-name": None, "mapping": [], "virtualization-type": "paravirtual",
    "hypervisor": "xen", "ena-support": False, "sriov-net-support": None, "boot-mode": None, "tpm-support": None,
    "imds-support": None, "tags": {}, "product-codes": [], "deprecation-time": None, "source-image-id": None,
    "source-image-region": None, "source-instance-id": None,
}
SETTABLE = {  # key of the switch -> type
    "name": str, "description": str, "location": str, "state": str, "state-reason": str, "owner-id": str,
    "owner-alias": str, "is-public": bool, "architecture": str, "kernel-id": str, "ramdisk-id": str, "platform": str,
    "creation-date": str, "root-device-name": str, "root-device-type": str, "virtualization-type": str,
    "hypervisor": str, "ena-support": bool, "sriov-net-support": str, "boot-mode": str, "tpm-support": str,
    "imds-support": str, "deprecation-time": str, "launch-permissions": list, "product-codes": list,
    "source-image-id": str, "source-image-region": str, "source-instance-id": str,
}


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def flag(value):
    return "true" if value else "false"


def parse_setting(key, text):
    """The value of a switch 'key=text'; ValueError says what is wrong."""
    kind = SETTABLE.get(key)
    if kind is None:
        raise ValueError("'%s' is no attribute that can be set; known: %s, tag:KEY" % (key, ", ".join(sorted(SETTABLE))))
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError("'%s' is true or false" % key)
        return text == "true"
    if kind is list:
        return [item for item in text.split(",") if item]
    if key == "state" and text not in STATES:
        raise ValueError("state is one of %s" % ", ".join(STATES))
    if key == "owner-id" and not re.fullmatch("[0-9]{12}", text):
        raise ValueError("owner-id has 12 digits")
    return text or None


class Images:
    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.by_id = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as data:
                self.by_id = json.load(data)

    def get(self, image_id):
        return self.by_id.get(image_id)

    def all(self):
        with self.lock:
            return list(self.by_id.values())

    def save(self):
        write_json(self.path, self.by_id)

    def add(self, **attributes):
        """Registers an image and returns it; ValueError if the owner has one of that name."""
        with self.lock:
            for other in self.by_id.values():
                if (other["name"] == attributes["name"] and other["owner-id"] == attributes["owner-id"]
                        and other["state"] != "deregistered"):
                    raise ValueError(other["id"])
            image = dict(json.loads(json.dumps(NEW)), **attributes)
            image["id"] = "ami-0" + secrets.token_hex(8)
            image["creation-date"] = iso(time.time())
            image["made"] = time.time()
            self.by_id[image["id"]] = image
            self.save()
            return image

    def change(self, image, **attributes):
        with self.lock:
            if attributes.get("state") == "deregistered":
                image["removed"] = time.time()
            image.update(attributes)
            self.save()


def visible(image, account):
    return image["owner-id"] == account or image["is-public"] or account in image["launch-permissions"]


def _mapping(key, convert=str):
    def values(image):
        return [convert(m[key]) for m in image["mapping"] if m.get(key) is not None]
    return values


def _one(key):
    def values(image):
        return [] if image[key] is None else [str(image[key])]
    return values


def _flag(key):
    return lambda image: [flag(image[key])]


FILTERS = {  # name -> the values that an image has
    "architecture": _one("architecture"),
    "block-device-mapping.delete-on-termination": _mapping("delete-on-termination", flag),
    "block-device-mapping.device-name": _mapping("device-name"),
    "block-device-mapping.encrypted": _mapping("encrypted", flag),
    "block-device-mapping.snapshot-id": _mapping("snapshot-id"),
    "block-device-mapping.volume-size": _mapping("volume-size"),
    "block-device-mapping.volume-type": _mapping("volume-type"),
    "creation-date": _one("creation-date"),
    "description": _one("description"),
    "ena-support": _flag("ena-support"),
    "hypervisor": _one("hypervisor"),
    "image-id": _one("id"),
    "image-type": _one("image-type"),
    "is-public": _flag("is-public"),
    "kernel-id": _one("kernel-id"),
    "manifest-location": _one("location"),
    "name": _one("name"),
    "owner-alias": _one("owner-alias"),
    "owner-id": _one("owner-id"),
    "platform": _one("platform"),
    "product-code": lambda image: image["product-codes"],
    "product-code.type": lambda image: ["marketplace" for _ in image["product-codes"]],
    "ramdisk-id": _one("ramdisk-id"),
    "root-device-name": _one("root-device-name"),
    "root-device-type": _one("root-device-type"),
    "source-image-id": _one("source-image-id"),
    "source-image-region": _one("source-image-region"),
    "source-instance-id": _one("source-instance-id"),
    "sriov-net-support": _one("sriov-net-support"),
    "state": _one("state"),
    "state-reason-code": _one("state-reason"),
    "state-reason-message": _one("state-reason"),
    "tag-key": lambda image: list(image["tags"]),
    "virtualization-type": _one("virtualization-type"),
}


def wildcard(pattern):
    """EC2's wildcards: * any text, ? any character; a backslash takes their meaning away."""
    out = ""
    escaped = False
    for char in pattern:
        if escaped:
            out += re.escape(char)
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            out += {"*": ".*", "?": "."}.get(char) or re.escape(char)
    return re.compile(out + (r"\\" if escaped else ""), re.DOTALL)


class Filter:
    """name and values as in the request: the values are alternatives. KeyError if there is no such filter."""

    def __init__(self, name, values, known):
        self.patterns = [wildcard(v) for v in values]
        if name.startswith("tag:"):
            key = name[4:]
            self.values_of = lambda thing: [thing["tags"][key]] if key in thing["tags"] else []
        else:
            self.values_of = known[name]

    def matches(self, thing):
        return any(p.fullmatch(v) for v in self.values_of(thing) for p in self.patterns)
