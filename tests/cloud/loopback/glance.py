# SPDX-License-Identifier: Apache-2.0
"""OpenStack's identity (v3) and image (v2) services, as far as reading needs them.

    POST /identity/v3/auth/tokens   user 'demo', password 'secret', domain 'Default': a token, and the catalog
    GET  /image/v2/images           pages, by limit and marker; only with a token
    GET  /image/v2/images/ID[/file] the data lie in STATE/glance/ID, what is told of them in STATE/glance/ID.json

A token is good for as many requests as STATE/glance/token-requests says, if that is there.
"""

import json
import os
import secrets
import threading
from urllib.parse import parse_qs

from .httpd import Response
from .web import Closing, Web

MAX_BODY = 1 << 20
PAGE = 25


class Glance:
    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.tokens = {}
        os.makedirs(folder, exist_ok=True)
        self.web = Web(folder)

    def __call__(self, request, _conduct=None):
        if request.path == "/identity/v3/auth/tokens":
            return self.token(request)
        if not self.allowed(request.headers.get("x-auth-token")):
            return self.reply(401, {"message": "This server could not verify that you are authorized"})
        if request.path == "/image/v2/images":
            return self.images(request)
        parts = request.path.split("/")
        if request.path.startswith("/image/v2/images/") and parts[4] in self.known():
            if len(parts) == 5:
                return self.reply(200, self.known()[parts[4]])
            if len(parts) == 6 and parts[5] == "file":
                return self.data(request, parts[4])
        return self.reply(404, {"message": "No image found"})

    @staticmethod
    def reply(status, document, headers=()):
        return Response(status, [("Content-Type", "application/json")] + list(headers), json.dumps(document).encode())

    def token(self, request):
        try:
            asked = json.loads(request.body(MAX_BODY))["auth"]
            user = asked["identity"]["password"]["user"]
            good = (asked["identity"]["methods"] == ["password"] and user["name"] == "demo"
                    and user["password"] == "secret" and user["domain"] == {"name": "Default"})
            scope = asked.get("scope", {}).get("project", {}).get("name")
        except (KeyError, TypeError, ValueError):
            return self.reply(400, {"error": {"code": 400, "message": "Expecting to find auth in request body"}})
        if not good:
            return self.reply(401, {"error": {"code": 401, "message": "The request you have made requires authentication."}})
        token = secrets.token_hex(16)
        try:
            with open(os.path.join(self.folder, "token-requests"), encoding="ascii") as data:
                left = int(data.read())
        except FileNotFoundError:
            left = None
        with self.lock:
            self.tokens[token] = left
        host = request.headers.get("host")
        catalog = [{"type": "identity", "endpoints": [{"interface": "public", "region": "one", "url": "http://%s/identity" % host}]},
                   {"type": "image", "endpoints": [
                       {"interface": "internal", "region": "one", "url": "http://192.0.2.1/"},
                       {"interface": "public", "region": "two", "url": "http://192.0.2.2/"},
                       {"interface": "public", "region": "one", "url": "http://%s/image/" % host}]}]
        return self.reply(201, {"token": {"catalog": catalog if scope else [], "methods": ["password"],
                                          "expires_at": "2099-01-01T00:00:00.000000Z"}}, [("X-Subject-Token", token)])

    def allowed(self, token):
        with self.lock:
            if token not in self.tokens:
                return False
            if self.tokens[token] is None:
                return True
            self.tokens[token] -= 1
            return self.tokens[token] >= 0

    def known(self):
        found = {}
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".json"):
                with open(os.path.join(self.folder, name), encoding="utf-8") as data:
                    found[name[:-5]] = json.load(data)
        return found

    def images(self, request):
        query = parse_qs(request.query)
        limit = min(int(query.get("limit", [PAGE])[0]), PAGE)
        every = list(self.known().values())
        marker = query.get("marker", [None])[0]
        start = next((i + 1 for i, m in enumerate(every) if m["id"] == marker), None) if marker else 0
        if start is None:
            return self.reply(400, {"message": "Invalid marker"})
        page = every[start:start + limit]
        out = {"images": page, "first": "/image/v2/images?limit=%d" % limit, "schema": "/v2/schemas/images"}
        if start + limit < len(every):
            out["next"] = "/image/v2/images?limit=%d&marker=%s" % (limit, page[-1]["id"])
        return self.reply(200, out)

    def data(self, request, image_id):
        try:
            fd = os.open(os.path.join(self.folder, image_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return Response(204)
        if request.method == "HEAD":  # Glance knows none
            os.close(fd)
            return Response(405)
        return self.web.file(request, Closing(fd), opaque=False)
