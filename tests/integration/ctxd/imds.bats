#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd imds: the service inside the guest, on the loopback interface of a network namespace.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	tree none
	printf '%s\n' "SET_HOSTNAME='web1.example.org'" "SSH_PUBLIC_KEY='ssh-rsa BBBB two'" \
		"USER_DATA='AAH/Cg=='" "USER_DATA_ENCODING=base64" "PASSWORD='secret'" \
		"ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.5'" "VMID=7" | context
	"$CTXD" local -q --root tree --dev media
}

setup() {
	[ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null || skip "needs root and network namespaces"
	cd "$BATS_TEST_TMPDIR" || return
	cp -a "$BATS_FILE_TMPDIR"/{tree,media} .
}

# guest < SCRIPT: runs it in a network of its own, where ctxd serves as $PID
guest() {
	cat >script
	cat >run.sh <<-'END'
	set -eu
	: >log
	"$CTXD" imds --root tree -v 2>log &
	PID=$!
	trap 'kill $PID 2>/dev/null || true' EXIT
	get() { curl -sf -m 30 --noproxy '*' "http://169.254.169.254/$1"; }
	# That it listens is said before it gives up privileges; when it answers, all that is done.
	until get latest/ >/dev/null; do
		kill -0 $PID || { cat log; exit 1; }
		sleep 0.02
	done
	. ./script
	END
	export CTXD
	timeout 180 unshare -n bash run.sh
}

@test "the loopback interface is set up and has the address, for this host alone" {
	guest <<-'END'
	[ "$(ip -o -4 addr show dev lo | grep -c 'inet 169.254.169.254/32 scope host lo')" = 1 ]
	ip -o link show dev lo | grep -q '<LOOPBACK,UP'
	[ "$(cat /proc/sys/net/ipv4/conf/all/arp_ignore)" = 3 ]
	END
}

@test "an administrator's stricter answer to ARP stays" {
	cat >before.sh <<-'END'
	echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
	exec bash run.sh
	END
	guest </dev/null
	echo '[ "$(cat /proc/sys/net/ipv4/conf/all/arp_ignore)" = 1 ]' >script
	timeout 180 unshare -n bash before.sh
}

@test "both versions of the protocol are answered, user data byte for byte" {
	guest <<-'END'
	[ "$(get latest/meta-data/hostname)" = web1.example.org ]
	[ "$(get 2009-04-04/meta-data/public-keys/0/openssh-key)" = 'ssh-rsa BBBB two' ]
	[ "$(get latest/meta-data/local-ipv4)" = 192.168.0.5 ]
	[ "$(get latest/user-data | od -An -tx1)" = ' 00 01 ff 0a' ]
	token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' \
		http://169.254.169.254/latest/api/token)
	[ ${#token} = 56 ]
	curl -sf -H "X-aws-ec2-metadata-token: $token" \
		http://169.254.169.254/latest/meta-data/instance-id | grep -qx 'i-[0-9a-f]\{17\}'
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: page.example' http://169.254.169.254/latest/)" = 403 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'X-aws-ec2-metadata-token: x' \
		http://169.254.169.254/latest/meta-data/)" = 401 ]
	END
}

@test "what a context holds beyond metadata is not served" {
	guest <<-'END'
	crawl() {
		local x
		get "$1" | while read -r x || [ -n "$x" ]; do
			case $x in
			*/) crawl "$1$x" ;;
			[0-9]=*) crawl "$1${x%%=*}/" ;;
			*) get "$1$x"; echo ;;
			esac
		done
	}
	crawl latest/meta-data/ >all
	get latest/dynamic/ >>all || true
	grep -q web1 all
	! grep -q secret all || exit 1
	# Other dialects would have documents for its scripts and accounts.
	for path in openstack/latest/vendor_data.json nocloud/vendor-data computeMetadata/v1/ latest/vm-id; do
		[ "$(curl -s -m 5 --noproxy '*' -H 'Metadata-Flavor: Google' -o /dev/null -w '%{http_code}' \
			"http://169.254.169.254/$path")" = 404 ]
	done
	END
}

@test "the service keeps no privileges" {
	guest <<-'END'
	grep -q '^Uid:	65534	65534	65534	65534' /proc/$PID/status
	grep -q '^Gid:	65534	65534	65534	65534' /proc/$PID/status
	grep -q '^CapEff:	0000000000000000' /proc/$PID/status
	grep -q '^CapPrm:	0000000000000000' /proc/$PID/status
	grep -q '^NoNewPrivs:	1' /proc/$PID/status
	[ "$(stat -c %u /proc/$PID/mem)" = 0 ] # not to be read by others of its user
	END
}

@test "an account of its own is preferred" {
	echo '_ctxd:x:1234:4321::/nonexistent:/usr/sbin/nologin' >>tree/etc/passwd
	guest <<-'END'
	grep -q '^Uid:	1234	1234	1234	1234' /proc/$PID/status
	grep -q '^Gid:	4321	4321	4321	4321' /proc/$PID/status
	END
}

@test "neighbours reach neither the service nor its address" {
	guest <<-'END'
	ip link add eth0 type veth peer name peer
	mkdir -p /run/netns
	unshare -n sleep 60 &
	other=$!
	trap 'kill $PID $other 2>/dev/null || true' EXIT
	until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
	ip link set peer netns $other
	ip addr add 10.5.5.1/24 dev eth0
	ip link set eth0 up
	nsenter -t $other -n sh -c 'ip link set lo up; ip addr add 10.5.5.2/24 dev peer; ip link set peer up'
	inside() { nsenter -t $other -n "$@"; }
	until inside ip -o link show dev peer | grep -q LOWER_UP; do sleep 0.05; done
	# The host itself answers ...
	inside ping -c 1 -W 5 10.5.5.1 >/dev/null 2>&1 || inside curl -s -m 5 http://10.5.5.1/ || [ $? = 7 ]
	# ... but not for the address on lo, by ARP or through the host's own.
	inside ip route add 169.254.169.254/32 dev peer
	code=0
	inside curl -s -m 2 -o /dev/null http://169.254.169.254/latest/ || code=$?
	[ $code != 0 ]
	inside ip route replace 169.254.169.254/32 via 10.5.5.1
	code=0
	inside curl -s -m 2 -o /dev/null http://169.254.169.254/latest/ || code=$?
	[ $code != 0 ]
	get latest/meta-data/hostname >/dev/null
	END
}

@test "systemd is told when the service listens, by either kind of socket" {
	for kind in path abstract; do
		cat >notify.py <<-'END'
		import os, socket, subprocess, sys
		name = "./notify" if sys.argv[1] == "path" else "\0ctxd-test-%d" % os.getpid()
		if sys.argv[1] == "path":
		    name = os.path.abspath(name)
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(name)
		s.settimeout(20)
		p = subprocess.Popen([os.environ["CTXD"], "imds", "--root", "tree"],
		                     env={"NOTIFY_SOCKET": name.replace("\0", "@")})
		try:
		    assert s.recv(100) == b"READY=1"
		    c = socket.create_connection(("169.254.169.254", 80), 5)
		finally:
		    p.terminate()
		assert p.wait(20) == 0, p.returncode
		END
		CTXD=$CTXD unshare -n /usr/bin/python3 notify.py $kind
		rm -f notify
	done
}

@test "the address can be taken away again" {
	guest <<-'END'
	kill $PID
	wait $PID
	ip addr show dev lo | grep -q 169.254
	"$CTXD" imds --down
	! ip addr show dev lo | grep -q 169.254 || exit 1
	"$CTXD" imds --down
	END
}

@test "in the background it serves when its command has returned, and is ended by another" {
	cat >run.sh <<-'END'
	ctxd() { "$CTXD" imds --root tree "$@"; }
	ctxd --background 2>log
	get() { curl -sf -m 30 --noproxy '*' "http://169.254.169.254/$1"; }
	trap 'ctxd --down' EXIT
	[ "$(get latest/meta-data/hostname)" = web1.example.org ]
	pid=$(cat tree/run/ctxd/imds.pid)
	grep -q '^Uid:	65534' /proc/$pid/status
	[ "$(readlink /proc/$pid/fd/2)" = /dev/null ]
	[ "$(ps -o sid= -p $pid | tr -d ' ')" = $pid ]
	ctxd --background # a second one is not needed
	[ "$(cat tree/run/ctxd/imds.pid)" = $pid ]
	ctxd --down
	! readlink /proc/$pid/exe >/dev/null || exit 1
	! ip addr show dev lo | grep -q 169.254 || exit 1
	[ ! -e tree/run/ctxd/imds.pid ]
	# A number that is somebody else's by now.
	sleep 60 &
	echo $! >tree/run/ctxd/imds.pid
	ctxd --background
	[ "$(cat tree/run/ctxd/imds.pid)" != $! ]
	echo $! >pid
	mv tree/run/ctxd/imds.pid keep
	cp pid tree/run/ctxd/imds.pid
	ctxd --down
	kill $!
	mv keep tree/run/ctxd/imds.pid
	END
	export CTXD
	run -0 timeout 180 unshare -n bash -e run.sh
	rm tree/run/ctxd/context
	run -1 unshare -n "$CTXD" imds --background --root tree
	has "$output" "No such file"
}

@test "without a context, or with a spoilt one, nothing is served and nothing is changed" {
	rm tree/run/ctxd/context
	run -1 unshare -n sh -c '"$1" imds --root tree; rc=$?; ip addr show dev lo | grep 169.254; exit $rc' sh "$CTXD"
	has "$output" "No such file"
	run ! has "$output" 169.254
	"$CTXD" local -q --root tree --dev media
	printf x >>tree/run/ctxd/context
	run -1 unshare -n "$CTXD" imds --root tree
	has "$output" "context message"
}

@test "it serves elsewhere if told, without touching an interface" {
	cat >run.sh <<-'END'
	ip link set lo up
	: >log
	"$CTXD" imds --root tree --listen 127.0.0.1:0 2>log &
	PID=$!
	until grep -q 'listening on' log; do kill -0 $PID || exit 1; sleep 0.05; done
	port=$(sed -n 's/.*127.0.0.1://p' log)
	curl -sf http://127.0.0.1:$port/latest/meta-data/hostname
	ip addr show dev lo | grep -c 169.254
	kill $PID
	wait $PID
	ip addr add 169.254.169.254/32 dev lo
	"$CTXD" imds --root tree --listen 127.0.0.1:0 --down
	ip addr show dev lo | grep -c 169.254
	END
	CTXD=$CTXD run -0 unshare -n bash run.sh
	[ "${lines[0]}" = web1.example.org0 ] || { echo "$output"; false; }
	[ "${lines[1]}" = 1 ]
	run -2 "$CTXD" imds --listen 127.0.0.1
	run -2 "$CTXD" imds --listen 127.0.0.1:99999
	run -2 "$CTXD" imds --listen name:80
	run -2 "$CTXD" imds --listen :80
}
