# SPDX-License-Identifier: Apache-2.0
"""A proxy for tests: prints its port, sends every request to 127.0.0.1:PORT, writes each URL to LOG."""
import http.client
import http.server
import sys

PORT, LOG = int(sys.argv[1]), sys.argv[2]


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(LOG, "a", encoding="ascii") as log:
            log.write("%s %s\n" % (self.command, self.path))
        path = "/" + self.path.split("/", 3)[3]
        upstream = http.client.HTTPConnection("127.0.0.1", PORT)
        upstream.request(self.command, path, headers={k: v for k, v in self.headers.items() if k.lower() != "host"})
        answer = upstream.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print(server.server_address[1], flush=True)
server.serve_forever()
