#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# imgconv convert and compare, with qemu-img and 7-Zip as the other side.

bats_require_minimum_version 1.5.0
load common
load ../flip

setup_file() {
	make_work
	make_disk disk.raw 9M
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	rm -f out* in*
}

@test "7-Zip reads what imgconv writes" {
	"$IMGCONV" convert -q -c -O qcow2 disk.raw out.qcow2
	7zz x -so out.qcow2 >out.raw 2>/dev/null
	cmp disk.raw out.raw
}

@test "sizes from a sector to a tebibyte" {
	for size in $(few 512 65024 1K 64K 66048 1M); do
		make_disk in.raw $size
		"$IMGCONV" convert -q -c -O qcow2 in.raw out.qcow2
		same in.raw out.qcow2
		"$IMGCONV" convert -q -O raw out.qcow2 out.raw
		cmp in.raw out.raw
		rm out.*
	done
	truncate -s 1T in.raw
	printf x | dd of=in.raw bs=1 seek=1099511627000 conv=notrunc status=none
	"$IMGCONV" convert -q -O qcow2 in.raw out.qcow2
	qemu-img check -q out.qcow2
	"$IMGCONV" convert -q -O raw out.qcow2 out.raw
	[ "$(stat -c %s out.raw)" = 1099511627776 ]
	[ "$(stat -c %b out.raw)" -lt 2048 ]
	[ "$(tail -c 776 out.raw | head -c 1)" = x ]
}

@test "a sparse disk of 16 TiB, in little memory" {
	qemu-img create -q -f qcow2 in.qcow2 16T
	qemu-io -f qcow2 -c "write -P 7 15T 1M" -c "write -P 8 8191G 64k" in.qcow2 >/dev/null
	if [ "${MODE:-}" != asan ]; then
		prlimit --as=$((256 << 20)) "$IMGCONV" convert -q -j 2 -c -O qcow2 in.qcow2 out.qcow2
	else
		"$IMGCONV" convert -q -O qcow2 in.qcow2 out.qcow2
	fi
	qemu-img check -q out.qcow2
	qemu-io -r -f qcow2 -c "read -P 7 15T 1M" -c "read -P 8 8191G 64k" out.qcow2 | tee log
	run ! grep -q 'Pattern verification failed' log
	rm log
}

@test "a size that is no multiple of 512 is padded with a word" {
	make_disk in.raw 100001
	run --separate-stderr "$IMGCONV" convert -O qcow2 in.raw out.qcow2
	[ "$status" = 0 ]
	[[ $stderr == *"no multiple of 512: 351 zero bytes are added"* ]]
	"$IMGCONV" convert -q -O raw in.raw out.raw
	cmp in.raw out.raw
	run "$IMGCONV" compare in.raw out.qcow2
	[ "$status" = 0 ]
	run "$IMGCONV" compare -s in.raw out.qcow2
	[ "$status" = 3 ]
	[[ $output == *"sizes differ: 100001 and 100352 bytes"* ]]
}

@test "holes stay holes and zeros become holes" {
	head -c 64M /dev/zero >in.raw
	cat disk.raw >>in.raw
	"$IMGCONV" convert -q -O raw in.raw out.raw
	cmp in.raw out.raw
	[ "$(stat -c %b out.raw)" -lt 16384 ]
}

@test "the digest is the guest's, whatever the format" {
	sum=$(sha256sum <disk.raw)
	"$IMGCONV" convert -q -c -O qcow2 --digest sha256 disk.raw out.qcow2 >digest
	[ "$(cat digest)" = "sha256:${sum%% *}" ]
	"$IMGCONV" convert -q -O raw --digest SHA-256 out.qcow2 out.raw >digest
	[ "$(cat digest)" = "sha256:${sum%% *}" ]
	"$IMGCONV" convert -q -O raw --digest sha512 --digest sha256 disk.raw twice.raw >digest
	[ "$(cat digest)" = "sha256:${sum%% *}" ]
	rm digest twice.raw
}

