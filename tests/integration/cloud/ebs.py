#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proofs of the EBS direct APIs, with botocore as the client."""

import base64
import hashlib
import json
from urllib.parse import quote

from client import BLOCK, OTHER, OWNER, block, checksum, client, cloud, fault, fetch, main, make_snapshot, refused

REFUSED = "ValidationException"


def reason(target, method="GET", body=b"", headers=None):
    """(HTTP status, kind of error, reason) of a request sent by hand."""
    answer = fetch("ebs", target, method, body, headers)
    return answer.status, answer.getheader("x-amzn-ErrorType"), json.loads(answer.read()).get("Reason")


def list_all(ebs, snapshot, **more):
    out, pages, token = [], 0, {}
    while True:
        page = ebs.list_snapshot_blocks(SnapshotId=snapshot, **more, **token)
        out += page.get("Blocks", [])
        pages += 1
        if not page.get("NextToken"):
            return out, pages
        token = {"NextToken": page["NextToken"]}


def round_trip():
    ebs = client("ebs")
    blocks = {2047: block(1), 0: block(2), 7: bytes(BLOCK), 3: block(3)}
    started = ebs.start_snapshot(VolumeSize=1, Description="d", Tags=[{"Key": "k", "Value": "v"}])
    assert started["ResponseMetadata"]["HTTPStatusCode"] == 201 and started["BlockSize"] == BLOCK
    assert (started["Status"], started["OwnerId"], started["VolumeSize"]) == ("pending", OWNER, 1)
    snapshot = started["SnapshotId"]
    for index, data in blocks.items():
        put = ebs.put_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockData=data, DataLength=BLOCK, Progress=50,
                                     Checksum=checksum(data), ChecksumAlgorithm="SHA256")
        assert put["ResponseMetadata"]["HTTPStatusCode"] == 201 and put["Checksum"] == checksum(data)
    assert reason("/snapshots/%s/blocks" % snapshot) == (400, REFUSED, "INVALID_SNAPSHOT_ID")
    linear = hashlib.sha256(b"".join(hashlib.sha256(blocks[i]).digest() for i in sorted(blocks))).digest()
    right = {"SnapshotId": snapshot, "ChangedBlocksCount": 4, "Checksum": base64.b64encode(linear).decode(),
             "ChecksumAlgorithm": "SHA256", "ChecksumAggregationMethod": "LINEAR"}
    refused(REFUSED, 400, ebs.complete_snapshot, **dict(right, ChangedBlocksCount=3))
    refused(REFUSED, 400, ebs.complete_snapshot, **dict(right, Checksum=checksum(b"")))
    done = ebs.complete_snapshot(**right)
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 202 and done["Status"] == "pending"
    refused(REFUSED, 400, ebs.put_snapshot_block, SnapshotId=snapshot, BlockIndex=1, BlockData=block(1), DataLength=BLOCK,
            Checksum=checksum(block(1)), ChecksumAlgorithm="SHA256")
    while ebs.complete_snapshot(**right)["Status"] == "pending":
        pass
    page = ebs.list_snapshot_blocks(SnapshotId=snapshot)
    assert [b["BlockIndex"] for b in page["Blocks"]] == [0, 3, 7, 2047]
    assert page["VolumeSize"] == 1 and page["BlockSize"] == BLOCK and page["ExpiryTime"] and "NextToken" not in page
    for entry in page["Blocks"]:
        got = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=entry["BlockIndex"], BlockToken=entry["BlockToken"])
        data = got["BlockData"].read()
        assert data == blocks[entry["BlockIndex"]] and got["DataLength"] == BLOCK
        assert got["Checksum"] == checksum(data) and got["ChecksumAlgorithm"] == "SHA256"


def paging():
    ebs = client("ebs")
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    data = block(5)
    wanted = list(range(0, 1050, 5))
    for index in wanted:
        ebs.put_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockData=data, DataLength=BLOCK,
                               Checksum=checksum(data), ChecksumAlgorithm="SHA256")
    cloud("snapshot", "set", snapshot, "status=completed")
    for more, pages in (({}, 3), ({"MaxResults": 100}, 3), ({"MaxResults": 10000}, 1), ({"MaxResults": 150}, 2)):
        got, count = list_all(ebs, snapshot, **more)
        assert [b["BlockIndex"] for b in got] == wanted and count == pages, (more, count)
    got, _ = list_all(ebs, snapshot, StartingBlockIndex=1001)
    assert [b["BlockIndex"] for b in got] == [i for i in wanted if i >= 1001]
    assert all(len(b["BlockToken"]) <= 256 for b in got)
    target = "/snapshots/%s/blocks?" % snapshot
    for wrong in ("maxResults=99", "maxResults=10001", "maxResults=x", "startingBlockIndex=-1"):
        assert reason(target + wrong) == (400, REFUSED, "INVALID_PARAMETER_VALUE"), wrong
    assert reason(target + "pageToken=AAAA") == (400, REFUSED, "INVALID_PAGE_TOKEN")
    # A page may be empty and not the last.
    fault("empty-page", "ebs", "--count", "2")
    got, pages = list_all(ebs, snapshot)
    assert [b["BlockIndex"] for b in got] == wanted and pages == 5, pages


