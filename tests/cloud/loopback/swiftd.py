# SPDX-License-Identifier: Apache-2.0
"""OpenStack Swift on loopback: proxy, account, container and object server, one device, one replica.

Run as a program: swiftd.py STATE REGION xattr|no-xattr. Everything lies below STATE/swift. Swift is imported once, then each
server is forked off; no system service, /etc/swift or /dev/log is touched. When all servers listen, the port of
the proxy is written to stdout as one line.
"""

import ctypes
import logging
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from loopback import attributes, credentials  # noqa: E402

STORAGE = ("account", "container", "object")
DEVICE = "sdb1"
PART_POWER = 4
PR_SET_PDEATHSIG = 1


def listen():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(256)
    return sock


def write(path, text):
    with open(path, "w", encoding="ascii") as out:
        out.write(text)


DEFAULTS = """[DEFAULT]
swift_dir = {base}
devices = {base}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
bind_ip = 127.0.0.1
bind_port = {port}
log_level = INFO
log_name = {name}
"""

STORAGE_APP = """
[pipeline:main]
pipeline = {name}-server

[app:{name}-server]
use = egg:swift#{name}
conn_timeout = 5
node_timeout = 60
container_update_timeout = 60
disk_chunk_size = 1048576
network_chunk_size = 1048576
mb_per_sync = 65536
"""

PROXY_APP = """
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck memory listing_formats s3api accesskeys tempauth slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 5
node_timeout = 60
recoverable_node_timeout = 60
object_chunk_size = 1048576
client_chunk_size = 1048576

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:s3api]
use = egg:swift#s3api
location = {region}

[filter:accesskeys]
paste.filter_factory = loopback.filters:access_keys_factory

[filter:memory]
paste.filter_factory = loopback.filters:cache_factory

[filter:slo]
use = egg:swift#slo

[filter:tempauth]
use = egg:swift#tempauth
"""


def write_configs(base, region, ports):
    os.makedirs(os.path.join(base, "devices", DEVICE), exist_ok=True)
    write(os.path.join(base, "swift.conf"),
          "[swift-hash]\nswift_hash_path_suffix = loopback\nswift_hash_path_prefix = loopback\n")
    for name in STORAGE:
        write(os.path.join(base, name + ".conf"),
              (DEFAULTS + STORAGE_APP).format(base=base, name=name, port=ports[name]))
    users = ""
    for credential in credentials.ALL:
        account, user = credential.swift_user.split(":")
        # Who is no .admin of the account is refused everything: the buckets are another's.
        group = " .admin" if credential.account == account else ""
        users += "user_%s_%s = %s%s\n" % (account, user, credential.secret, group)
    path = os.path.join(base, "proxy.conf")
    write(path, (DEFAULTS + PROXY_APP).format(base=base, name="proxy", port=ports["proxy"], region=region) + users)
    os.chmod(path, 0o600)


def write_rings(base, ports):
    from swift.common.ring import RingBuilder

    for name in STORAGE:
        builder = RingBuilder(PART_POWER, 1, 1)
        builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": ports[name], "weight": 1.0,
                         "replication_ip": "127.0.0.1", "replication_port": ports[name], "device": DEVICE,
                         "meta": ""})
        builder.rebalance()
        builder.get_ring().save(os.path.join(base, name + ".ring.gz"))


def log_to_file(path):
    """Swift logs to syslog only: give it a file in that place."""
    from swift.common import utils

    class LogFile(logging.FileHandler):
        def __init__(self, address=None, facility=None):  # pylint: disable=unused-argument
            super().__init__(path)

        def createLock(self):
            self.lock = utils.PipeMutex()  # safe between eventlet's green threads and its pool of real ones

    utils.ThreadSafeSysLogHandler = LogFile


def die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def serve(base, name, sock):
    from eventlet.greenio import GreenSocket
    from swift.common import wsgi

    conf, logger, log_name = wsgi._initrp(os.path.join(base, name + ".conf"),  # pylint: disable=protected-access
                                          name + "-server")
    wsgi.run_server(conf, logger, GreenSocket(sock), global_conf={"log_name": log_name})


def main():
    state, region, xattr = sys.argv[1:]
    base = os.path.join(state, "swift")
    die_with_parent()
    sockets = {name: listen() for name in STORAGE + ("proxy",)}
    ports = {name: sock.getsockname()[1] for name, sock in sockets.items()}
    write_configs(base, region, ports)

    from swift.common import utils
    utils.set_swift_dir(base)
    log_to_file(os.path.join(state, "log", "swift.log"))
    write_rings(base, ports)
    # What the servers import, imported once for all of them.
    import swift.account.server, swift.container.server, swift.obj.server, swift.obj.diskfile, swift.proxy.server  # noqa: E401,F401
    import swift.common.middleware.s3api.s3api, swift.common.middleware.tempauth  # noqa: E401,F401
    import swift.common.wsgi  # noqa: F401
    # Tests do not outlive a crash of the machine: nothing has to reach the disk at once.
    os.fsync = os.fdatasync = lambda _fd: None
    if xattr == "no-xattr":
        swift.obj.diskfile.xattr = attributes.module(os.path.join(base, "attributes"))
    utils.eventlet_monkey_patch()

    parent = os.getpid()
    children = []
    for name, sock in sockets.items():
        pid = os.fork()
        if pid == 0:
            die_with_parent()
            if os.getppid() != parent:
                os._exit(1)
            for other in sockets.values():
                if other is not sock:
                    other.close()
            try:
                serve(base, name, sock)
            finally:
                os._exit(1)
        children.append(pid)
    for sock in sockets.values():
        sock.close()
    print(ports["proxy"], flush=True)

    def stop(_signal, _frame):
        for pid in children:
            os.kill(pid, signal.SIGKILL)  # every write was already answered for; there is nothing to wait for
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    os.wait()  # none of them ends by itself unless something is wrong
    stop(None, None)


if __name__ == "__main__":
    main()
