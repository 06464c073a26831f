#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# XFS, Btrfs, LVM, NTFS and FAT are changed by way of libguestfs; guestfish, xfs_repair, btrfs, ntfs-3g
# and mtools judge. Each command starts a machine, mostly an emulated one: seconds to a minute.
# shellcheck disable=SC2154,SC2030,SC2031 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

# Also for guestfish, which does not look whether KVM works.
fish() {
	LIBGUESTFS_BACKEND_SETTINGS=force_tcg timeout 1800 guestfish "$@"
}

missing() {
	local x
	# Its run-time library has an XDR of its own, which libguestfs would get.
	[ "${MODE:-}" != asan ] || { echo 'not with the sanitizer'; return; }
	for x in guestfish supermin mkfs.xfs mkfs.btrfs mkntfs mkfs.vfat; do
		command -v "$x" >/dev/null || { echo "no $x"; return; }
	done
	for x in /boot/vmlinuz-*; do
		[ -r "$x" ] && return
	done
	echo 'no kernel for the machine of libguestfs'
}

# As mkfs.xfs reads it: owner, mode and content of each file.
protofile() {
	printf '%s\n' / '0 0' 'd--755 0 0' \
		'etc d--755 0 0' \
		" os-release ---644 0 0 $PWD/tree/etc/os-release" \
		" hostname ---644 0 0 $PWD/tree/etc/hostname" \
		" passwd ---644 0 0 $PWD/tree/etc/passwd" \
		' selinux d--755 0 0' "  config ---644 0 0 $PWD/config" \
		'  test d--755 0 0' '   contexts d--755 0 0' '    files d--755 0 0' \
		"     file_contexts ---644 0 0 $PWD/file_contexts" '    $' '   $' '  $' ' $' \
		'$' \
		'usr d--755 0 0' ' sbin d--755 0 0' '  init l--777 0 0 ../lib/systemd/systemd' '$' \
		' bin d--755 0 0' "  sh ---755 0 0 $PWD/tree/usr/bin/sh" '$' \
		' lib d--755 0 0' '  systemd d--755 0 0' '   system d--755 0 0' \
		"    basic.target ---644 0 0 $PWD/tree/usr/lib/systemd/system/basic.target" '   $' \
		"   systemd ---755 0 0 $PWD/tree/usr/lib/systemd/systemd" '  $' ' $' '$' \
		'sbin l--777 0 0 usr/sbin' 'bin l--777 0 0 usr/bin' 'root d--700 0 0' '$' '$'
}

