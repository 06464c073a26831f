#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The service on the wire: sessions, and requests that must not get through.

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	define web1 'hostname: web1.example.org' 'user-data-base64: AAEC/w==' 'ami-id: ami-1'
	define v2 'imds: {tokens: required}'
	define off 'imds: {enabled: false}'
}
teardown() { stop; }

@test "version 1: values, listings, headers" {
	start -d instances --as web1 --listen 127.0.0.1:0
	[ "$(get latest/)" = $'dynamic\nmeta-data\nuser-data' ]
	[ "$(get latest/meta-data/hostname)" = web1.example.org ]
	[ "$(get latest/user-data | od -An -tx1)" = " 00 01 02 ff" ]
	curl -sD - -o /dev/null "$URL/latest/meta-data/ami-id" | tr -d '\r' >headers
	cat headers
	grep -qx 'HTTP/1.1 200 OK' headers
	grep -qx 'Content-Type: text/plain' headers
	grep -qx 'Content-Length: 5' headers
	grep -qx 'Accept-Ranges: none' headers
	grep -qx 'Server: EC2ws' headers
	grep -qE '^Last-Modified: .* GMT$' headers
	grep -qE '^Date: .* GMT$' headers
	[ "$(status GET /latest/meta-data/none)" = 404 ]
	[ "$(status HEAD /latest/meta-data/ami-id -I)" = 200 ]
	[ "$(status DELETE /latest/)" = 405 ]
	[ "$(status GET /latest/api/token)" = 405 ]
}

@test "version 2: a token opens what is closed without" {
	start -d instances --as v2 --listen 127.0.0.1:0
	[ "$(status GET /latest/meta-data/instance-id)" = 401 ]
	[ "$(status PUT /latest/api/token)" = 400 ]
	[ "$(status PUT /latest/api/token -H "$TTL: 21601")" = 400 ]
	[ "$(status PUT /latest/api/token -H "$TTL: 60" -H 'X-Forwarded-For: 10.0.0.1')" = 403 ]
	[ "$(status PUT /2021-03-23/api/token -H "$TTL: 60")" = 403 ]
	TOKEN=$(token)
	[ "$(get latest/meta-data/instance-id)" = i-v2 ]
	TOKEN=${TOKEN%????}AAAA
	run get latest/meta-data/instance-id
	[ "$status" -eq 22 ]
	! grep -q -e "$TOKEN" log
}

@test "a disabled service answers 403" {
	start -d instances --as off --listen 127.0.0.1:0
	[ "$(status GET /latest/)" = 403 ]
	[ "$(status PUT /latest/api/token -H "$TTL: 60")" = 403 ]
}

@test "a token holds in another process that has the key, and only there" {
	start -d instances --as v2 --listen 127.0.0.1:0 --token-key key
	TOKEN=$(token)
	stop
	start -d instances --as v2 --listen 127.0.0.1:0 --token-key key
	[ "$(get latest/meta-data/instance-id)" = i-v2 ]
	stop
	start -d instances --as v2 --listen 127.0.0.1:0
	[ "$(status GET /latest/ -H "X-aws-ec2-metadata-token: $TOKEN")" = 401 ]
	[ "$(stat -c %a key)" = 600 ]
}

@test "one connection serves many requests" {
	start -d instances --as web1 --listen 127.0.0.1:0
	curl -sf -w '%{num_connects}\n' -o /dev/null "$URL/latest/" -o /dev/null "$URL/latest/meta-data/" \
		-o /dev/null "$URL/latest/user-data" >connects
	[ "$(tr '\n' ' ' <connects)" = "1 0 0 " ]
}

@test "pipelined requests are answered in order" {
	start -d instances --as web1 --listen 127.0.0.1:0
	for i in $(seq 300); do
		printf 'GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n'
		printf 'GET /latest/meta-data/none%s HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n' "$i"
		printf 'PUT /latest/ HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 3\r\n\r\nGET'
		printf 'HEAD / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n'
	done | $RAW "$PORT" >out
	grep -ao 'HTTP/1.1 [0-9]*' out | cut -d ' ' -f 2 >statuses
	for i in $(seq 300); do printf '200\n404\n405\n200\n'; done | cmp - statuses
}

@test "requests that come byte by byte are answered" {
	start -d instances --as web1 --listen 127.0.0.1:0
	/usr/bin/python3 - "$PORT" <<'PY'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for b in b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n":
    s.sendall(bytes([b]))
data = b""
while True:
    d = s.recv(4096)
    if not d:
        break
    data += d
assert data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n\r\ni-web1"), data
PY
}

