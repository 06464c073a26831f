#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Signs odd requests with botocore: one JSON object a line, for test_aws_sign.c to compare with.

Usage: botocore_oracle.py COUNT. The requests are random but the same in each run. Exit status 77
where botocore is not installed.
"""
import datetime
import json
import random
import sys
from urllib.parse import quote

try:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    sys.exit(77)

CHARS = ("abcXYZ0189-._~ /+=&?#%*:@,;!'()[]$\"<>\\^`{|}\t" "äß€\U0001f600")


def text(rng, low, high, chars=CHARS):
    return "".join(rng.choice(chars) for _ in range(rng.randint(low, high)))


def path(rng):
    if rng.random() < 0.2:
        return "/" + "/".join(rng.choices(["..", ".", "", "a", "b c", "%41"], k=rng.randint(1, 6)))
    return "/" + text(rng, 0, 30)


def case(rng):
    service = rng.choice(["s3", "s3", "ec2", "ebs", "ssm"])
    # Header values travel in one line, without controls but tabs.
    headers = {}
    for name in rng.sample(["Range", "If-Match", "X-Amz-Meta-Odd", "Content-Type", "x-amz-acl",
                            "X-amz-Request-Payer", "Content-MD5"], rng.randint(0, 4)):
        headers[name] = text(rng, 1, 20, "abc XYZ=-/\"*;  \t")
    return {
        "service": service,
        "region": rng.choice(["us-east-1", "eu-central-1", "cn-north-1", "test"]),
        "method": rng.choice(["GET", "PUT", "POST", "HEAD", "DELETE"]),
        "host": rng.choice(["s3.example.org", "localhost:8080", "b.s3.amazonaws.com",
                            "127.0.0.1:1", "ec2.eu-central-1.amazonaws.com"]),
        "path": path(rng),
        "query": [[text(rng, 1, 8), text(rng, 0, 12)] for _ in range(rng.randint(0, 5))],
        "headers": headers,
        "access": text(rng, 16, 20, "ABCDEFGHIJ0123456789"),
        "secret": text(rng, 20, 40, "abcXYZ+/0189="),
        "token": rng.choice([None, None, text(rng, 10, 300, "abcXYZ+/0189=")]),
        "unsigned": rng.random() < 0.3,
        "body": text(rng, 0, 50) if rng.random() < 0.5 else "",
        "time": rng.randint(0, 4102444800),
    }


def sign(c):
    moment = datetime.datetime.utcfromtimestamp(c["time"])

    class Frozen(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return moment

    botocore.auth.datetime.datetime = Frozen
    scheme = "https://"
    # What goes over the wire: the path encoded once.
    url = scheme + c["host"] + quote(c["path"], safe="/~")
    request = AWSRequest(method=c["method"], url=url, headers=dict(c["headers"]),
                         data=c["body"].encode(), params=[tuple(q) for q in c["query"]])
    request.context["payload_signing_enabled"] = not c["unsigned"]
    cls = botocore.auth.S3SigV4Auth if c["service"] == "s3" else botocore.auth.SigV4Auth
    if c["unsigned"] and c["service"] == "s3":
        # S3's class asks the client's configuration; say it outright.
        request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
        auth = cls(Credentials(c["access"], c["secret"], c["token"]), c["service"], c["region"])
        auth.payload = lambda request: "UNSIGNED-PAYLOAD"
    else:
        auth = cls(Credentials(c["access"], c["secret"], c["token"]), c["service"], c["region"])
    auth.add_auth(request)
    c["date"] = request.context["timestamp"]
    c["authorization"] = request.headers["Authorization"]
    return c


def main():
    rng = random.Random(20130524)
    for _ in range(int(sys.argv[1])):
        print(json.dumps(sign(case(rng))))


main()
