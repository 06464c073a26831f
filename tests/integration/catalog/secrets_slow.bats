#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is secret goes to whom it is for alone, and is neither shown nor kept.

bats_require_minimum_version 1.5.0
load sources

setup() {
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	export BINDIR=${BINDIR:-$PWD/bin}
	tools
	export ACCLIMATE_STORE=$BATS_TEST_TMPDIR/store XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	export ACCLIMATE_CATALOG_CONFIG=$BATS_TEST_TMPDIR/catalog.yaml no_proxy=127.0.0.1
	echo 'sources: {}' >"$ACCLIMATE_CATALOG_CONFIG"
	LOG=$BATS_TEST_TMPDIR/log
	RAW=$BATS_TEST_TMPDIR/a.raw
	make_disk "$RAW" 41
	# More than one request, each from where the first one led.
	truncate -s 40M "$RAW"
	python3 -B tests/integration/catalog/elsewhere.py "$RAW" "$LOG" >"$BATS_TEST_TMPDIR/ports" 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/pid"
	for _ in $(seq 1000); do read -r ONE TWO <"$BATS_TEST_TMPDIR/ports" && break; sleep 0.05; done
	[ -n "$TWO" ]
}
teardown() { kill "$(cat "$BATS_TEST_TMPDIR/pid")"; }

@test "a token does not follow a redirect to another server, for no request" {
	echo SECRETTOKEN >"$BATS_TEST_TMPDIR/token"
	add g glance url="http://127.0.0.1:$ONE" token-file="$BATS_TEST_TMPDIR/token"
	catalog import -q g:11111111-2222-3333-4444-555555555555 --name x
	same "$RAW" x
	cat "$LOG"
	[ "$(grep -c '^1 .* SECRETTOKEN$' "$LOG")" -ge 2 ]
	[ "$(grep -c '^2 GET' "$LOG")" -ge 5 ]
	run ! grep -q '^2 .*SECRETTOKEN' "$LOG"
}

@test "nor does a password" {
	echo SECRETWORD >"$BATS_TEST_TMPDIR/password"
	add g glance auth-url="http://127.0.0.1:$ONE/identity" username=u project=p password-file="$BATS_TEST_TMPDIR/password"
	run --separate-stderr -1 catalog list g
	echo "$stderr"
	[[ $stderr == *"a redirect of what is sent to 'http://127.0.0.1:$TWO/data' is refused"* ]]
	run ! grep -q '^2' "$LOG"
}

@test "what was signed into an address is neither shown nor kept" {
	catalog import "http://127.0.0.1:$TWO/data?sig=SIGNATURE" --name x 2>"$BATS_TEST_TMPDIR/err"
	same "$RAW" x
	catalog show x -o json >"$BATS_TEST_TMPDIR/out"
	[ "$(jq -r .source.url "$BATS_TEST_TMPDIR/out")" = "http://127.0.0.1:$TWO/data" ]
	# -q: what is found counts though another of them is not there.
	run ! grep -rqs SIGNATURE "$ACCLIMATE_STORE" "$XDG_CACHE_HOME" "$BATS_TEST_TMPDIR/err" "$BATS_TEST_TMPDIR/out"
	run --separate-stderr -1 catalog import "http://127.0.0.1:$ONE/v2/images?sig=SIGNATURE" --name y
	[[ $stderr != *SIGNATURE* ]]
}