def tokens():
    ebs = client("ebs")
    blocks = {i: block(i) for i in range(3)}
    one, two = make_snapshot(ebs, blocks), make_snapshot(ebs, blocks)
    listed = ebs.list_snapshot_blocks(SnapshotId=one)["Blocks"]
    token = listed[0]["BlockToken"]

    def get(snapshot, index, block_token):
        return reason("/snapshots/%s/blocks/%s?blockToken=%s" % (snapshot, index, quote(block_token, safe="")))

    bad = (400, REFUSED, "INVALID_BLOCK_TOKEN")
    assert get(one, 1, token) == bad and get(two, 0, token) == bad and get(one, 0, "") == bad
    assert get(one, 0, token[:-2]) == bad and get(one, 0, ("A" if token[0] != "A" else "B") + token[1:]) == bad
    assert get(one, 0, "%$") == bad and get(one, 9, token) == bad
    assert get(one, 2048, token) == get(one, "x", token) == (400, REFUSED, "INVALID_BLOCK")
    answer = fetch("ebs", "/snapshots/%s/blocks/0?blockToken=%s" % (one, quote(token, safe="")))
    assert answer.status == 200 and answer.read() == blocks[0]
    fault("short-expiry", "ebs", "--count", "1")
    old = ebs.list_snapshot_blocks(SnapshotId=one)["Blocks"][0]["BlockToken"]
    assert get(one, 0, old) == bad
    many = make_snapshot(ebs, {i: block(1) for i in range(101)})
    fault("short-expiry", "ebs", "--count", "1")
    page = ebs.list_snapshot_blocks(SnapshotId=many)["NextToken"]
    expired = (400, REFUSED, "INVALID_PAGE_TOKEN")
    assert reason("/snapshots/%s/blocks?pageToken=%s" % (many, quote(page, safe=""))) == expired
    page = ebs.list_snapshot_blocks(SnapshotId=many)["NextToken"]
    assert reason("/snapshots/%s/blocks?pageToken=%s" % (one, quote(page, safe=""))) == expired


def put_refused():
    ebs = client("ebs")
    snapshot = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    right = {"SnapshotId": snapshot, "BlockIndex": 0, "BlockData": block(0), "DataLength": BLOCK,
             "Checksum": checksum(block(0)), "ChecksumAlgorithm": "SHA256"}
    for wrong in ({"Checksum": checksum(block(1))}, {"BlockIndex": 2048}, {"DataLength": 512},
                  {"BlockData": b"x" * 512, "Checksum": checksum(b"x" * 512)}):
        refused(REFUSED, 400, ebs.put_snapshot_block, **dict(right, **wrong))
    ebs.put_snapshot_block(**right)
    again = block(9)
    ebs.put_snapshot_block(**dict(right, BlockData=again, Checksum=checksum(again)))
    refused(REFUSED, 400, ebs.complete_snapshot, SnapshotId=snapshot, ChangedBlocksCount=2)
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=1)
    too_long = fetch("ebs", "/snapshots/%s/blocks/0" % snapshot, "PUT", bytes(BLOCK + 1))
    assert too_long.status == 400


def start():
    ebs = client("ebs")
    one = ebs.start_snapshot(VolumeSize=2, ClientToken="once-only")
    assert ebs.start_snapshot(VolumeSize=2, ClientToken="once-only")["SnapshotId"] == one["SnapshotId"]
    refused("ConflictException", 409, ebs.start_snapshot, VolumeSize=3, ClientToken="once-only")
    for body, why in ((b'{"VolumeSize": 0}', "INVALID_VOLUME_SIZE"), (b'{"VolumeSize": 65537}', "INVALID_VOLUME_SIZE"),
                      (b"{}", "INVALID_VOLUME_SIZE"), (b'{"VolumeSize": 1, "Timeout": 9}', "INVALID_PARAMETER_VALUE"),
                      (b'{"VolumeSize": 1, "Tags": [1]}', "INVALID_TAG")):
        assert reason("/snapshots", "POST", body) == (400, REFUSED, why), body
    assert reason("/snapshots", "POST", b"[")[:2] == (400, "SerializationException")
    assert reason("/nonsense")[0] == 404


