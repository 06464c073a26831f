#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Guests that ask by vsock, which the kernel loops back where it can (vsock_loopback).

bats_require_minimum_version 1.5.0
load common

# vsock PATH: what the server answers, asked by CID 1, from CID 1
vsock() {
	/usr/bin/python3 - "$PORT" "$1" <<-'PY'
		import socket, sys
		s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
		s.settimeout(20)
		s.connect((1, int(sys.argv[1])))
		s.sendall(b"GET %s HTTP/1.0\r\n\r\n" % sys.argv[2].encode())
		answer = b""
		while True:
		    data = s.recv(65536)
		    if not data:
		        break
		    answer += data
		print(answer.split(b" ")[1].decode(), answer.rsplit(b"\r\n\r\n", 1)[1].decode())
	PY
}

# can_loop: a byte comes through
can_loop() {
	timeout 20 /usr/bin/python3 - <<-'PY'
		import socket
		server = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
		server.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
		server.listen()
		client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
		client.settimeout(2)
		client.connect((1, server.getsockname()[1]))
	PY
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	[ -e /dev/vsock ] || skip "this kernel has no vsock"
}
teardown() { stop; }

@test "port 0 is any free one" {
	define a 'identify: {vsock: 5}'
	start -d instances -l vsock:0
	[ "$(sed -n 's/.*vsock port //p' log)" -gt 0 ]
}

@test "who asks by vsock is its CID, and the host's own is no guest's" {
	can_loop 2>err || skip "vsock does not loop back here: $(tail -n 1 err)"
	define a 'identify: {vsock: 5}'
	start -d instances -l vsock:0
	PORT=$(sed -n 's/.*vsock port //p' log)
	[[ $(vsock /latest/meta-data/instance-id) == 404* ]]
	wait_log "no instance is known by interface 'vsock:', address 1"
	stop
	start --as instances/a.yaml -l vsock:0
	PORT=$(sed -n 's/.*vsock port //p' log)
	[ "$(vsock /latest/meta-data/instance-id)" = "200 i-a" ]
}