# One machine makes what mkfs cannot: LVM, subvolumes, a log that was not written back.
make_in_machine() {
	truncate -s 700M lvm
	truncate -s 400M btrfs
	cp xfs mounted
	tar -C tree -cf tree.tar .
	printf '/dev/vg/root / xfs defaults 0 0\n/dev/mapper/vg-my--home /home ext4 defaults 0 2\n' >fstab.lvm
	printf '%s\n' 'LABEL=guest / btrfs subvol=@ 0 0' 'PARTLABEL=system /home btrfs rw,subvolid=257 0 0' \
		'PARTUUID=ac11a7e0-0b00-4a7e-8000-000000000001 /boot ext4 ro 0 0' >fstab.btrfs
	fish --format=raw -a lvm --format=raw -a btrfs --format=raw -a mounted --format=raw -a xfs <<-'EOT'
		run
		part-disk /dev/sda mbr
		pvcreate /dev/sda1
		vgcreate vg /dev/sda1
		lvcreate root vg 400
		lvcreate my-home vg 60
		mkfs ext4 /dev/vg/my-home
		copy-device-to-device /dev/sdd /dev/vg/root sparse:true
		mount /dev/vg/root /
		upload fstab.lvm /etc/fstab
		mkdir /home
		umount-all
		part-init /dev/sdb gpt
		part-add /dev/sdb p 2048 67583
		part-add /dev/sdb p 67584 -2048
		part-set-name /dev/sdb 2 system
		part-set-gpt-guid /dev/sdb 1 ac11a7e0-0b00-4a7e-8000-000000000001
		mkfs ext4 /dev/sdb1
		mkfs btrfs /dev/sdb2 label:guest
		mount /dev/sdb2 /
		btrfs-subvolume-create /@
		btrfs-subvolume-create /@home
		tar-in tree.tar /@
		upload fstab.btrfs /@/etc/fstab
		mkdir /@/home
		mkdir-p /@/.snapshots/1
		btrfs-subvolume-snapshot /@ /@/.snapshots/1/snapshot
		umount-all
		mount /dev/sdc /
		touch /etc/unsynced
		sync
		! cp --sparse=always mounted dirty
	EOT
}

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	[ -z "$(missing)" ] || return 0
	# As the machine is built once, and nobody else's is used.
	export LIBGUESTFS_CACHEDIR=$BATS_FILE_TMPDIR
	make_tree tree
	echo 'root:x:0:0:root:/root:/bin/sh' >tree/etc/passwd
	printf 'SELINUX=enforcing\nSELINUXTYPE=test\n' >config
	printf '%s\n' '/.* system_u:object_r:default_t:s0' '/etc(/.*)? system_u:object_r:etc_t:s0' >file_contexts
	protofile >proto
	truncate -s 320M xfs
	mkfs.xfs -q -p proto xfs
	make_in_machine
	ssh-keygen -q -t ed25519 -N '' -C test -f key
	mkdir -p overlay/etc/app overlay/home/user
	echo setting >overlay/etc/app/conf
	echo mine >overlay/home/user/file
	chmod 640 overlay/etc/app/conf
	python3 - <<-'EOT'
		import tarfile
		with tarfile.open("attributes.tar", "w", format=tarfile.PAX_FORMAT) as t:
		    x = tarfile.TarInfo("etc/attributes")
		    x.pax_headers = {"SCHILY.xattr.user.colour": "blue"}
		    x.uid, x.gid, x.mode = 1234, 5678, 0o2751
		    t.addfile(x)
	EOT
}

setup() {
	local why
	why=$(missing)
	[ -z "$why" ] || skip "$why"
	cd "$BATS_FILE_TMPDIR" || return
	export LIBGUESTFS_CACHEDIR=$BATS_FILE_TMPDIR
	TMPDIR=$(mktemp -d "$BATS_TEST_TMPDIR/tXXX")
	export TMPDIR
}

teardown() {
	# No folder and no socket is left.
	[ -z "$(ls -A "$TMPDIR")" ]
}

inject() {
	run --separate-stderr timeout 1800 "$IMGCONV" inject "$@"
	printf '%s\n' "$output" "$stderr"
}

