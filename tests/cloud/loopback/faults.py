# SPDX-License-Identifier: Apache-2.0
"""Faults: what the cloud does wrong on purpose, to which requests, and how often."""

import itertools
import json
import re
import threading
import time
from xml.sax.saxutils import escape

from .httpd import Response

# kind -> (services, options besides --service --match --count --skip, what it does)
ALL = ("ec2", "ebs", "s3", "ssm", "glance", "web")
KINDS = {
    "hangup": (ALL, (), "close the connection without any answer"),
    "drop": (ALL, ("bytes", "reset"), "full Content-Length, but close after BYTES of the body (default: half)"),
    "truncate": (ALL, ("bytes",), "only BYTES of the body (default: half), with a Content-Length that agrees"),
    "short": (ALL, ("bytes",), "only BYTES of the body (default: half), no Content-Length, connection closed"),
    "corrupt": (ALL, ("offset",), "one byte of the body, at OFFSET (default: the middle), inverted"),
    "drip": (ALL, ("rate",), "body at RATE bytes a second"),
    "stall": (ALL, ("bytes", "seconds"), "headers and BYTES of the body (default 0), then silence for SECONDS or for ever"),
    "status": (ALL, ("status",), "answer with HTTP status STATUS (default 500) and an error document"),
    "throttle": (ALL, (), "EC2: 503 RequestLimitExceeded, EBS: 400 RequestThrottledException, S3: 503 SlowDown, web: 429"),
    "expired": (ALL, (), "EC2: 400 RequestExpired, EBS: 403 ExpiredTokenException, S3: 400 ExpiredToken, web: 401"),
    "denied": (ALL, (), "EC2: 403 UnauthorizedOperation, EBS: 403 AccessDeniedException, S3: 403 AccessDenied, web: 403"),
    "missing": (ALL, (), "EC2: 400 InvalidAMIID.NotFound, EBS: 404 ResourceNotFoundException, S3: 404 NoSuchKey, web: 404"),
    "redirect": (("s3",), ("region",), "301 PermanentRedirect to REGION, unless the request is signed for it"),
    "wrong-region": (("s3",), ("region",), "400 AuthorizationHeaderMalformed naming REGION, unless signed for it"),
    "checksum": (("ebs",), (), "GetSnapshotBlock: a wrong x-amz-Checksum"),
    "empty-page": (("ec2", "ebs"), (), "lists: an empty page with a NextToken"),
    "lag": (("ec2",), ("seconds",), "what was made or removed less than SECONDS (default 5) ago is not known yet"),
    "short-page": (("ebs",), (), "lists: no more than two entries in a page"),
    "short-expiry": (("ebs",), ("seconds",), "lists: block and page tokens that expire after SECONDS (default 0)"),
}
NUMBERS = ("count", "skip", "bytes", "offset", "rate", "status", "seconds")

_SCOPE_REGION = re.compile(r"Credential=[^/,\s]+/\d{8}/([^/,\s]+)/")


class Fault:
    def __init__(self, fault_id, spec):
        self.id = fault_id
        self.spec = spec
        self.kind = spec["kind"]
        self.pattern = re.compile(spec.get("match") or "")
        self.left = spec.get("count")  # None: for ever
        self.skip = spec.get("skip") or 0
        self.hits = 0

    def number(self, name, default):
        value = self.spec.get(name)
        return default if value is None else value

    def describe(self):
        return dict(self.spec, id=self.id, hits=self.hits, left=self.left, skip=self.skip)


def check(spec):
    """One line that says what is wrong with a fault's description, or None."""
    kind = KINDS.get(spec.get("kind"))
    if kind is None:
        return "unknown kind of fault '%s'" % spec.get("kind")
    services, options, _ = kind
    service = spec.get("service")
    if service not in services:
        return "'%s' needs --service %s" % (spec["kind"], " or ".join(services))
    for name, value in spec.items():
        if name in ("kind", "service", "match", "count", "skip") or value is None or value is False:
            continue
        if name not in options:
            return "'%s' does not take --%s" % (spec["kind"], name)
    for name in NUMBERS:
        if spec.get(name) is not None and spec[name] < (1 if name in ("count", "rate") else 0):
            return "--%s is too small" % name
    if "region" in options and not spec.get("region"):
        return "'%s' needs --region" % spec["kind"]
    if "rate" in options and spec.get("rate") is None:
        return "'%s' needs --rate" % spec["kind"]
    if spec["kind"] == "status" and not 200 <= (spec.get("status") or 500) <= 599:
        return "--status is not between 200 and 599"
    try:
        re.compile(spec.get("match") or "")
    except re.error as error:
        return "--match: %s" % error
    return None


