# SPDX-License-Identifier: Apache-2.0
"""What the proofs share: boto3 clients without retries, requests signed by botocore and sent by hand, the switches."""

import base64
import functools
import hashlib
import http.client
import os
import subprocess
import sys
import traceback

os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"

# pylint: disable=wrong-import-position
import boto3  # noqa: E402
import botocore.auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "cloud"))
from loopback import credentials  # noqa: E402
from loopback.control import tell  # noqa: E402
from loopback.faults import NUMBERS  # noqa: E402

BLOCK = 524288
STATE = os.environ["STATE"]
CLOUD = os.environ["CLOUD"]
OWNER = credentials.OWNER_ACCOUNT
OTHER = credentials.OTHER_ACCOUNT


def endpoint(service):
    return os.environ["AWS_ENDPOINT_URL_" + service.upper()]


@functools.lru_cache(None)
def client(service, role="owner", region=os.environ["AWS_DEFAULT_REGION"], secret=None, token=None, key=None):
    who = credentials.BY_ROLE[role]
    return boto3.client(service, endpoint_url=endpoint(service), region_name=region,
                        aws_access_key_id=key or who.access_key, aws_secret_access_key=secret or who.secret,
                        aws_session_token=token if token is not None else who.token or None,
                        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"},
                                      read_timeout=120, proxies={}))


def refused(code, status, call, *args, **kwargs):
    """The call must fail with that code and HTTP status; returns the message."""
    try:
        call(*args, **kwargs)
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), "%s, not %s" % (got, (code, status))
        return error.response["Error"]["Message"]
    raise AssertionError("not refused, where %s was expected" % code)


def signed(service, method, target, body=b"", headers=None, region="us-east-1", role="owner"):
    """Headers for a request, made by botocore."""
    who = credentials.BY_ROLE[role]
    request = AWSRequest(method, endpoint(service) + target, headers=headers or {}, data=body)
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer(Credentials(who.access_key, who.secret, who.token or None), service, region).add_auth(request)
    return dict(request.headers.items())


def send(service, method, target, body=b"", headers=None, connection=None):
    """Sends exactly this; returns the response with its head read."""
    if connection is None:
        connection = http.client.HTTPConnection(endpoint(service).split("//")[1], timeout=120)
    connection.request(method, target, body=body or None, headers=headers or {})
    return connection.getresponse()


def fetch(service, target, method="GET", body=b"", headers=None, region="us-east-1"):
    return send(service, method, target, body, signed(service, method, target, body, headers, region))


def cloud(*words):
    out = subprocess.run([CLOUD, words[0], "--state", STATE, *words[1:]], check=True, capture_output=True, text=True)
    return out.stdout.strip()


def fault(kind, service, *words):
    """As 'cloud fault add' does it, without the start of a program; words: --option value …"""
    words = [word for word in words if word != "--reset"] + ["--reset", True] * ("--reset" in words)
    spec = {name[2:]: value for name, value in zip(words[::2], words[1::2])}
    for name in NUMBERS:
        if name in spec:
            spec[name] = int(spec[name])
    return str(tell(STATE, "fault-add", spec=dict(spec, kind=kind, service=service)))


def checksum(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def block(seed):
    return hashlib.shake_128(b"%d" % seed).digest(BLOCK)


def make_snapshot(ebs, blocks, complete=True, size=1, **more):
    """blocks: index -> data. Returns the id of the snapshot, which is completed unless told otherwise."""
    snapshot = ebs.start_snapshot(VolumeSize=size, **more)["SnapshotId"]
    for index, data in blocks.items():
        ebs.put_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockData=data, DataLength=BLOCK,
                               Checksum=checksum(data), ChecksumAlgorithm="SHA256")
    if complete:
        ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(blocks))
        ec2 = client("ec2")
        while ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] != "completed":
            pass
    return snapshot


def main(functions):
    """Runs the functions named on the command line, and writes into the folder named first, for each that fails, why."""
    results = sys.argv[1]
    for name in sys.argv[2:]:
        try:
            functions[name]()
            text = ""
        except Exception:  # pylint: disable=broad-except
            text = traceback.format_exc()
        tell(STATE, "fault-clear", ids=[])
        with open(os.path.join(results, name), "w", encoding="utf-8") as out:
            out.write(text)
