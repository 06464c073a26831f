# SPDX-License-Identifier: Apache-2.0
"""AWS Signature Version 4: strict verification of requests, and signing of our own few.

Only the Authorization header is understood, not presigned URLs.
"""

import calendar
import hashlib
import hmac
import re
import time
from urllib.parse import quote, unquote

from . import credentials

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
MAX_SKEW = 15 * 60  # seconds

_AUTHORIZATION = re.compile(
    ALGORITHM + r"\s+Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)/aws4_request"
    r"\s*,\s*SignedHeaders=(?P<headers>[a-z0-9;_-]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})\s*")


class Refused(Exception):
    """The request is not to be served. reason is one of: missing, incomplete, unknown-key, bad-token, expired,
    skewed, scope, unsigned-header, payload, mismatch."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason
        self.message = message


def signing_key(secret, date, region, service):
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _uri_encode(text):
    return quote(text, safe="-_.~")


def canonical_query(query):
    pairs = []
    for item in query.split("&"):
        if item:
            name, _, value = item.partition("=")
            # A client may have left reserved characters raw: what is signed is the encoded form.
            pairs.append((_uri_encode(unquote(name)), _uri_encode(unquote(value))))
    return "&".join("%s=%s" % pair for pair in sorted(pairs))


def canonical_request(method, path, query, headers, signed, payload_hash, service):
    """headers: dict of lower-case name -> value. path and query: as they stand on the request line."""
    if service != "s3":
        path = quote(path, safe="/-_.~")  # every service but S3 encodes the encoded path once more
    lines = [method, path or "/", canonical_query(query)]
    lines += ["%s:%s" % (name, " ".join(headers[name].split())) for name in signed]
    lines += ["", ";".join(signed), payload_hash]
    return "\n".join(lines)


def string_to_sign(stamp, region, service, request_text):
    scope = "%s/%s/%s/aws4_request" % (stamp[:8], region, service)
    return "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(request_text.encode()).hexdigest()])


def sign(credential, method, path, query, headers, payload, region, service, now=None):
    """Returns headers (lower-case names) with what a signed request needs besides; headers must hold host."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    payload_hash = hashlib.sha256(payload).hexdigest()
    out = dict(headers)
    out["x-amz-date"] = stamp
    out["x-amz-content-sha256"] = payload_hash
    if credential.token:
        out["x-amz-security-token"] = credential.token
    signed = sorted(out)
    text = string_to_sign(stamp, region, service,
                          canonical_request(method, path, query, out, signed, payload_hash, service))
    key = signing_key(credential.secret, stamp[:8], region, service)
    out["authorization"] = "%s Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s" % (
        ALGORITHM, credential.access_key, stamp[:8], region, service, ";".join(signed),
        hmac.new(key, text.encode(), hashlib.sha256).hexdigest())
    return out


def parse(headers):
    """The parts of the Authorization header; Refused if it is missing or malformed."""
    text = headers.get("authorization")
    if not text:
        raise Refused("missing", "Request is missing Authentication Token")
    match = _AUTHORIZATION.fullmatch(text)
    if not match:
        raise Refused("incomplete", "Authorization header does not follow %s" % ALGORITHM)
    return match


def check_token(headers, key):
    """The credential of an access key id, with the session token that belongs to it."""
    credential = credentials.BY_KEY.get(key)
    if credential is None:
        raise Refused("unknown-key", "The access key id '%s' is not known" % key)
    if not hmac.compare_digest(headers.get("x-amz-security-token", "").encode(), credential.token.encode()):
        raise Refused("bad-token", "The security token included in the request is invalid")
    if credential.expired:
        raise Refused("expired", "The security token included in the request is expired")
    return credential


def _check_date(headers, date, now):
    stamp = headers.get("x-amz-date", "")
    try:
        when = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise Refused("incomplete", "x-amz-date is missing or not of the form YYYYMMDD'T'HHMMSS'Z'") from None
    if stamp[:8] != date:
        raise Refused("mismatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date")
    if abs(now - when) > MAX_SKEW:
        raise Refused("skewed", "Signature not within 15 minutes of %s: it was made at %s" % (
            time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now)), stamp))
    return stamp


def _check_signed_headers(headers, signed):
    if signed != sorted(set(signed)):
        raise Refused("incomplete", "SignedHeaders is not in order")
    for name in signed:
        if name not in headers:
            raise Refused("unsigned-header", "The signed header '%s' is not in the request" % name)
    for name in headers:
        if (name == "host" or name.startswith("x-amz-")) and name not in signed:
            raise Refused("unsigned-header", "The header '%s' is present, but not signed" % name)


def verify(method, path, query, headers, body_hash, region, service, now=None):
    """The credential that signed the request, or Refused. body_hash: hexadecimal SHA-256 of the body as it came."""
    now = time.time() if now is None else now
    auth = parse(headers)
    signed = auth["headers"].split(";")
    credential = check_token(headers, auth["key"])
    if auth["region"] != region:
        raise Refused("scope", "Credential should be scoped to a valid region, not '%s'" % auth["region"])
    if auth["service"] != service:
        raise Refused("scope", "Credential should be scoped to correct service: '%s'" % service)
    stamp = _check_date(headers, auth["date"], now)
    if "host" not in headers:
        raise Refused("incomplete", "The header 'host' is missing")
    _check_signed_headers(headers, signed)
    payload_hash = headers.get("x-amz-content-sha256", body_hash)
    if payload_hash not in (body_hash, UNSIGNED):
        raise Refused("payload", "x-amz-content-sha256 is not the SHA-256 of the body")
    text = string_to_sign(stamp, region, service,
                          canonical_request(method, path, query, headers, signed, payload_hash, service))
    key = signing_key(credential.secret, auth["date"], region, service)
    if not hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), auth["signature"]):
        raise Refused("mismatch", "The request signature we calculated does not match the signature you provided. "
                      "Check your AWS Secret Access Key and signing method.")
    return credential
