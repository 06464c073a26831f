# SPDX-License-Identifier: Apache-2.0
"""The EBS direct APIs, version 2019-11-02."""

import base64
import hashlib
import hmac
import json
import re
import secrets
import struct
import time
from bisect import bisect_left
from urllib.parse import unquote

from . import faults, sigv4
from .httpd import FileSlice, Response
from .snapshots import BLOCK_SIZE, BLOCKS_PER_GIB

BLOCK_TOKEN_SECONDS = 7 * 24 * 3600
PAGE_TOKEN_SECONDS = 3600
DEFAULT_RESULTS = 100
MAX_VOLUME_GIB = 65536
MAX_JSON = 65536

_SNAPSHOT_ID = re.compile(r"snap-[0-9a-f]+")
_TOKEN = re.compile(r"[A-Za-z0-9+/=]{1,256}")

_AUTH_ERRORS = {
    "missing": (403, "MissingAuthenticationTokenException"),
    "incomplete": (403, "IncompleteSignatureException"),
    "unknown-key": (403, "UnrecognizedClientException"),
    "bad-token": (403, "UnrecognizedClientException"),
    "expired": (403, "ExpiredTokenException"),
}


class Failure(Exception):
    def __init__(self, status, kind, message, reason=None):
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.reason = reason


def invalid(reason, message):
    return Failure(400, "ValidationException", message, reason)


class Tokens:
    """Opaque tokens that hold their meaning and expiry, and cannot be made by a client."""

    FORMAT = struct.Struct(">dI")

    def __init__(self, secret):
        self.secret = secret

    def _mac(self, purpose, payload):
        return hmac.digest(self.secret, purpose.encode() + b"\0" + payload, "sha256")[:16]

    def make(self, purpose, number, seconds):
        payload = self.FORMAT.pack(time.time() + seconds, number) + secrets.token_bytes(3)
        return base64.b64encode(payload + self._mac(purpose, payload)).decode()

    def read(self, purpose, token):
        """The number in the token, or None if it is not ours, not for this purpose, or expired."""
        if not _TOKEN.fullmatch(token):
            return None
        try:
            data = base64.b64decode(token, validate=True)
        except ValueError:
            return None
        payload, mac = data[:-16], data[-16:]
        if len(payload) != self.FORMAT.size + 3 or not hmac.compare_digest(mac, self._mac(purpose, payload)):
            return None
        until, number = self.FORMAT.unpack_from(payload)
        return number if time.time() < until else None


def parse_query(query):
    out = {}
    for item in query.split("&"):
        if item:
            name, _, value = item.partition("=")
            out[unquote(name)] = unquote(value)
    return out


def number_of(text, low, high, what, reason="INVALID_PARAMETER_VALUE"):
    if text is None or not re.fullmatch(r"[0-9]{1,18}", str(text)) or not low <= int(text) <= high:
        raise invalid(reason, "%s must be a number between %d and %d." % (what, low, high))
    return int(text)


def epoch(seconds):
    return round(seconds, 3)  # rest-json: timestamps in bodies are seconds since 1970


