# SPDX-License-Identifier: Apache-2.0
"""The EC2 query API, version 2016-11-15: images and snapshots."""

import hashlib
import http.client
import re
import time
from urllib.parse import quote, unquote_plus
from xml.sax.saxutils import escape

from . import faults, manifest, sigv4
from .ebs import Tokens
from .httpd import Response
from .images import FILTERS, NEW, Filter, flag, iso, visible

VERSION = "2016-11-15"
NAMESPACE = "http://ec2.amazonaws.com/doc/%s/" % VERSION
TOKEN_SECONDS = 24 * 3600
MAX_BODY = 1 << 20
MAX_MANIFEST = 4 << 20

_AUTH_ERRORS = {
    "missing": (400, "MissingParameter"),
    "incomplete": (400, "IncompleteSignature"),
    "unknown-key": (401, "AuthFailure"),
    "bad-token": (401, "AuthFailure"),
    "expired": (400, "RequestExpired"),
    "skewed": (400, "RequestExpired"),
}


class Failure(Exception):
    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Params:
    """The parameters of a request; those that no one asks for are an error."""

    def __init__(self, text):
        self.values = {}
        self.seen = {"Action", "Version", "DryRun"}
        for item in text.split("&"):
            if item:
                name, _, value = item.partition("=")
                self.values[unquote_plus(name)] = unquote_plus(value)

    def get(self, name, default=None):
        self.seen.add(name)
        return self.values.get(name, default)

    def flag(self, name, default=False):
        value = self.get(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise Failure("InvalidParameterValue", "Value (%s) for parameter %s is invalid." % (value, name))
        return value.lower() == "true"

    def number(self, name, low, high):
        value = self.get(name)
        if value is None:
            return None
        if not re.fullmatch("[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise Failure("InvalidParameterValue", "Value ( %s ) for parameter %s is invalid. Expecting a value between "
                          "%d and %d." % (value, name[0].lower() + name[1:], low, high))
        return int(value)

    def indexes(self, prefix):
        """The N of all parameters PREFIX.N and PREFIX.N.…, ascending."""
        found = set()
        for name in self.values:
            match = re.fullmatch(re.escape(prefix) + r"\.([0-9]{1,5})(\..*)?", name)
            if match:
                found.add(int(match.group(1)))
        return sorted(found)

    def list(self, prefix):
        return [self.get("%s.%d" % (prefix, n), "") for n in self.indexes(prefix)]

    def filters(self, known):
        out = []
        for n in self.indexes("Filter"):
            name = self.get("Filter.%d.Name" % n, "")
            values = self.list("Filter.%d.Value" % n)
            try:
                out.append(Filter(name, values, known))
            except KeyError:
                raise Failure("InvalidParameterValue", "The filter '%s' is invalid" % name) from None
        return out

    def refuse_unknown(self):
        for name in self.values:
            if name not in self.seen:
                raise Failure("UnknownParameter", "The parameter %s is not recognized" % name)


def element(name, value):
    """XML of a value: a dict of elements, a list of items, text, or None for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        value = flag(value)
    if isinstance(value, dict):
        inner = "".join(element(k, v) for k, v in value.items())
    elif isinstance(value, list):
        inner = "".join(element("item", v) for v in value)
    else:
        inner = escape(str(value))
    return "<%s>%s</%s>" % (name, inner, name) if inner else "<%s/>" % name


def tag_set(tags):
    return [{"key": k, "value": v} for k, v in sorted(tags.items())] or None


def describe_mapping(mapping):
    out = {"deviceName": mapping.get("device-name"), "virtualName": mapping.get("virtual-name")}
    if mapping.get("no-device"):
        out["noDevice"] = ""
    if mapping.get("snapshot-id") or mapping.get("volume-size"):
        out["ebs"] = {"snapshotId": mapping.get("snapshot-id"), "volumeSize": mapping["volume-size"],
                      "deleteOnTermination": mapping["delete-on-termination"], "volumeType": mapping["volume-type"],
                      "iops": mapping.get("iops"), "throughput": mapping.get("throughput"),
                      "encrypted": mapping["encrypted"]}
    return out


def describe_image(image):
    windows = image["platform"] == "windows"
    reason = image["state-reason"]
    return {
        "imageId": image["id"], "imageLocation": image["location"], "imageState": image["state"],
        "imageOwnerId": image["owner-id"], "creationDate": image["creation-date"], "isPublic": image["is-public"],
        "productCodes": [{"productCode": c, "type": "marketplace"} for c in image["product-codes"]] or None,
        "architecture": image["architecture"], "imageType": image["image-type"], "kernelId": image["kernel-id"],
        "ramdiskId": image["ramdisk-id"], "platform": image["platform"],
        "platformDetails": "Windows" if windows else "Linux/UNIX",
        "usageOperation": "RunInstances:0002" if windows else "RunInstances",
        "stateReason": {"code": reason, "message": reason} if reason else None,
        "imageOwnerAlias": image["owner-alias"], "name": image["name"], "description": image["description"],
        "rootDeviceType": image["root-device-type"], "rootDeviceName": image["root-device-name"],
        "blockDeviceMapping": [describe_mapping(m) for m in image["mapping"]],
        "virtualizationType": image["virtualization-type"], "tagSet": tag_set(image["tags"]),
        "hypervisor": image["hypervisor"], "enaSupport": image["ena-support"] or None,
        "sriovNetSupport": image["sriov-net-support"], "bootMode": image["boot-mode"],
        "tpmSupport": image["tpm-support"], "imdsSupport": image["imds-support"],
        "deprecationTime": image["deprecation-time"], "sourceInstanceId": image["source-instance-id"],
        "sourceImageId": image["source-image-id"], "sourceImageRegion": image["source-image-region"],
    }


SNAPSHOT_FILTERS = {
    "description": lambda s: [s["description"]],
    "encrypted": lambda s: [flag(s["encrypted"])],
    "owner-id": lambda s: [s["owner"]],
    "progress": lambda s: [s["progress"]],
    "snapshot-id": lambda s: [s["id"]],
    "start-time": lambda s: [iso(s["start_time"])],
    "status": lambda s: [s["status"]],
    "tag-key": lambda s: list(s["tags"]),
    "volume-size": lambda s: [str(s["volume_size"])],
}


def young(moment, conduct):
    """Whether what happened then is not known everywhere yet."""
    return conduct is not None and time.time() - (moment or 0) < conduct.lag


class Ec2:
    def __init__(self, images, snapshots, region, secret, swift_port):
        self.images = images
        self.snapshots = snapshots
        self.region = region
        self.tokens = Tokens(secret)
        self.swift_port = swift_port
        self.actions = {
            "DescribeImages": self.describe_images, "DescribeSnapshots": self.describe_snapshots,
            "RegisterImage": self.register_image, "DeregisterImage": self.deregister_image,
            "CopyImage": self.copy_image, "DeleteSnapshot": self.delete_snapshot,
        }

    @staticmethod
    def prepare(request):
        """Reads the parameters, so that faults can be matched against the action; to be called before all else."""
        request.ec2_body = request.body(MAX_BODY)
        text = (request.ec2_body or b"").decode("utf-8", "replace")
        request.ec2_params = "&".join(filter(None, (request.query, text)))
        request.label = request.path + "?" + request.ec2_params

    def __call__(self, request, conduct=None):
        try:
            if request.ec2_body is None:
                raise Failure("RequestEntityTooLarge", "The request is too long", 413)
            caller = self.authenticate(request)
            params = Params(request.ec2_params)
            if params.values.get("Version") != VERSION:
                raise Failure("InvalidParameterValue", "The version '%s' is not known" % params.values.get("Version"))
            name = params.values.get("Action")
            if name is None:
                raise Failure("MissingAction", "The action is missing")
            if name not in self.actions:
                raise Failure("InvalidAction", "The action %s is not valid for this web service." % name)
            reply = self.actions[name](caller, params, conduct)
            reply = dict({"requestId": faults.REQUEST_ID}, **reply)
            inner = "".join(element(k, v) for k, v in reply.items())
            body = '<?xml version="1.0" encoding="UTF-8"?>\n<%sResponse xmlns="%s">%s</%sResponse>' % (
                name, NAMESPACE, inner, name)
            return Response(200, [("Content-Type", "text/xml;charset=UTF-8")], body.encode())
        except Failure as failure:
            return faults.error("ec2", failure.status, failure.code, failure.message)

    def authenticate(self, request):
        digest = hashlib.sha256(request.ec2_body).hexdigest()
        try:
            return sigv4.verify(request.method, request.path, request.query, request.headers, digest, self.region, "ec2")
        except sigv4.Refused as refused:
            status, code = _AUTH_ERRORS.get(refused.reason, (403, "SignatureDoesNotMatch"))
            message = refused.message
            if code == "AuthFailure":
                message = "AWS was not able to validate the provided access credentials"
            raise Failure(code, message, status) from None

    @staticmethod
    def end_of_params(params):
        """After all parameters were asked for, and before anything is done."""
        params.refuse_unknown()
        if params.flag("DryRun"):
            raise Failure("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)

    def page(self, params, purpose, things, conduct, limit):
        """(part of the things, token or None)"""
        token = params.get("NextToken")
        start = 0
        if token:
            start = self.tokens.read(purpose, token)
            if start is None:
                raise Failure("InvalidParameterValue", "Value (%s) for parameter nextToken is invalid." % token)
        if conduct is not None and conduct.empty_page:
            return [], self.tokens.make(purpose, start, TOKEN_SECONDS)
        end = len(things) if limit is None else start + limit
        return things[start:end], self.tokens.make(purpose, end, TOKEN_SECONDS) if end < len(things) else None

    # Images

    def find_image(self, caller, image_id, conduct=None):
        if not re.fullmatch("a[mkr]i-([0-9a-f]{8}|[0-9a-f]{17})", image_id):
            raise Failure("InvalidAMIID.Malformed", 'Invalid id: "%s" (expecting "ami-...")' % image_id)
        image = self.images.get(image_id)
        if image is None or young(image.get("made"), conduct):
            raise Failure("InvalidAMIID.NotFound", "The image id '[%s]' does not exist" % image_id)
        if not visible(image, caller.account):
            raise Failure("AuthFailure", "Not authorized for images: [%s]" % image_id, 401)
        if image["state"] == "deregistered":
            raise Failure("InvalidAMIID.Unavailable", "The image ID '[%s]' is no longer available" % image_id)
        return image

    @staticmethod
    def owned_by(thing, owners, caller, owner_key, alias_key=None):
        return any(thing[owner_key] == (caller.account if o == "self" else o) or
                   (alias_key and thing[alias_key] == o) for o in owners)

    @staticmethod
    def executable_by(image, users, caller):
        for user in users:
            if user == "all":
                if image["is-public"]:
                    return True
            elif (caller.account if user == "self" else user) in image["launch-permissions"]:
                return True
        return False

    def describe_images(self, caller, params, conduct):
        ids = params.list("ImageId")
        owners = params.list("Owner")
        users = params.list("ExecutableBy")
        filters = params.filters(FILTERS)
        limit = params.number("MaxResults", 1, 1000)
        deprecated = params.flag("IncludeDeprecated")
        disabled = params.flag("IncludeDisabled")
        params.get("NextToken")
        if ids and limit is not None:
            raise Failure("InvalidParameterCombination", "The parameter imageIdsSet cannot be used with the parameter "
                          "maxResults")
        for owner in owners:
            if not re.fullmatch("self|amazon|aws-marketplace|aws-backup-vault|[0-9]{12}", owner):
                raise Failure("InvalidUserID.Malformed", 'Invalid user id: "%s"' % owner)
        self.end_of_params(params)
        if ids:
            found = [self.find_image(caller, i, conduct) for i in dict.fromkeys(ids)]
        else:
            found = [i for i in self.images.all() if visible(i, caller.account) and i["state"] != "deregistered"
                     and not young(i.get("made"), conduct)]
            if not deprecated:
                now = iso(time.time())
                found = [i for i in found if i["owner-id"] == caller.account or not i["deprecation-time"]
                         or i["deprecation-time"] > now]
            if not disabled:
                found = [i for i in found if i["state"] != "disabled"]
        if owners:
            found = [i for i in found if self.owned_by(i, owners, caller, "owner-id", "owner-alias")]
        if users:
            found = [i for i in found if self.executable_by(i, users, caller)]
        found = [i for i in found if all(f.matches(i) for f in filters)]
        part, token = self.page(params, "images", found, conduct, limit)
        return {"imagesSet": [describe_image(dict(i, state=self.state_of(i))) for i in part], "nextToken": token}

    def register_image(self, caller, params, _conduct):
        attributes = {"owner-id": caller.account, "name": params.get("Name"), "description": params.get("Description"),
                      "kernel-id": params.get("KernelId"), "ramdisk-id": params.get("RamdiskId"),
                      "architecture": params.get("Architecture"), "root-device-name": params.get("RootDeviceName"),
                      "virtualization-type": params.get("VirtualizationType", "paravirtual"),
                      "ena-support": params.flag("EnaSupport"), "sriov-net-support": params.get("SriovNetSupport"),
                      "boot-mode": params.get("BootMode"), "tpm-support": params.get("TpmSupport"),
                      "imds-support": params.get("ImdsSupport")}
        location = params.get("ImageLocation")
        mapping = [self.mapping_of(params, n) for n in params.indexes("BlockDeviceMapping")]
        tags = self.tags_of(params)
        self.end_of_params(params)
        self.check_attributes(attributes)
        if location:
            self.from_manifest(caller, location, attributes)
        else:
            self.from_mapping(caller, mapping, attributes)
        attributes["mapping"] = mapping
        attributes["tags"] = tags
        if attributes["architecture"] is None:
            attributes["architecture"] = NEW["architecture"]
        try:
            return {"imageId": self.images.add(**attributes)["id"]}
        except ValueError as taken:
            raise Failure("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s"
                          % (attributes["name"], taken)) from None

    @staticmethod
    def check_attributes(attributes):
        name = attributes["name"]
        if name is None:
            raise Failure("MissingParameter", "The request must contain the parameter name")
        if not re.fullmatch(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}", name):
            raise Failure("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may "
                          "contain letters, numbers, and the characters ()[] ./-'@_")
        for key, allowed in (("architecture", "i386|x86_64|arm64|x86_64_mac|arm64_mac"),
                             ("virtualization-type", "hvm|paravirtual"), ("sriov-net-support", "simple"),
                             ("boot-mode", "legacy-bios|uefi|uefi-preferred"), ("tpm-support", "v2.0"),
                             ("imds-support", "v2.0"), ("kernel-id", "aki-[0-9a-f]+"), ("ramdisk-id", "ari-[0-9a-f]+")):
            if attributes[key] is not None and not re.fullmatch(allowed, attributes[key]):
                raise Failure("InvalidParameterValue", "Value (%s) for parameter %s is invalid." % (attributes[key], key))

    @staticmethod
    def tags_of(params, resource="image"):
        tags = {}
        for n in params.indexes("TagSpecification"):
            if params.get("TagSpecification.%d.ResourceType" % n) == resource:
                for m in params.indexes("TagSpecification.%d.Tag" % n):
                    prefix = "TagSpecification.%d.Tag.%d." % (n, m)
                    tags[params.get(prefix + "Key", "")] = params.get(prefix + "Value", "")
        return tags

    def mapping_of(self, params, n):
        prefix = "BlockDeviceMapping.%d." % n
        ebs = prefix + "Ebs."
        out = {"device-name": params.get(prefix + "DeviceName"), "virtual-name": params.get(prefix + "VirtualName"),
               "no-device": params.get(prefix + "NoDevice") is not None,
               "snapshot-id": params.get(ebs + "SnapshotId"), "volume-size": params.number(ebs + "VolumeSize", 1, 65536),
               "iops": params.number(ebs + "Iops", 1, 256000), "throughput": params.number(ebs + "Throughput", 1, 2000)}
        if out["device-name"] is None:
            raise Failure("MissingParameter", "The request must contain the parameter deviceName")
        kind = params.get(ebs + "VolumeType", "standard")
        delete = params.flag(ebs + "DeleteOnTermination", True)
        encrypted = params.flag(ebs + "Encrypted")
        if out["snapshot-id"] or out["volume-size"]:
            out.update({"volume-type": kind, "delete-on-termination": delete, "encrypted": encrypted})
        return {k: v for k, v in out.items() if v is not None and v is not False or k in (
            "delete-on-termination", "encrypted")}

    def from_mapping(self, caller, mapping, attributes):
        attributes["root-device-type"] = "ebs"
        if attributes["root-device-name"] is None:
            attributes["root-device-name"] = "/dev/sda1"
        for entry in mapping:
            if "snapshot-id" in entry:
                snapshot = self.find_snapshot(caller, entry["snapshot-id"], own=True)
                if snapshot.status() != "completed":
                    raise Failure("IncorrectState", "The snapshot %s is not completed" % snapshot.id)
                entry["encrypted"] = snapshot.meta["encrypted"]
                if entry.setdefault("volume-size", snapshot.meta["volume_size"]) < snapshot.meta["volume_size"]:
                    raise Failure("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s'"
                                  % (entry["volume-size"], snapshot.id))
        if not any(m["device-name"] == attributes["root-device-name"] and "snapshot-id" in m for m in mapping):
            raise Failure("InvalidBlockDeviceMapping", "No snapshot is mapped to the root device %s"
                          % attributes["root-device-name"])
        attributes["location"] = "%s/%s" % (caller.account, attributes["name"])

    def from_manifest(self, caller, location, attributes):
        """Reads the manifest from S3 with the caller's rights, as EC2 does, and takes over what it says."""
        location = location.lstrip("/")
        if not location.endswith(".manifest.xml") or "/" not in location:
            raise Failure("InvalidManifest", "The image location '%s' is not BUCKET/NAME.manifest.xml" % location)
        status, data = self.fetch(caller, location)
        if status == 403:
            raise Failure("AuthFailure", "Access to the manifest '%s' is denied" % location, 401)
        if status != 200:
            raise Failure("InvalidManifest", "HTTP %d response for '%s': check that your manifest path is correct"
                          % (status, location))
        try:
            told = manifest.check(data)
        except manifest.Invalid as error:
            if error.internal:
                raise Failure("InternalError", "An internal error has occurred", 500) from None
            raise Failure("InvalidManifest", error.message) from None
        attributes["location"] = location
        attributes["root-device-type"] = "instance-store"
        for key, name in (("architecture", "architecture"), ("kernel-id", "kernel_id"), ("ramdisk-id", "ramdisk_id")):
            if attributes[key] is None:
                attributes[key] = told[name]
        if attributes["root-device-name"] is None:
            attributes["root-device-name"] = dict(told["mapping"]).get("root")

    def fetch(self, caller, location):
        """GET of an S3 object, signed for the caller; past the faults, which are not for EC2 itself."""
        host = "127.0.0.1:%d" % self.swift_port
        path = "/" + quote(location, safe="/-_.~")
        headers = sigv4.sign(caller, "GET", path, "", {"host": host}, b"", self.region, "s3")
        connection = http.client.HTTPConnection("127.0.0.1", self.swift_port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            data = answer.read(MAX_MANIFEST + 1)
        finally:
            connection.close()
        if len(data) > MAX_MANIFEST:
            raise Failure("InvalidManifest", "The manifest is too long")
        return answer.status, data

    def deregister_image(self, caller, params, conduct):
        image_id = params.get("ImageId")
        self.end_of_params(params)
        if image_id is None:
            raise Failure("MissingParameter", "The request must contain the parameter imageId")
        image = self.find_image(caller, image_id, conduct)
        if image["owner-id"] != caller.account:
            raise Failure("AuthFailure", "Not authorized for image:%s" % image_id, 401)
        self.images.change(image, state="deregistered")
        return {"return": True}

    def copy_image(self, caller, params, _conduct):
        """A copy in the caller's account: the snapshot's blocks are the source's. Some owners do not let that be."""
        source = self.find_image(caller, params.get("SourceImageId") or "")
        region, name, about = params.get("SourceRegion"), params.get("Name"), params.get("Description")
        token = params.get("ClientToken")
        tags, snapshot_tags = self.tags_of(params), self.tags_of(params, "snapshot")
        self.end_of_params(params)
        if region != self.region:
            raise Failure("InvalidRequest", "The region '%s' is not known here" % region)
        for image in self.images.all():
            if token and image.get("client-token") == token and image["owner-id"] == caller.account:
                return {"imageId": image["id"]}
        if source["product-codes"] or "no-copy" in source["tags"]:
            raise Failure("InvalidRequest", "You do not have permission to access the storage of this ami")
        mapping = []
        for entry in source["mapping"]:
            entry = dict(entry)
            if "snapshot-id" in entry:
                old = self.snapshots.get(entry["snapshot-id"])
                meta = {"owner": caller.account, "volume_size": old.meta["volume_size"], "parent": old.id,
                        "timeout": 60, "description": "Copied for DestinationAmi", "tags": snapshot_tags,
                        "encrypted": False, "client_token": (token or "") + entry["device-name"]}
                snapshot, _ = self.snapshots.create(**meta)
                with snapshot.lock:
                    snapshot.meta["completes_at"] = time.time() + 0.6
                    snapshot.save()
                entry["snapshot-id"] = snapshot.id
            mapping.append(entry)
        copied = {k: v for k, v in source.items() if k not in ("id", "creation-date", "location")}
        copied.update({"owner-id": caller.account, "owner-alias": None, "is-public": False, "launch-permissions": [],
                       "name": name, "description": about, "mapping": mapping, "tags": tags, "client-token": token,
                       "location": "%s/%s" % (caller.account, name), "state": "available",
                       "source-image-id": source["id"], "source-image-region": region})
        try:
            return {"imageId": self.images.add(**copied)["id"]}
        except ValueError as taken:
            raise Failure("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s" % (name, taken)) from None

    def state_of(self, image):
        """A copy is pending until its snapshots are there."""
        if image["state"] != "available" or not image["source-image-id"]:
            return image["state"]
        snapshots = [self.snapshots.get(m["snapshot-id"]) for m in image["mapping"] if "snapshot-id" in m]
        return "pending" if any(s and s.status() == "pending" for s in snapshots) else "available"

    # Snapshots

    def delete_snapshot(self, caller, params, conduct):
        snapshot_id = params.get("SnapshotId") or ""
        self.end_of_params(params)
        snapshot = self.find_snapshot(caller, snapshot_id, own=True)
        for image in self.images.all():
            there = image["state"] != "deregistered" or young(image.get("removed"), conduct)
            if there and any(m.get("snapshot-id") == snapshot_id for m in image["mapping"]):
                raise Failure("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s"
                              % (snapshot_id, image["id"]))
        self.snapshots.remove(snapshot)
        return {"return": True}

    def find_snapshot(self, caller, snapshot_id, own=False):
        if not re.fullmatch("snap-([0-9a-f]{8}|[0-9a-f]{17})", snapshot_id):
            raise Failure("InvalidSnapshotID.Malformed", 'Value (%s) for parameter snapshotId is invalid. Expected: '
                          "'snap-...'." % snapshot_id)
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None or (snapshot.meta["owner"] != caller.account
                                and (own or caller.account not in snapshot.meta["shared"])):
            raise Failure("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist." % snapshot_id)
        return snapshot

    def describe_snapshots(self, caller, params, conduct):
        ids = params.list("SnapshotId")
        owners = params.list("Owner")
        users = params.list("RestorableBy")
        filters = params.filters(SNAPSHOT_FILTERS)
        limit = params.number("MaxResults", 5, 1000)
        params.get("NextToken")
        if ids and limit is not None:
            raise Failure("InvalidParameterCombination", "The parameter snapshotSet cannot be used with the parameter "
                          "maxResults")
        self.end_of_params(params)
        if ids:
            found = [self.find_snapshot(caller, i) for i in dict.fromkeys(ids)]
        else:
            found = [s for s in self.snapshots.all()
                     if (s.meta["owner"] == caller.account or caller.account in s.meta["shared"])
                     and not young(s.meta["start_time"], conduct)]
        views = []
        for snapshot in found:
            status = snapshot.status()
            views.append(dict(snapshot.meta, status=status, progress="100%" if status == "completed" else "0%"))
        if owners:
            views = [s for s in views if self.owned_by(s, owners, caller, "owner")]
        if users:
            views = [s for s in views if any((caller.account if u == "self" else u) in s["shared"] + [s["owner"]]
                                             for u in users)]
        views = [s for s in views if all(f.matches(s) for f in filters)]
        part, token = self.page(params, "snapshots", views, conduct, limit)
        return {"snapshotSet": [{
            "snapshotId": s["id"], "volumeId": "vol-ffffffff", "status": s["status"], "startTime": iso(s["start_time"]),
            "progress": s["progress"], "ownerId": s["owner"], "volumeSize": s["volume_size"],
            "description": s["description"], "encrypted": s["encrypted"], "tagSet": tag_set(s["tags"]),
        } for s in part], "nextToken": token}
