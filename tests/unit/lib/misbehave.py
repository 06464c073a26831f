#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server on loopback that misbehaves as its paths say: for test_http.c, test_aws.c.

Usage: misbehave.py CERTIFICATE. Prints its port and that of TLS, for which it makes a certificate for localhost there;
serves until its standard input ends. Paths (counts are kept for each path, query
included):

  /echo                    what was asked, as JSON
  /status/N                that status
  /fail/N/K                status N for the first K requests, then 200
  /after/S/K               503 with Retry-After: S for the first K requests, then 200
  /object?OPTIONS          1 MiB that supports Range and If-Match; options, joined by '&':
                           drop=K:BYTES  the first K requests end after BYTES of body
                           etag=0|weak|change   no ETag, a weak one, another one at each request
                           range=0|wrong|short  Range ignored, a wrong Content-Range, 100 KiB a time
                           grow=1        one byte longer after the first request
                           chunked=1     without a length
  /stall/N                 N bytes of a longer body, then silence
  /drip                    a byte each 20 ms, for ever
  /headers/N, /header/N    N headers; one header of N bytes
  /redirect                302 to another host
  /nothing, /garbage, /nul, /fold, /ancient    broken responses
  /chunks, /bad-chunks     chunked bodies, with a trailer
  /gzip                    a body that says it is compressed
  /long/N                  N bytes, without a length
  /latest/..., /role       instance metadata and container credentials
  /aws/...                 see aws()
