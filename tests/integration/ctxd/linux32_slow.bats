#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd on the oldest kernel that it is for: what later ones brought is not there.

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	case ${MODE:-release} in
	asan | fuzz) skip "a sanitizer's run-time library needs a newer kernel" ;;
	esac
	[ "$(id -u)" = 0 ] || skip "needs root"
	[ "$(uname -m)" = x86_64 ] || skip "knows the system calls of x86-64 alone"
	cc -Wall -Werror -D_GNU_SOURCE -o linux32 "$BATS_TEST_DIRNAME/linux32.c"
	./linux32 /bin/true || skip "no filters of system calls here"
}

old() { ./linux32 "$CTXD" "$@"; }

@test "the filter takes away what it says" {
	cat >probe.c <<-'END'
	#include <errno.h>
	#include <fcntl.h>
	#include <stdio.h>
	#include <sys/prctl.h>
	#include <sys/random.h>
	int main(void)
	{
		char c;
		errno = 0;
		if (getrandom(&c, 1, 0) >= 0 || errno != ENOSYS)
			return 1;
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) >= 0 || errno != EINVAL)
			return 2;
		if (open(".", O_TMPFILE | O_RDWR, 0600) >= 0 || errno != EISDIR)
			return 3;
		return prctl(PR_SET_NAME, "x") < 0 || open(".", O_RDONLY) < 0 ? 4 : 0;
	}
	END
	cc -D_GNU_SOURCE -o probe probe.c
	./linux32 ./probe
}

@test "a context is found, read apart, applied, served and undone" {
	tree networkd
	reachable
	printf '%s:!:19000:0:99999:7:::\n' root ops >tree/etc/shadow
	context <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	PASSWORD='secret'
	SET_HOSTNAME='web1.example.org'
	SSH_PUBLIC_KEY='ssh-rsa AAAA'
	USERNAME='ops'
	END
	old local -q --root tree --dev media
	[ "$(cat tree/etc/hostname)" = web1 ]
	grep -qx 'ssh-rsa AAAA' tree/home/ops/.ssh/authorized_keys
	grep -q '^Address=192.168.0.5/24' tree/run/systemd/network/05-ctxd-*.network
	grep -q '^ops:\$6\$' tree/etc/shadow
	[ -z "$(find tree -name '*.tmp')" ]
	./linux32 "$CTXD" imds --root tree --listen 127.0.0.1:0 2>log &
	pid=$!
	until grep -q 'listening on' log; do kill -0 $pid; sleep 0.02; done
	url=http://127.0.0.1:$(sed -n 's/.*127.0.0.1://p' log)
	token=$(curl -sfX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$url/latest/api/token")
	[ "$(curl -sfH "X-aws-ec2-metadata-token: $token" "$url/latest/meta-data/local-hostname")" = web1.example.org ]
	grep -qx 'Uid:.65534.65534.65534.65534' "/proc/$pid/status"
	kill $pid
	wait $pid
	old final --root tree
	old undo --root tree
	[ ! -e tree/etc/hostname ]
}
