# What the tests of catalog export share: a cloud, and an image in the store that is not made by it.

# For setup_file.
export_up() {
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	export CLOUD BINDIR=${BINDIR:-$PWD/bin} BUILD=${BUILD:-$PWD/build/release} RAW PRISTINE
	CLOUD=$BATS_FILE_TMPDIR/cloud
	RAW=$BATS_FILE_TMPDIR/disk.raw
	PRISTINE=$BATS_FILE_TMPDIR/disk.qcow2
	# 1.2 GiB: the last block is not whole; runs of data, a block that is zeros but allocated.
	truncate -s 1288491008 "$RAW"
	for at in 0 3 700 1228; do
		dd if=/dev/urandom of="$RAW" bs=700K count=1 oflag=seek_bytes seek="${at}M" conv=notrunc status=none
	done
	printf 'end' | dd of="$RAW" bs=1 seek=1288491005 conv=notrunc status=none
	echo '2048,40960,83' | sfdisk -q --no-tell-kernel "$RAW" --wipe never
	qemu-img convert -O qcow2 "$RAW" "$PRISTINE"
	qemu-io -c "write 100M 1M" -c "write -P 0 100M 1M" "$PRISTINE" >/dev/null
	tests/cloud/cloud start --state "$CLOUD" --owner-pid $$ 3>&- || return 1
	set -a
	. "$CLOUD/env"
	set +a
}
export_down() { tests/cloud/cloud stop --state "$CLOUD" 3>&-; }

# For setup: a store with the image 'box'.
export_fresh() {
	PATH=$BINDIR:$PATH
	export ACCLIMATE_STORE=$BATS_TEST_TMPDIR/store
	local dir=$ACCLIMATE_STORE/images/old
	mkdir -p "$dir"
	cp "$PRISTINE" "$dir/disk.qcow2"
	echo '{"name": "old", "virtual-size": 1288491008}' >"$dir/image.json"
	catalog tag old box
	catalog rm old
	tests/cloud/cloud fault --state "$CLOUD" clear
}
fault() { tests/cloud/cloud fault --state "$CLOUD" "$@"; }
requests() { grep -c "$1" "$CLOUD/log/requests.log"; }
field() { python3 -c 'import json, sys; v = json.load(sys.stdin)[sys.argv[1]]; print(v if not isinstance(v, list) else " ".join(v))' "$1"; }
path_of() {
	catalog images -o json | python3 -c '
import json, sys
print([i["disk"] for i in json.load(sys.stdin) if i["name"] == sys.argv[1]][0])' "$1"
}
fails() {
	local pattern=$1
	shift
	run --separate-stderr "$@"
	echo "status $status: $stderr"
	[ "$status" -eq 1 ]
	[ "$(printf '%s\n' "$stderr" | grep -vc 'goes on from there\|was made$')" -eq 1 ]
	[[ $stderr =~ $pattern ]]
}
