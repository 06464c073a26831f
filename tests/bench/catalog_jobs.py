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

import static_ebs

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


def make_disk(path):
    """1 GiB with 256 MiB that do not compress."""
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as disk:
        disk.truncate(GIB)
        for piece in range(256):
            disk.seek(piece * 4 << 20)
            disk.write(os.urandom(1 << 20))


def start_cloud(state, folder):
    """The cloud on loopback with the folder's disk; its snapshot's id."""
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
    listed = subprocess.run([CLOUD, "snapshot", "--state", state, "list"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(listed)[0]["id"]


def find_nginx():
    """Unpacked from Debian's package by the bench of metadata-server; None: it cannot be had."""
    here = os.path.dirname(os.path.abspath(__file__))
    fetch = subprocess.run([os.path.join(here, "fetch-imds-peers")], stdout=subprocess.PIPE, check=False, text=True)
    return os.path.join(fetch.stdout.strip(), "root/usr/sbin/nginx") if fetch.returncode == 0 else None


def snapshot_jobs(b, job):
    name, back = "EBS snapshot of 256 MiB", "EBS snapshot of 256 MiB, back"
    if not b.wants(name) and not b.wants(back):
        return
    state, store, folder = b.path("in-cloud"), b.path("in-store"), b.path("in-ami")
    disk = os.path.join(folder, "disk.raw")
    if not shutil.which("coldsnap"):
        print("note: coldsnap is not installed (cargo install coldsnap): nothing to compare with")

    def peers(*args):
        return {"coldsnap": ["coldsnap", "--region", "us-east-1", "--endpoint", os.environ["AWS_ENDPOINT_URL_EBS"],
                             *args]} if shutil.which("coldsnap") else {}

    def clean():
        shutil.rmtree(store, ignore_errors=True)

    make_disk(disk)
    try:
        snapshot = start_cloud(state, folder)
        bring = [b.catalog, "import", "-q", snapshot, "--name", "x", "--no-bootable", "--store", store]
        nginx = find_nginx()
        if not nginx:
            print("note: nginx cannot be had: no " + name)
        elif b.wants(name):
            cloud = os.environ["AWS_ENDPOINT_URL_EBS"]
            with static_ebs.serve(nginx, b.path("in-nginx"), snapshot, disk) as os.environ["AWS_ENDPOINT_URL_EBS"]:
                yield job(name, bring, peers("download", "--force", "--no-progress", snapshot, b.path("out")), 1.2,
                          before=clean)
            os.environ["AWS_ENDPOINT_URL_EBS"] = cloud
        if b.wants(back):
            clean()
            subprocess.run(bring, check=True)
            yield job(back, [b.catalog, "export", "-q", "x", "--to", "ec2", "--no-register", "--store", store],
                      peers("upload", "--omit-zero-blocks", "--no-progress", disk), None)
    finally:
        subprocess.run([CLOUD, "stop", "--state", state], check=True)
        for each in (state, store, folder, b.path("in-nginx")):
            shutil.rmtree(each, ignore_errors=True)


def catalog_jobs(b, job):
    yield from search_jobs(b, job)
    yield from snapshot_jobs(b, job)
