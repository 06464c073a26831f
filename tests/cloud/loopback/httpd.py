# SPDX-License-Identifier: Apache-2.0
"""A small HTTP/1.1 server with a thread for each connection, which can misbehave as it is told.

It is fast where the cloud needs it (bodies out of files by sendfile, few copies) and, unlike the servers in Python's
library, leaves the request's path and headers as they came, for the signatures' sake.
"""

import os
import re
import select
import socket
import struct
import threading
import time
import traceback
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_HEAD = 65536
CHUNK = 1 << 20
CREDENTIAL = re.compile(r"Credential=[^/]+/[0-9]+/([^/ ]+)/")  # in it the region that was signed for


class BadRequest(Exception):
    """What came is not HTTP as we speak it; the connection is given up."""


class Request:
    """One request. path and query are as on the request line; headers: dict of lower-case name -> value."""

    def __init__(self, connection, method, target, version, header_list):
        self.connection = connection
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.header_list = header_list
        self.headers = {}
        for name, value in header_list:
            name = name.lower()
            self.headers[name] = self.headers[name] + "," + value if name in self.headers else value
        tokens = self.headers.get("connection", "").lower()
        self.keep_alive = "close" not in tokens and (version == "HTTP/1.1" or "keep-alive" in tokens)
        self.label = None  # what faults are matched against, where it is not the target (EC2)
        self.logged = False
        self.chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        try:
            self.length = int(self.headers.get("content-length", "0"))
        except ValueError:
            raise BadRequest("Content-Length is not a number") from None
        if self.length < 0:
            raise BadRequest("Content-Length is negative")
        self.unread = self.length
        self.expects = "100-continue" in self.headers.get("expect", "").lower()

    def body_chunks(self):
        """Yields the body as it comes."""
        if self.chunked:
            raise BadRequest("chunked requests are not taken")
        if self.expects and self.unread:
            self.expects = False
            self.connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while self.unread:
            data = self.connection.read_some(min(self.unread, CHUNK))
            self.unread -= len(data)
            yield data

    def body(self, limit):
        """The whole body, or None if it is longer than limit."""
        if self.length > limit:
            return None
        return b"".join(self.body_chunks())

    def body_view(self, limit):
        """As body, without copies of it: lies in memory of the connection, until its next request."""
        if self.length > limit or self.chunked or (self.expects and self.unread):
            return self.body(limit)
        view = self.connection.read_into(self.unread)
        self.unread = 0
        return view

    def discard_body(self):
        """Makes the connection ready for the next request; a body that was never invited is not waited for."""
        if self.expects and self.unread:
            self.keep_alive = False
        elif self.unread:
            for _ in self.body_chunks():
                pass


@dataclass
class FileSlice:
    """A body that lies in a file."""
    fd: int
    offset: int
    length: int

    def chunks(self):
        at, left = self.offset, self.length
        while left:
            data = os.pread(self.fd, min(left, CHUNK), at)
            if not data:
                raise OSError("file is shorter than it was")
            at += len(data)
            left -= len(data)
            yield data


@dataclass
class Stream:
    """A body that comes in pieces; length is None if it is known only at the end."""
    pieces: object
    length: object = None

    def chunks(self):
        return self.pieces


@dataclass
class Response:
    status: int
    headers: list = field(default_factory=list)
    body: object = b""
    head_length: object = None  # Content-Length of an answer to HEAD

    def length(self):
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    def chunks(self):
        return iter((self.body,)) if isinstance(self.body, bytes) else self.body.chunks()


