#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv convert --via-qemu: formats that qemu-img reads for us, and what it cannot do meanwhile.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	make_work
	make_disk disk.raw 3M
	for f in vhdx parallels qed qcow; do
		qemu-img convert -q -f raw -O $f disk.raw disk.$f
	done
	"$HERE/craft_foreign"
	mkdir evil none
	cc -O1 -o evil/qemu-img "$HERE/evil_qemu_img.c"
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -rf out* in* beside*
}

# evil WHAT: a QED image for a qemu-img on $EVIL that does WHAT.
evil() {
	qemu-img create -q -f qed in.qed 5M
	printf '%s\0' "$1" | dd of=in.qed bs=1 seek=64 conv=notrunc status=none
	EVIL=$WORK/evil:$PATH
}

@test "what QEMU reads and we do not becomes what we write" {
	for f in vhdx parallels qed qcow; do
		fails "images are not supported (QEMU reads them: convert --via-qemu" \
			convert -O raw disk.$f out.raw
		"$IMGCONV" convert -q --via-qemu --digest sha256 -O raw disk.$f out.raw >out.digest
		cmp disk.raw out.raw
		[ "$(cat out.digest)" = "sha256:$(sha256sum <disk.raw | cut -d ' ' -f 1)" ]
		rm out.raw
	done
	"$IMGCONV" convert -q --via-qemu --verify -c -O qcow2 disk.vhdx out.qcow2
	same disk.raw out.qcow2
	"$IMGCONV" convert -q --via-qemu -O raw disk.vhdx - | cmp - disk.raw
	[ -z "$(find . -name '.?*')" ]
}

@test "formats that qemu-img cannot make are read as well" {
	for f in dmg bochs cloop; do
		fails "images are not supported (QEMU reads them" convert -O raw disk.$f out.raw
		"$IMGCONV" convert -q --via-qemu -O raw disk.$f out.raw
		cmp disk.raw out.raw
		rm out.raw
	done
}

@test "an image that refers to another file is refused before QEMU sees it" {
	# There is no qemu-img that could be run.
	for how in vhdx-hasparent vhdx-locator vhdx-second qed-backing qed-offset qcow-backing \
		dmg-segments bochs-undoable; do
		status=0
		PATH=$WORK/none "$IMGCONV" convert --via-qemu -O raw bad.$how out.raw 2>err ||
			status=$?
		[ "$status" = 1 ]
		[[ $(<err) == *"it refers to another file" ]]
	done
	rm err
	# It is what QEMU itself would have followed.
	qemu-img info -U -f qed bad.qed-backing 2>&1 | grep -q /etc/hostname
}

@test "malformed images are refused, each with its line" {
	while IFS='|' read -r how text; do
		fails "$text" convert --via-qemu -O raw "bad.$how" out.raw
	done <<-'EOT'
		qcow-encrypted|QCOW version 1: it is encrypted
		vhdx-sizes|VHDX: it says of its disk's size two things
		vhdx-outside|VHDX: its metadata lie outside of the file
		vhdx-item|VHDX: an item of its metadata lies outside of them
		vhdx-entries|VHDX: a region table has 4294967295 entries
		vhdx-table|VHDX: its table of metadata is malformed
		vhdx-none|VHDX: its disk has no size
		parallels-size|Parallels: its disk is too large
		parallels-version|'qemu-img' ended with status 1: qemu-img: Could not open 'bad.parallels-version'
		qed-none|QED: its disk has no size
	EOT
	head -c 100000 disk.vhdx >in.img
	fails "VHDX: the file ends within its header" convert --via-qemu -O raw in.img out.raw
}

@test "what needs no QEMU, or is no file, is refused" {
	qemu-img create -q -f qcow2 in.qcow2 1M
	fails "qcow2 images are read without QEMU" convert --via-qemu -O raw in.qcow2 out.raw
	fails "no image of a format that QEMU is needed for" convert --via-qemu -O raw disk.raw out.raw
	{ printf 'LUKS\272\276' && head -c 1M disk.raw; } >in.luks
	fails "LUKS images are not supported" convert --via-qemu -O raw in.luks out.raw
	fails "LUKS images are not supported" convert -O raw in.luks out.raw
	mkfifo in.fifo
	fails "not a regular file" convert --via-qemu -O raw in.fifo out.raw
	for args in "-f vhdx disk.vhdx" "--allow-backing disk.vhdx" "-"; do
		status=0
		"$IMGCONV" convert --via-qemu -O raw $args out.raw 2>err || status=$?
		[ "$status" = 2 ]
		rm err
	done
	status=0
	PATH=$WORK/none "$IMGCONV" convert --via-qemu -O raw disk.vhdx out.raw 2>err || status=$?
	[ "$status" = 1 ]
	[[ $(<err) == *"--via-qemu needs QEMU's tools (Debian: qemu-utils): there is no program 'qemu-img'" ]]
	rm err
}

@test "a qemu-img that was taken over reads, writes and reaches nothing" {
	for what in "f$PWD/beside" r m; do
		echo beside >beside
		chmod 600 beside
		evil "$what"
		PATH=$EVIL "$IMGCONV" convert --via-qemu -O raw in.qed out.raw
		[ "$(cat beside)" = beside ]
		[ "$(stat -c %a beside)" = 600 ]
		[ ! -e beside.new ]
		rm out.raw
		# Outside it can do much.
		(exec 3<in.qed 4>out.raw && ulimit -v unlimited && "$WORK/evil/qemu-img" x 2>err) || true
		grep -q WORKED err
		rm -rf out.raw err beside.new
	done
}

@test "limits of time, memory and space hold" {
	evil t
	PATH=$EVIL fails "'qemu-img' took longer than 1 seconds" convert --via-qemu --timeout 1 -O raw in.qed out.raw
	evil l
	PATH=$EVIL fails "'qemu-img' " convert --via-qemu -O raw in.qed out.raw
	evil d
	PATH=$EVIL fails "'qemu-img' has written more than 1048576 bytes" \
		convert --via-qemu --max-output 1M -O raw in.qed out.raw
	evil s
	PATH=$EVIL fails "qemu-img sees a disk of 5242879 bytes, its header says 5242880" \
		convert --via-qemu -O raw in.qed out.raw
}

@test "what qemu-img says is passed on, in one line that a terminal can be shown" {
	evil e
	status=0
	PATH=$EVIL "$IMGCONV" convert --via-qemu -O raw in.qed out.raw 2>err || status=$?
	[ "$status" = 1 ]
	cat err
	[ "$(cat err)" = "imgconv: 'in.qed': 'qemu-img' ended with status 1: qemu-img: \\x1b[31mno\\x1b[0m good; 'in.qed': two" ]
	rm err
}

@test "a signal ends qemu-img too" {
	evil t
	PATH=$EVIL "$IMGCONV" convert -q --via-qemu -O raw in.qed out.raw 2>err &
	pid=$!
	child=""
	for _ in $(seq 100); do
		child=$(pgrep -P "$pid" -x qemu-img) && break
		sleep 0.05
	done
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 143 ]
	[ -n "$child" ]
	run ! kill -0 "$child"
	rm err
}
