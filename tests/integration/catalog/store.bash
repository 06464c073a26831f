# What the tests of the store share: images without a cloud, in a store of their own.

load by_hand

# For setup_file: one disk to make images of.
store_up() {
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	export BINDIR=${BINDIR:-$PWD/bin} BUILD=${BUILD:-$PWD/build/release}
	export PRISTINE=$BATS_FILE_TMPDIR/pristine.qcow2
	qemu-img create -q -f qcow2 "$PRISTINE" 64M
	qemu-io -c "write -P 7 1M 2M" -c "write -P 8 40M 1M" "$PRISTINE" >/dev/null
}
# For setup.
store_fresh() {
	PATH=$BINDIR:$PATH
	export ACCLIMATE_STORE=$BATS_TEST_TMPDIR/store
}

# An image as older stores have it: its disk lies in its folder.
old_image() {
	local dir=$ACCLIMATE_STORE/images/$1
	mkdir -p "$dir"
	cp "$PRISTINE" "$dir/disk.qcow2"
	printf '{"name": "%s", "virtual-size": 67108864, "source": {"id": "ami-1", "name": "t", "ratio": 1.5}}' \
		"$1" >"$dir/image.json"
}
# An image that has its disk in disks/.
new_image() {
	old_image old-one
	catalog tag old-one "$1"
	catalog rm old-one
}

# An image whose disk is named by the SHA-256 of its file, as stores had them.
sha256_image() {
	local file
	file=sha256-$(sha256sum <"$PRISTINE" | cut -c -64).qcow2
	mkdir -p "$ACCLIMATE_STORE/images/$1" "$ACCLIMATE_STORE/disks"
	cp "$PRISTINE" "$ACCLIMATE_STORE/disks/$file"
	chmod 444 "$ACCLIMATE_STORE/disks/$file"
	ln -s "../../disks/$file" "$ACCLIMATE_STORE/images/$1/disk.qcow2"
	printf '{"name": "%s", "disks": [{"file": "%s", "sha256": "%s"}], "virtual-size": 67108864}' \
		"$1" "$file" "${file:7:64}" >"$ACCLIMATE_STORE/images/$1/image.json"
}

# The path of an image's disk, in disks/.
path_of() {
	catalog images -o json | python3 -c '
import json, sys
print([i["disk"] for i in json.load(sys.stdin) if i["name"] == sys.argv[1]][0])' "$1"
}
# change NAME PATTERN: writes into a clone.
change() { qemu-io -c "write -P $2 $((5 + $2))M 64k" "$(path_of "$1")" >/dev/null; }
# holds NAME PATTERN: that is what change wrote.
holds() {
	qemu-io -r -c "read -P $2 $((5 + $2))M 64k" -c "read -P 7 1M 2M" "$(path_of "$1")" >"$BATS_TEST_TMPDIR/io"
	! grep -q 'failed\|error' "$BATS_TEST_TMPDIR/io"
}
disks() { find "$ACCLIMATE_STORE/disks" -type f | wc -l; }
whole() {
	run catalog verify
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = whole ]
}
