#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proofs of the faults: each is seen by a client that does not retry."""

import functools
import http.client
import json
import os
import re
import socket
import subprocess
import time
from urllib.parse import quote

from client import BLOCK, CLOUD, STATE, block, checksum, client, cloud, fault, fetch, main, make_snapshot, refused

DATA = block(1)[:300000]
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
IMAGES = b"Action=DescribeImages&Version=2016-11-15"


def on_s3(kind, *words):
    """Switches a fault on for one GET, and gives the answer."""
    s3 = client("s3")
    try:
        s3.head_bucket(Bucket="faults")
    except s3.exceptions.ClientError:
        s3.create_bucket(Bucket="faults")
        s3.put_object(Bucket="faults", Key="k", Body=DATA)
    fault(kind, "s3", "--match", "^GET /faults/k", "--count", "1", *words)
    return fetch("s3", "/faults/k")


@functools.lru_cache(None)
def one_block():
    return make_snapshot(client("ebs"), {3: block(3)})


def on_ebs(kind, *words):
    ebs = client("ebs")
    snapshot = one_block()
    token = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"][0]["BlockToken"]
    fault(kind, "ebs", "--match", "/blocks/3", "--count", "1", *words)
    return fetch("ebs", "/snapshots/%s/blocks/3?blockToken=%s" % (snapshot, quote(token, safe="")))


def on_ec2(kind, *words):
    fault(kind, "ec2", "--match", "Action=DescribeImages", "--count", "1", *words)
    return fetch("ec2", "/", "POST", IMAGES, FORM)


def incomplete(answer):
    try:
        answer.read()
    except (http.client.IncompleteRead, ConnectionError) as error:
        return error
    raise AssertionError("the body is whole")


def drop():
    answer = on_s3("drop", "--bytes", "1000")
    assert answer.getheader("content-length") == str(len(DATA)) and len(incomplete(answer).partial) == 1000
    assert len(incomplete(on_s3("drop")).partial) == len(DATA) // 2
    assert len(incomplete(on_ebs("drop", "--bytes", "70000")).partial) == 70000
    assert len(incomplete(on_ec2("drop", "--bytes", "10")).partial) == 10
    assert fetch("s3", "/faults/k").read() == DATA  # it was only once
    incomplete(on_s3("drop", "--bytes", "1000", "--reset"))


def hangup():
    for on in (on_s3, on_ebs, on_ec2):
        try:
            on("hangup")
        except (http.client.RemoteDisconnected, ConnectionError):
            continue
        raise AssertionError("there was an answer")