"""
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qsl, urlsplit

OBJECT = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(32768))
REASONS = {200: "OK", 206: "Partial Content", 503: "Slow Down"}
hits = {}
lock = threading.Lock()
connections = 0


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.url = urlsplit(target)
        self.path = self.url.path
        self.query = dict(parse_qsl(self.url.query, keep_blank_values=True))
        with lock:
            self.hit = hits[target] = hits.get(target, 0) + 1


def read_request(f):
    line = f.readline(65536).decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    headers = {}
    while True:
        line = f.readline(65536).decode("latin-1").rstrip("\r\n")
        if not line:
            break
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    return Request(method, target, headers, f.read(int(headers.get("content-length", 0))))


def head(status, headers):
    lines = ["HTTP/1.1 %d %s" % (status, REASONS.get(status, "Whatever"))]
    lines += ["%s: %s" % h for h in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number = sock, number

    def send(self, data):
        self.sock.sendall(data)

    def reply(self, rq, status, body=b"", headers=()):
        body = body.encode() if isinstance(body, str) else body
        self.send(head(status, [("Content-Length", len(body)), ("X-Connection", self.number),
                                ("X-Hits", rq.hit), *headers]))
        if rq.method != "HEAD":
            self.send(body)
        return True

    def serve(self):
        f = self.sock.makefile("rb")
        try:
            while True:
                rq = read_request(f)
                if rq is None or not self.answer(rq):
                    break
        except (OSError, ValueError):
            pass
        finally:
            f.close()
            self.sock.close()

    def answer(self, rq):
        name = rq.path.split("/")[1].replace("-", "_")
        args = rq.path.split("/")[2:]
        method = getattr(self, "do_" + name, None)
        return method(rq, *args) if method else self.reply(rq, 404, "no such path")

    def do_echo(self, rq, *_):
        return self.reply(rq, 200, json.dumps({
            "method": rq.method, "target": rq.target, "headers": rq.headers,
            "body": hashlib.sha256(rq.body).hexdigest(), "length": len(rq.body)}))

    def do_status(self, rq, status):
        return self.reply(rq, int(status), "status " + status)

    def do_fail(self, rq, status, count, *_):
        if rq.hit <= int(count):
            return self.reply(rq, int(status), "status " + status)
        return self.reply(rq, 200, "ok after all")

    def do_after(self, rq, seconds, count, *_):
        if rq.hit <= int(count):
            return self.reply(rq, 503, "", [("Retry-After", seconds.replace("+", " "))])
        return self.reply(rq, 200, "ok")

    def do_object(self, rq):
        q = rq.query
        data = OBJECT + (b"+" if "grow" in q and rq.hit > 1 else b"")
        etag = {"0": None, "weak": 'W/"w"', "change": '"v%d"' % rq.hit}.get(q.get("etag"), '"v1"')
        headers = [("ETag", etag)] if etag else []
        if rq.headers.get("if-match", etag) != etag:
            return self.reply(rq, 412, "changed")
        status, first, last = 200, 0, len(data) - 1
        if "range" in rq.headers and q.get("range") != "0":
            a, b = rq.headers["range"][len("bytes="):].split("-")
            status, first, last = 206, int(a), min(int(b or last), last)
            if first > last:
                return self.reply(rq, 416, "", [("Content-Range", "bytes */%d" % len(data))])
            if q.get("range") == "short":
                last = min(last, first + 102399)
            shown = first + (1 if q.get("range") == "wrong" else 0)
            headers.append(("Content-Range", "bytes %d-%d/%d" % (shown, last, len(data))))
        body = data[first:last + 1]
        count, size = map(int, q.get("drop", "0:0").split(":"))
        drop = rq.hit <= count
        if "chunked" in q:
            self.send(head(status, headers + [("Transfer-Encoding", "chunked")]))
            body = body[:size] if drop else body
            self.send(b"%x\r\n%s\r\n" % (len(body), body))
            if drop:
                return False
            self.send(b"0\r\n\r\n")
            return True
        self.send(head(status, headers + [("Content-Length", len(body)), ("X-Hits", rq.hit)]))
        self.send(body[:size] if drop else body)
        return not drop

    def do_stall(self, rq, size):
        self.send(head(200, [("Content-Length", 1000000)]) + bytes(int(size)))
        self.sock.settimeout(20)
        self.sock.recv(1)
        return False

    def do_drip(self, rq):
        self.send(head(200, [("Content-Length", 1000000)]))
        while True:
            self.send(b".")
            time.sleep(0.02)

    def do_headers(self, rq, count):
        return self.reply(rq, 200, "", [("X-%d" % i, "v") for i in range(int(count))])

    def do_header(self, rq, size):
        return self.reply(rq, 200, "", [("X-Long", "v" * int(size))])

    def do_redirect(self, rq):
        return self.reply(rq, 302, "", [("Location", "http://127.0.0.1:1/evil")])

    def do_nothing(self, rq, *_):
        return False

    def do_garbage(self, rq):
        self.send(b"SSH-2.0-OpenSSH_9.2\r\n")
        return False

    def do_ancient(self, rq):
        self.send(b"<html>")
        return False

    def do_nul(self, rq):
        self.send(b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n")
        return False

    def do_fold(self, rq):
        self.send(b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n")
        return False

    def do_chunks(self, rq):
        self.send(b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n")
        self.send(head(200, [("Transfer-Encoding", "chunked"), ("Trailer", "X-Late")]))
        self.send(b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Late: 1\r\n\r\n")
        return True

    def do_bad_chunks(self, rq):
        self.send(head(200, [("Transfer-Encoding", "chunked")]) + b"3\r\nabc\r\nzz\r\n")
        return False

    def do_gzip(self, rq):
        return self.reply(rq, 200, b"\x1f\x8b raw", [("Content-Encoding", "gzip")])

    def do_long(self, rq, size):
        self.send(head(200, [("Connection", "close")]) + bytes(int(size)))
        return False

    # ---- credentials

    def do_latest(self, rq, *_):
        creds = {"Code": "Success", "AccessKeyId": "AKIMDS%d" % rq.hit, "SecretAccessKey": "s",
                 "Token": "imds-token", "Expiration": "2040-01-01T00:00:00Z"}
        if rq.path == "/latest/api/token":
            ttl = rq.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
            return self.reply(rq, 200 if rq.method == "PUT" and ttl else 400, "T0KEN")
        if rq.headers.get("x-aws-ec2-metadata-token") != "T0KEN":
            return self.reply(rq, 401)
        return self.reply(rq, *{
            "/latest/meta-data/placement/region": (200, "eu-west-3"),
            "/latest/meta-data/iam/security-credentials/": (200, "my-role\n"),
            "/latest/meta-data/iam/security-credentials/my-role": (200, json.dumps(creds)),
        }.get(rq.path, (404, "")))

    def do_role(self, rq):
        if rq.headers.get("authorization") != "container-secret":
            return self.reply(rq, 403)
        return self.reply(rq, 200, json.dumps({
            "AccessKeyId": "AKCONTAINER", "SecretAccessKey": "s", "Token": "t",
            "Expiration": "2040-01-01T00:00:00.000Z"}))

    # ---- AWS services: /aws/CASE...

    def do_aws(self, rq, case, *rest):
        auth = rq.headers.get("authorization", "")
        scope = dict(zip(("key", "date", "region", "service"),
                         auth.partition("Credential=")[2].split(",")[0].split("/")))
        region = scope.get("region")
        ec2 = ("<?xml version='1.0'?><Response><Errors><Error><Code>%s</Code><Message>%s</Message>"
               "</Error></Errors><RequestID>rq-1</RequestID></Response>")
        s3 = ("<Error><Code>%s</Code><Message>%s</Message>%s<RequestId>rq-2</RequestId></Error>")
        if case == "echo":
            return self.do_echo(rq)
        if case == "ec2":
            action = dict(parse_qsl(rq.body.decode())).get("Action")
            if action == "Works":
                return self.reply(rq, 200, "<WorksResponse xmlns='http://ec2/'><requestId>r"
                                  "</requestId></WorksResponse>")
            if action == "Throttled":
                with lock:
                    n = hits["throttled"] = hits.get("throttled", 0) + 1
                if n < 3:
                    return self.reply(rq, 503, ec2 % ("RequestLimitExceeded", "too many"))
                return self.reply(rq, 200, "<ThrottledResponse/>")
            status, message = {"AuthFailure": (401, "AWS was not able to validate"),
                               "UnauthorizedOperation": (403, "You are not authorized. Encoded "
                                                         "authorization failure message: xyz"),
                               "SignatureDoesNotMatch": (403, "The Canonical String was: " +
                                                         str(rq.headers)),
                               "InvalidAMIID.NotFound": (400, "The image id '[ami-1]' does not "
                                                         "exist"),
                               "RequestExpired": (400, "expired"),
                               }.get(action, (400, "bad " + auth + str(rq.headers)))
            return self.reply(rq, status, ec2 % (action, message), [("Date", "Thu, 01 Jan 2099 00:00:00 GMT")])
        if case == "expired":
            # The second key, renewed, works.
            if scope.get("key") in ("AKIMDS1", "AKSTATIC"):
                return self.reply(rq, 400, s3 % ("ExpiredToken", "has expired", ""))
            return self.reply(rq, 200, scope.get("key"))
        if case == "west":
            # rest: how the server says it; then the bucket's name
            how = rest[0]
            if region == "us-west-2":
                return self.reply(rq, 200, region)
            location = ("Location", "http://127.0.0.1:1/evil")
            if rq.method == "HEAD":
                return self.reply(rq, 400, "", [("x-amz-bucket-region", "us-west-2")])
            if how == "header":
                return self.reply(rq, 301, s3 % ("PermanentRedirect", "m", ""),
                                  [location, ("x-amz-bucket-region", "us-west-2")])
            if how == "body":
                return self.reply(rq, 400, s3 % ("AuthorizationHeaderMalformed", "m",
                                                 "<Region>us-west-2</Region>"))
            if how == "bare":
                return self.reply(rq, 307, "", [location])
            if how == "china":
                return self.reply(rq, 301, "", [("x-amz-bucket-region", "cn-north-1")])
            if how == "evil":
                return self.reply(rq, 301, "", [("x-amz-bucket-region", "evil.org/")])
            return self.reply(rq, 301, "", [("x-amz-bucket-region", "loop-%d" % rq.hit)])
        if case == "ebs":
            what = rq.path.rsplit("/", 1)[1]
            if what == "throttled" and rq.hit < 3:
                return self.reply(rq, 400, '{"Message":"slow","Reason":"ACCOUNT_THROTTLED"}',
                                  [("x-amzn-ErrorType", "RequestThrottledException:http://x/")])
            if what == "invalid":
                return self.reply(rq, 400, '{"Message":"bad token",'
                                  '"Reason":"INVALID_BLOCK_TOKEN"}',
                                  [("x-amzn-ErrorType", "ValidationException")])
            if what == "missing":
                return self.reply(rq, 404, '{"Message":"no","Reason":"SNAPSHOT_NOT_FOUND"}',
                                  [("x-amzn-ErrorType", "ResourceNotFoundException")])
            return self.reply(rq, 200, "block")
        return self.reply(rq, 404, s3 % ("NoSuchKey", "The specified key does not exist.", ""))


def accept_all(server, context):
    global connections
    while True:
        sock, _ = server.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections += 1
        threading.Thread(target=serve_one, args=(sock, connections, context), daemon=True).start()


def serve_one(sock, number, context):
    try:
        sock = context.wrap_socket(sock, server_side=True) if context else sock
    except OSError:
        return
    Connection(sock, number).serve()


def main():
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    tls = socket.create_server(("127.0.0.1", 0), backlog=64)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", sys.argv[1] + ".key",
                    "-out", sys.argv[1]], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[1] + ".key")
    print(server.getsockname()[1], tls.getsockname()[1], flush=True)
    # Ends with the test, however that ends.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    threading.Thread(target=accept_all, args=(tls, context), daemon=True).start()
    accept_all(server, None)


main()
