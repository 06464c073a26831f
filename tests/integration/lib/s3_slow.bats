#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lib/aws against a real S3 that checks signatures strictly (Swift, in the loopback cloud).

setup_file() {
	export TOP="$BATS_TEST_DIRNAME/../../.." CC=gcc SANITIZE=
	export CLIENT=$BATS_FILE_TMPDIR/s3keys CLOUD=$TOP/tests/cloud/cloud STATE=$BATS_FILE_TMPDIR/cloud
	case ${MODE:-release} in
	asan) SANITIZE=-fsanitize=address,undefined ;;
	fuzz) CC=clang SANITIZE=-fsanitize=address,undefined ;;
	esac
	cd "$TOP" || return 1
	# shellcheck disable=SC2046,SC2086
	"$CC" -std=gnu11 -g -I. -D_GNU_SOURCE $SANITIZE tests/integration/lib/s3keys.c \
		"${BUILD:-build/release}/lib/liblib.a" \
		$(pkg-config --libs libcurl libcrypto yaml-0.1 jansson expat) -pthread -o "$CLIENT"
	"$CLOUD" start --state "$STATE" --owner-pid "$$"
}

teardown_file() {
	"$CLOUD" stop --state "$STATE"
}

setup() {
	# shellcheck disable=SC1091
	. "$STATE/env"
}

@test "objects of odd names are put, got and listed, and boto3 sees the same names" {
	names=$("$CLIENT" roundtrip odd-keys)
	/usr/bin/python3 - "$names" <<-'PYTHON'
		import os
		import sys

		import boto3
		from botocore.config import Config

		s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"],
		                  config=Config(s3={"addressing_style": "path"}))
		wanted = sorted(bytes.fromhex(line).decode() for line in sys.argv[1].split())
		seen = sorted(o["Key"] for o in s3.list_objects_v2(Bucket="odd-keys")["Contents"])
		assert wanted == seen and len(seen) == 18, (wanted, seen)
		for key in seen:
		    o = s3.get_object(Bucket="odd-keys", Key=key)
		    assert o["Body"].read().decode() == "the object " + key, key
	PYTHON
}

@test "a wrong secret key fails at once and says which key it was" {
	run "$CLIENT" secret odd-keys
	echo "$output"
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *"HTTP 403 SignatureDoesNotMatch (the secret key from the environment does not fit"* ]]
}

@test "a clock that is off is named" {
	run "$CLIENT" skewed odd-keys
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"RequestTimeTooSkewed: this machine's clock ("*") differs from the server's ("*"): set it" ]]
}

@test "the server's region is followed" {
	run "$CLIENT" region odd-keys
	echo "$output"
	[ "$status" -eq 0 ]
}
