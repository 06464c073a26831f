# What the tests of catalog share: a cloud with two small AMIs, made once a file.
#
# bundle: a bare ext4 partition with a kernel that only looks like one; ebs: a disk that holds it.

tools() { PATH=$BINDIR:$PATH; }

# make_root DIR [SIZE RANDOM]: an ext4 with what a guest's root has, and bytes that do not compress.
make_root() {
	local tree=$1/tree
	mkdir -p "$tree/boot/grub" "$tree/etc" "$tree/sbin" "$tree/lib/systemd/system" "$tree/usr/sbin"
	# A bzImage by its magic numbers: boot sector signature and "HdrS", protocol 2.15.
	head -c 8192 /dev/zero >"$tree/boot/vmlinuz-6.1.0-test"
	printf '\125\252' | dd of="$tree/boot/vmlinuz-6.1.0-test" bs=1 seek=510 conv=notrunc status=none
	printf 'HdrS\017\002' | dd of="$tree/boot/vmlinuz-6.1.0-test" bs=1 seek=514 conv=notrunc status=none
	printf '\001' | dd of="$tree/boot/vmlinuz-6.1.0-test" bs=1 seek=529 conv=notrunc status=none
	head -c 4096 /dev/zero >"$tree/boot/initrd.img-6.1.0-test"
	printf 'CONFIG_VIRTIO=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=y\nCONFIG_SERIAL_8250_CONSOLE=y\n' \
		>"$tree/boot/config-6.1.0-test"
	cat >"$tree/boot/grub/menu.lst" <<-END
		default 0
		timeout 0
		title Test
		root (hd0)
		kernel /boot/vmlinuz-6.1.0-test root=LABEL=root console=hvc0 ro quiet
		initrd /boot/initrd.img-6.1.0-test
	END
	printf 'PRETTY_NAME="Test GNU/Linux"\nID=debian\nVERSION_ID="12"\n' >"$tree/etc/os-release"
	cp /bin/true "$tree/lib/systemd/systemd"
	ln -s ../lib/systemd/systemd "$tree/sbin/init"
	head -c "${3:-6M}" /dev/urandom >"$tree/data"
	E2FSPROGS_FAKE_TIME=1700000000 mke2fs -q -t ext4 -L root -d "$tree" "$1/root.img" "${2:-24M}"
}

# make_amis DIR [small]: the small ones have parts of a quarter, and a quarter of the blocks.
make_amis() {
	local dir=$1 sizes=(24M 6M 1048576 49152 30 40)
	[ "${2:-}" != small ] || sizes=(8M 1792K 262144 16384 10 6)
	mkdir -p "$dir/bundle" "$dir/ebs"
	make_root "$dir" "${sizes[@]:0:2}"
	tests/cloud/mkbundle --image "$dir/root.img" --name root --out "$dir/bundle" \
		--keys "$dir/keys" --part-size "${sizes[2]}"
	echo '{"kind": "instance-store", "name": "test-bundle", "description": "d",
		"architecture": "x86_64", "root_device_name": "/dev/sda1",
		"virtualization_type": "paravirtual"}' >"$dir/bundle/image.json"
	# A disk with one partition, and random bytes behind it so that there are more blocks.
	truncate -s 96M "$dir/ebs/disk.raw"
	echo "2048,${sizes[3]},83,*" | sfdisk -q --no-tell-kernel "$dir/ebs/disk.raw"
	dd if="$dir/root.img" of="$dir/ebs/disk.raw" bs=1M seek=1 conv=notrunc,sparse status=none
	dd if=/dev/urandom of="$dir/ebs/disk.raw" bs=1M seek="${sizes[4]}" \
		count="${sizes[5]}" conv=notrunc status=none
	truncate -s 1G "$dir/ebs/disk.raw"
	echo '{"kind": "ebs", "name": "test-ebs", "description": "d", "architecture": "x86_64",
		"root_device_name": "/dev/xvda", "virtualization_type": "hvm"}' >"$dir/ebs/image.json"
}

