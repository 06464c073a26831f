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

clear_faults() {
	"$CLOUD" fault --state "$STATE" clear
}

# prove FILE FUNCTION: runs one function of a Python file that lies here
prove() {
	use_cloud
	/usr/bin/python3 "$HERE/$1.py" "$2"
}