@test "--verify passes what is right" {
	"$IMGCONV" convert -q -O qcow2 -o compression=zstd --verify disk.raw out.qcow2
	same disk.raw out.qcow2
}

@test "the result does not depend on the number of threads" {
	for j in 1 2 7; do
		"$IMGCONV" convert -q -c -j $j -O qcow2 disk.raw out$j.qcow2
	done
	cmp out1.qcow2 out2.qcow2
	cmp out1.qcow2 out7.qcow2
}

@test "an existing target stays unless --force says so" {
	echo precious >out.qcow2
	fails "exists already" convert -O qcow2 disk.raw out.qcow2
	[ "$(cat out.qcow2)" = precious ]
	"$IMGCONV" convert -q --force -O qcow2 disk.raw out.qcow2
	same disk.raw out.qcow2
	fails "not a regular file" convert --force -O raw disk.raw /dev/null
	mkdir outdir
	fails "not a regular file" convert --force -O raw disk.raw outdir
	rmdir outdir
	ln -s out.qcow2 link
	fails "is a symbolic link" convert --force -O raw disk.raw link
	[ -L link ]
	same disk.raw out.qcow2
	rm link out.qcow2
}

@test "a pipe in, a pipe out" {
	size=$(stat -c %s disk.raw)
	# shellcheck disable=SC2002 # a pipe is what is tested
	cat disk.raw | "$IMGCONV" convert -q -f raw --size "$size" -c -O qcow2 - out.qcow2
	same disk.raw out.qcow2
	"$IMGCONV" convert -q -O raw out.qcow2 - | cmp - disk.raw
	"$IMGCONV" convert -q -O raw - out.raw <out.qcow2
	cmp disk.raw out.raw
	rm out.*
	# shellcheck disable=SC2002
	cat disk.raw | fails "standard input: the stream is longer than" convert -f raw --size 1M -O raw - out.raw
	# shellcheck disable=SC2002
	cat disk.raw | fails "standard input: the stream ends after $size of 1073741824 bytes" \
		convert -f raw --size 1G -O raw - out.raw
}

@test "raw as gzip, into a file and into a pipe" {
	"$IMGCONV" convert -q -O raw -o compression=gzip disk.raw out.gz
	gzip -dc out.gz | cmp - disk.raw
	"$IMGCONV" convert -q -O raw -o compression=gzip,compression_level=1 --digest sha256 disk.raw - \
		2>digest >out.pipe.gz
	gzip -dc out.pipe.gz | cmp - disk.raw
	[ "$(cat digest)" = "sha256:$(sha256sum <disk.raw | cut -d " " -f 1)" ]
	truncate -s 20000001 in.raw
	"$IMGCONV" convert -q -O raw -o compression=gzip in.raw - | gzip -dc | cmp - in.raw
	rm out.gz out.pipe.gz digest in.raw
}

@test "more data than the file makes likely is refused, but on request" {
	head -c 150M /dev/zero | tr '\0' a >in.raw
	"$IMGCONV" convert -q -c -O qcow2 in.raw in.qcow2
	fails "holds more than its size makes likely" convert -O raw in.qcow2 out.raw
	"$IMGCONV" convert -q --max-output 200M -O raw in.qcow2 out.raw
	cmp in.raw out.raw
	# A full disk is another matter.
	if (ulimit -f 1024 && "$IMGCONV" convert --max-output 200M -O raw --force in.qcow2 out.raw) 2>err ||
		(ulimit -f 1024 && "$IMGCONV" convert -O raw --force in.raw out.raw) 2>>err; then
		return 1
	fi
	[ "$(grep -c "File too large" err)" = 2 ]
	! grep -q "max-output" err || return 1
	rm err
	fails "over the limit of 1048576 bytes" convert --max-output 1M -O raw --force in.qcow2 out.raw
	rm in.qcow2 in.raw out.raw
}