class Faults:
    """The faults that are switched on; every server asks here for every request."""

    def __init__(self):
        self.lock = threading.Lock()
        self.active = []
        self.ids = itertools.count(1)

    def add(self, spec):
        with self.lock:
            fault = Fault(next(self.ids), spec)
            self.active.append(fault)
            return fault.id

    def clear(self, ids):
        """Switches off those with the given ids, or all; returns how many."""
        with self.lock:
            kept = [f for f in self.active if ids and f.id not in ids]
            gone = len(self.active) - len(kept)
            self.active = kept
            return gone

    def list(self):
        with self.lock:
            return [f.describe() for f in self.active]

    def take(self, service, request):
        """The first fault that concerns the request; its count goes down."""
        if not self.active:
            return None
        label = "%s %s" % (request.method, request.label or request.target)
        with self.lock:
            for fault in self.active:
                if fault.spec["service"] != service or not fault.pattern.search(label):
                    continue
                if not concerns(fault, request):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.hits += 1
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left == 0:
                        self.active = [f for f in self.active if f is not fault]
                return fault
        return None

    def consult(self, service, request):
        """(Response in place of the true one or None, Conduct or None)"""
        fault = self.take(service, request)
        if fault is None:
            return None, None
        return error_for(service, fault, request), Conduct(fault)


def concerns(fault, request):
    """Some faults are only about some requests of a service."""
    if fault.kind in ("redirect", "wrong-region"):
        scope = _SCOPE_REGION.search(request.headers.get("authorization", ""))
        return scope is None or scope.group(1) != fault.spec["region"]
    if fault.kind == "checksum":
        return request.method == "GET" and "/blocks/" in request.path
    if fault.kind in ("empty-page", "short-page", "short-expiry"):
        label = request.label or request.path
        return label.partition("?")[0].endswith(("/blocks", "/changedblocks")) or "Action=Describe" in label
    return True