class Connection:
    """One client: reads requests, and sends what the handler answers."""

    def __init__(self, server, sock):
        self.server = server
        self.sock = sock
        self.buffer = b""
        self.room = bytearray()  # for bodies

    def read_into(self, length):
        """A view of the next bytes, which lie in room."""
        if len(self.room) < length:
            self.room = bytearray(length)
        view = memoryview(self.room)[:length]
        have = min(length, len(self.buffer))
        view[:have] = self.buffer[:have]
        self.buffer = self.buffer[have:]
        while have < length:
            got = self.sock.recv_into(view[have:], 0, socket.MSG_WAITALL)
            if not got:
                raise BadRequest("connection ended inside a body")
            have += got
        return view

    def read_some(self, limit):
        if self.buffer:
            data, self.buffer = self.buffer[:limit], self.buffer[limit:]
            return data
        data = self.sock.recv(limit, socket.MSG_WAITALL)
        if not data:
            raise BadRequest("connection ended inside a body")
        return data

    def read_request(self):
        """The next request, or None at the end of the connection."""
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > MAX_HEAD:
                raise BadRequest("head is too long")
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        head, self.buffer = self.buffer[:end], self.buffer[end + 4:]
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[1].startswith("/"):
            raise BadRequest("request line is '%s'" % lines[0][:100])
        header_list = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip():
                raise BadRequest("header line is '%s'" % line[:100])
            header_list.append((name, value.strip()))
        return Request(self, words[0], words[1], words[2], header_list)

    def serve(self):
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                request = self.read_request()
                if request is None or not self.serve_one(request):
                    return
        except (BadRequest, ConnectionError, TimeoutError) as error:
            self.server.log("- connection given up: %s" % error)
        finally:
            self.sock.close()

    def serve_one(self, request):
        response, conduct = self.server.answer(request)
        sent = -1
        try:
            if conduct is not None and conduct.hang_up:
                return False
            request.discard_body()
            sent = self.send(request, response, conduct)
        finally:
            if isinstance(response.body, Stream) and hasattr(response.body.pieces, "close"):
                response.body.pieces.close()
            self.server.log_request(request, response, sent, conduct)
        return request.keep_alive

    def end(self, data, noted):
        """The end of an answer. Before its last byte it is noted: who has an answer finds it in the log."""
        self.sock.sendall(data[:-1], socket.MSG_MORE)
        noted()
        self.sock.sendall(data[-1:])

    def send(self, request, response, conduct):
        """Returns the number of body bytes sent."""
        length = response.length()
        headers = list(response.headers)
        chunks = None
        if conduct is not None and request.method != "HEAD":
            headers, chunks, length = conduct.shape(request, headers, response.chunks(), length)
        if request.method == "HEAD":
            if response.head_length is not None:
                headers.append(("Content-Length", str(response.head_length)))
        elif length is not None:
            headers.append(("Content-Length", str(length)))
        elif request.keep_alive:
            headers.append(("Transfer-Encoding", "chunked"))
        if not request.keep_alive:
            headers.append(("Connection", "close"))
        try:
            phrase = HTTPStatus(response.status).phrase
        except ValueError:
            phrase = "Unknown"
        head = "HTTP/1.1 %d %s\r\n%s\r\n" % (response.status, phrase, "".join("%s: %s\r\n" % h for h in headers))
        head = head.encode("latin-1")

        def noted(sent=length):
            self.server.log_request(request, response, sent, conduct)
        if request.method == "HEAD":
            self.end(head, lambda: noted(0))
            return 0
        if chunks is None and isinstance(response.body, bytes):
            self.end(head + response.body, noted)
            return len(response.body)
        if length == 0:
            self.end(head, noted)
        elif chunks is None and isinstance(response.body, FileSlice):
            self.sock.sendall(head, socket.MSG_MORE)
            return self.send_file(response.body, noted)
        else:
            self.sock.sendall(head)
        return self.send_chunks(request, chunks or response.chunks(), length, conduct, noted)

    def send_file(self, part, noted):
        at, end = part.offset, part.offset + part.length
        while at < end:
            if at == end - 1:
                noted()
            sent = os.sendfile(self.sock.fileno(), part.fd, at, max(end - at - 1, 1))
            if sent == 0:
                raise ConnectionError("file is shorter than it was")
            at += sent
        return part.length

    def send_chunks(self, request, chunks, length, conduct, noted):
        total = 0
        framed = length is None and request.keep_alive
        for data in chunks:
            if framed and data:
                self.sock.sendall(b"%x\r\n" % len(data) + data + b"\r\n")
            elif data and total + len(data) == length:
                self.end(data, noted)
            else:
                self.sock.sendall(data)
            total += len(data)
        if length is not None and total < length:
            request.keep_alive = False  # the source of the body gave up
        if conduct is not None and conduct.cut:
            request.keep_alive = False
            if conduct.reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif framed:
            self.end(b"0\r\n\r\n", lambda: noted(total))
        return total

    def wait_for_hangup(self, seconds):
        """Until the client goes away, or the time (None: any) is over."""
        until = None if seconds is None else time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        while until is None or time.monotonic() < until:
            left = 1000 if until is None else max(0, min(1000, (until - time.monotonic()) * 1000))
            if poll.poll(left):
                return


class Log:
    """A log of one line for each request, written to by many threads."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, text):
        os.write(self.fd, ("%.3f %s\n" % (time.time(), text)).encode("utf-8", "replace"))


class Server:
    """Listens on a free port of 127.0.0.1. handler(request) gives a Response; faults may take its place."""

    def __init__(self, service, handler, faults=None, logfile=None, prepare=None):
        self.prepare = prepare  # called with each request before the faults see it
        self.service = service
        self.handler = handler
        self.faults = faults
        self.logfile = logfile
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def listen(self, port):
        """Takes the port, if it is free, else another one."""
        try:
            self.sock.bind(("127.0.0.1", port))
        except OSError:
            self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(256)
        return self.sock.getsockname()[1]

    def start(self):
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.sock.accept()
            threading.Thread(target=Connection(self, sock).serve, daemon=True).start()

    def answer(self, request):
        """(Response, Conduct or None)"""
        conduct = None
        try:
            if self.prepare is not None:
                self.prepare(request)
            if self.faults is not None:
                error, conduct = self.faults.consult(self.service, request)
                if error is not None:
                    return error, conduct
                if conduct is not None and conduct.hang_up:
                    return Response(0), conduct
            return self.handler(request, conduct), conduct
        except (BadRequest, ConnectionError, TimeoutError):
            raise
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()  # a defect of the cloud: it goes to its log, and the client hears of it
            request.keep_alive = False
            return Response(500, [("Content-Type", "text/plain")], b"the loopback cloud has failed; see its log\n"), None

    def log(self, text):
        if self.logfile is not None:
            self.logfile.write("%s %s" % (self.service, text))

    def log_request(self, request, response, sent, conduct):
        if request.logged:
            return
        request.logged = True
        extra = ""
        if "range" in request.headers:
            extra += " range=" + request.headers["range"]
        if scope := CREDENTIAL.search(request.headers.get("authorization", "")):
            extra += " region=" + scope[1]
        if conduct is not None:
            extra += " fault=%d:%s" % (conduct.fault_id, conduct.kind)
        self.log("%s %s %d %d%s" % (request.method, request.label or request.target, response.status, sent, extra))
