#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two servers: an image service, and another one that it sends its askers to.

    elsewhere.py FILE LOG

Prints both ports. /v2/images lists one image, whose data are at the other server's /data?sig=SIGNATURE, which serves FILE
with ranges. POST is sent there too. LOG gets a line for each request: port number (1 or 2), method, path, X-Auth-Token.
"""
import http.server
import json
import sys
import threading

with open(sys.argv[1], "rb") as data:
    DATA = data.read()
IMAGE = "11111111-2222-3333-4444-555555555555"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def any(self):
        with open(sys.argv[2], "a", encoding="utf-8") as log:
            log.write("%d %s %s %s\n" % (self.server.number, self.command, self.path, self.headers["X-Auth-Token"]))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/data"):
            first, last = 0, len(DATA) - 1
            if "Range" in self.headers:
                words = self.headers["Range"].removeprefix("bytes=").split("-")
                first, last = int(words[0]), min(last, int(words[1] or last))
            status = 206 if "Range" in self.headers else 200
            headers = [("ETag", '"x"'), ("Accept-Ranges", "bytes"),
                       ("Content-Range", "bytes %d-%d/%d" % (first, last, len(DATA)))]
            return self.answer(status, headers, DATA[first:last + 1])
        if self.path.startswith("/v2/images?"):
            images = [{"id": IMAGE, "name": "elsewhere", "status": "active", "disk_format": "raw",
                       "container_format": "bare", "visibility": "public"}]
            return self.answer(200, [("Content-Type", "application/json")], json.dumps({"images": images}).encode())
        return self.answer(302, [("Location", "http://127.0.0.1:%d/data?sig=SIGNATURE" % other.server_port)])

    do_GET = do_HEAD = do_POST = any


first = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
first.number, other.number = 1, 2
threading.Thread(target=other.serve_forever, daemon=True).start()
print(first.server_port, other.server_port, flush=True)
first.serve_forever()
