#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The store: names, clones, images made of clones, what is removed and what stays.

bats_require_minimum_version 1.5.0
load store
load ../flip

setup_file() { store_up; }
setup() { store_fresh; }

fails() {
	local pattern=$1
	shift
	run --separate-stderr "$@"
	echo "status $status: $stderr"
	[ "$status" -eq 1 ]
	[ "$(printf '%s\n' "$stderr" | wc -l)" -eq 1 ]
	[[ $stderr =~ $pattern ]]
}

@test "an image of an older store is read, and moves to its digest when it is cloned" {
	old_image debian
	run catalog images
	[[ $output == *debian*64.0\ MiB* ]]
	qemu-img compare -q "$PRISTINE" "$(path_of debian)"
	run catalog verify
	[ "$status" -eq 0 ]
	[[ $output == *"older store"* ]]
	catalog clone debian web
	whole
	disk=$(path_of debian)
	[ "$(basename "$disk")" = "pieces-$(digest_by_hand "$disk").qcow2" ]
	[ "$(stat -c %a "$disk")" = 444 ]
	qemu-img compare -q "$PRISTINE" "$ACCLIMATE_STORE/images/debian/disk.qcow2"
	run catalog show debian -o json
	[[ $output == *"\"digest\": \"pieces:$(digest_by_hand "$disk")\""* ]]
	[[ $output == *'"ratio": 1.5'* ]]
	run catalog images -o json
	[[ $output == *"\"digest\": \"pieces:$(digest_by_hand "$disk")\""* ]]
}

@test "disks that are named by the SHA-256 of their file stay so: cloned, tagged, checked, removed" {
	sha256_image debian
	disk=$(path_of debian)
	run catalog images -o json
	[[ $output == *"\"digest\": \"sha256:$(sha256sum <"$PRISTINE" | cut -c -64)\""* ]]
	whole
	catalog tag debian other
	run catalog show other -o json
	[[ $output == *"\"digest\": \"sha256:$(sha256sum <"$PRISTINE" | cut -c -64)\""* ]]
	catalog clone debian web
	change web 3
	catalog commit web web-1
	[ "$(basename "$(path_of web-1)")" = "pieces-$(digest_by_hand "$(path_of web-1)").qcow2" ]
	catalog rm debian other
	catalog gc
	whole
	holds web-1 3
	holds web 3
	chmod u+w "$disk"
	flip "$disk" 1000000
	run catalog verify
	[ "$status" -eq 3 ]
	[[ $output == *"$disk' has the digest sha256:$(sha256sum <"$disk" | cut -c -64)"* ]]
	catalog rm web web-1
	[ "$(disks)" -eq 0 ]
}

@test "verify finds a byte that changed in the first piece, in a middle one, in the last" {
	new_image debian
	disk=$(path_of debian)
	size=$(stat -c %s "$disk")
	# The last piece is a short one.
	[ $((size % 524288)) -ne 0 ]
	chmod u+w "$disk"
	for at in 131072 $((size / 2)) $((size - 1)); do
		flip "$disk" "$at"
		run catalog verify
		[ "$status" -eq 3 ]
		[[ $output == *"$disk' has the digest pieces:$(digest_by_hand "$disk")"* ]]
		flip "$disk" "$at"
		whole
	done
}

@test "a clone changes and its image does not; what it stands on stays as long as it does" {
	new_image debian
	run catalog clone debian web
	[ "$output" = "$(path_of web)" ]
	change web 3
	holds web 3
	qemu-img compare -q "$PRISTINE" "$(path_of debian)"
	catalog rm debian
	holds web 3
	whole
	[ "$(disks)" -eq 2 ]
	catalog rm web
	[ "$(disks)" -eq 0 ]
	whole
}

@test "a clone can be larger, never smaller" {
	new_image debian
	catalog clone debian web --disk-size 1G
	qemu-img info "$(path_of web)" | grep -q 'virtual size: 1 GiB'
	run catalog images -o json
	[[ $output == *'"virtual-size": 1073741824'* ]]
	fails "not smaller" catalog clone debian less --disk-size 1M
	run -2 catalog clone debian less --disk-size 0
	whole
}

@test "an image is made of a clone in layers; the clone goes on, each keeps what it had" {
	new_image debian
	catalog clone debian web
	change web 3
	catalog commit web web-1
	change web 4
	catalog commit web web-2
	change web 5
	holds web-1 3
	run ! holds web-1 4
	holds web-2 4
	run ! holds web-2 5
	holds web 5
	whole
	catalog rm debian web-1
	holds web-2 4
	holds web 5
	catalog rm web
	holds web-2 3
	whole
}

@test "a flattened image needs no base" {
	new_image debian
	catalog clone debian web
	change web 3
	catalog commit web flat --flatten
	holds flat 3
	[ "$(qemu-img info "$(path_of flat)" | grep -c backing)" -eq 0 ]
	catalog rm web debian
	[ "$(disks)" -eq 1 ]
	holds flat 3
	whole
}