@test "what cannot be streamed says why" {
	run "$IMGCONV" convert -O qcow2 disk.raw -
	[ "$status" = 2 ]
	[[ $output == *"tables are known only at the end"* ]]
	run bash -c "cat disk.raw | $IMGCONV convert -O raw - out.raw"
	[ "$status" = 2 ]
	[[ $output == *"name the format"* ]]
	run bash -c "cat disk.raw | $IMGCONV convert -f qcow2 -O raw - out.raw"
	[ "$status" = 2 ]
	[[ $output == *"need to be read back and forth"* ]]
	run bash -c "cat disk.raw | $IMGCONV convert -f raw -O raw - out.raw"
	[ "$status" = 2 ]
	[[ $output == *"--size"* ]]
	for o in "--snapshot x" "--parent disk.raw" --allow-backing; do
		run bash -c "cat disk.raw | $IMGCONV convert -f raw --size 9M $o -O raw - out.raw"
		[ "$status" = 2 ]
		[[ $output == *"no snapshots"* ]]
	done
}

@test "wrong usage ends with 2 and points to --help" {
	for args in "" "-O" "-O raw" "-O raw a b c" "-O raw -o frob=1 a b" "-O raw -o cluster_size a b" \
		"-O raw -o compression=lzo a b" "-O raw --digest crc a b" "-O raw -j 0 a b" "-x" \
		"-O qcow2 -o cluster_size=0 a b" "-O raw --device disk.raw -" \
		"-O raw --partition 1 disk.raw b" "-O raw --volume vg/root disk.raw b" \
		"-O raw --replay-journal disk.raw b" "-O raw -o compression=gzip --verify disk.raw b"; do
		# shellcheck disable=SC2086 # words are wanted
		run "$IMGCONV" convert $args
		[ "$status" = 2 ]
		[[ $output == *"try 'imgconv convert --help'"* ]]
	done
	fails "unknown image format 'vhs'" convert -f vhs -O raw disk.raw out.raw
	fails "cannot write images of the format 'vhs'" convert -O vhs disk.raw out.raw
	fails "opening 'nothing': No such file" convert -O raw nothing out.raw
	fails "neither a regular file nor a block device" convert -O raw . out.raw
}

@test "a full disk leaves nothing" {
	(
		ulimit -f 512
		fails "File too large" convert -O raw disk.raw out.raw
		fails "File too large" convert -O qcow2 disk.raw out.qcow2
		fails "File too large" convert -c -O qcow2 -o cluster_size=512 disk.raw out.qcow2
	)
}

# interrupt SIGNAL: ends a conversion that is under way by it; *status* is how it ended.
interrupt() {
	rm -f in.fifo
	mkfifo in.fifo
	# The jobs of a shell ignore SIGINT, but for env.
	env --default-signal=INT "$IMGCONV" convert -f raw --size 1G -O qcow2 - out.qcow2 <in.fifo 3>&- &
	pid=$!
	exec 9>in.fifo
	head -c 3M disk.raw >&9
	for _ in $(seq 200); do
		# shellcheck disable=SC2010 # a link's target is what is looked for
		ls -l "/proc/$pid/fd" | grep -q "$WORK/.*deleted" && break
		sleep 0.05
	done
	kill "-$1" $pid
	status=0
	wait $pid || status=$?
	exec 9>&-
}

@test "SIGINT leaves nothing" {
	interrupt INT
	[ "$status" = 130 ]
	[ -z "$(find . -name "*out*")" ]
}

@test "SIGKILL leaves nothing" {
	interrupt KILL
	[ "$status" = 137 ]
	[ -z "$(find . -name "*out*")" ]
}

@test "compare finds the first difference" {
	cp disk.raw in.raw
	"$IMGCONV" convert -q -c -O qcow2 disk.raw out.qcow2
	run "$IMGCONV" compare in.raw out.qcow2
	[ "$status" = 0 ]
	[ -z "$output" ]
	flip in.raw 7654321
	run "$IMGCONV" compare in.raw out.qcow2
	[ "$status" = 3 ]
	[ "$output" = "first difference at byte 7654321" ]
}

@test "progress is for terminals" {
	run --separate-stderr "$IMGCONV" convert -O qcow2 disk.raw out.qcow2
	[ "$status" = 0 ]
	# shellcheck disable=SC2154 # set by run
	[ -z "$stderr" ]
}
