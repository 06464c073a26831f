# SPDX-License-Identifier: Apache-2.0
"""Snapshots on disk. Each is a folder:

    meta.json   what is known about it
    index       records of 36 bytes in the order of writing: block index (32 bits, big-endian), SHA-256 of the block
    data        sparse file; block i lies at i * 524288

A child holds only what was written to it; the rest is read from its parent.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
import struct
import threading
import time

BLOCK_SIZE = 524288
BLOCKS_PER_GIB = (1 << 30) // BLOCK_SIZE
RECORD = struct.Struct(">I32s")


class Snapshot:
    def __init__(self, folder, meta):
        self.folder = folder
        self.meta = meta
        self.lock = threading.Lock()
        self.blocks = {}  # block index -> SHA-256
        self.fd = os.open(os.path.join(folder, "data"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.index_fd = os.open(os.path.join(folder, "index"), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.load_index()

    def load_index(self):
        with open(os.path.join(self.folder, "index"), "rb") as index:
            data = index.read()
        whole = len(data) - len(data) % RECORD.size  # the last record may be torn, if the cloud was killed
        self.blocks = dict(RECORD.iter_unpack(data[:whole]))
        if whole != len(data):
            os.ftruncate(self.index_fd, whole)

    @property
    def id(self):
        return self.meta["id"]

    def save(self):
        write_json(os.path.join(self.folder, "meta.json"), self.meta)

    def status(self):
        """pending, completed or error; moves on with time."""
        with self.lock:
            meta = self.meta
            if meta["status"] == "pending":
                if meta.get("completes_at") and time.time() >= meta["completes_at"]:
                    meta["status"] = "completed"
                    self.save()
                elif not meta.get("completes_at") and time.time() > meta["last_write"] + meta["timeout"] * 60:
                    meta["status"] = "error"
                    self.save()
            return meta["status"]

    def put(self, index, data, digest):
        view = memoryview(data)
        at = index * BLOCK_SIZE
        while view:
            done = os.pwrite(self.fd, view, at)
            view = view[done:]
            at += done
        with self.lock:
            os.write(self.index_fd, RECORD.pack(index, digest))
            self.blocks[index] = digest
            self.meta["last_write"] = time.time()

    def linear_checksum(self):
        """SHA-256 of the digests of all written blocks, in ascending order of the blocks."""
        return hashlib.sha256(b"".join(self.blocks[i] for i in sorted(self.blocks))).digest()


def write_json(path, value):
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as out:
        json.dump(value, out, indent=1)
    os.replace(temporary, path)


class Snapshots:
    """All snapshots below one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.by_id = {}
        os.makedirs(folder, exist_ok=True)
        for name in sorted(os.listdir(folder)):
            try:
                with open(os.path.join(folder, name, "meta.json"), encoding="utf-8") as meta:
                    self.by_id[name] = Snapshot(os.path.join(folder, name), json.load(meta))
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise

    def get(self, snapshot_id):
        return self.by_id.get(snapshot_id)

    def all(self):
        with self.lock:
            return list(self.by_id.values())

    def create(self, **meta):
        """A new, pending snapshot; or that which the same client token has made: (snapshot, is it new)."""
        with self.lock:
            token = meta.get("client_token")
            for snapshot in self.by_id.values():
                if token and snapshot.meta.get("client_token") == token and snapshot.meta["owner"] == meta["owner"]:
                    return snapshot, False
            snapshot_id = "snap-0" + secrets.token_hex(8)
            now = time.time()
            meta.update(id=snapshot_id, status="pending", start_time=now, last_write=now, shared=[])
            folder = os.path.join(self.folder, snapshot_id)
            os.mkdir(folder)
            snapshot = Snapshot(folder, meta)
            snapshot.save()
            self.by_id[snapshot_id] = snapshot
            return snapshot, True

    def remove(self, snapshot):
        """Forgets it; what is its child's has to be copied before, which no test needs."""
        with self.lock:
            self.by_id.pop(snapshot.id, None)
        shutil.rmtree(snapshot.folder, ignore_errors=True)

    def lineage(self, snapshot):
        """The snapshot, its parent, and so on."""
        while snapshot is not None:
            yield snapshot
            snapshot = self.get(snapshot.meta.get("parent"))

    def merged(self, snapshot):
        """Block index -> the snapshot that holds the block, for all blocks that were ever written."""
        out = {}
        for holder in self.lineage(snapshot):
            for index in holder.blocks:
                out.setdefault(index, holder)
        return out

    def holder(self, snapshot, index):
        for holder in self.lineage(snapshot):
            if index in holder.blocks:
                return holder
        return None
