# SPDX-License-Identifier: Apache-2.0
"""A snapshot that nginx serves as files, the same for whoever fetches it.

A server that computes would take the processors from the clients that are to be measured. So the pages of
ListSnapshotBlocks are files, each block of GetSnapshotBlock is one, and its checksum stands in nginx's
configuration. What nginx cannot do is left out: signatures and tokens are sent, and not looked at.
"""
import base64
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time

BLOCK = 1 << 19
PAGE_SIZES = (100, 1000, 10000)
CONFIG = """daemon off; %(user)s worker_processes 1; pid %(dir)s/pid; error_log %(dir)s/log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000; sendfile on; sendfile_max_chunk 2m; tcp_nopush on; etag off;
  client_body_temp_path %(dir)s/t; proxy_temp_path %(dir)s/t; fastcgi_temp_path %(dir)s/t;
  uwsgi_temp_path %(dir)s/t; scgi_temp_path %(dir)s/t;
  open_file_cache max=10000; open_file_cache_valid 1h;
  map_hash_max_size 65536; map_hash_bucket_size 128;
  map $arg_maxResults $page_size { default 100; 1000 1000; 10000 10000; }
  map $uri $checksum { include %(dir)s/checksums; }
  server {
    listen 127.0.0.1:%(port)d; root %(dir)s/www;
    location ~ /blocks$ { default_type application/json; try_files /pages/$page_size-$arg_pageToken.json =400; }
    location ~ /blocks/ {
      default_type application/octet-stream; max_ranges 0;
      add_header x-amz-Data-Length %(block)d; add_header x-amz-Checksum $checksum;
      add_header x-amz-Checksum-Algorithm SHA256;
    }
  }
}
"""


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data)


def write_pages(folder, blocks, gib):
    for size in PAGE_SIZES:
        for first in range(0, len(blocks), size):
            page = {"Blocks": [{"BlockIndex": i, "BlockToken": base64.b64encode(b"%032d" % i).decode()}
                               for i in blocks[first:first + size]],
                    "ExpiryTime": time.time() + 3600, "VolumeSize": gib, "BlockSize": BLOCK}
            if first + size < len(blocks):
                page["NextToken"] = str(first + size)
            write(os.path.join(folder, "%d-%s.json" % (size, first or "")), json.dumps(page).encode())


def lay_out(folder, snapshot, disk):
    """The blocks of a disk that are not zero, and what tells of them."""
    where = "/snapshots/%s/blocks/" % snapshot
    blocks, checksums = [], []
    with open(disk, "rb") as source:
        for index in range(os.path.getsize(disk) // BLOCK):
            block = source.read(BLOCK)
            if block == bytes(BLOCK):
                continue
            write(os.path.join(folder, "www" + where + str(index)), block)
            blocks.append(index)
            checksums.append("%s%d %s;\n" % (where, index, base64.b64encode(hashlib.sha256(block).digest()).decode()))
    write(os.path.join(folder, "checksums"), "".join(checksums).encode())
    write_pages(os.path.join(folder, "www", "pages"), blocks, os.path.getsize(disk) >> 30)


@contextlib.contextmanager
def serve(nginx, folder, snapshot, disk):
    """nginx: the program. Gives the endpoint's URL; folder is made, and left to the caller to remove."""
    lay_out(folder, snapshot, disk)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write(os.path.join(folder, "conf"), (CONFIG % {
        "dir": folder, "port": port, "block": BLOCK, "user": "" if os.geteuid() else "user root;"}).encode())
    server = subprocess.Popen([nginx, "-e", os.path.join(folder, "log"), "-c", os.path.join(folder, "conf")])
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if server.poll() is not None:
                raise OSError("nginx has ended: see '%s'" % os.path.join(folder, "log"))
            time.sleep(0.01)
        yield "http://127.0.0.1:%d" % port
    finally:
        server.terminate()
        server.wait()
