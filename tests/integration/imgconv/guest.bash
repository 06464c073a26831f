# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of inject and bootable share: guests made by mke2fs from a tree.

TOP=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
IMGCONV=${BINDIR:-$TOP/bin}/imgconv
export E2FSPROGS_FAKE_TIME=1600000000 SOURCE_DATE_EPOCH=1700000000

bz() { # FILE: what has the header of a bzImage
	truncate -s 510 "$1"
	printf '\125\252\353\152HdrS\14\2\0\0\0\0\0\0\0\0\0\1' >>"$1"
	truncate -s 9000 "$1"
}

elf() { # FILE: what looks like a program for x86-64
	printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\76\0' >"$1"
}

# A Debian-like guest with /usr merged, PV-GRUB's menu and a kernel.
make_tree() { # DIR
	mkdir -p "$1"/etc "$1"/usr/{bin,sbin,lib/systemd/system} "$1"/boot/grub "$1"/root
	ln -s usr/bin usr/sbin usr/lib "$1"
	elf "$1"/usr/lib/systemd/systemd
	elf "$1"/usr/bin/sh
	ln -s /lib/systemd/systemd "$1"/usr/sbin/init
	touch "$1"/usr/lib/systemd/system/basic.target
	echo 'PRETTY_NAME="Test Linux 1"' >"$1"/etc/os-release
	echo localhost >"$1"/etc/hostname
	echo root:x:0:0 >"$1"/etc/passwd
	bz "$1"/boot/vmlinuz-9.9
	echo initrd >"$1"/boot/initrd.img-9.9
	printf '%s\n' 'default 0' 'title Test' 'root (hd0)' \
		'kernel /boot/vmlinuz-9.9 root=/dev/xvda1 ro console=hvc0 quiet' \
		'initrd /boot/initrd.img-9.9' >"$1"/boot/grub/menu.lst
}

make_fs() { # TREE IMAGE SIZE MKE2FS-OPTION...
	local tree=$1 image=$2 size=$3
	shift 3
	rm -f "$image"
	truncate -s "$size" "$image"
	mke2fs -q -F -U 6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b \
		-E hash_seed=6c9ef1a8-3f3e-4e0f-9e2f-0d8b4a1d2c3b,root_owner=0:0 "$@" -d "$tree" "$image"
}

make_disk() { # FS-IMAGE DISK [LABEL]: the file system as the second partition of a disk
	truncate -s 64M "$2"
	sfdisk -q --no-tell-kernel "$2" <<-EOT
		label: ${3:-dos}
		start=2048, size=2048
		start=8192, size=$(($(stat -c %s "$1") / 512))
	EOT
	dd if="$1" of="$2" bs=4096 seek=1024 conv=notrunc status=none
}

clean() { # FS-IMAGE: e2fsck has nothing to say
	e2fsck -fn "$1"
}

# Every path with its type, mode, owner, size, link or digest.
all() { # FS-IMAGE
	local out
	out=$(mktemp -d -p .)
	debugfs -R "rdump / $out" "$1" 2>/dev/null
	(cd "$out" && find . -name lost+found -prune -o \( -type f -printf '%P %M %U %s ' -exec sha256sum {} + \) \
		-o -printf '%P %M %U %l\n' | sort)
	rm -r "$out"
}

has() { [[ $1 == *"$2"* ]]; } # TEXT PART

inside() { # FS-IMAGE DEBUGFS-COMMAND
	debugfs -R "$2" "$1" 2>/dev/null
}

# One line that says why, status 1, and the file "image" as it was.
refused() { # WORD ARGUMENT...
	local word=$1
	shift
	cp image image.before
	run --separate-stderr "$IMGCONV" inject "$@" image
	[ "$status" -eq 1 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	has "$stderr" "$word"
	[ -z "$output" ]
	cmp image image.before
}
