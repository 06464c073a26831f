#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# serve --stdio: one connection on stdin and stdout, a process for each, as QEMU's guestfwd starts it.

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	define a 'imds: {tokens: required}' 'user-data: some data'
}

# ask REQUEST: through pipes
ask() { printf '%b' "$1" | timeout 20 "$MS" serve --stdio instances/a.yaml --token-key key; }
PUT="PUT /latest/api/token HTTP/1.0\r\n$TTL: 60\r\n\r\n"

@test "a token of one process holds in the next" {
	token=$(ask "$PUT" | tail -n 1)
	[ "${#token}" -eq 56 ]
	out=$(ask "GET /latest/user-data HTTP/1.0\r\nX-aws-ec2-metadata-token: $token\r\n\r\n")
	[ "$(tail -n 1 <<<"$out")" = "some data" ]
	rm key
	out=$(ask "GET /latest/user-data HTTP/1.0\r\nX-aws-ec2-metadata-token: $token\r\n\r\n")
	has "$out" "HTTP/1.1 401 "
}

@test "processes that start at once agree on a key" {
	for i in $(seq 8); do
		ask "$PUT" >"out.$i" &
	done
	wait
	for i in $(seq 8); do
		token=$(tail -n 1 "out.$i")
		out=$(ask "GET / HTTP/1.0\r\nX-aws-ec2-metadata-token: $token\r\n\r\n")
		has "$out" "HTTP/1.1 200 "
	done
}

@test "the key's place is the runtime folder where none is given" {
	mkdir -m 700 run
	export XDG_RUNTIME_DIR=$PWD/run
	token=$(printf '%b' "$PUT" | "$MS" serve --stdio instances/a.yaml | tail -n 1)
	[ "$(stat -c '%a %s' run/acclimate/token.key)" = "600 32" ]
	out=$(printf 'GET / HTTP/1.0\r\nX-aws-ec2-metadata-token: %s\r\n\r\n' "$token" |
		"$MS" serve --stdio a -d instances)
	has "$out" "HTTP/1.1 200 "
}

@test "a socket as stdin and stdout carries several requests" {
	/usr/bin/python3 - "$MS" <<'PY'
import socket, subprocess, sys
ours, theirs = socket.socketpair()
p = subprocess.Popen([sys.argv[1], "serve", "--stdio", "instances/a.yaml", "--token-key", "key"],
                     stdin=theirs, stdout=theirs)
theirs.close()
f = ours.makefile("rwb")
def ask(text):
    f.write(text.encode()); f.flush()
    status = int(f.readline().split()[1])
    length = 0
    while True:
        line = f.readline()
        if line == b"\r\n":
            break
        if line.lower().startswith(b"content-length:"):
            length = int(line.split()[1])
    return status, f.read(length)
status, token = ask("PUT /latest/api/token HTTP/1.1\r\nHost: 10.0.0.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n")
assert status == 200
for i in range(100):
    got = ask("GET /latest/user-data HTTP/1.1\r\nHost: 10.0.0.1\r\nX-aws-ec2-metadata-token: %s\r\n\r\n" % token.decode())
    assert got == (200, b"some data"), got
status, _ = ask("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n")
assert status == 401
ours.shutdown(socket.SHUT_RDWR)
assert p.wait(20) == 0
PY
}

@test "a file can be the request and another the answer" {
	printf 'GET /latest/ HTTP/1.0\r\n\r\n' >request
	timeout 20 "$MS" serve --stdio instances/a.yaml --token-key key <request >answer
	grep -q '^HTTP/1.1 401 ' answer
	timeout 20 "$MS" serve --stdio instances/a.yaml --token-key key </dev/null >answer
	[ ! -s answer ]
}

@test "a reader that has gone is not an error that is told the guest's way" {
	head -c 900000 /dev/zero >instances/big
	define b 'user-data-file: big'
	run bash -c 'printf "GET /latest/user-data HTTP/1.0\r\n\r\n" |
		timeout 20 "$0" serve --stdio instances/b.yaml --token-key key | head -c 10; exit ${PIPESTATUS[1]}' "$MS"
	[ "$status" -eq 0 ]
	[ "$output" = "HTTP/1.1 2" ]
}

@test "a definition with faults is told on stderr, with nothing on stdout" {
	define a 'hostname: a_b'
	run --separate-stderr ask 'GET / HTTP/1.0\r\n\r\n'
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	# shellcheck disable=SC2154 # set by run
	has "$stderr" "instances/a.yaml:2:1: 'hostname'"
}

@test "the process of one connection is confined as a server is" {
	local i found
	mkfifo in
	"$MS" serve --stdio instances/a.yaml --token-key key <in >out 2>log 3>&- &
	PID=$!
	exec 9>in
	printf 'GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n' >&9
	for ((i = 0; i < 500; i++)); do
		! grep -q 401 out || break
		sleep 0.02
	done
	found=$(sed -nE 's/^(CapEff|CapBnd|NoNewPrivs|Seccomp):[[:space:]]*//p' "/proc/$PID/status" | paste -sd ' ')
	exec 9>&-
	wait "$PID"
	echo "$found"
	[[ $found == "0000000000000000 "*" 1 2" ]]
	[ "$(id -u)" -ne 0 ] || [ "$found" = "0000000000000000 0000000000000000 1 2" ]
}
