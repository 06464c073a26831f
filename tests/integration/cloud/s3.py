#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proofs of S3 behind the proxy, with botocore as the client."""

import datetime
import hashlib
import http.client
import re
from unittest import mock
from urllib.parse import quote

from client import client, endpoint, fetch, main, refused, send, signed

KEYS = ("plain", "a=b x*y c:d e@f", "h,i j;k", "p(1) q'q", "dir/sub/é+&%", "t~u", "h%2Fx")


def bucket(name):
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    return s3


def signatures():
    s3 = bucket("signatures")
    s3.put_object(Bucket="signatures", Key="k", Body=b"data")
    here = {"Bucket": "signatures", "Key": "k"}
    assert client("s3", "session").get_object(**here)["Body"].read() == b"data"
    refused("SignatureDoesNotMatch", 403, client("s3", secret="wrong").get_object, **here)
    refused("InvalidAccessKeyId", 403, client("s3", key="AKIANOSUCHKEY0000001").get_object, **here)
    refused("InvalidToken", 400, client("s3", "session", token="forged").get_object, **here)
    refused("ExpiredToken", 400, client("s3", "expired").get_object, **here)
    refused("AccessDenied", 403, client("s3", "other").get_object, **here)
    refused("NoSuchKey", 404, s3.get_object, Bucket="signatures", Key="nix")
    refused("NoSuchBucket", 404, s3.get_object, Bucket="no-such-bucket", Key="nix")
    headers = signed("s3", "GET", "/signatures/k")
    assert send("s3", "GET", "/signatures/k", headers=headers).read() == b"data"
    assert send("s3", "GET", "/signatures/j", headers=headers).status == 403
    assert send("s3", "GET", "/signatures/k?versions", headers=headers).status == 403
    assert send("s3", "GET", "/signatures/k", headers=dict(headers, **{"X-Amz-Content-SHA256": "0" * 64})).status >= 400
    headers = signed("s3", "PUT", "/signatures/k", b"data")
    assert send("s3", "PUT", "/signatures/k", b"tada", headers).status == 400
    assert s3.get_object(**here)["Body"].read() == b"data"


def regions():
    bucket("regions").put_object(Bucket="regions", Key="k", Body=b"data")
    answer = fetch("s3", "/regions/k", region="eu-west-1")
    text = answer.read().decode()
    assert answer.status == 400 and "<Code>AuthorizationHeaderMalformed</Code>" in text, text
    assert "<Region>us-east-1</Region>" in text, text
    # botocore goes to the right region by itself.
    assert client("s3", region="eu-west-1").get_object(Bucket="regions", Key="k")["Body"].read() == b"data"


def skewed_clock():
    now = datetime.datetime.utcnow

    class Skewed(datetime.datetime):
        offset = 0

        @classmethod
        def utcnow(cls):
            return now() + datetime.timedelta(seconds=cls.offset)

    with mock.patch.object(datetime, "datetime", Skewed):
        Skewed.offset = -16 * 60
        answer = fetch("s3", "/")
        assert answer.status == 403 and b"RequestTimeTooSkewed" in answer.read()
        Skewed.offset = -14 * 60
        assert fetch("s3", "/").status == 200


def objects():
    s3 = bucket("objects")
    for key in KEYS:
        s3.put_object(Bucket="objects", Key=key, Body=key.encode())
        assert s3.get_object(Bucket="objects", Key=key)["Body"].read() == key.encode()
        answer = fetch("s3", "/objects/" + quote(key, safe="/-_.~"))
        assert answer.read() == key.encode()
    assert sorted(o["Key"] for o in s3.list_objects_v2(Bucket="objects")["Contents"]) == sorted(KEYS)
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="objects", Prefix="dir/")["Contents"]] == ["dir/sub/é+&%"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="objects", PaginationConfig={"PageSize": 2})
    assert len([o for page in pages for o in page["Contents"]]) == len(KEYS)
    data = bytes(range(256)) * 4096
    tag = s3.put_object(Bucket="objects", Key="r", Body=data)["ETag"]
    assert tag == '"%s"' % hashlib.md5(data).hexdigest()
    here = {"Bucket": "objects", "Key": "r"}
    part = s3.get_object(Range="bytes=100-299", IfMatch=tag, **here)
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206 and part["Body"].read() == data[100:300]
    assert part["ContentRange"] == "bytes 100-299/%d" % len(data)
    assert s3.get_object(Range="bytes=1048000-", **here)["Body"].read() == data[1048000:]
    refused("PreconditionFailed", 412, s3.get_object, IfMatch='"0123"', **here)
    refused("InvalidRange", 416, s3.get_object, Range="bytes=1048576-", **here)
    assert s3.head_object(**here)["ContentLength"] == len(data)
    s3.put_object(Bucket="objects", Key="empty", Body=b"")
    assert s3.get_object(Bucket="objects", Key="empty")["Body"].read() == b""
    s3.delete_object(**here)
    refused("404", 404, s3.head_object, **here)


def multipart():
    s3 = bucket("multipart")
    data = hashlib.shake_128(b"multipart").digest(11 << 20)
    part = 5 << 20
    upload = s3.create_multipart_upload(Bucket="multipart", Key="big")["UploadId"]
    here = {"Bucket": "multipart", "Key": "big"}
    parts = []
    for i in range(0, len(data), part):
        number = i // part + 1
        tag = s3.upload_part(PartNumber=number, UploadId=upload, Body=data[i:i + part], **here)["ETag"]
        parts.append({"ETag": tag, "PartNumber": number})
    done = s3.complete_multipart_upload(UploadId=upload, MultipartUpload={"Parts": parts}, **here)
    assert re.fullmatch('"[0-9a-f]{32}-3"', done["ETag"]), done["ETag"]
    assert s3.get_object(**here)["Body"].read() == data
    assert s3.get_object(Range="bytes=5242870-5242890", **here)["Body"].read() == data[5242870:5242891]
    single = s3.put_object(Bucket="multipart", Key="single", Body=data)["ETag"]
    got = s3.get_object(Bucket="multipart", Key="single", IfMatch=single)["Body"].read()
    assert got == data


def keep_alive():
    """Many requests on one connection, whatever comes between."""

    bucket("alive").put_object(Bucket="alive", Key="k", Body=b"x" * 3000000)
    connection = http.client.HTTPConnection(endpoint("s3").split("//")[1])
    for target, status in (("/alive/k", 200), ("/alive/nix", 404), ("/alive", 200), ("/alive/k", 200)):
        answer = send("s3", "GET", target, headers=signed("s3", "GET", target), connection=connection)
        assert answer.status == status
        answer.read()
        assert not answer.will_close
    # One who goes away in the middle harms no one else.
    for _ in range(3):
        broken = http.client.HTTPConnection(endpoint("s3").split("//")[1])
        send("s3", "GET", "/alive/k", headers=signed("s3", "GET", "/alive/k"), connection=broken).read(10)
        broken.close()
    assert len(fetch("s3", "/alive/k").read()) == 3000000


if __name__ == "__main__":
    main(globals())
