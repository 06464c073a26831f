#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# catalog against Debian's Glance, and OpenStack's own client of it: neither is ours.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export BINDIR=${BINDIR:-$PWD/bin} GLANCE="" TOP=$PWD
	export PATH=$BINDIR:$PATH no_proxy=127.0.0.1
	root=$(tests/interop/fetch-glance 2>/dev/null) || return 0
	export GLANCE=$root/usr/lib/python3/dist-packages
	PYTHONPATH=$GLANCE /usr/bin/python3 -B tests/interop/glance_serve.py "$BATS_FILE_TMPDIR/glance" secret-token \
		>"$BATS_FILE_TMPDIR/port" 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/pid"
	for _ in $(seq 3000); do
		[ -s "$BATS_FILE_TMPDIR/port" ] && break
		sleep 0.2
	done
	export OS_IMAGE_ENDPOINT_OVERRIDE OS_TOKEN=secret-token
	OS_IMAGE_ENDPOINT_OVERRIDE=http://127.0.0.1:$(cat "$BATS_FILE_TMPDIR/port")
	for _ in $(seq 3000); do
		curl -s -o /dev/null "$OS_IMAGE_ENDPOINT_OVERRIDE" && break
		sleep 0.2
	done
	export DISK=$BATS_FILE_TMPDIR/disk.qcow2
	truncate -s 64M "$BATS_FILE_TMPDIR/disk.raw"
	echo '2048,40960,83,*' | sfdisk -q "$BATS_FILE_TMPDIR/disk.raw"
	dd if=/dev/urandom of="$BATS_FILE_TMPDIR/disk.raw" bs=1M seek=2 count=20 conv=notrunc status=none
	qemu-img convert -O qcow2 "$BATS_FILE_TMPDIR/disk.raw" "$DISK"
}
setup() {
	[ -n "$GLANCE" ] || skip "Glance cannot be had"
	cd "$TOP" || return 1
	export ACCLIMATE_STORE=$BATS_TEST_TMPDIR/store XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	export ACCLIMATE_CATALOG_CONFIG=$BATS_TEST_TMPDIR/catalog.yaml
	echo 'sources: {g: {type: glance}}' >"$ACCLIMATE_CATALOG_CONFIG"
}
teardown_file() { [ ! -e "$BATS_FILE_TMPDIR/pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/pid")"; }

client() {
	PYTHONPATH=$GLANCE /usr/bin/python3 -B -W ignore tests/interop/glance_client.py "$OS_IMAGE_ENDPOINT_OVERRIDE" "$OS_TOKEN" "$@"
}

@test "what its client uploads is found, imported and verified" {
	id=$(client upload debian-theirs "$DISK" architecture=x86_64 os_distro=debian)
	run catalog search debian-theirs -o json
	echo "$output"
	[ "$(jq -r '.[0].id' <<<"$output")" = "$id" ]
	catalog import -q "g:$id" --name x
	qemu-img compare -q "$DISK" "$ACCLIMATE_STORE/images/x/disk.qcow2"
	[ "$(catalog show x -o json | jq -r '.verified[0]')" = "file digest (SHA-512)" ]
}

@test "what is exported its client downloads, with properties that Glance took" {
	catalog import -q "$DISK" --name box
	run -0 catalog export -q box --to glance ours --description words -o json
	[ "$(jq -r .image <<<"$output")" = "$(client show ours | jq -r .id)" ]
	client show ours | jq -e '.status == "active" and .disk_format == "qcow2" and .container_format == "bare" and
		.architecture == "x86_64" and .hw_disk_bus == "virtio" and .description == "words" and .min_disk == 1'
	client download ours "$BATS_TEST_TMPDIR/back"
	qemu-img compare -q "$DISK" "$BATS_TEST_TMPDIR/back"
	catalog import -q "g:$(jq -r .image <<<"$output")" --name again
	qemu-img compare -q "$DISK" "$ACCLIMATE_STORE/images/again/disk.qcow2"
}

@test "all pages are read" {
	client many 230
	catalog list g -o json >"$BATS_TEST_TMPDIR/list"
	[ "$(jq '[.[] | select(.name | startswith("m0"))] | length' "$BATS_TEST_TMPDIR/list")" -eq 230 ]
}

@test "what has no data, what is deactivated, and a wrong token are refused, in one line" {
	client many 1
	id=$(client show m0000 | jq -r .id)
	run --separate-stderr -1 catalog import -q "g:$id"
	[[ $stderr == *"'queued'"* ]]
	id=$(client upload shut "$DISK")
	client deactivate shut
	run --separate-stderr -1 catalog import -q "g:$id"
	echo "$stderr"
	[[ $stderr == *"'deactivated'"* ]]
	OS_TOKEN=wrong run --separate-stderr -1 catalog list g --refresh
	[[ $stderr == *401* ]]
	[[ $stderr != *wrong* ]]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[ -z "$(find "$ACCLIMATE_STORE"/images "$ACCLIMATE_STORE"/partial -mindepth 1 2>/dev/null)" ]
}
