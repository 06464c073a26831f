#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The loopback cloud starts, keeps what it holds, takes AMIs, and leaves nothing running.

load helper
load ../flip

setup_file() {
	export SAMPLE=$BATS_FILE_TMPDIR/sample
	"$TOP/tests/cloud/mksample" --out "$SAMPLE"
}

setup() {
	STATE=$BATS_TEST_TMPDIR/cloud
	export STATE
}

teardown() {
	"$CLOUD" stop --state "$STATE"
}

# gone PID...: none of the processes is there (or there are only remains, which nobody has collected)
gone() {
	local pid
	for pid in "$@"; do
		case $(sed 's/.*) //' "/proc/$pid/stat" 2>&1) in Z* | *"No such"*) ;; *) return 1 ;; esac
	done
}

pids() {
	grep -o '"pid": [0-9]*' "$STATE/pids" | grep -o '[0-9]*'
}

@test "start writes an env file, is repeatable, and stop ends every process" {
	"$CLOUD" start --state "$STATE"
	[ "$(pids | wc -l)" = 6 ]
	mapfile -t before < <(pids)
	"$CLOUD" start --state "$STATE"
	[ "$(pids)" = "$(printf '%s\n' "${before[@]}")" ]
	use_cloud
	[ "$AWS_DEFAULT_REGION" = us-east-1 ]
	[ "$AWS_REGION" = us-east-1 ]
	for url in "$AWS_ENDPOINT_URL_EC2" "$AWS_ENDPOINT_URL_S3" "$AWS_ENDPOINT_URL_EBS"; do
		[[ $url =~ ^http://127\.0\.0\.1:[0-9]+$ ]]
	done
	"$CLOUD" stop --state "$STATE"
	gone "${before[@]}"
	[ ! -e "$STATE/env" ]
	"$CLOUD" stop --state "$STATE"
	run "$CLOUD" fault --state "$STATE" list
	[ "$status" = 1 ]
	[[ $output == "cloud: no cloud runs in "* ]]
}

@test "two clouds run side by side, each in its region, one without extended attributes" {
	"$CLOUD" start --state "$STATE" --owner-pid $$
	"$CLOUD" start --state "$STATE.2" --region eu-west-1 --no-xattr --owner-pid $$
	(
		STATE=$STATE.2
		use_cloud
		[ "$AWS_DEFAULT_REGION" = eu-west-1 ]
		ami=$("$CLOUD" load --state "$STATE" "$SAMPLE/instance-store")
		/usr/bin/python3 "$HERE/fetch.py" "$ami" "$BATS_TEST_TMPDIR/bundle"
		diff -x image.json "$SAMPLE/instance-store" "$BATS_TEST_TMPDIR/bundle"
		[ -n "$(ls "$STATE/swift/attributes")" ]
	)
	"$CLOUD" stop --state "$STATE.2"
	[ -e "$STATE/env" ]
}

@test "the cloud ends when its owner has ended, and when its main process is killed" {
	sleep 300 3>&- &
	owner=$!
	"$CLOUD" start --state "$STATE" --owner-pid "$owner"
	mapfile -t cloud < <(pids)
	kill "$owner"
	wait "$owner" || true
	for ((i = 0; i < 600; i++)); do
		gone "${cloud[@]}" && break
		sleep 0.1
	done
	gone "${cloud[@]}"
	"$CLOUD" start --state "$STATE"
	mapfile -t cloud < <(pids)
	kill -9 "${cloud[0]}"
	"$CLOUD" stop --state "$STATE"
	gone "${cloud[@]}"
	run "$CLOUD" start --state "$STATE" --owner-pid 99999999
	[ "$status" = 1 ]
	[ "$output" = "cloud: the owner, process 99999999, does not run" ]
}

@test "load puts both kinds of AMI into the cloud, once, and they come out unchanged, also after a restart" {
	"$CLOUD" start --state "$STATE" --owner-pid $$
	mapfile -t ami < <("$CLOUD" load --state "$STATE" "$SAMPLE/instance-store" "$SAMPLE/ebs")
	[[ ${ami[0]} =~ ^ami-[0-9a-f]{17}$ && ${ami[1]} =~ ^ami-[0-9a-f]{17}$ ]]
	run "$CLOUD" load --state "$STATE" "$SAMPLE/instance-store" "$SAMPLE/ebs"
	[ "${lines[*]}" = "${ami[*]}" ]
	# At the same addresses: somebody else may take one meanwhile, but hardly time after time.
	for _ in 1 2 3; do
		cp "$STATE/env" "$BATS_TEST_TMPDIR/env"
		"$CLOUD" stop --state "$STATE"
		"$CLOUD" start --state "$STATE" --owner-pid $$
		! cmp "$STATE/env" "$BATS_TEST_TMPDIR/env" || break
	done
	cmp "$STATE/env" "$BATS_TEST_TMPDIR/env"
	use_cloud
	/usr/bin/python3 "$HERE/fetch.py" "${ami[0]}" "$BATS_TEST_TMPDIR/bundle"
	/usr/bin/python3 "$HERE/fetch.py" "${ami[1]}" "$BATS_TEST_TMPDIR/disk.raw"
	cmp "$SAMPLE/disk.raw" <(head -c "$(stat -c %s "$SAMPLE/disk.raw")" "$BATS_TEST_TMPDIR/disk.raw")
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/disk.raw")" = 1073741824 ]
	diff -x image.json "$SAMPLE/instance-store" "$BATS_TEST_TMPDIR/bundle"
	# What is changed is another image, which takes the place of the first.
	cp -r "$SAMPLE/ebs" "$BATS_TEST_TMPDIR/changed"
	flip "$BATS_TEST_TMPDIR/changed/disk.raw" 1000
	run "$CLOUD" load --state "$STATE" "$BATS_TEST_TMPDIR/changed" "$SAMPLE/instance-store"
	[[ ${lines[0]} =~ ^ami- && ${lines[0]} != "${ami[1]}" && ${lines[1]} == "${ami[0]}" ]]
}

@test "load says in one line what is wrong" {
	"$CLOUD" start --state "$STATE" --owner-pid $$
	bad=$BATS_TEST_TMPDIR/bad
	mkdir "$bad"
	complains() {
		run "$CLOUD" load --state "$STATE" "$bad"
		[ "$status" = 1 ] && [ "${#lines[@]}" = 1 ] && [[ $output == "cloud: "*"$1"* ]]
	}
	complains "image.json': No such file"
	echo '{' >"$bad/image.json"
	complains "image.json'"
	echo '{"kind": "vhd", "name": "x"}' >"$bad/image.json"
	complains "kind is 'vhd'"
	echo '{"kind": "ebs", "name": "xyz"}' >"$bad/image.json"
	complains "disk.raw': No such file"
	echo '{"kind": "instance-store", "name": "xyz"}' >"$bad/image.json"
	complains "holds 0 manifests"
	cp "$SAMPLE/instance-store/"*.manifest.xml "$bad"
	complains "part.0': No such file"
}

@test "the cloud runs for a user who is not root" {
	[ "$(id -u)" = 0 ] || skip "not root: every test here shows it"
	mkdir "$STATE"
	chown 65534:65534 "$STATE"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.."
	cp -r "$TOP/tests/cloud" "$BATS_TEST_TMPDIR/program"
	cp -r "$SAMPLE" "$BATS_TEST_TMPDIR/sample"
	chmod -R a+rX "$BATS_TEST_TMPDIR/program" "$BATS_TEST_TMPDIR/sample"
	as_nobody() {
		setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "$@"
	}
	as_nobody "$BATS_TEST_TMPDIR/program/cloud" start --state "$STATE" --owner-pid $$
	as_nobody "$BATS_TEST_TMPDIR/program/cloud" load --state "$STATE" "$BATS_TEST_TMPDIR/sample/instance-store"
	for pid in $(pids); do
		[ "$(stat -c %u "/proc/$pid")" = 65534 ]
	done
	as_nobody "$BATS_TEST_TMPDIR/program/cloud" stop --state "$STATE"
}
