#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd needs nothing of the guest: no library, no name service, no program; and its units are sound.

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	case ${MODE:-release} in
	asan | fuzz) skip "with a sanitizer ctxd is linked dynamically" ;;
	esac
}

@test "it is one static file, small enough" {
	file -L "$CTXD" | grep -q 'statically linked'
	run ! ldd "$CTXD"
	strip -o stripped "$CTXD"
	[ "$(stat -c %s stripped)" -le $((3 * 1024 * 1024)) ]
	file stripped | grep -q 'GNU/Linux 3.2'
}

@test "no name service, no character set module and no scanner is linked in" {
	nm "$CTXD" >symbols
	grep -q ' T main$' symbols
	run ! grep -E ' T (getpwnam|getpwnam_r|getgrnam|gethostbyname|__nss_lookup|__nss_configure_lookup|iconv_open|__vfscanf_internal)$' symbols
}

@test "it runs where there is nothing but itself" {
	[ "$(id -u)" = 0 ] && unshare -u true 2>/dev/null || skip "needs root and namespaces"
	tree none
	cp "$CTXD" tree/ctxd
	mkdir tree/media tree/dev
	echo "SET_HOSTNAME='web1'" | context
	cp media/context.iso tree/media
	chroot tree /ctxd detect --dev /media
	rm -f tree/etc/passwd
	run -1 unshare -u chroot tree /ctxd local --dev /media --root / # it names the machine
	has "$output" "no account 'root'"
	[ "$(cat tree/etc/hostname)" = web1 ]
}

@test "the units that run it are sound" {
	command -v systemd-analyze >/dev/null || skip "no systemd here"
	mkdir units
	cp "$TOP"/initscripts/systemd/* units
	sed -i "s|/usr/sbin/ctxd|$CTXD|; s|^Documentation=.*||" units/*
	SYSTEMD_UNIT_PATH=$PWD/units: systemd-analyze verify units/* >out 2>&1 || { cat out; false; }
	[ ! -s out ] || { cat out; false; }
}

@test "OpenRC starts them in LXC's containers, too, where OpenNebula has its folder" {
	for script in "$TOP"/initscripts/openrc/ctxd-*; do
		(
			# shellcheck disable=SC1090 # one of several
			. "$script"
			need() { :; }
			use() { :; }
			after() { :; }
			before() { :; }
			keyword() { echo "$*"; }
			depend
		) >keywords
		grep -q -e -prefix keywords
		run ! grep -e -lxc keywords
	done
}

@test "the units go where the program that injects them looks" {
	for unit in ctxd-local.service ctxd-imds.service; do
		grep -qx 'WantedBy=sysinit.target' "$TOP/initscripts/systemd/$unit"
		grep -qx 'DefaultDependencies=no' "$TOP/initscripts/systemd/$unit"
		cmp "$TOP/initscripts/systemd/$unit" "${BINDIR:-$TOP/bin}/../share/acclimate/guest/systemd/$unit"
	done
	[ -x "${BINDIR:-$TOP/bin}/../share/acclimate/guest/ctxd" ]
}
