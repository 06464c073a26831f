#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# catalog export to files and to Glance.

bats_require_minimum_version 1.5.0
load store

setup_file() { store_up; }
setup() {
	store_fresh
	new_image box
}
teardown() { [ -z "$GLANCE" ] || kill "$GLANCE"; }

fails() {
	local pattern=$1
	shift
	run --separate-stderr "$@"
	echo "status $status: $stderr"
	[ "$status" -eq 1 ]
	[ "$(printf '%s\n' "$stderr" | wc -l)" -eq 1 ]
	[[ $stderr =~ $pattern ]]
}

# A cloud for this test alone.
start_glance() {
	CLOUD=$BATS_TEST_TMPDIR/glance
	mkdir "$CLOUD"
	tests/integration/catalog/glance.py "$CLOUD" >"$CLOUD/port" 3>&- &
	GLANCE=$!
	for _ in $(seq 600); do
		[ ! -s "$CLOUD/port" ] || break
		sleep 0.1
	done
	OS_AUTH_URL="http://127.0.0.1:$(cat "$CLOUD/port")/identity/v3/"
	export OS_AUTH_URL OS_USERNAME=u OS_PASSWORD=secret
	export OS_PROJECT_NAME=demo OS_REGION_NAME=RegionOne
}

@test "files of every format hold the disk, the bases of a layered one too" {
	catalog clone box work
	change work 3
	catalog commit work layered
	for format in raw qcow2 vmdk vdi vhd; do
		catalog export layered --to file "$BATS_TEST_TMPDIR/out" -q --format "$format" --force
		qemu-img compare -q "$BATS_TEST_TMPDIR/out" -f "${format/vhd/vpc}" "$(path_of layered)"
	done
	catalog export layered --to file "$BATS_TEST_TMPDIR/packed" -q --compress zstd
	qemu-img compare -q "$BATS_TEST_TMPDIR/packed" "$(path_of layered)"
	fails "there already" catalog export box --to file "$BATS_TEST_TMPDIR/out" -q
	run catalog export box --to file x --format nonsense
	[ "$status" -eq 2 ]
	run catalog export box --to nowhere x
	[ "$status" -eq 2 ]
	run -2 catalog export box --to file -
	[ ! -e - ]
	run -2 catalog export box --to file x --acl private
	[[ $output == *"--acl has no effect with --to file, which takes --format --compress --force"* ]]
	run -2 catalog export box --to glance --boot-mode uefi
	run -2 catalog export box --to ec2 --compress zlib
	run -2 catalog export box --to ec2 --architecture amd64
	[[ $output == *"'amd64' is neither x86_64 nor arm64"* ]]
}

@test "an image of Glance: logged in by Keystone, with its properties and data" {
	start_glance
	id=$(catalog export box --to glance my-box -q --description words)
	qemu-img compare -q "$CLOUD/$id.data" "$(path_of box)"
	grep -q '"name": "my-box"' "$CLOUD/$id.json"
	grep -q '"disk_format": "qcow2"' "$CLOUD/$id.json"
	grep -q '"architecture": "x86_64"' "$CLOUD/$id.json"
	OS_PASSWORD=wrong fails "HTTP 401" catalog export box --to glance -q
	touch "$CLOUD/refuse"
	fails "media is full" catalog export box --to glance -q
	[ "$(find "$CLOUD" -name '*.json' | wc -l)" -eq 1 ]
	unset OS_AUTH_URL
	fails "OS_AUTH_URL" catalog export box --to glance -q
}
