# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the proofs of the loopback cloud share: a cloud for each file, ended with it.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../../.." && pwd)
CLOUD=$TOP/tests/cloud/cloud
export CLOUD PYTHONDONTWRITEBYTECODE=1

start_cloud() {
	export STATE=$BATS_FILE_TMPDIR/cloud
	"$CLOUD" start --state "$STATE" --owner-pid "$$"
}

stop_cloud() {
	"$CLOUD" stop --state "$STATE"
}

use_cloud() {
	# shellcheck disable=SC1091
	. "$STATE/env"
}

# prove_all FILE: runs all functions of the Python file that lies here which the test file names, in one go: most of
# the time goes into loading botocore
prove_all() {
	use_cloud
	mapfile -t names < <(sed -n "s/^\tprove //p" "$BATS_TEST_FILENAME")
	mkdir "$BATS_FILE_TMPDIR/results"
	/usr/bin/python3 "$HERE/$1.py" "$BATS_FILE_TMPDIR/results" "${names[@]}"
}

# prove FUNCTION: what came of that function
prove() {
	cat "$BATS_FILE_TMPDIR/results/$1"
	[ ! -s "$BATS_FILE_TMPDIR/results/$1" ]
}
