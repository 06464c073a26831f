# SPDX-License-Identifier: Apache-2.0
"""Puts an AMI that lies in a folder into the cloud, as any client would do it: with boto3."""

import base64
import fcntl
import hashlib
import json
import os
import re
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

from .snapshots import BLOCK_SIZE, write_json

GIB = 1 << 30
ZERO = bytes(BLOCK_SIZE)
WORKERS = 8


class LoadError(Exception):
    """One line for the user."""


def read_env(state):
    try:
        with open(os.path.join(state, "env"), encoding="ascii") as env:
            return dict(re.findall(r"^export (\w+)='([^']*)'$", env.read(), re.M))
    except FileNotFoundError:
        raise LoadError("no cloud runs in '%s'" % state) from None


class Clients:
    def __init__(self, state):
        # Nothing of the user's own set-up is to matter.
        env = read_env(state)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            os.environ[name] = "/dev/null"
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
            os.environ.pop(name, None)
        import boto3
        from botocore.config import Config
        session = boto3.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"],
                                region_name=env["AWS_DEFAULT_REGION"])
        config = Config(max_pool_connections=WORKERS, retries={"mode": "standard", "max_attempts": 5}, proxies={},
                        s3={"addressing_style": "path"})
        self.ec2, self.s3, self.ebs = (
            session.client(name, endpoint_url=env["AWS_ENDPOINT_URL_" + name.upper()], config=config)
            for name in ("ec2", "s3", "ebs"))


def read_description(folder):
    path = os.path.join(folder, "image.json")
    try:
        with open(path, encoding="utf-8") as data:
            told = json.load(data)
    except OSError as error:
        raise LoadError("'%s': %s" % (path, os.strerror(error.errno))) from None
    except ValueError as error:
        raise LoadError("'%s': %s" % (path, error)) from None
    for key in ("kind", "name"):
        if not isinstance(told.get(key), str):
            raise LoadError("'%s': '%s' is missing" % (path, key))
    if told["kind"] not in ("ebs", "instance-store"):
        raise LoadError("'%s': kind is '%s', neither 'ebs' nor 'instance-store'" % (path, told["kind"]))
    return told


