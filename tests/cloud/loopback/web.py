# SPDX-License-Identifier: Apache-2.0
"""A web server for catalogs and image files: what lies below STATE/web, with ETag, ranges and listings.

    /PATH                 a file (GET, HEAD, Range, If-Match, If-None-Match), or a folder's listing
    /.redirect/STATUS/URL where URL is percent-encoded: a redirect
    /.opaque/PATH         the file without ETag, date, ranges and HEAD
    /.private/TOKEN/PATH  only with the header X-Auth-Token: TOKEN

Lines "Name: value" of a file PATH.headers are headers of PATH's answers.
"""

import hashlib
import html
import os
import re
from email.utils import formatdate
from urllib.parse import quote, unquote

from .httpd import FileSlice, Response

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


class Web:
    def __init__(self, root):
        self.root = root
        os.makedirs(root, exist_ok=True)

    def __call__(self, request, _conduct=None):
        path = unquote(request.path)
        if path.startswith("/.redirect/"):
            _, _, status, target = request.path.split("/", 3)
            return Response(int(status), [("Location", unquote(target))], b"elsewhere\n")
        opaque = path.startswith("/.opaque/")
        if opaque:
            path = path[len("/.opaque"):]
        if path.startswith("/.private/"):
            _, _, token, path = path.split("/", 3)
            path = "/" + path
            if request.headers.get("x-auth-token") != token:
                return Response(401, [], b"who asks?\n")
        if ".." in path.split("/"):
            return Response(400)
        if request.method not in ("GET", "HEAD") or (opaque and request.method == "HEAD"):
            return Response(405)
        name = os.path.join(self.root, path.lstrip("/"))
        if os.path.isdir(name):
            if not path.endswith("/"):
                return Response(301, [("Location", request.path + "/")])
            return self.listing(name, path)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return Response(404, [("Content-Type", "text/plain")], b"no such file\n")
        return self.file(request, Closing(fd), opaque, self.more_headers(name))

    @staticmethod
    def more_headers(name):
        try:
            with open(name + ".headers", encoding="ascii") as lines:
                return [tuple(line.rstrip("\n").split(": ", 1)) for line in lines]
        except FileNotFoundError:
            return []

    @staticmethod
    def listing(name, path):
        if os.path.exists(os.path.join(name, ".unlisted")):
            return Response(403)
        rows = ['<a href="../">../</a>']
        for entry in sorted(os.listdir(name)):
            slash = "/" if os.path.isdir(os.path.join(name, entry)) else ""
            rows.append('<a href="%s%s">%s</a>  01-Jan-2024 00:00  -' % (quote(entry), slash, html.escape(entry)))
        body = "<html><head><title>Index of %s</title></head><body><pre>\n%s\n</pre></body></html>\n" % (
            html.escape(path), "\n".join(rows))
        return Response(200, [("Content-Type", "text/html")], body.encode())

    def file(self, request, source, opaque, more=()):
        stat = os.fstat(source.fd)
        tag = '"%s"' % hashlib.md5(("%d-%d-%d" % (stat.st_ino, stat.st_size, stat.st_mtime_ns)).encode()).hexdigest()
        headers = [] if opaque else [("ETag", tag), ("Last-Modified", formatdate(stat.st_mtime, usegmt=True)),
                                     ("Accept-Ranges", "bytes"), *more]
        if request.headers.get("if-none-match") == tag and not opaque:
            return Response(304, headers)
        if request.headers.get("if-match", tag) != tag:
            return Response(412, headers)
        if request.method == "HEAD":
            return Response(200, headers, b"", head_length=stat.st_size)
        match = _RANGE.match(request.headers.get("range", ""))
        if match and not opaque:
            first = int(match.group(1))
            last = min(int(match.group(2) or stat.st_size - 1), stat.st_size - 1)
            if first > last:
                return Response(416, headers + [("Content-Range", "bytes */%d" % stat.st_size)])
            headers.append(("Content-Range", "bytes %d-%d/%d" % (first, last, stat.st_size)))
            return Response(206, headers, Part(source, first, last - first + 1))
        return Response(200, headers, Part(source, 0, stat.st_size))


class Closing:
    """A descriptor that is closed when nothing refers to it."""

    def __init__(self, fd):
        self.fd = fd

    def __del__(self):
        os.close(self.fd)


class Part(FileSlice):
    """A part of a file that stays open as long as the part is there."""

    def __init__(self, source, offset, length):
        super().__init__(source.fd, offset, length)
        self.source = source
