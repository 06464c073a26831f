#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd for arm64, by a cross compiler, under emulation: the same tree as on this machine.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

# served PROGRAM...: what it serves of the tree's context
served() {
	: >log
	"$@" imds --root tree --listen 127.0.0.1:0 2>log &
	pid=$!
	until grep -q 'listening on' log; do kill -0 $pid; sleep 0.02; done
	local url
	url=http://127.0.0.1:$(sed -n 's/.*127.0.0.1://p' log)/latest
	for path in '' meta-data meta-data/local-hostname meta-data/public-keys/0/openssh-key user-data; do
		curl -sSf --noproxy '*' -w '\n%{http_code}\n' "$url/$path"
	done
	kill $pid
	wait $pid
}

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
	tree networkd
	for command in 'detect --explain' 'local --dry-run'; do
		# shellcheck disable=SC2086 # words
		"$CTXD" $command --root tree --dev media >expected
		# shellcheck disable=SC2086
		qemu-aarch64 "$ARM" $command --root tree --dev media >got
		grep -q . expected
		diff expected got
	done
	"$CTXD" local -q --root tree --dev media
	snapshot >expected
	[ "$(wc -l <expected)" -gt 5 ]
	tree networkd
	qemu-aarch64 "$ARM" local -q --root tree --dev media
	snapshot | diff expected -
	served "$CTXD" >expected
	served qemu-aarch64 "$ARM" >got
	grep -qx web1.example.org expected
	diff expected got
}