@test "what could be read in two ways is refused, and ends the connection" {
	start -d instances --as web1 --listen 127.0.0.1:0
	/usr/bin/python3 - "$PORT" <<'PY'
import re, socket, sys
P = b"PUT /latest/api/token HTTP/1.1\r\nHost: 10.0.0.1\r\n"
BEHIND = b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
for status, text in (
    (400, P + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, P + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
    (411, P + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, P + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    (501, P + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"),
    (400, P + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n"),
    (400, P + b"Content-Length: 0,0\r\n\r\n"),
    (400, P + b"Content-Length: +0\r\n\r\n"),
    (400, P + b"Content-Length : 0\r\n\r\n"),
    (400, P + b"X: a\r\n Content-Length: 44\r\n\r\n"),
    (400, P + b"Host: b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET http://a/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"),
    (400, b"GET /latest/\r\n"),
    (400, b"GET /latest/ HTTP/1.1\nHost: 10.0.0.1\n\n"),
    (400, b"GET /latest/ HTTP/1.1\r\nHost: 10.0.0.1\r\nX: \r Y: b\r\n\r\n"),
    (400, b"GET /latest/\x00 HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (413, P + b"Content-Length: 100000\r\n\r\n"),
    (413, P + b"Content-Length: 18446744073709551617\r\n\r\n"),
    (417, P + b"Content-Length: 5\r\nExpect: more\r\n\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
    s.sendall(text + BEHIND)
    out = b""
    while data := s.recv(65536):  # until the server closes
        out += data
    # what is behind it on the connection is not taken for a request
    assert out.startswith(b"HTTP/1.1 %d " % status), (text, out)
    assert len(re.findall(rb"^HTTP/1\.1", out, re.M)) == 1, (text, out)
    assert b"\r\nConnection: close\r\n" in out and b"i-web1" not in out, (text, out)
PY
}

@test "paths that mean something else are refused" {
	start -d instances --as web1 --listen 127.0.0.1:0
	for p in '/latest/../latest/' '/..' '/%2e%2e/latest/' '/latest/%00' '/latest%2fmeta-data/' '/latest/%'; do
		[ "$(status GET "$p")" = 400 ]
	done
	[ "$(status GET //latest//meta-data/)" = 200 ]
	[ "$(status GET '/latest/meta-data/?a=b')" = 200 ]
}

@test "heads that are too large are refused" {
	start -d instances --as web1 --listen 127.0.0.1:0
	{ printf 'GET /'; head -c 3000 /dev/zero | tr '\0' a; printf ' HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n'; } | $RAW "$PORT" >out
	head -n 1 out | grep -q ' 414 '
	{ printf 'GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nX: '; head -c 3000000 /dev/zero | tr '\0' a; } | $RAW "$PORT" >out
	head -n 1 out | grep -q ' 431 '
	{ printf 'GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n'; for i in $(seq 100); do printf 'X%s: a\r\n' "$i"; done; printf '\r\n'; } |
		$RAW "$PORT" >out
	head -n 1 out | grep -q ' 431 '
}

@test "one address cannot take all connections" {
	start -d instances --as web1 --listen 127.0.0.1:0
	/usr/bin/python3 - "$PORT" <<'PY'
import socket, sys
ask = b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
def connect(source):
    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20, (source, 0))
def answer(s):
    data = s.recv(4096)
    return data[9:12]
held = []
for i in range(64):
    s = connect("127.0.0.1")
    s.sendall(ask)
    assert answer(s) == b"200", i
    held.append(s)
assert answer(connect("127.0.0.1")) == b"503"
other = connect("127.0.0.2")
other.sendall(ask)
assert answer(other) == b"200"
held.pop().close()
for _ in range(1000):
    s = connect("127.0.0.1")
    s.sendall(ask)
    if answer(s) == b"200":
        break
else:
    raise SystemExit("a place that is free again is not given")
PY
	grep -q 'status=503.*too many connections of this client' log
}

@test "a client that does not read its answers costs a bounded amount" {
	head -c 700000 /dev/urandom >instances/big
	define big 'user-data-file: big'
	start -d instances --as big --listen 127.0.0.1:0
	/usr/bin/python3 - "$PORT" "$PID" <<'PY'
import socket, sys
def rss():
    with open("/proc/%s/status" % sys.argv[2]) as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))
before = rss()
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setblocking(False)
try:
    for _ in range(2000):
        s.send(b"GET /latest/user-data HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n" * 100)
except BlockingIOError:
    pass
t = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
t.sendall(b"GET /latest/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n")
assert t.recv(100).startswith(b"HTTP/1.1 200")
assert rss() - before < 32 * 1024, (before, rss())
PY
}

@test "the log names who asked for what, and cannot be written into" {
	start -d instances --as web1 --listen 127.0.0.1:0
	status GET '/latest/%0a?metadata-server:%20error' >/dev/null
	printf 'GET /a"b HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\nGET /\x1b[31m HTTP/1.1\r\n\r\n' | $RAW "$PORT" >/dev/null
	get latest/meta-data/hostname >/dev/null
	wait_log 'peer=127.0.0.1 interface=lo instance=web1 status=200 bytes=16 why="" method=GET target=/latest/meta-data/hostname'
	! grep -q $'\x1b' log
}

@test "it stops when told to, and finishes what it answers" {
	start -d instances --as web1 --listen 127.0.0.1:0
	kill -TERM "$PID"
	wait "$PID"
	PID=
	start -d instances --as web1 --listen 127.0.0.1:0
	exec 5<>"/dev/tcp/127.0.0.1/$PORT"
	printf 'GET /' >&5 # an open connection does not hold it up
	kill -INT "$PID"
	wait "$PID"
	PID=
	exec 5>&-
}

@test "IPv6 is served beside IPv4" {
	start -d instances --as web1 --listen 127.0.0.1:0 --listen '[::1]:0'
	[ "$(curl -sf "http://[::1]:$PORT6/latest/meta-data/instance-id")" = i-web1 ]
	[ "$(get latest/meta-data/instance-id)" = i-web1 ]
}