class Conduct:
    """How an answer is sent: the faults that let the true answer through and then spoil it."""

    def __init__(self, fault):
        self.fault = fault
        self.fault_id = fault.id
        self.kind = fault.kind
        self.hang_up = fault.kind == "hangup"
        self.cut = fault.kind in ("drop", "short", "stall")
        self.reset = bool(fault.spec.get("reset"))
        self.empty_page = fault.kind == "empty-page"
        self.lag = fault.number("seconds", 5) if fault.kind == "lag" else 0
        self.short_page = fault.kind == "short-page"
        self.token_seconds = fault.number("seconds", 0) if fault.kind == "short-expiry" else None

    def shape(self, request, headers, chunks, length):
        """(headers, chunks, length) as they are to be sent."""
        kind, fault = self.kind, self.fault
        if kind == "checksum":
            return [(n, spoil(v) if n.lower() == "x-amz-checksum" else v) for n, v in headers], chunks, length
        if kind not in ("drop", "truncate", "short", "corrupt", "drip", "stall"):
            return headers, chunks, length
        if length is None:
            data = b"".join(chunks)
            chunks, length = iter((data,)), len(data)
        if kind == "corrupt":
            return headers, inverted(chunks, fault.number("offset", length // 2)), length
        if kind == "drip":
            return headers, dripped(chunks, fault.number("rate", 1)), length
        if kind == "stall":
            return headers, self.stalled(request, chunks, fault.number("bytes", 0)), length
        limit = min(fault.number("bytes", length // 2), length)
        if kind == "truncate":
            return headers, limited(chunks, limit), limit
        if kind == "short":
            request.keep_alive = False
            return headers, limited(chunks, limit), None
        return headers, limited(chunks, limit), length

    def stalled(self, request, chunks, limit):
        yield from limited(chunks, limit)
        request.connection.wait_for_hangup(self.fault.number("seconds", None))


def spoil(checksum):
    return ("B" if checksum[0] == "A" else "A") + checksum[1:]


def limited(chunks, limit):
    for data in chunks:
        if limit <= 0:
            return
        yield data[:limit]
        limit -= len(data)


def inverted(chunks, offset):
    at = 0
    for data in chunks:
        if at <= offset < at + len(data):
            i = offset - at
            data = data[:i] + bytes([data[i] ^ 0xff]) + data[i + 1:]
        at += len(data)
        yield data


def dripped(chunks, rate):
    step = max(1, rate // 20)
    for data in chunks:
        for i in range(0, len(data), step):
            piece = data[i:i + step]
            time.sleep(len(piece) / rate)
            yield piece


ERRORS = {  # kind -> service -> (status, code, message, reason of EBS)
    "throttle": {
        "ec2": (503, "RequestLimitExceeded", "Request limit exceeded.", None),
        "ebs": (400, "RequestThrottledException", "The number of requests exceeds the limit.", "ACCOUNT_THROTTLED"),
        "s3": (503, "SlowDown", "Please reduce your request rate.", None),
        "ssm": (400, "ThrottlingException", "Rate exceeded", None),
        "web": (429, "Too Many Requests", "Slow down.", None)},
    "expired": {
        "ec2": (400, "RequestExpired", "Request has expired.", None),
        "ebs": (403, "ExpiredTokenException", "The security token included in the request is expired", None),
        "s3": (400, "ExpiredToken", "The provided token has expired.", None),
        "ssm": (400, "ExpiredTokenException", "The security token included in the request is expired", None),
        "web": (401, "Unauthorized", "The token has expired.", None)},
    "denied": {
        "ec2": (403, "UnauthorizedOperation", "You are not authorized to perform this operation.", None),
        "ebs": (403, "AccessDeniedException", "You are not authorized to perform this operation.",
                "UNAUTHORIZED_ACCOUNT"),
        "s3": (403, "AccessDenied", "Access Denied", None),
        "ssm": (400, "AccessDeniedException", "not authorized", None),
        "web": (403, "Forbidden", "Not for you.", None)},
    "missing": {
        "ec2": (400, "InvalidAMIID.NotFound", "The image id does not exist", None),
        "ebs": (404, "ResourceNotFoundException", "The snapshot does not exist.", "SNAPSHOT_NOT_FOUND"),
        "s3": (404, "NoSuchKey", "The specified key does not exist.", None),
        "ssm": (400, "ParameterNotFound", "", None),
        "web": (404, "Not Found", "Nothing is here.", None)},
}
STATUS_CODES = {  # of the kind 'status'
    "ec2": {500: "InternalError", 503: "Unavailable"},
    "ebs": {500: "InternalServerException", 503: "ServiceUnavailableException"},
    "s3": {500: "InternalError", 503: "ServiceUnavailable"},
    "ssm": {500: "InternalServerError"},
    "web": {},
}


def error_for(service, fault, request):
    kind = fault.kind
    if service == "glance":
        service = "web"
    if kind == "status":
        status = fault.number("status", 500)
        code = STATUS_CODES[service].get(status, "InternalError")
        return error(service, status, code, "An internal error has occurred", None, request)
    if kind == "redirect":
        return error("s3", 301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using "
                     "the specified endpoint. Please send all future requests to this endpoint.", None, request,
                     fault.spec["region"], endpoint=True)
    if kind == "wrong-region":
        scope = _SCOPE_REGION.search(request.headers.get("authorization", ""))
        message = "The authorization header is malformed; the region '%s' is wrong; expecting '%s'" % (
            scope.group(1) if scope else "", fault.spec["region"])
        return error("s3", 400, "AuthorizationHeaderMalformed", message, None, request, fault.spec["region"])
    if kind in ERRORS:
        status, code, message, reason = ERRORS[kind][service]
        return error(service, status, code, message, reason, request)
    return None


REQUEST_ID = "59dbff89-35bd-4eac-99ed-be587EXAMPLE"


def error(service, status, code, message, reason=None, request=None, region=None, endpoint=False):
    """The error document of a service."""
    if service == "ec2":
        body = ('<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>%s</Code><Message>%s</Message>'
                "</Error></Errors><RequestID>%s</RequestID></Response>" % (escape(code), escape(message), REQUEST_ID))
        return Response(status, [("Content-Type", "text/xml;charset=UTF-8")], body.encode())
    if service == "ebs":
        document = {"Message": message}
        if reason:
            document["Reason"] = reason
        return Response(status, [("Content-Type", "application/json"), ("x-amzn-RequestId", REQUEST_ID),
                                 ("x-amzn-ErrorType", code)], json.dumps(document).encode())
    if service == "ssm":
        return Response(status, [("Content-Type", "application/x-amz-json-1.1")],
                        json.dumps({"__type": code, "message": message}).encode())
    if service in ("glance", "web"):
        return Response(status, [("Content-Type", "text/plain")], ("%s: %s\n" % (code, message)).encode())
    headers = [("Content-Type", "application/xml"), ("x-amz-request-id", "LOOPBACK0000001")]
    more = ""
    if region:
        headers.append(("x-amz-bucket-region", region))
        more += "<Region>%s</Region>" % escape(region)
    if endpoint:
        host = request.headers.get("host", "127.0.0.1")
        more += "<Endpoint>%s</Endpoint><Bucket>%s</Bucket>" % (
            escape(host), escape(request.path.lstrip("/").partition("/")[0]))
    if request is not None:
        more += "<Resource>%s</Resource>" % escape(request.path)
    body = ('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>%s</Message>%s'
            "<RequestId>LOOPBACK0000001</RequestId></Error>" % (escape(code), escape(message), more))
    return Response(status, headers, body.encode())
