# What the tests of sources share: the loopback cloud without S3, a web server on it, configuration
# and cache of one's own.

load common

# For setup_file: exports CLOUD, CLOUD_WEB and WEB, the folder that the web server shows.
web_up() {
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	export CLOUD WEB BINDIR
	BINDIR=${BINDIR:-$PWD/bin}
	CLOUD=$BATS_FILE_TMPDIR/cloud
	tests/cloud/cloud start --state "$CLOUD" --no-s3 --owner-pid $$ 3>&- || return 1
	set -a
	. "$CLOUD/env"
	set +a
	WEB=$CLOUD/web
}

# For setup: nothing is known yet.
fresh_sources() {
	tools
	export ACCLIMATE_STORE=$BATS_TEST_TMPDIR/store XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	export ACCLIMATE_CATALOG_CONFIG=$BATS_TEST_TMPDIR/catalog.yaml
	echo 'sources: {}' >"$ACCLIMATE_CATALOG_CONFIG"
	rm -rf "${WEB:?}"/*
	if [ -e "$CLOUD/tests-fault" ]; then
		fault clear
		rm "$CLOUD/tests-fault"
	fi
}

add() { catalog source add "$@"; }

# A disk of 3 MiB that begins as a disk does, with a partition; NAME SEED.
make_disk() {
	truncate -s 3M "$1"
	echo '2048,,83,*' | sfdisk -q --no-tell-kernel "$1"
	head -c 1500000 /dev/zero | openssl enc -aes-128-ctr -K "$(printf %032x "$2")" \
		-iv "$(printf %032x 0)" | dd of="$1" bs=64K seek=20 conv=notrunc status=none
}

# same RAW NAME: the image of the store is that disk.
same() {
	qemu-img check -q "$(disk "$2")"
	qemu-img compare -q -f raw -F qcow2 "$1" "$(disk "$2")"
}

# An Ubuntu-like simplestreams below $WEB/ubuntu with one download; its disk is $1.
make_streams() {
	local base=$WEB/ubuntu sum
	mkdir -p "$base/streams/v1" "$base/noble"
	qemu-img convert -f raw -O qcow2 "$1" "$base/noble/noble-amd64.img"
	sum=$(sha256sum "$base/noble/noble-amd64.img" | cut -c -64)
	cat >"$base/streams/v1/index.json" <<-END
		{"format": "index:1.0", "index": {
		 "com.ubuntu.cloud:released:download": {"format": "products:1.0",
		  "datatype": "image-downloads", "path": "streams/v1/download.json",
		  "products": ["com.ubuntu.cloud:server:24.04:amd64"]},
		 "com.ubuntu.cloud:released:aws": {"format": "products:1.0",
		  "datatype": "image-ids", "path": "streams/v1/aws.json", "products": []}}}
	END
	cat >"$base/streams/v1/download.json" <<-END
		{"format": "products:1.0", "datatype": "image-downloads", "os": "ubuntu",
		 "products": {"com.ubuntu.cloud:server:24.04:amd64": {
		  "arch": "amd64", "version": "24.04", "release": "noble",
		  "release_codename": "Noble Numbat", "release_title": "24.04 LTS",
		  "versions": {
		   "20240101": {"items": {"disk1.img": {"ftype": "disk1.img",
		    "path": "noble/older.img", "size": 1, "sha256": "$sum"}}},
		   "20240423": {"label": "release", "pubname": "ubuntu-noble-24.04-amd64-20240423",
		    "items": {"disk1.img": {"ftype": "disk1.img", "path": "noble/noble-amd64.img",
		     "size": $(stat -c %s "$base/noble/noble-amd64.img"), "sha256": "$sum"},
		     "manifest": {"ftype": "manifest", "path": "noble/x.manifest", "size": 3}}}}}}}
	END
	cat >"$base/streams/v1/aws.json" <<-END
		{"format": "products:1.0", "datatype": "image-ids", "products": {
		 "com.ubuntu.cloud:server:24.04:amd64": {"arch": "amd64", "os": "ubuntu",
		  "version": "24.04", "versions": {"20240423": {"items": {
		   "use1": {"id": "${2:-ami-0aaaaaaaaaaaaaaa1}", "crsn": "us-east-1",
		    "root_store": "ssd", "virt": "hvm"}}}}}}}
	END
}
