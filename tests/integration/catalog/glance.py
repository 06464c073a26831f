#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keystone v3 and Glance v2 as far as an upload needs them, after their API references.

    glance.py FOLDER

Prints its port. Puts records and data into the folder. The file FOLDER/refuse makes it refuse data.
"""
import http.server
import json
import os
import sys
import uuid

FOLDER = sys.argv[1]
TOKEN = "gAAAA-token"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, document=None, headers=()):
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def do_POST(self):
        data = json.loads(self.body())
        if self.path == "/identity/v3/auth/tokens":
            user = data["auth"]["identity"]["password"]["user"]
            if user["password"] != "secret" or user["domain"] != {"name": "Default"}:
                return self.answer(401, {"error": {"code": 401, "message": "The request you have made requires authentication."}})
            assert data["auth"]["scope"]["project"]["name"] == "demo"
            url = "http://127.0.0.1:%d/image" % self.server.server_port
            catalog = [{"type": "compute", "endpoints": []},
                       {"type": "image", "endpoints": [
                           {"interface": "admin", "region": "RegionOne", "url": "http://127.0.0.1:1"},
                           {"interface": "public", "region": "RegionOne", "url": url}]}]
            return self.answer(201, {"token": {"catalog": catalog}}, [("X-Subject-Token", TOKEN)])
        if self.headers["X-Auth-Token"] != TOKEN:
            return self.answer(401)
        assert self.path == "/image/v2/images"
        identifier = str(uuid.uuid4())
        with open(os.path.join(FOLDER, identifier + ".json"), "w") as out:
            json.dump(data, out)
        return self.answer(201, dict(data, id=identifier, status="queued"))

    def do_PUT(self):
        data = self.body()
        name = self.path.split("/")[-2]
        assert self.headers["X-Auth-Token"] == TOKEN and os.path.exists(os.path.join(FOLDER, name + ".json"))
        if os.path.exists(os.path.join(FOLDER, "refuse")):
            return self.answer(413, {"message": "Image storage media is full"})
        with open(os.path.join(FOLDER, name + ".data"), "wb") as out:
            out.write(data)
        return self.answer(204)

    def do_DELETE(self):
        os.unlink(os.path.join(FOLDER, self.path.split("/")[-1] + ".json"))
        return self.answer(204)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
