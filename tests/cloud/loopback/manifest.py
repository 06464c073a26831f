# SPDX-License-Identifier: Apache-2.0
"""What RegisterImage checks in the manifest of an instance-store bundle."""

import re
import xml.etree.ElementTree as ElementTree


class Invalid(Exception):
    """The manifest is refused. internal: as EC2 answers with 500."""

    def __init__(self, message, internal=False):
        super().__init__(message)
        self.message = message
        self.internal = internal


def _text(node, path):
    found = node.find(path)
    if found is None or not (found.text or "").strip():
        raise Invalid("%s is missing in the manifest" % path)
    return found.text.strip()


def _hex(node, path, at_least=1):
    text = _text(node, path)
    if not re.fullmatch("(?:[0-9a-fA-F]{2}){%d,}" % at_least, text):
        raise Invalid("%s in the manifest is not hexadecimal" % path)
    return text


def _number(node, path):
    text = _text(node, path)
    if not re.fullmatch("[0-9]{1,15}", text):
        raise Invalid("%s in the manifest is not a number" % path)
    return int(text)


def check(data):
    """What is told by the manifest (bytes): architecture, kernel_id, ramdisk_id, name, user, mapping."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Invalid("the manifest has a document type")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise Invalid("the manifest is not XML: %s" % error) from None
    if root.tag != "manifest":
        raise Invalid("the root element of the manifest is %s" % root.tag)
    if _text(root, "version") != "2007-10-10":
        raise Invalid("the version of the manifest is not 2007-10-10")
    if not re.fullmatch("[0-9]{12}", _text(root, "image/user")):
        raise Invalid("image/user in the manifest is not an account id")
    order = [child.tag for child in root.find("image")]
    if order[order.index("user") + 1:][:1] != ["type"]:
        raise Invalid("image/type does not follow image/user in the manifest")
    if _text(root, "image/type") != "machine":
        raise Invalid("the image is no machine image")
    for name in ("image/ec2_encrypted_key", "image/user_encrypted_key",
                 "image/ec2_encrypted_iv", "image/user_encrypted_iv"):
        _hex(root, name, 64)
    _hex(root, "image/digest", 20)
    check_parts(root)
    signature = root.find("signature")
    if signature is None:
        raise Invalid("signature is missing in the manifest")
    if not (signature.text or "").strip():
        raise Invalid("the signature in the manifest is empty", internal=True)
    machine = root.find("machine_configuration")
    if machine is None:
        raise Invalid("machine_configuration is missing in the manifest")
    return {
        "name": _text(root, "image/name"),
        "user": _text(root, "image/user"),
        "architecture": _text(root, "machine_configuration/architecture"),
        "kernel_id": machine.findtext("kernel_id"),
        "ramdisk_id": machine.findtext("ramdisk_id"),
        "mapping": [(m.findtext("virtual"), m.findtext("device")) for m in machine.iter("mapping")],
    }


def check_parts(root):
    _number(root, "image/size")
    _number(root, "image/bundled_size")
    parts = root.find("image/parts")
    if parts is None:
        raise Invalid("image/parts is missing in the manifest")
    items = parts.findall("part")
    if parts.get("count") != str(len(items)) or not items:
        raise Invalid("image/parts in the manifest does not hold as many parts as it says")
    if sorted(item.get("index", "") for item in items) != sorted(str(i) for i in range(len(items))):
        raise Invalid("the indexes of the parts in the manifest are not 0 to %d" % (len(items) - 1))
    for item in items:
        _text(item, "filename")
        _hex(item, "digest", 20)