def changed():
    ebs = client("ebs")
    first = make_snapshot(ebs, {0: block(0), 1: block(1)})
    second = make_snapshot(ebs, {1: block(11), 2: block(2)}, ParentSnapshotId=first)
    other = make_snapshot(ebs, {0: block(0)})
    listed = ebs.list_snapshot_blocks(SnapshotId=second)["Blocks"]
    assert [b["BlockIndex"] for b in listed] == [0, 1, 2]
    for entry, data in zip(listed, (block(0), block(11), block(2))):
        got = ebs.get_snapshot_block(SnapshotId=second, **entry)
        assert got["BlockData"].read() == data and got["Checksum"] == checksum(data)
    between = ebs.list_changed_blocks(FirstSnapshotId=first, SecondSnapshotId=second)["ChangedBlocks"]
    assert [b["BlockIndex"] for b in between] == [1, 2]
    assert "FirstBlockToken" in between[0] and "FirstBlockToken" not in between[1]
    old = ebs.get_snapshot_block(SnapshotId=first, BlockIndex=1, BlockToken=between[0]["FirstBlockToken"])
    new = ebs.get_snapshot_block(SnapshotId=second, BlockIndex=1, BlockToken=between[0]["SecondBlockToken"])
    assert (old["BlockData"].read(), new["BlockData"].read()) == (block(1), block(11))
    alone = ebs.list_changed_blocks(SecondSnapshotId=second)["ChangedBlocks"]
    assert [b["BlockIndex"] for b in alone] == [0, 1, 2]
    unrelated = reason("/snapshots/%s/changedblocks?firstSnapshotId=%s" % (other, first))
    assert unrelated == (400, REFUSED, "UNRELATED_SNAPSHOTS")
    refused(REFUSED, 400, ebs.start_snapshot, VolumeSize=1, ParentSnapshotId="snap-x")
    refused("ResourceNotFoundException", 404, ebs.start_snapshot, VolumeSize=1, ParentSnapshotId="snap-0123456789abcdef0")


def whose():
    ebs, other = client("ebs"), client("ebs", "other")
    snapshot = make_snapshot(ebs, {0: block(0)})
    target = "/snapshots/%s/blocks" % snapshot
    refused("AccessDeniedException", 403, other.list_snapshot_blocks, SnapshotId=snapshot)
    refused("AccessDeniedException", 403, other.complete_snapshot, SnapshotId=snapshot, ChangedBlocksCount=1)
    cloud("snapshot", "set", snapshot, "shared=" + OTHER)
    entry = other.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"][0]
    assert other.get_snapshot_block(SnapshotId=snapshot, **entry)["BlockData"].read() == block(0)
    cloud("snapshot", "set", snapshot, "owner-id=" + OTHER)
    assert reason(target) == (403, "AccessDeniedException", "UNAUTHORIZED_ACCOUNT")
    assert reason("/snapshots/snap-0123456789abcdef0/blocks") == (404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
    assert reason("/snapshots/nonsense/blocks") == (400, REFUSED, "INVALID_SNAPSHOT_ID")
    cloud("snapshot", "set", snapshot, "owner-id=" + OWNER, "status=error")
    assert reason(target) == (400, REFUSED, "INVALID_SNAPSHOT_ID")


def signatures():
    def call(*args, **kwargs):
        return client("ebs", *args, **kwargs).start_snapshot

    call("session")(VolumeSize=1)
    refused("InvalidSignatureException", 403, call(secret="wrong"), VolumeSize=1)
    refused("InvalidSignatureException", 403, call(region="eu-west-1"), VolumeSize=1)
    refused("UnrecognizedClientException", 403, call(key="AKIANOSUCHKEY0000001"), VolumeSize=1)
    refused("UnrecognizedClientException", 403, call("session", token="forged"), VolumeSize=1)
    refused("ExpiredTokenException", 403, call("expired"), VolumeSize=1)
    target = "/snapshots/snap-0123456789abcdef0/blocks/0?blockToken=%2B%2F%3D"
    assert reason(target)[0] == 404  # reserved characters in a query, signed right
    unsigned = fetch("ebs", "/snapshots", "POST", b'{"VolumeSize": 1}', {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert unsigned.status == 201
    forged = fetch("ebs", "/snapshots", "POST", b'{"VolumeSize": 1}', {"X-Amz-Content-SHA256": "0" * 64})
    assert forged.status == 403


if __name__ == "__main__":
    main(globals())