def truncate():
    answer = on_s3("truncate", "--bytes", "1000")
    assert answer.getheader("content-length") == "1000" and answer.read() == DATA[:1000] and not answer.will_close
    answer = on_ebs("truncate")
    assert answer.getheader("content-length") == str(BLOCK // 2) and answer.read() == block(3)[:BLOCK // 2]
    assert len(on_ec2("truncate", "--bytes", "10").read()) == 10


def short():
    for on, data in ((on_s3, DATA), (on_ebs, block(3))):
        answer = on("short", "--bytes", "1000")
        assert answer.getheader("content-length") is None and answer.getheader("connection") == "close"
        assert answer.read() == data[:1000]


def corrupt():
    got = on_s3("corrupt", "--offset", "5").read()
    assert len(got) == len(DATA) and got[5] == DATA[5] ^ 0xff and got[:5] + got[6:] == DATA[:5] + DATA[6:]
    answer = on_ebs("corrupt")
    got = answer.read()
    differ = [i for i, (a, b) in enumerate(zip(got, block(3))) if a != b]
    assert differ == [BLOCK // 2] and answer.getheader("x-amz-checksum") == checksum(block(3))


def wrong_checksum():
    answer = on_ebs("checksum")
    assert answer.read() == block(3) and answer.getheader("x-amz-checksum") != checksum(block(3))
    assert len(answer.getheader("x-amz-checksum")) == 44


def drip():
    began = time.monotonic()
    assert on_s3("drip", "--rate", "600000").read() == DATA
    assert time.monotonic() - began >= 0.45
    assert on_ebs("drip", "--rate", "2000000").read() == block(3)
    assert b"imagesSet" in on_ec2("drip", "--rate", "1000").read()


def stall():
    for on, size in ((on_s3, len(DATA)), (on_ebs, BLOCK)):
        answer = on("stall", "--bytes", "100")
        assert answer.status == 200 and answer.getheader("content-length") == str(size)
        assert len(answer.read(100)) == 100
        sock = socket.socket(fileno=os.dup(answer.fp.fileno()))
        sock.settimeout(0.3)
        try:
            got = sock.recv(1)
        except TimeoutError:
            continue
        finally:
            sock.close()
        raise AssertionError("not silent: %r" % got)
    assert len(incomplete(on_s3("stall", "--seconds", "0")).partial) == 0


def status():
    for code in (500, 503):
        for on in (on_s3, on_ebs, on_ec2):
            assert on("status", "--status", str(code)).status == code
    answer = on_ebs("status")
    assert answer.getheader("x-amzn-errortype") == "InternalServerException"
    assert b"<Code>InternalError</Code>" in on_ec2("status").read()
    assert b"<Code>ServiceUnavailable</Code>" in on_s3("status", "--status", "503").read()


def errors():
    """The faults that are error documents, as botocore reads them."""
    s3, ebs, ec2 = client("s3"), client("ebs"), client("ec2")
    on_s3("status").read()
    for kind, expected in (
            ("throttle", (("SlowDown", 503), ("RequestThrottledException", 400), ("RequestLimitExceeded", 503))),
            ("expired", (("ExpiredToken", 400), ("ExpiredTokenException", 403), ("RequestExpired", 400))),
            ("denied", (("AccessDenied", 403), ("AccessDeniedException", 403), ("UnauthorizedOperation", 403))),
            ("missing", (("NoSuchKey", 404), ("ResourceNotFoundException", 404), ("InvalidAMIID.NotFound", 400)))):
        for service in ("s3", "ebs", "ec2"):
            fault(kind, service, "--count", "1")
        refused(*expected[0], s3.get_object, Bucket="faults", Key="k")
        refused(*expected[1], ebs.start_snapshot, VolumeSize=1)
        refused(*expected[2], ec2.describe_images)
    answer = on_ebs("throttle")
    assert json.loads(answer.read())["Reason"] == "ACCOUNT_THROTTLED"


def regions():
    answer = on_s3("redirect", "--region", "eu-west-1")
    text = answer.read().decode()
    assert answer.status == 301 and answer.getheader("x-amz-bucket-region") == "eu-west-1"
    assert "<Code>PermanentRedirect</Code>" in text and "<Region>eu-west-1</Region>" in text and "<Endpoint>" in text
    answer = on_s3("wrong-region", "--region", "eu-west-1")
    text = answer.read().decode()
    assert answer.status == 400 and "<Code>AuthorizationHeaderMalformed</Code>" in text
    assert "<Region>eu-west-1</Region>" in text
    # Signed for the region that is named, the request is let through: botocore gets there by itself.
    for kind in ("redirect", "wrong-region"):
        fault(kind, "s3", "--region", "us-east-1")
        fresh = client.__wrapped__("s3", region="eu-west-1")  # a client remembers where it was sent
        assert fresh.get_object(Bucket="faults", Key="k")["Body"].read() == DATA
        hits = [f["hits"] for f in json.loads(cloud("fault", "list", "-o", "json"))]
        assert hits and hits[0] >= 1, hits
        cloud("fault", "clear")


def matching():
    s3 = client("s3")
    on_s3("status").read()
    s3.put_object(Bucket="faults", Key="other", Body=b"1")
    first = cloud("fault", "add", "status", "--service", "s3", "--match", "^GET /faults/k$", "--skip", "1", "--count", "2")
    second = cloud("fault", "add", "throttle", "--service", "s3", "--match", "^GET /faults/oth")
    codes = [fetch("s3", "/faults/k").status for _ in range(5)]
    assert codes == [200, 500, 500, 200, 200], codes
    assert [fetch("s3", "/faults/other").status for _ in range(3)] == [503] * 3
    assert s3.put_object(Bucket="faults", Key="other", Body=b"2")
    text = cloud("fault", "list")
    assert re.fullmatch(r"%s s3 throttle match=\S+ \S+: 3 hits, for ever" % second, text), text
    cloud("fault", "clear", first)
    assert cloud("fault", "list") == text
    cloud("fault", "clear", second)
    assert cloud("fault", "list") == "" and fetch("s3", "/faults/other").status == 200


def wrong_switches():
    for words in (["drop", "--service", "s3", "--rate", "5"], ["redirect", "--service", "s3"],
                  ["checksum", "--service", "s3"], ["status", "--service", "s3", "--status", "99"],
                  ["drip", "--service", "ebs"], ["drop", "--service", "s3", "--match", "("],
                  ["drop", "--service", "s3", "--count", "0"]):
        done = subprocess.run([CLOUD, "fault", "--state", STATE, "add"] + words, capture_output=True, text=True)
        assert done.returncode == 1 and re.fullmatch("cloud: .+\n", done.stderr), (words, done)
    assert subprocess.run([CLOUD, "fault", "--state", STATE, "add", "nonsense", "--service", "s3"],
                          capture_output=True).returncode == 2
    assert cloud("fault", "list") == ""


def log():
    """The log of requests says what was asked, and which fault it met."""
    on_s3("drop", "--bytes", "1000")
    number = "0"
    until = time.monotonic() + 10  # it is written when the client has its answer already
    while number == "0" and time.monotonic() < until:
        with open(os.path.join(STATE, "log", "requests.log"), encoding="utf-8") as lines:
            for line in lines:
                match = re.fullmatch(r"[\d.]+ s3 GET /faults/k 200 1000(?: region=\S+)? fault=(\d+):drop\n", line)
                number = match.group(1) if match else number
        time.sleep(0.05)
    assert number != "0"


if __name__ == "__main__":
    main(globals())