class Ebs:
    def __init__(self, snapshots, region, secret, completion):
        self.snapshots = snapshots
        self.completion = completion
        self.region = region
        self.tokens = Tokens(secret)
        self.routes = [
            ("POST", re.compile(r"/snapshots"), self.start),
            ("POST", re.compile(r"/snapshots/completion/([^/]+)"), self.complete),
            ("GET", re.compile(r"/snapshots/([^/]+)/blocks"), self.list_blocks),
            ("GET", re.compile(r"/snapshots/([^/]+)/changedblocks"), self.list_changed),
            ("GET", re.compile(r"/snapshots/([^/]+)/blocks/([^/]+)"), self.get_block),
            ("PUT", re.compile(r"/snapshots/([^/]+)/blocks/([^/]+)"), self.put_block),
        ]

    def __call__(self, request, conduct=None):
        try:
            body = request.body_view(BLOCK_SIZE) if request.method == "PUT" else request.body(BLOCK_SIZE)
            if body is None:
                raise invalid("INVALID_BLOCK", "The body is longer than a block.")
            digest = hashlib.sha256(body)
            caller = self.authenticate(request, digest.hexdigest())
            for method, pattern, serve in self.routes:
                match = pattern.fullmatch(request.path)
                if match and method == request.method:
                    parts = [unquote(p) for p in match.groups()]
                    return serve(caller, request, conduct, body, digest.digest(), *parts)
            raise Failure(404, "UnknownOperationException", "There is no such operation.")
        except Failure as failure:
            return faults.error("ebs", failure.status, failure.kind, failure.message, failure.reason)

    def authenticate(self, request, digest):
        try:
            return sigv4.verify(request.method, request.path, request.query, request.headers, digest, self.region, "ebs")
        except sigv4.Refused as refused:
            status, kind = _AUTH_ERRORS.get(refused.reason, (403, "InvalidSignatureException"))
            raise Failure(status, kind, refused.message) from None

    def snapshot_for(self, caller, snapshot_id, write=False):
        """The snapshot, if it is the caller's, or (to read it) shared with him."""
        if not _SNAPSHOT_ID.fullmatch(snapshot_id):
            raise invalid("INVALID_SNAPSHOT_ID", "The snapshot id '%s' is not valid." % snapshot_id)
        snapshot = self.snapshots.get(snapshot_id)
        if snapshot is None:
            raise Failure(404, "ResourceNotFoundException", "The snapshot '%s' does not exist." % snapshot_id,
                          "SNAPSHOT_NOT_FOUND")
        meta = snapshot.meta
        if meta["owner"] != caller.account and (write or caller.account not in meta["shared"]):
            raise Failure(403, "AccessDeniedException", "The caller is not authorized to access the snapshot '%s'."
                          % snapshot_id, "UNAUTHORIZED_ACCOUNT")
        status = snapshot.status()
        if write and (status != "pending" or meta.get("completes_at")):
            raise invalid("INVALID_SNAPSHOT_ID", "The snapshot '%s' is not pending any more." % snapshot_id)
        if not write and status != "completed":
            raise invalid("INVALID_SNAPSHOT_ID", "The snapshot '%s' is %s, not completed." % (snapshot_id, status))
        return snapshot

    # Reading

    def page(self, request, purpose, indexes, conduct):
        """The part of the sorted indexes that the request asks for, and the token for the next: (part, token)."""
        args = parse_query(request.query)
        limit = DEFAULT_RESULTS
        if "maxResults" in args:
            limit = number_of(args["maxResults"], 100, 10000, "maxResults")
        if args.get("pageToken"):
            start = self.tokens.read(purpose, args["pageToken"])
            if start is None:
                raise invalid("INVALID_PAGE_TOKEN", "The page token is not valid or has expired.")
        else:
            start = 0
            if "startingBlockIndex" in args:
                start = number_of(args["startingBlockIndex"], 0, 2 ** 32 - 1, "startingBlockIndex")
        if conduct is not None and conduct.empty_page:
            return [], self.tokens.make(purpose, start, PAGE_TOKEN_SECONDS)
        if conduct is not None and conduct.short_page:
            limit = 2
        first = bisect_left(indexes, start)
        part = indexes[first:first + limit]
        if first + limit >= len(indexes):
            return part, None
        seconds = PAGE_TOKEN_SECONDS
        if conduct is not None and conduct.token_seconds is not None:
            seconds = conduct.token_seconds
        return part, self.tokens.make(purpose, indexes[first + limit], seconds)

    @staticmethod
    def block_purpose(snapshot, index):
        return "block %s %d" % (snapshot.id, index)

    @staticmethod
    def token_seconds(conduct):
        if conduct is not None and conduct.token_seconds is not None:
            return conduct.token_seconds
        return BLOCK_TOKEN_SECONDS

    def listing(self, field, entries, snapshot, token, seconds):
        document = {field: entries, "ExpiryTime": epoch(time.time() + seconds),
                    "VolumeSize": snapshot.meta["volume_size"], "BlockSize": BLOCK_SIZE}
        if token is not None:
            document["NextToken"] = token
        return self.json(200, document)

    @staticmethod
    def json(status, document):
        return Response(status, [("Content-Type", "application/json"), ("x-amzn-RequestId", faults.REQUEST_ID)],
                        json.dumps(document).encode())

    def list_blocks(self, caller, request, conduct, _body, _digest, snapshot_id):
        snapshot = self.snapshot_for(caller, snapshot_id)
        indexes = sorted(self.snapshots.merged(snapshot))
        part, token = self.page(request, "page " + snapshot.id, indexes, conduct)
        seconds = self.token_seconds(conduct)
        entries = [{"BlockIndex": i, "BlockToken": self.tokens.make(self.block_purpose(snapshot, i), i, seconds)}
                   for i in part]
        return self.listing("Blocks", entries, snapshot, token, seconds)

    def list_changed(self, caller, request, conduct, _body, _digest, snapshot_id):
        second = self.snapshot_for(caller, snapshot_id)
        first_id = parse_query(request.query).get("firstSnapshotId")
        seconds = self.token_seconds(conduct)
        before = {}
        first = None
        if first_id:
            first = self.snapshot_for(caller, first_id)
            lineages = [list(self.snapshots.lineage(s)) for s in (first, second)]
            if lineages[0][-1] is not lineages[1][-1]:
                raise invalid("UNRELATED_SNAPSHOTS", "The snapshots are not of the same lineage.")
            before = self.snapshots.merged(first)
        after = self.snapshots.merged(second)
        changed = sorted(i for i in before.keys() | after.keys() if before.get(i) is not after.get(i))
        part, token = self.page(request, "page %s %s" % (first_id or "", second.id), changed, conduct)
        entries = []
        for i in part:
            entry = {"BlockIndex": i}
            if i in before:
                entry["FirstBlockToken"] = self.tokens.make(self.block_purpose(first, i), i, seconds)
            if i in after:
                entry["SecondBlockToken"] = self.tokens.make(self.block_purpose(second, i), i, seconds)
            entries.append(entry)
        return self.listing("ChangedBlocks", entries, second, token, seconds)

    def get_block(self, caller, request, _conduct, _body, _digest, snapshot_id, index_text):
        snapshot = self.snapshot_for(caller, snapshot_id)
        index = number_of(index_text, 0, snapshot.meta["volume_size"] * BLOCKS_PER_GIB - 1, "The block index",
                          "INVALID_BLOCK")
        token = parse_query(request.query).get("blockToken", "")
        if self.tokens.read(self.block_purpose(snapshot, index), token) is None:
            raise invalid("INVALID_BLOCK_TOKEN", "The block token is not valid or has expired.")
        holder = self.snapshots.holder(snapshot, index)
        return Response(200, [
            ("Content-Type", "application/octet-stream"), ("x-amzn-RequestId", faults.REQUEST_ID),
            ("x-amz-Data-Length", str(BLOCK_SIZE)), ("x-amz-Checksum", b64(holder.blocks[index])),
            ("x-amz-Checksum-Algorithm", "SHA256")], FileSlice(holder.fd, index * BLOCK_SIZE, BLOCK_SIZE))

    # Writing

    def start(self, caller, _request, _conduct, body, _digest):
        try:
            args = json.loads(body or b"{}")
        except ValueError:
            args = None
        if not isinstance(args, dict):
            raise Failure(400, "SerializationException", "The body is not a JSON object.")
        size = number_of(args.get("VolumeSize"), 1, MAX_VOLUME_GIB, "VolumeSize", "INVALID_VOLUME_SIZE")
        timeout = number_of(args.get("Timeout", 60), 10, 4320, "Timeout")
        tags = args.get("Tags") or []
        if not isinstance(tags, list) or not all(isinstance(t, dict) and isinstance(t.get("Key"), str) for t in tags):
            raise invalid("INVALID_TAG", "Tags is not a list of keys and values.")
        parent_id = args.get("ParentSnapshotId")
        if parent_id is not None:
            parent = self.snapshot_for(caller, str(parent_id))
            if parent.meta["owner"] != caller.account:
                raise Failure(403, "AccessDeniedException", "The parent is not the caller's.", "UNAUTHORIZED_ACCOUNT")
            if size < parent.meta["volume_size"]:
                raise invalid("INVALID_VOLUME_SIZE", "VolumeSize is less than that of the parent.")
        meta = {"owner": caller.account, "volume_size": size, "parent": parent_id, "timeout": timeout,
                "description": str(args.get("Description") or ""), "encrypted": bool(args.get("Encrypted")),
                "client_token": args.get("ClientToken"),
                "tags": {t["Key"]: str(t.get("Value", "")) for t in tags}}
        snapshot, _ = self.snapshots.create(**meta)
        if any(snapshot.meta[name] != value for name, value in meta.items()):
            raise Failure(409, "ConflictException", "The client token was used with other parameters.")
        meta = snapshot.meta
        document = {"SnapshotId": snapshot.id, "OwnerId": meta["owner"], "Status": snapshot.status(),
                    "StartTime": epoch(meta["start_time"]), "VolumeSize": size, "BlockSize": BLOCK_SIZE,
                    "Tags": [{"Key": k, "Value": v} for k, v in meta["tags"].items()]}
        if meta["description"]:
            document["Description"] = meta["description"]
        if parent_id is not None:
            document["ParentSnapshotId"] = parent_id
        return self.json(201, document)

    def put_block(self, caller, request, _conduct, body, digest, snapshot_id, index_text):
        snapshot = self.snapshot_for(caller, snapshot_id, write=True)
        index = number_of(index_text, 0, snapshot.meta["volume_size"] * BLOCKS_PER_GIB - 1, "The block index",
                          "INVALID_BLOCK")
        headers = request.headers
        if headers.get("x-amz-data-length") != str(BLOCK_SIZE) or len(body) != BLOCK_SIZE:
            raise invalid("INVALID_BLOCK", "A block must have %d bytes." % BLOCK_SIZE)
        if headers.get("x-amz-checksum-algorithm") != "SHA256":
            raise invalid("INVALID_PARAMETER_VALUE", "The checksum algorithm must be SHA256.")
        number_of(headers.get("x-amz-progress", "0"), 0, 100, "The progress")
        if headers.get("x-amz-checksum") != b64(digest):
            raise invalid("INVALID_BLOCK", "The checksum is not that of the block.")
        snapshot.put(index, body, digest)
        return Response(201, [("x-amzn-RequestId", faults.REQUEST_ID), ("x-amz-Checksum", b64(digest)),
                              ("x-amz-Checksum-Algorithm", "SHA256")])

    def complete(self, caller, request, _conduct, _body, _digest, snapshot_id):
        headers = request.headers
        if _SNAPSHOT_ID.fullmatch(snapshot_id):
            done = self.snapshots.get(snapshot_id)
            if done is not None and done.meta["owner"] == caller.account and done.meta.get("completes_at"):
                return self.json(202, {"Status": done.status()})  # asked once more
        snapshot = self.snapshot_for(caller, snapshot_id, write=True)
        count = number_of(headers.get("x-amz-changedblockscount"), 0, 2 ** 32, "ChangedBlocksCount")
        if count != len(snapshot.blocks):
            raise invalid("INVALID_PARAMETER_VALUE", "ChangedBlocksCount is %d, but %d blocks were put."
                          % (count, len(snapshot.blocks)))
        if "x-amz-checksum" in headers:
            if headers.get("x-amz-checksum-algorithm") != "SHA256":
                raise invalid("INVALID_PARAMETER_VALUE", "The checksum algorithm must be SHA256.")
            if headers.get("x-amz-checksum-aggregation-method") != "LINEAR":
                raise invalid("INVALID_PARAMETER_VALUE", "The checksum aggregation method must be LINEAR.")
            if headers["x-amz-checksum"] != b64(snapshot.linear_checksum()):
                raise invalid("INVALID_PARAMETER_VALUE", "The checksum is not that of all blocks.")
        with snapshot.lock:
            snapshot.meta["completes_at"] = time.time() + self.completion
            snapshot.save()
        # However long it took to save that.
        return self.json(202, {"Status": "pending" if self.completion else snapshot.status()})


def b64(data):
    return base64.b64encode(data).decode()