# cloud_up [small]: for setup_file: the cloud, the AMIs in it, everything in $CLOUD; ends with bats.
cloud_up() {
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	export CLOUD AMI_BUNDLE AMI_EBS BINDIR EC2_PRIVATE_KEY EC2_CERT
	BINDIR=${BINDIR:-$PWD/bin}
	CLOUD=$BATS_FILE_TMPDIR/cloud
	make_amis "$BATS_FILE_TMPDIR/ami" "$@"
	tests/cloud/cloud start --state "$CLOUD" --owner-pid $$ 3>&- || return 1
	set -a
	. "$CLOUD/env"
	set +a
	{ read -r AMI_BUNDLE && read -r AMI_EBS; } < <(tests/cloud/cloud load --state "$CLOUD" \
		"$BATS_FILE_TMPDIR/ami/bundle" "$BATS_FILE_TMPDIR/ami/ebs") || return 1
	export ACCLIMATE_CATALOG_CONFIG=$BATS_FILE_TMPDIR/catalog.yaml
	printf 'sources:\n  ec2:\n    type: ec2\n' >"$ACCLIMATE_CATALOG_CONFIG"
	EC2_PRIVATE_KEY=$BATS_FILE_TMPDIR/ami/keys/user.key.pem
	EC2_CERT=$BATS_FILE_TMPDIR/ami/keys/user.cert.pem
}

cloud_down() {
	tests/cloud/cloud stop --state "$CLOUD" 3>&-
}

# For setup: a store of its own for each test.
fresh_store() {
	tools
	export ACCLIMATE_STORE=$BATS_TEST_TMPDIR/store XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	AMI=$BATS_FILE_TMPDIR/ami
	# Only where the test before changed something: each of these starts a program.
	if [ -e "$CLOUD/tests-fault" ]; then
		fault clear
		rm "$CLOUD/tests-fault"
	fi
	if [ -e "$CLOUD/tests-image" ]; then
		image "$AMI_EBS" state=available is-public=false
		rm "$CLOUD/tests-image"
	fi
}

fault() {
	touch "$CLOUD/tests-fault"
	tests/cloud/cloud fault --state "$CLOUD" "$@"
}
image() {
	touch "$CLOUD/tests-image"
	tests/cloud/cloud image --state "$CLOUD" set "$@"
}
requests() { grep -c "$1" "$CLOUD/log/requests.log"; }

# refused PATTERN COMMAND...: exit status 1, exactly one line, which matches; the store is empty.
refused() {
	local pattern=$1
	shift
	run --separate-stderr "$@"
	echo "status $status: $stderr"
	[ "$status" -eq 1 ]
	[ "$(printf '%s\n' "$stderr" | wc -l)" -eq 1 ]
	[[ $stderr =~ $pattern ]]
	store_is_empty
}

# wait_half AMI BYTES: until the disk of its import under way has so many.
wait_half() {
	local i size
	for i in $(seq 1200); do
		size=$(stat -c %s "$ACCLIMATE_STORE/partial/$1/disk.qcow2" 2>/dev/null || echo 0)
		[ "$size" -gt "$2" ] && return 0
		sleep 0.05
	done
	return 1
}

# has_ended PID AMI: an import that was killed is gone, and so are its confined children, which have the
# lock as well and die with their parent, but a moment later.
has_ended() {
	wait "$1" || true
	local lock=$ACCLIMATE_STORE/partial/$2.lock
	[ ! -e "$lock" ] || flock -w 60 "$lock" true
}

store_is_empty() {
	[ -z "$(ls "$ACCLIMATE_STORE/images" 2>/dev/null)" ] &&
		[ -z "$(ls "$ACCLIMATE_STORE/partial" 2>/dev/null)" ]
}

import() { catalog import -q "$@"; }
disk() { echo "$ACCLIMATE_STORE/images/$1/disk.qcow2"; }

load by_hand

# Its file is called by its digest, wherever that was made.
named_by_digest() {
	local file
	file=$(readlink -f "$(disk "$1")")
	[ "${file##*/}" = "pieces-$(digest_by_hand "$file").qcow2" ]
}

# The image in the store is the AMI's disk, bit for bit.
same_ebs() {
	named_by_digest "$1"
	qemu-img check -q "$(disk "$1")"
	qemu-img compare -q -f raw -F qcow2 "$AMI/ebs/disk.raw" "$(disk "$1")"
}

# ... is the AMI's partition at 1 MiB.
same_bundle() {
	qemu-img check -q "$(disk "$1")"
	qemu-img convert -f qcow2 -O raw "$(disk "$1")" "$BATS_TEST_TMPDIR/raw"
	cmp -i 1048576:0 -n "$(stat -c %s "$AMI/root.img")" "$BATS_TEST_TMPDIR/raw" "$AMI/root.img"
}

# A shell's background job ignores SIGINT, and what ignores it goes on doing so.
interruptible() { exec perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV' "$@"; }
