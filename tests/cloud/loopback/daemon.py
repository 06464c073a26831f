# SPDX-License-Identifier: Apache-2.0
"""The running cloud: its processes, the files in its folder, and how it starts and ends.

Below the state folder lie
    env             to be sourced by a shell: endpoints and credentials
    pids            the processes, while it runs
    control         port and key of the switches, while it runs
    lock            held while it runs
    log/            requests.log, swift.log, cloud.err, swift.err
    images.json snapshots/ swift/ loaded.json secret ports.json     what is kept from one run to the next
"""

import fcntl
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time

from . import attributes, credentials, sigv4
from .control import Control
from .ebs import Ebs
from .ec2 import Ec2
from .faults import Faults
from .glance import Glance
from .httpd import Log, Server
from .images import Images
from .s3proxy import S3Proxy
from .snapshots import Snapshots, write_json
from .ssm import Ssm
from .web import Web

START_SECONDS = 300
STOP_SECONDS = 10


class CloudError(Exception):
    """One line for the user."""


# Processes, known by id and start time, so that an id which was given to another process is not taken for ours.

def started_at(pid):
    """When the process was started, or None if there is none (or only its remains)."""
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(process):
    return started_at(process["pid"]) == process["start"]


def children_of(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as children:
            return [int(c) for c in children.read().split()]
    except OSError:
        return []


def describe(pids):
    return [{"pid": pid, "start": started_at(pid)} for pid in pids]


def path_in(state, *names):
    return os.path.join(state, *names)


def running(state):
    """The processes of the cloud in this folder, if it runs; the first is the one to be told."""
    try:
        with open(path_in(state, "pids"), encoding="ascii") as data:
            processes = json.load(data)
    except FileNotFoundError:
        return []
    return processes if any(alive(p) for p in processes) else []


def start(state, region, owner, xattr, program, s3=True, completion=0.3):
    """Starts the cloud in the background, and returns when it is ready. False if it runs already."""
    if running(state):
        return False
    os.makedirs(path_in(state, "log"), exist_ok=True)
    ready_read, ready_write = os.pipe()
    command = [sys.executable, program, "start", "--foreground", "--state", state, "--ready-fd", str(ready_write),
               "--region", region, "--completion", str(completion)]
    if owner:
        command += ["--owner-pid", str(owner)]
    if not xattr:
        command += ["--no-xattr"]
    if not s3:
        command += ["--no-s3"]
    with open(path_in(state, "log", "cloud.err"), "wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                 pass_fds=[ready_write], cwd="/")
    os.close(ready_write)
    with os.fdopen(ready_read, "rb") as ready:
        if ready.read() == b"ready":
            return True
    child.wait()
    with open(path_in(state, "log", "cloud.err"), encoding="utf-8", errors="replace") as log:
        lines = log.read().strip().splitlines()
    raise CloudError(lines[-1].removeprefix("cloud: ") if lines else "the cloud ended before it was ready")


def stop(state):
    """Ends the cloud and waits for its end. False if it did not run."""
    processes = running(state)
    if not processes:
        return False
    if alive(processes[0]):
        os.kill(processes[0]["pid"], signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while any(alive(p) for p in processes):
        if time.monotonic() > until:
            for process in processes:
                if alive(process):
                    os.kill(process["pid"], signal.SIGKILL)
        time.sleep(0.02)
    forget(state)
    return True


def forget(state):
    for name in ("pids", "control", "env"):
        try:
            os.unlink(path_in(state, name))
        except FileNotFoundError:
            pass


class Daemon:
    """The process that holds the endpoints and watches over Swift."""

    def __init__(self, state, region, owner, xattr, s3=True, completion=0.3):
        self.s3 = s3
        self.completion = completion
        self.state = state
        self.region = region
        self.xattr = xattr
        self.owner = None
        if owner:
            self.owner = {"pid": owner, "start": started_at(owner)}
            if self.owner["start"] is None:
                raise CloudError("the owner, process %d, does not run" % owner)
        self.swift = None
        self.lock = None

    def run(self, ready):
        """Serves until told to end. ready is called once all endpoints answer."""
        os.umask(0o022)
        os.makedirs(path_in(self.state, "log"), exist_ok=True)
        self.take_lock()
        try:
            swift_port = self.start_swift() if self.s3 else None
            # Only now: Swift's processes would inherit the mask. From here on, signals are waited for, below.
            wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
            signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
            ports = self.start_endpoints(swift_port)
            if self.s3:
                self.wait_for_swift(swift_port)
            self.write_env(ports)
            self.write_pids()
            ready()
            return self.watch(wanted)
        finally:
            self.end_swift()
            forget(self.state)

    def take_lock(self):
        self.lock = os.open(path_in(self.state, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CloudError("a cloud runs in '%s' already" % self.state) from None

    def start_swift(self):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "swiftd.py")
        log = path_in(self.state, "log", "swift.err")
        # Once kept apart, always kept apart: what was stored would else lose its attributes.
        apart = path_in(self.state, "swift", "attributes")
        xattr = self.xattr and not os.path.exists(apart) and attributes.supported(self.state)
        with open(log, "wb") as err:
            command = [sys.executable, "-B", program, self.state, self.region, "xattr" if xattr else "no-xattr"]
            self.swift = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
        port = self.swift.stdout.readline().strip()
        if not port:
            with open(log, encoding="utf-8", errors="replace") as err:
                lines = err.read().strip().splitlines()
            raise CloudError("Swift did not start: %s" % (lines[-1] if lines else "no reason given"))
        return int(port)

    def wait_for_swift(self, port):
        """Until S3 answers a signed request."""
        host = "127.0.0.1:%d" % port
        until = time.monotonic() + START_SECONDS
        while True:
            headers = sigv4.sign(credentials.BY_ROLE["owner"], "GET", "/", "", {"host": host}, b"", self.region, "s3")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/", headers=headers)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            if self.swift.poll() is not None or time.monotonic() > until:
                raise CloudError("Swift does not answer; see '%s'" % path_in(self.state, "log"))
            time.sleep(0.1)

    def secret(self):
        """Of the tokens, which live longer than one run."""
        path = path_in(self.state, "secret")
        try:
            with open(path, "rb") as data:
                return data.read()
        except FileNotFoundError:
            secret = secrets.token_bytes(32)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(secret)
            return secret

    def start_endpoints(self, swift_port):
        secret = self.secret()
        snapshots = Snapshots(path_in(self.state, "snapshots"))
        images = Images(path_in(self.state, "images.json"))
        faults = Faults()
        log = Log(path_in(self.state, "log", "requests.log"))
        key = secrets.token_hex(16)
        try:
            with open(path_in(self.state, "ports.json"), encoding="ascii") as data:
                ports = json.load(data)
        except (OSError, ValueError):
            ports = {}
        servers = {
            "ec2": Server("ec2", Ec2(images, snapshots, self.region, secret, swift_port), faults, log, Ec2.prepare),
            "ebs": Server("ebs", Ebs(snapshots, self.region, secret, self.completion), faults, log),
            "s3": Server("s3", S3Proxy(swift_port), faults, log),
            "ssm": Server("ssm", Ssm(path_in(self.state, "ssm.json"), self.region), faults, log),
            "glance": Server("glance", Glance(path_in(self.state, "glance")), faults, log),
            "web": Server("web", Web(path_in(self.state, "web")), faults, log),
            "control": Server("control", Control(key, faults, images, snapshots)),
        }
        ports = {name: server.listen(ports.get(name, 0)) for name, server in servers.items()}
        write_json(path_in(self.state, "ports.json"), ports)
        for server in servers.values():
            server.start()
        with open(os.open(path_in(self.state, "control"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as out:
            json.dump({"port": ports["control"], "key": key}, out)
        return ports

    def write_env(self, ports):
        owner = credentials.BY_ROLE["owner"]
        values = {
            "AWS_ACCESS_KEY_ID": owner.access_key, "AWS_SECRET_ACCESS_KEY": owner.secret,
            "AWS_DEFAULT_REGION": self.region, "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:%d" % ports["ec2"],
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:%d" % ports["s3"],
            "AWS_ENDPOINT_URL_EBS": "http://127.0.0.1:%d" % ports["ebs"],
            "AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:%d" % ports["ssm"],
            "CLOUD_OPENSTACK": "http://127.0.0.1:%d" % ports["glance"],
            "CLOUD_WEB": "http://127.0.0.1:%d" % ports["web"],
        }
        temporary = path_in(self.state, "env.new")
        with open(temporary, "w", encoding="ascii") as out:
            for name, value in values.items():
                out.write("export %s='%s'\n" % (name, value))
            # What the user may have set, and would lead elsewhere.
            out.write("unset AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ENDPOINT_URL\n")
            for name in ("no_proxy", "NO_PROXY"):
                out.write("export %s=\"127.0.0.1${%s:+,$%s}\"\n" % (name, name, name))
        os.replace(temporary, path_in(self.state, "env"))

    def write_pids(self):
        pids = [os.getpid()]
        if self.swift is not None:
            pids += [self.swift.pid] + children_of(self.swift.pid)
        write_json(path_in(self.state, "pids"), describe(pids))

    def watch(self, wanted):
        """Until a signal, the end of Swift, or the end of the owner. Returns the exit status."""
        while True:
            got = signal.sigtimedwait(wanted, 0.5)
            if got is not None and got.si_signo != signal.SIGCHLD:
                return 0
            if self.swift is not None and self.swift.poll() is not None:
                raise CloudError("Swift has ended by itself; see '%s'" % path_in(self.state, "log"))
            if self.owner and not alive(self.owner):
                return 0
            if not os.path.exists(path_in(self.state, "pids")):  # the folder was removed
                return 0

    def end_swift(self):
        if self.swift is None:
            return
        children = describe(children_of(self.swift.pid))
        self.swift.terminate()
        try:
            self.swift.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.swift.kill()
            self.swift.wait()
        for child in children:
            while child["start"] is not None and alive(child):
                time.sleep(0.01)
