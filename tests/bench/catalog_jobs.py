# SPDX-License-Identifier: Apache-2.0
"""The jobs of catalog: a search among 100 000 images, a snapshot brought home."""
import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import threading

GIB = 1 << 30
IMAGES = 100000
SEARCH_SECONDS = 0.1
CLOUD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cloud", "cloud")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        pass


@contextlib.contextmanager
def web(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "http://127.0.0.1:%d/" % server.server_address[1]
    finally:
        server.shutdown()


def streams(folder):
    """A simplestreams of IMAGES images, 20 serials of each product; the path of its products."""
    os.makedirs(os.path.join(folder, "streams", "v1"))
    products = {}
    for n in range(IMAGES // 20):
        arch = ("amd64", "arm64", "ppc64el", "s390x")[n % 4]
        name = "com.example.cloud:server:%d.%02d:%s" % (n // 48, n % 48, arch)
        versions = {}
        for k in range(20):
            serial = "2024%02d%02d" % (1 + k // 10, 1 + k)
            versions[serial] = {"label": "release", "pubname": "example-%d-%s-server-%s" % (n, arch, serial), "items": {
                "disk1.img": {"ftype": "disk1.img", "path": "server/%d/%s/server-cloudimg-%s.img" % (n, serial, arch),
                              "size": 500000000 + n, "sha256": "%064x" % (n * 20 + k)}}}
        products[name] = {"arch": arch, "os": "example", "release": "r%d" % n, "version": "%d.%02d" % (n // 48, n % 48),
                          "release_title": "Release %d" % n, "versions": versions}
    path = os.path.join(folder, "streams", "v1", "p.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump({"format": "products:1.0", "datatype": "image-downloads", "products": products}, out)
    with open(os.path.join(folder, "streams", "v1", "index.json"), "w", encoding="ascii") as out:
        json.dump({"format": "index:1.0", "index": {"all": {"datatype": "image-downloads", "path": "streams/v1/p.json"}}}, out)
    return path


def search_jobs(b, job):
    name = "search of 100 000 images"
    if not b.wants(name):
        return
    folder = b.path("in-streams")
    products = streams(folder)
    os.environ["XDG_CACHE_HOME"] = b.path("in-cache")
    os.environ["ACCLIMATE_CATALOG_CONFIG"] = b.path("in-catalog.yaml")
    with open(b.path("in-catalog.yaml"), "w", encoding="ascii") as config:
        config.write("sources: {}\n")
    with web(folder) as url:
        subprocess.run([b.catalog, "source", "add", "all", "simplestreams", "url=" + url], check=True)
        subprocess.run([b.catalog, "list", "-q"], check=True, stdout=subprocess.DEVNULL)
    query = '[.products[] | select(.arch == "arm64") | .versions[].items[] | select(.path | contains("4711"))] | length'
    yield job(name, [b.catalog, "search", "example-4711", "arch=*", "--all"], {"jq": ["jq", query, products]}, 5,
              most=SEARCH_SECONDS)
    # All of them match: what is printed is the most of it.
    yield job(name + ", all found", [b.catalog, "search", "server", "--all"], {}, None)
    shutil.rmtree(folder)


def make_snapshot(b, state):
    """A volume of 1 GiB with 256 MiB that do not compress, in a cloud on loopback; its snapshot's id."""
    folder = b.path("in-ami")
    os.makedirs(folder)
    with open(os.path.join(folder, "disk.raw"), "wb") as disk:
        disk.truncate(GIB)
        for piece in range(256):
            disk.seek(piece * 4 << 20)
            disk.write(os.urandom(1 << 20))
    with open(os.path.join(folder, "image.json"), "w", encoding="ascii") as out:
        json.dump({"kind": "ebs", "name": "bench", "architecture": "x86_64", "root_device_name": "/dev/xvda",
                   "virtualization_type": "hvm"}, out)
    subprocess.run([CLOUD, "start", "--no-s3", "--completion", "0", "--state", state, "--owner-pid",
                    str(os.getpid())], check=True)
    with open(os.path.join(state, "env"), encoding="ascii") as env:
        for line in env:
            if line.startswith("export AWS"):
                key, _, value = line[len("export "):].strip().partition("=")
                os.environ[key] = value.strip("'")
    subprocess.run([CLOUD, "load", "--state", state, folder], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)
    listed = subprocess.run([CLOUD, "snapshot", "--state", state, "list"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(listed)[0]["id"]


def snapshot_jobs(b, job):
    name, back = "EBS snapshot of 256 MiB", "EBS snapshot of 256 MiB, back"
    if not b.wants(name) and not b.wants(back):
        return
    state, store, kept, raw = b.path("in-cloud"), b.path("in-store"), b.path("in-kept"), b.path("in-raw")
    if not shutil.which("coldsnap"):
        print("note: coldsnap is not installed (cargo install coldsnap): nothing to compare with")
    try:
        snapshot = make_snapshot(b, state)

        def peers(*args):
            return {"coldsnap": ["coldsnap", "--region", "us-east-1", "--endpoint", os.environ["AWS_ENDPOINT_URL_EBS"],
                                 *args]} if shutil.which("coldsnap") else {}

        def clean():
            shutil.rmtree(store, ignore_errors=True)

        bring = [b.catalog, "import", "-q", snapshot, "--name", "x", "--no-bootable", "--store"]
        yield job(name, [*bring, store], peers("download", "--force", "--no-progress", snapshot, b.path("out")), 1.2,
                  before=clean)
        subprocess.run([*bring, kept], check=True)
        disk = os.path.join(kept, "images", "x", "disk.qcow2")
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", os.path.realpath(disk), raw], check=True)
        yield job(back, [b.catalog, "export", "-q", "x", "--to", "ec2", "--no-register", "--store", kept],
                  peers("upload", "--omit-zero-blocks", "--no-progress", raw), None)
    finally:
        subprocess.run([CLOUD, "stop", "--state", state], check=True)
        for folder in (state, store, kept):
            shutil.rmtree(folder, ignore_errors=True)


def catalog_jobs(b, job):
    yield from search_jobs(b, job)
    yield from snapshot_jobs(b, job)
