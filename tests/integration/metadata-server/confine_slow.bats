#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The running server has given up what it does not need, and gets on with the service manager.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	define a 'hostname: one' 'identify: {interface: lo, address: 127.0.0.1}'
}
teardown() { stop; }

of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }

@test "a server has no capabilities and no way to any, filters its calls, and still reads" {
	[ "${MODE:-}" != asan ] || skip "a sanitizer wants more"
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.." 2>/dev/null || true
	mkdir -m 700 state
	chown nobody state
	start -d instances -l 127.0.0.1:0 --user nobody --state state --control sock
	[ "$(get latest/meta-data/hostname)" = one ] # it listens before it is confined, and answers after
	[ "$(of "$PID" Uid | tr '\t' ' ' | cut -d' ' -f1-4)" = "$(u=$(id -u nobody); echo "$u $u $u $u")" ]
	[ "$(of "$PID" CapEff)" = 0000000000000000 ]
	[ "$(of "$PID" CapBnd)" = 0000000000000000 ]
	[ "$(of "$PID" NoNewPrivs)" -eq 1 ]
	[ "$(of "$PID" Seccomp)" -eq 2 ]
	local beside
	beside=$(pgrep -P "$PID")
	until grep -qx credentials "/proc/$beside/comm"; do kill -0 "$beside"; sleep 0.02; done # when it is ready
	[ "$(of "$beside" CapEff)" = 0000000000000000 ]
	[ "$(of "$beside" NoNewPrivs)" -eq 1 ]
	[ "$(of "$beside" Uid | cut -f 2)" = "$(id -u nobody)" ]
	# of the server's sockets it has the one to it
	[ "$(find "/proc/$beside/fd" -lname 'socket:*' | wc -l)" -eq 1 ]
	change a s/one/two/
	wait_log 'loaded again'
	[ "$(get latest/meta-data/hostname)" = two ]
	"$MS" event --control sock a spot stop
	[ -s state/events.json ]
	run --separate-stderr timeout 20 "$MS" serve -d instances -l 127.0.0.1:0 --user nosuchuser
	[ "$status" -eq 1 ]
	has "$stderr" "there is no user 'nosuchuser'"
}

@test "a link that leads out of the folder is not followed" {
	[ -e /sys/kernel/security/landlock ] || "$MS" --version >/dev/null
	start -d instances -l 127.0.0.1:0
	! grep -q 'no Landlock' log || skip "needs Landlock"
	mkdir outside
	sed s/i-a/i-b/ instances/a.yaml >outside/b.yaml
	ln -s ../outside/b.yaml instances/b.yaml
	wait_log "'instances/b.yaml': Permission denied"
	wait_log "not loaded again"
	[ "$(get latest/meta-data/instance-id)" = i-a ]
}

@test "the service manager is told, and hands over sockets" {
	cat >manager.py <<-'PY'
		import os, socket, subprocess, sys, urllib.request
		told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		told.bind("notify")
		told.settimeout(30)
		guests, metrics = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
		def child():
		    os.environ["LISTEN_PID"] = str(os.getpid())
		    os.dup2(guests.fileno(), 100), os.dup2(metrics.fileno(), 101)
		    os.dup2(100, 3), os.dup2(101, 4)
		env = dict(os.environ, LISTEN_FDS="2", LISTEN_FDNAMES="guests:metrics", WATCHDOG_USEC="1000000",
		           NOTIFY_SOCKET=os.path.abspath("notify"))
		# a shell keeps its number when it becomes the server
		p = subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", sys.argv[1], "serve", "-d", "instances"],
		                     env=env, preexec_fn=child, close_fds=False)
		def hear(text):
		    while True:
		        got = told.recv(4096).decode()
		        if text in got:
		            return got
		assert "STATUS=1 instances" in hear("READY=1")
		for s, path in ((guests, "latest/meta-data/hostname"), (metrics, "healthz")):
		    url = "http://127.0.0.1:%d/%s" % (s.getsockname()[1], path)
		    print(urllib.request.urlopen(url, timeout=30).read().decode().strip())
		hear("WATCHDOG=1")
		p.send_signal(1)
		hear("RELOADING=1"), hear("READY=1")
		p.terminate()
		hear("STOPPING=1")
		assert p.wait(30) == 0
	PY
	[ "$(/usr/bin/python3 manager.py "$MS" 2>log)" = $'one\nok' ]
}

@test "systemd finds little to object to in the unit" {
	command -v systemd-analyze >/dev/null || skip "needs systemd-analyze"
	run systemd-analyze security --offline=true --no-pager --threshold=20 \
		"$TOP/metadata-server/metadata-server.service"
	[[ $output == *"Overall exposure level"* ]] || skip "systemd-analyze does not look at files"
	tail -n 1 <<<"$output"
	[ "$status" -eq 0 ]
	sed "s|/usr/local/bin/metadata-server|$MS|" "$TOP/metadata-server/metadata-server.service" >metadata-server.service
	run systemd-analyze verify --man=no ./metadata-server.service
	run ! grep -q "metadata-server.service:[0-9]" <<<"$output"
}

@test "the unit's filter lets through every system call of a server, from its start to its end" {
	[ "${MODE:-}" != asan ] || skip "a sanitizer wants more"
	command -v systemd-analyze >/dev/null && command -v strace >/dev/null || skip "needs systemd-analyze and strace"
	strace -f -o trace true || skip "nothing can be traced here"
	mkdir state
	start_traced() { exec strace -f -o trace "$plain" "$@"; }
	local plain=$MS MS=start_traced
	start -d instances -l 127.0.0.1:0 --state state --control sock
	[ "$(get latest/meta-data/hostname)" = one ]
	change a s/one/two/
	wait_log 'loaded again'
	"$plain" event --control sock a spot stop
	kill "$(pgrep -P "$PID" | head -n 1)"
	wait "$PID" || true
	run /usr/bin/python3 "$TOP/tests/integration/metadata-server/calls.py" \
		"$TOP/metadata-server/metadata-server.service" trace
	echo "$output"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "documents are parsed in a process that can open nothing" {
	command -v strace >/dev/null || skip "needs strace"
	[ "${MODE:-}" != asan ] || skip "a sanitizer wants more"
	"$MS" iso --kind nocloud instances/a.yaml x.iso
	# a file for each process: in one, lines of two at once are cut
	strace -ff -o trace -e trace=seccomp,open,openat,execve,socket,pread64 \
		"$MS" convert --to yaml x.iso back.yaml
	grep -q i-a back.yaml
	# the image is read by the child alone, behind its filter, and it opens nothing from then on
	child=$(grep -l 'SECCOMP_SET_MODE_FILTER.* = 0$' trace.*)
	parent=$(grep -l '"x.iso"' trace.*)
	[ -e "$child" ]
	[ -e "$parent" ]
	[ "$child" != "$parent" ]
	sed -n '/openat(.*"x.iso"/,$p' "$parent" >before
	sed '/SECCOMP_SET_MODE_FILTER.* = 0$/q' "$child" >>before
	sed '1,/SECCOMP_SET_MODE_FILTER.* = 0$/d' "$child" >behind
	run ! grep -q pread64 before
	grep -q pread64 behind
	run ! grep -E 'open|execve|socket' behind
}
