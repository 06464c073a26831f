# SPDX-License-Identifier: Apache-2.0
"""Parameters of SSM: those of STATE/ssm.json, a map of names to values. GetParameter and GetParametersByPath."""

import hashlib
import json
import time

from . import sigv4
from .httpd import Response

MAX_BODY = 1 << 20


class Failure(Exception):
    def __init__(self, kind, message, status=400):
        super().__init__(message)
        self.kind, self.message, self.status = kind, message, status


class Ssm:
    def __init__(self, path, region):
        self.path = path
        self.region = region

    def __call__(self, request, _conduct=None):
        try:
            body = request.body(MAX_BODY) or b""
            self.authenticate(request, body)
            action = request.headers.get("x-amz-target", "")
            if request.method != "POST" or request.headers.get("content-type") != "application/x-amz-json-1.1":
                raise Failure("SerializationException", "this is no request of SSM")
            document = self.act(action, json.loads(body))
            return self.reply(200, document)
        except Failure as failure:
            return self.reply(failure.status, {"__type": failure.kind, "message": failure.message})

    @staticmethod
    def reply(status, document):
        return Response(status, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(document).encode())

    def authenticate(self, request, body):
        try:
            sigv4.verify(request.method, request.path, request.query, request.headers,
                         hashlib.sha256(body).hexdigest(), self.region, "ssm")
        except sigv4.Refused as refused:
            raise Failure("InvalidSignatureException", refused.message, 403) from None

    def known(self):
        try:
            with open(self.path, encoding="utf-8") as data:
                return json.load(data)
        except FileNotFoundError:
            return {}

    @staticmethod
    def parameter(name, value):
        return {"Name": name, "Type": "String", "Value": value, "Version": 1, "LastModifiedDate": time.time(),
                "ARN": "arn:aws:ssm:us-east-1::parameter" + name, "DataType": "aws:ec2:image"}

    def act(self, action, asked):
        known = self.known()
        if action == "AmazonSSM.GetParameter":
            if asked.get("Name") not in known:
                raise Failure("ParameterNotFound", "")
            return {"Parameter": self.parameter(asked["Name"], known[asked["Name"]])}
        if action == "AmazonSSM.GetParametersByPath":
            names = sorted(n for n in known if n.startswith(asked["Path"].rstrip("/") + "/"))
            start = int(asked.get("NextToken") or 0)
            end = start + int(asked.get("MaxResults") or 10)
            reply = {"Parameters": [self.parameter(n, known[n]) for n in names[start:end]]}
            if end < len(names):
                reply["NextToken"] = str(end)
            return reply
        raise Failure("UnknownOperationException", "no action '%s'" % action)
