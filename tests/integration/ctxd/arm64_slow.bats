#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd for arm64, by a cross compiler, under emulation: the same tree as on this machine.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

@test "built for arm64 it is one static file, and does the same" {
	command -v aarch64-linux-gnu-gcc >/dev/null || skip "no cross compiler here"
	command -v qemu-aarch64 >/dev/null || skip "no qemu-aarch64 here"
	"$TOP/ctxd/fetch-arm64" 2>/dev/null || skip "the packages cannot be had"
	make -C "$TOP" -j2 ctxd-arm64 >log 2>&1 || { cat log; false; }
	ARM=$TOP/build/arm64/ctxd
	file "$ARM" | grep -q 'ARM aarch64.*statically linked'
	[ "$(stat -c %s "$ARM")" -le $((3 * 1024 * 1024)) ]
	context <<-'END'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	SET_HOSTNAME='web1.example.org'
	SSH_PUBLIC_KEY='ssh-rsa AAAA'
	USER_DATA='#!/bin/sh'
	END
	for program in "$CTXD" "qemu-aarch64 $ARM"; do
		tree networkd
		$program local -q --root tree --dev media
		(cd tree && find . -type f | sort | xargs -d '\n' sha256sum) >"$(basename "$program")"
	done
	[ "$(grep -c . ctxd)" -gt 5 ]
	mv ctxd one
	tree networkd
	"$CTXD" local -q --root tree --dev media
	(cd tree && find . -type f | sort | xargs -d '\n' sha256sum) | diff one -
}
