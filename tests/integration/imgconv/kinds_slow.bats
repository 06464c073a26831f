#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# map, measure, create and resize with every kind of image that can be made.

bats_require_minimum_version 1.5.0
load common
load kinds

setup() {
	make_work
	make_disk disk.raw 5M
	truncate -s 4M disk.raw
	truncate -s 5M disk.raw
	cp --sparse=never disk.raw full.raw
	expected_map disk.raw >expected
}

teardown() { remove_work; }

@test "every kind is mapped" {
	while read -r kind; do map_kind "$kind"; done < <(kinds)
}

@test "every kind is measured" {
	while read -r kind; do measure_kind "$kind"; done < <(measured_kinds)
}

@test "every kind is created" {
	while read -r kind; do create_kind "$kind"; done < <(kinds)
}

@test "every kind is resized" {
	while read -r kind; do resize_kind "$kind"; done < <(kinds)
}