@test "a clone of a clone begins with what that one is now" {
	new_image debian
	catalog clone debian a
	change a 3
	catalog clone a b
	change a 4
	change b 5
	holds b 3
	run ! holds b 4
	run ! holds a 5
	whole
}

@test "the store can be moved" {
	new_image debian
	catalog clone debian web
	change web 3
	catalog commit web web-1
	mv "$ACCLIMATE_STORE" "$BATS_TEST_TMPDIR/elsewhere"
	export ACCLIMATE_STORE=$BATS_TEST_TMPDIR/elsewhere
	holds web-1 3
	whole
}

@test "equal disks are kept once" {
	new_image debian
	old_image again
	catalog tag again third
	[ "$(disks)" -eq 1 ]
	catalog rm debian third
	[ "$(disks)" -eq 1 ]
	catalog rm again
	[ "$(disks)" -eq 0 ]
}

@test "names: what is there is not replaced, what is not there is an error" {
	new_image debian
	catalog clone debian web
	fails "already" catalog clone debian web
	fails "already" catalog tag debian web
	fails "already" catalog commit web debian
	fails "no image 'none'" catalog clone none x
	fails "no clone" catalog commit debian x
	fails "is a clone" catalog tag web x
	fails "no name for an image" catalog clone debian ../x
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
	whole
}

@test "a clone that QEMU has open is left alone" {
	new_image debian
	catalog clone debian web
	mkfifo "$BATS_TEST_TMPDIR/qmp"
	qemu-system-x86_64 -accel tcg -S -display none -nodefaults -qmp stdio \
		-drive if=none,id=d,file="$(path_of web)",format=qcow2 -device virtio-blk-pci,drive=d \
		<>"$BATS_TEST_TMPDIR/qmp" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	# It greets before it has opened all, and answers when it has.
	echo '{"execute": "qmp_capabilities"}' >"$BATS_TEST_TMPDIR/qmp"
	for _ in $(seq 600); do
		! grep -q '"return"' "$BATS_TEST_TMPDIR/out" || break
		sleep 0.1
	done
	fails "in use" catalog commit web x
	fails "in use" catalog clone web x
	fails "in use" catalog rm web
	kill "$pid"
	wait "$pid" || true
	catalog commit web x
	whole
}

@test "verify finds a changed disk, a missing one, a link that leads elsewhere, a bad record" {
	new_image debian
	catalog clone debian web
	base=$(path_of debian)
	chmod u+w "$base"
	flip "$base" 1000000
	run catalog verify --quick
	[ "$status" -eq 0 ]
	run catalog verify -o json
	[ "$status" -eq 3 ]
	[[ $output == *'"faults": 1'* ]]
	[[ $output == *"has the digest pieces:"* ]]
	printf 'XXXX' | dd of="$base" bs=1 seek=0 conv=notrunc status=none
	run catalog verify debian --quick
	[ "$status" -eq 3 ]
	rm -f "$base"
	run catalog verify web
	[ "$status" -eq 3 ]
	[[ $output == *"is missing"* ]]
	ln -sf /etc/passwd "$ACCLIMATE_STORE/images/debian/disk.qcow2"
	echo nonsense >"$ACCLIMATE_STORE/images/web/image.json"
	run catalog verify
	[ "$status" -eq 3 ]
	[[ $output == *"no disk of the store"* ]]
	[[ $output == *"image.json"* ]]
	fails "no disk of the store" catalog clone debian other
	catalog rm debian web
	whole
}

@test "gc removes what nothing refers to, and nothing else" {
	new_image debian
	cp "$PRISTINE" "$ACCLIMATE_STORE/disks/clone-00000000000000000000000000000000.qcow2"
	mkdir -p "$ACCLIMATE_STORE"/partial/{tmp.abcdef,ami-1,ami-2,ami-3,file-1,copy-1}
	echo '{}' >"$ACCLIMATE_STORE/partial/ami-2/journal.json"
	echo '{}' >"$ACCLIMATE_STORE/partial/file-1/source.json"
	echo '{}' >"$ACCLIMATE_STORE/partial/copy-1/copy.json"
	: >"$ACCLIMATE_STORE/partial/ami-9.lock"
	exec 9>"$ACCLIMATE_STORE/partial/ami-3.lock"
	flock 9
	run catalog verify
	[ "$status" -eq 0 ]
	[[ $output == *"clone-0000"* ]]
	run catalog gc --dry-run -o json
	[[ $output == *'"dry-run": true'*clone-000*tmp.abcdef* || $output == *clone-000*ami-1*tmp.abcdef* ]]
	[ -d "$ACCLIMATE_STORE/partial/tmp.abcdef" ]
	catalog gc
	[ "$(disks)" -eq 1 ]
	[ "$(cd "$ACCLIMATE_STORE/partial" && echo *)" = "ami-2 ami-3 ami-3.lock copy-1 file-1" ]
	exec 9>&-
	run catalog gc --partial
	[ "$status" -eq 0 ]
	[[ $output == *"copy-1' is kept"*"still in the cloud"* ]]
	[ "$(ls "$ACCLIMATE_STORE/partial")" = copy-1 ]
	rm -r "$ACCLIMATE_STORE/partial/copy-1"
	whole
}
