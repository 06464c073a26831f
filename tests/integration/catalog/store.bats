#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The store in short: what takes longer is in store_slow.bats.

bats_require_minimum_version 1.5.0
load store

setup_file() { store_up; }
setup() { store_fresh; }

@test "an image, a clone, an image of the clone; what is needed stays, the rest goes" {
	new_image debian
	catalog clone debian web >/dev/null
	catalog commit web web-1
	catalog rm debian web
	whole
	[ "$(disks)" -eq 2 ]
	qemu-img compare -q "$PRISTINE" "$(path_of web-1)"
	catalog rm web-1
	[ "$(disks)" -eq 0 ]
}

@test "the store and clones need no libcurl; what does says that it cannot be loaded" {
	new_image debian
	mkdir "$BATS_TEST_TMPDIR/lib"
	echo "no library" >"$BATS_TEST_TMPDIR/lib/libcurl.so.4"
	export LD_LIBRARY_PATH=$BATS_TEST_TMPDIR/lib
	catalog clone debian web
	run --separate-stderr catalog import http://127.0.0.1:9/disk.raw
	[ "$status" -eq 1 ]
	[[ $stderr =~ ^'catalog: '.*'loading libcurl: '.*'libcurl.so.4' ]]
	[ "${#stderr_lines[@]}" -eq 1 ]
}