def data_blocks(fd, size):
    """The indexes of all blocks that do not lie wholly in holes."""
    at = 0
    last = -1
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # only a hole is left
            return
        end = os.lseek(fd, at, os.SEEK_HOLE)
        for index in range(max(last + 1, at // BLOCK_SIZE), -(-end // BLOCK_SIZE)):
            yield index
            last = index
        at = end


def read_block(fd, index):
    """The block, filled up with zeros at the end of the file."""
    data = os.pread(fd, BLOCK_SIZE, index * BLOCK_SIZE)
    return data + ZERO[len(data):]


class Disk:
    """A raw disk image and the digests of those of its blocks that are not zero."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.fd).st_size
        self.digests = {}

    def hash(self):
        def one(index):
            data = read_block(self.fd, index)
            return index, None if data == ZERO else hashlib.sha256(data).digest()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self.digests = {i: d for i, d in pool.map(one, data_blocks(self.fd, self.size)) if d is not None}

    def linear_checksum(self):
        return hashlib.sha256(b"".join(self.digests[i] for i in sorted(self.digests))).digest()

    def fingerprint(self):
        out = hashlib.sha256(b"%d\n" % self.size)
        for index in sorted(self.digests):
            out.update(b"%d %s\n" % (index, self.digests[index].hex().encode()))
        return out.hexdigest()


def put_snapshot(clients, disk, told):
    """Writes the disk into a new snapshot; returns its id."""
    gib = max(told.get("volume_size") or 1, -(-disk.size // GIB))
    snapshot = clients.ebs.start_snapshot(VolumeSize=gib, Description=told.get("description") or told["name"],
                                          Tags=[{"Key": "Name", "Value": told["name"]}])["SnapshotId"]

    def put(index):
        clients.ebs.put_snapshot_block(
            SnapshotId=snapshot, BlockIndex=index, BlockData=read_block(disk.fd, index), DataLength=BLOCK_SIZE,
            Checksum=base64.b64encode(disk.digests[index]).decode(), ChecksumAlgorithm="SHA256")

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(put, sorted(disk.digests)):
            pass
    clients.ebs.complete_snapshot(
        SnapshotId=snapshot, ChangedBlocksCount=len(disk.digests),
        Checksum=base64.b64encode(disk.linear_checksum()).decode(), ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR")
    while True:
        status = clients.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"]
        if status == "completed":
            return snapshot
        if status == "error":
            raise LoadError("snapshot %s has failed" % snapshot)
        time.sleep(0.1)


def disk_path(folder, told):
    path = os.path.join(folder, told.get("disk") or "disk.raw")
    os.stat(path)
    return path


def read_manifest(folder):
    """(name, bytes, names of the parts) of the one manifest in the folder; the parts are there."""
    names = [n for n in os.listdir(folder) if n.endswith(".manifest.xml")]
    if len(names) != 1:
        raise LoadError("'%s' holds %d manifests (*.manifest.xml), not one" % (folder, len(names)))
    path = os.path.join(folder, names[0])
    with open(path, "rb") as data:
        manifest = data.read()
    try:
        parts = [node.text or "" for node in ElementTree.fromstring(manifest).iter("filename")]
    except ElementTree.ParseError as error:
        raise LoadError("'%s': %s" % (path, error)) from None
    for part in parts:
        if "/" in part or part in ("", ".", ".."):
            raise LoadError("'%s': part name '%s'" % (path, part))
        os.stat(os.path.join(folder, part))
    return names[0], manifest, parts


def put_bundle(clients, folder, told, name, manifest, parts):
    """Uploads the parts, and the manifest last; returns the image location."""
    bucket = told.get("bucket")
    if not bucket:
        plain = re.sub("[^a-z0-9]+", "-", told["name"].lower()).strip("-")[:50]
        bucket = "%s-%s" % (plain, hashlib.sha256(manifest).hexdigest()[:8])
    clients.s3.create_bucket(Bucket=bucket)

    def put(part):
        with open(os.path.join(folder, part), "rb") as data:
            clients.s3.put_object(Bucket=bucket, Key=part, Body=data.read())

    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(put, parts):
            pass
    clients.s3.put_object(Bucket=bucket, Key=name, Body=manifest)
    return "%s/%s" % (bucket, name)


def register(clients, told, **arguments):
    """RegisterImage, in the place of an older image of the same name."""
    for key, name in (("name", "Name"), ("description", "Description"), ("architecture", "Architecture"),
                      ("root_device_name", "RootDeviceName"), ("virtualization_type", "VirtualizationType"),
                      ("ena_support", "EnaSupport"), ("sriov_net_support", "SriovNetSupport"),
                      ("boot_mode", "BootMode"), ("tpm_support", "TpmSupport"), ("imds_support", "ImdsSupport"),
                      ("kernel_id", "KernelId"), ("ramdisk_id", "RamdiskId")):
        if told.get(key) is not None:
            arguments[name] = told[key]
    old = clients.ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [told["name"]]}])["Images"]
    for image in old:
        clients.ec2.deregister_image(ImageId=image["ImageId"])
    return clients.ec2.register_image(**arguments)["ImageId"]


class Ledger:
    """Which contents are which images, so that nothing is loaded twice."""

    def __init__(self, state, clients):
        self.path = os.path.join(state, "loaded.json")
        self.clients = clients
        self.lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        try:
            with open(self.path, encoding="utf-8") as data:
                self.images = json.load(data)
        except FileNotFoundError:
            self.images = {}

    def find(self, key):
        """The image with the contents, if it is still registered."""
        image = self.images.get(key)
        if image is None:
            return None
        found = self.clients.ec2.describe_images(
            Owners=["self"], Filters=[{"Name": "image-id", "Values": [image]}])["Images"]
        return image if found and found[0]["State"] == "available" else None

    def note(self, image, *keys):
        for key in keys:
            self.images[key] = image
        write_json(self.path, self.images)

    def close(self):
        os.close(self.lock)


def load_ebs(clients, ledger, folder, told):
    disk = Disk(disk_path(folder, told))
    stat = os.fstat(disk.fd)
    description = json.dumps(told, sort_keys=True)
    quick = "file %d %d %d %d %s" % (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, description)
    image = ledger.find(quick)
    if image is None:
        disk.hash()
        exact = "disk %s %s" % (disk.fingerprint(), description)
        image = ledger.find(exact)
        if image is None:
            snapshot = put_snapshot(clients, disk, told)
            root = told.get("root_device_name") or "/dev/sda1"
            image = register(clients, dict(told, root_device_name=root), BlockDeviceMappings=[{
                "DeviceName": root, "Ebs": {"SnapshotId": snapshot, "VolumeType": told.get("volume_type") or "gp2",
                                            "DeleteOnTermination": True}}])
        ledger.note(image, quick, exact)
    os.close(disk.fd)
    return image


def load_bundle(clients, ledger, folder, told):
    name, manifest, parts = read_manifest(folder)
    key = "bundle %s %s" % (hashlib.sha256(manifest).hexdigest(), json.dumps(told, sort_keys=True))
    image = ledger.find(key)
    if image is None:
        image = register(clients, told, ImageLocation=put_bundle(clients, folder, told, name, manifest, parts))
        ledger.note(image, key)
    return image


def check(folder, told):
    """What can be said before anything is done."""
    if told["kind"] == "ebs":
        disk_path(folder, told)
    else:
        read_manifest(folder)


def load(state, folders):
    """Prints the id of each image, in the order of the folders."""
    try:
        described = [(folder, read_description(folder)) for folder in folders]
        for folder, told in described:
            check(folder, told)
        clients = Clients(state)
        ledger = Ledger(state, clients)
    except OSError as error:
        raise LoadError("'%s': %s" % (error.filename, os.strerror(error.errno))) from None
    from botocore.exceptions import BotoCoreError, ClientError
    try:
        for folder, told in described:
            loader = load_ebs if told["kind"] == "ebs" else load_bundle
            try:
                print(loader(clients, ledger, folder, told), flush=True)
            except OSError as error:
                raise LoadError("'%s': %s" % (error.filename or folder, os.strerror(error.errno))) from None
            except (BotoCoreError, ClientError) as error:
                raise LoadError("'%s': %s" % (folder, error)) from None
    finally:
        ledger.close()