@test "XFS in a QCOW2: files, owners, modes, removal, host name, key; a second run changes nothing" {
	truncate -s 330M disk
	printf 'label: gpt\nstart=2048, size=2048\nstart=8192\n' | sfdisk -q --no-tell-kernel disk
	dd if=xfs of=disk bs=1M seek=4 conv=notrunc,sparse status=none
	qemu-img convert -f raw -O qcow2 disk xfs.qcow2
	echo data >file
	inject --ctxd --remove-ctxd --overlay overlay --overlay attributes.tar \
		--file file:/opt/x/file:4750:70000:8 --hostname web1 \
		--ssh-key key.pub --delete /usr/bin/sh xfs.qcow2
	[ "$status" -eq 0 ]
	# ctxd goes in and comes out again: all that was made is removed, and no more.
	diff <(sed -n 's/^+ //p' <<<"$output" | sed '/^\/etc\/app$/,$d' | sort) <(sed -n 's/^- //p' <<<"$output" | grep -vx /usr/bin/sh | sort)
	grep -qx -- '- /usr/sbin/ctxd' <<<"$output"
	[ "$(sed -n '/^+ .etc.app$/,$p' <<<"$output")" = "+ /etc/app
+ /etc/app/conf
+ /home
+ /home/user
+ /home/user/file
+ /etc/attributes
+ /opt
+ /opt/x
+ /opt/x/file
~ /etc/hostname
+ /root/.ssh
+ /root/.ssh/authorized_keys
- /usr/bin/sh" ]
	has "$stderr" 'takes from seconds to a minute'
	has "$stderr" 'Test Linux 1, init: systemd'
	qemu-img check -q xfs.qcow2
	qemu-img convert -f qcow2 -O raw xfs.qcow2 disk
	dd if=disk of=part bs=1M skip=4 conv=sparse status=none
	truncate -s "$(stat -c %s xfs)" part
	xfs_repair -n part
	cp xfs.qcow2 before
	inject -o json --file file:/opt/x/file:4750:70000:8 --hostname web1 --ssh-key key.pub xfs.qcow2
	[ "$status" -eq 0 ]
	[ "$(jq -r '.partition, .init, (.changes | length)' <<<"$output")" = "2
systemd
0" ]
	cmp before xfs.qcow2
}

@test "a root in LVM is found, and what the guest mounts below it" {
	inject -o json --overlay overlay --file key.pub:/home/key:600:7:8 lvm
	[ "$status" -eq 0 ]
	[ "$(jq -r '.partition, .volume' <<<"$output")" = "0
/dev/vg/root" ]
}

@test "a root in a subvolume of Btrfs is found, and no snapshot is taken for it" {
	inject -o json --overlay overlay --file key.pub:/boot/key btrfs
	[ "$status" -eq 0 ]
	[ "$(jq -r '.partition, .volume' <<<"$output")" = "2
@" ]
	dd if=btrfs of=part bs=512 skip=67584 conv=sparse status=none
	btrfs check part
	# Another one has to be named.
	run --separate-stderr timeout 1800 "$IMGCONV" ls -q --volume @home btrfs /user
	[[ $output == *' file' ]] || { echo "status $status: $output $stderr"; false; }
}

@test "what was put in is there for guestfish, as it should be" {
	run fish --ro --format=qcow2 -a xfs.qcow2 --format=raw -a lvm --format=raw -a btrfs <<-'EOT'
		run
		mount /dev/sda2 /
		statns /opt/x/file
		lgetxattr /opt/x/file security.selinux
		echo end
		statns /etc/attributes
		lgetxattr /etc/attributes security.selinux
		echo end
		lgetxattr /etc/attributes user.colour
		echo end
		lgetxattr /root/.ssh security.selinux
		echo end
		cat /etc/hostname
		stat /root/.ssh/authorized_keys
		ls /usr/bin
		umount-all
		mount /dev/vg/root /
		cat /etc/app/conf
		ls /home
		umount-all
		mount /dev/vg/my-home /
		cat /user/file
		statns /key
		umount-all
		mount-options subvol=@ /dev/sdc2 /
		cat /etc/app/conf
		ls /home
		ls /.snapshots/1/snapshot/etc
		umount-all
		mount-options subvol=@home /dev/sdc2 /
		cat /user/file
		umount-all
		mount /dev/sdc1 /
		filesize /key
	EOT
	[ "$status" -eq 0 ]
	grep -q 'st_mode: 35304' <<<"$output" # 0104750
	grep -q 'st_uid: 70000' <<<"$output"
	grep -q 'st_mode: 34281' <<<"$output" # 0102751
	grep -q 'st_gid: 5678' <<<"$output"
	grep -q blue <<<"$output"
	[ "$(grep -ac default_t <<<"$output")" -eq 2 ]
	[ "$(grep -ac etc_t <<<"$output")" -eq 1 ]
	[ "$(grep -c ^web1$ <<<"$output")" -eq 1 ]
	[ "$(grep -c ^setting$ <<<"$output")" -eq 2 ]
	[ "$(tail -n 1 <<<"$output")" = "$(stat -c %s key.pub)" ]
	# In the file systems that are mounted there, not in the folders below.
	[ "$(grep -c ^mine$ <<<"$output")" -eq 2 ]
	run ! grep -q ^user$ <<<"$output"
	run ! grep -q ^app$ <<<"$output"
}

@test "a failure, and a dry run, leave the image as it was" {
	cp xfs image
	inject --overlay overlay --dry-run --delete /etc/app/nothing image
	[ "$status" -eq 0 ]
	has "$output" '+ /etc/app/conf'
	cmp xfs image
	inject --overlay overlay --ssh-key nobody:key.pub image
	[ "$status" -eq 1 ]
	has "$stderr" "there is no account 'nobody'"
	qemu-img compare -q -f raw -F raw xfs image
	cmp xfs image
}

@test "a disk that is full leaves the image as it was" {
	"$IMGCONV" convert -q -O qcow2 xfs image.qcow2
	# Larger than what libguestfs makes for itself, once it has its machine.
	truncate -s 64M image.qcow2
	cp --sparse=always image.qcow2 before.qcow2
	(
		ulimit -f 65536
		inject --file key.pub:/etc/key image.qcow2
		[ "$status" -eq 1 ]
		has "$stderr" 'File too large'
	)
	qemu-img compare before.qcow2 image.qcow2
}

@test "a log that was not written back is replayed only when that is asked for" {
	cp dirty image
	inject --file key.pub:/x image
	[ "$status" -eq 1 ]
	has "$stderr" 'the journal must be replayed first'
	has "$stderr" 'Starting recovery'
	cmp dirty image
}

@test "an image of another format is written anew, and convert changes on the way" {
	"$IMGCONV" convert -q -O vhd xfs image.vhd
	inject --file key.pub:/etc/key image.vhd
	[ "$status" -eq 0 ]
	"$IMGCONV" convert -q -O raw image.vhd back
	truncate -s "$(stat -c %s xfs)" back
	xfs_repair -n back
	run --separate-stderr timeout 1800 "$IMGCONV" convert -O raw --file key.pub:/etc/other back two
	[ "$status" -eq 0 ]
	[ "$(timeout 1800 "$IMGCONV" cat -q two /etc/key)" = "$(cat key.pub)" ]
	xfs_repair -n two
	run --separate-stderr "$IMGCONV" convert -O raw --verify --file key.pub:/etc/other back three
	[ "$status" -eq 1 ]
	has "$stderr" '--verify'
	[ ! -e three ]
}

@test "NTFS, whose names differ in more than case" {
	truncate -s 64M ntfs
	mkntfs -q -F -f ntfs
	mkdir -p tree.ntfs/Windows
	inject --file key.pub:/Windows/Key.txt:600:5:5 ntfs
	[ "$status" -eq 0 ]
	inject --file key.pub:/WINDOWS/key.TXT --file fstab.lvm:/windows/other ntfs
	[ "$status" -eq 0 ]
	[ "$output" = '+ /windows/other' ]
	ntfsfix -n ntfs
	[ "$(ntfscat ntfs Windows/Key.txt)" = "$(cat key.pub)" ]
	run ntfsls -p Windows ntfs
	[ "$(grep -ci key.txt <<<"$output")" -eq 1 ]
	has "$output" other
}

@test "FAT" {
	truncate -s 64M fat
	mkfs.vfat fat >/dev/null
	inject --file key.pub:/Loader/entries.conf fat
	[ "$status" -eq 0 ]
	[ "$(mtype -i fat ::/loader/entries.conf)" = "$(cat key.pub)" ]
	fsck.vfat -n fat
}

@test "without libguestfs one line says what to install" {
	mkdir -p none
	echo no library >none/libguestfs.so.0
	cp xfs image
	LD_LIBRARY_PATH=$PWD/none inject --file key.pub:/x image
	[ "$status" -eq 1 ]
	[ "$(grep -c 'install libguestfs' <<<"$stderr")" -eq 1 ]
	cmp xfs image
}
