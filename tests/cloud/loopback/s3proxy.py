# SPDX-License-Identifier: Apache-2.0
"""The S3 endpoint: a reverse proxy before Swift, where the faults are put in.

Path, query, Host and all other headers reach Swift as they came, so that it is Swift that checks the signatures.
Only unknown keys, whose error Swift words differently, and session tokens, which it does not know, are dealt with here.
"""

import http.client
import select
import threading

from . import faults, sigv4
from .httpd import CHUNK, Response, Stream

HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "expect", "te", "upgrade")

_KEY_ERRORS = {
    "bad-token": (400, "InvalidToken", "The provided token is malformed or otherwise invalid."),
    "unknown-key": (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
}


class S3Proxy:
    def __init__(self, port):
        self.port = port
        self.local = threading.local()

    def upstream(self):
        """This thread's connection to Swift; one that Swift has closed meanwhile is made anew."""
        connection = getattr(self.local, "connection", None)
        if connection is not None and connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            self.drop_upstream()
            connection = None
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        return connection

    def drop_upstream(self):
        if getattr(self.local, "connection", None) is not None:
            self.local.connection.close()
            self.local.connection = None

    def __call__(self, request, _conduct=None):
        refused = self.refused_key(request)
        if refused is not None:
            return refused
        if request.chunked:
            return faults.error("s3", 411, "MissingContentLength",
                                "You must provide the Content-Length HTTP header.", request=request)
        try:
            answer = self.forward(request)
        except (http.client.HTTPException, OSError) as error:
            self.drop_upstream()
            return faults.error("s3", 502, "InternalError", "Swift did not answer: %s" % error, request=request)
        headers = [(n, v) for n, v in answer.getheaders()
                   if n.lower() not in HOP_BY_HOP and n.lower() not in ("content-length", "date")]
        length = answer.getheader("content-length")
        if request.method == "HEAD" or answer.status in (204, 304):
            answer.read()
            return Response(answer.status, headers, b"", head_length=length)
        return Response(answer.status, headers, Stream(self.pieces(answer), None if length is None else int(length)))

    @staticmethod
    def refused_key(request):
        try:
            sigv4.check_token(request.headers, sigv4.parse(request.headers)["key"])
        except sigv4.Refused as refused:
            if refused.reason in _KEY_ERRORS:
                status, code, message = _KEY_ERRORS[refused.reason]
                return faults.error("s3", status, code, message, request=request)
        return None

    def forward(self, request):
        """Sends the request on, and gives Swift's answer."""
        connection = self.upstream()
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.header_list:
            if name.lower() not in HOP_BY_HOP:
                connection.putheader(name, value.encode("latin-1"))
        connection.endheaders()
        try:
            for data in request.body_chunks():
                connection.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            request.keep_alive = False  # Swift has answered before the end of the body
        return connection.getresponse()

    def pieces(self, answer):
        """The body; if the client goes away in its middle, the connection to Swift is of no more use."""
        whole = False
        try:
            while data := answer.read(CHUNK):
                yield data
            whole = answer.isclosed()
        finally:
            if not whole:
                self.drop_upstream()
