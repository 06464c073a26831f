#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# OpenStack's image inspector, and what it calls unsafe.

setup() {
	WORK=$(mktemp -d /dev/shm/inspector.XXXXXX 2>/dev/null || mktemp -d)
}
teardown() { rm -rf "$WORK"; }

@test "imgconv refuses whatever OpenStack's inspector calls unsafe" {
	inspector=$(tests/interop/fetch-inspector) || skip "the inspector's package cannot be had"
	tests/interop/inspector.py "$inspector" "$BINDIR/imgconv" "$WORK" 80
}
