#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Manifests are parsed in a sandbox, whoever reads them: watched by strace.

bats_require_minimum_version 1.5.0
load common
load ../imgconv/watched

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
	"$MKBUNDLE" --image image --name disk --out b --keys keys
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	may_watch
	# What `watched` watches.
	IMGCONV=$BUNDLE
}

# The bundle as S3 has it, by a server that looks at no signature; sets server and port.
serve() {
	rm -rf served
	mkdir -p served/bucket
	cp b/* served/bucket
	python3 -u -m http.server --bind 127.0.0.1 --directory served 0 >log 2>&1 3>&- &
	server=$!
	for _ in $(seq 600); do
		port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' log)
		[ -z "$port" ] || break
		sleep 0.1
	done
}

@test "migrate parses in a sandbox, decrypts and signs outside of it" {
	watched migrate --force -k keys/user.key.pem --kernel aki-2 b/disk.manifest.xml new.manifest.xml
	[ ! -s after ]
	[ "$(cat confined)" = 1 ]
	"$BUNDLE" info new.manifest.xml | grep -q aki-2
}

@test "so do upload and download" {
	export AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x AWS_REGION=us-east-1
	# Nobody listens there: that is after the manifest.
	watched upload --endpoint-url http://127.0.0.1:1 b/disk.manifest.xml s3://bucket || true
	[ ! -s after ]
	[ "$(cat confined)" = 1 ]
	serve
	status=0
	watched download --no-sign-request --path-style --endpoint-url "http://127.0.0.1:$port" \
		s3://bucket/disk.manifest.xml back || status=$?
	kill "$server"
	[ "$status" = 0 ]
	[ ! -s after ]
	[ "$(cat confined)" = 1 ]
	diff -r b back
}

@test "so does what is opened in S3, after one look at the manifest" {
	serve
	status=0
	watched open -k keys/user.key.pem --no-sign-request --path-style --region us-east-1 \
		--endpoint-url "http://127.0.0.1:$port" s3://bucket/disk.manifest.xml out.raw || status=$?
	kill "$server"
	[ "$status" = 0 ]
	[ ! -s after ]
	[ "$(cat confined)" = 2 ]
	cmp image out.raw
}

@test "open, verify and info do, and make a bundle" {
	for args in "open -k keys/user.key.pem b/disk.manifest.xml again.raw" \
		"verify b/disk.manifest.xml" "info b/disk.manifest.xml" \
		"create --for gce image out.tar.gz"; do
		# shellcheck disable=SC2086
		watched $args
		[ ! -s after ]
		[ "$(cat confined)" = 1 ]
	done
	cmp image again.raw
}
