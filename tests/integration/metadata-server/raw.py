#!/usr/bin/python3
"""raw.py PORT [keep]: sends standard input as it is to 127.0.0.1:PORT, prints what comes back.

Without `keep` it says that it has sent all (a half-closed connection); with it, it waits for the
server to close. Exits 3 if the server does not end the connection within 20 seconds.
"""
import socket
import sys

s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.settimeout(20)
try:
    s.sendall(sys.stdin.buffer.read())
    if len(sys.argv) < 3:
        s.shutdown(socket.SHUT_WR)
except OSError:
    pass  # closed on us in the middle: the answer says why
try:
    while True:
        data = s.recv(65536)
        if not data:
            break
        sys.stdout.buffer.write(data)
except socket.timeout:
    sys.exit(3)
