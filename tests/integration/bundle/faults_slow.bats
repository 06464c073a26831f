#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Disks that fail under everything that makes or opens what clouds deliver, and commands that are
# killed: the output is whole or is not there.

load common
load ../faults

setup_file() {
	[ "${MODE:-}" != asan ] || return 0
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	keys
	"$BUNDLE" create --for ova image in.ova
	"$BUNDLE" create --for gce image in.tar.gz
	qemu-img convert -O qcow2 image disk.qcow2
	"$BATS_TEST_DIRNAME/mkova" --out qcow.ova --disk disk.qcow2
	"$MKBUNDLE" --image image --name disk --out b --keys keys --part-size 200000
	export FAULT=$BUILD/tests/fault.so
	[ -e "$FAULT" ]
}

setup() {
	[ "${MODE:-}" != asan ] || skip "the sanitizer wants to be loaded first"
	cd "$BATS_FILE_TMPDIR" || return
	rm -rf w
	mkdir w
	cd w || return
}

EC2="--user 123456789012 --cert ../keys/user.cert.pem --key ../keys/user.key.pem --part-size 200000"

# What was made although a call failed is what it should be.
right() {
	local made=out
	[ ! -d out ] || made=out/image.manifest.xml
	"$BUNDLE" open -q -k ../keys/user.key.pem "$made" back.raw
	cmp -n "$(stat -c %s ../image)" ../image back.raw
	rm back.raw
}

@test "what is made on a full or broken disk is not there" {
	for format in ova gce azure openstack opennebula "ec2 $EC2"; do
		from=../image
		# Azure takes nothing under 20 MiB.
		[ "$format" != azure ] || { cp ../image big && truncate -s 20M big && from=big; }
		for call in pwrite write ftruncate fsync; do
			# shellcheck disable=SC2086
			case $call-$format in
			# OVA and images are written at places, archives and parts one after the other.
			pwrite-gce | pwrite-ec2*) ;;
			fsync-*) all_faults $call EIO "$BUNDLE" create -q --for $format $from out ;;
			*) all_faults $call ENOSPC "$BUNDLE" create -q --for $format $from out ;;
			esac
		done
		rm -f out.* out
	done
}

@test "what is opened on a full or broken disk is not there" {
	right() { cmp ../image out; }
	for from in "-k ../keys/user.key.pem ../b/disk.manifest.xml" ../in.ova ../qcow.ova; do
		# shellcheck disable=SC2086
		{
			all_faults pwrite ENOSPC "$BUNDLE" open -q $from out
			all_faults pwrite EIO "$BUNDLE" open -q $from out
			all_faults fsync EIO "$BUNDLE" open -q $from out
			all_faults ftruncate ENOSPC "$BUNDLE" open -q $from out
		}
	done
}

@test "what cannot be read comes to nothing" {
	right() { cmp ../image out; }
	all_faults read EIO "$BUNDLE" open -q -k ../keys/user.key.pem ../b/disk.manifest.xml out
	all_faults pread EIO "$BUNDLE" open -q ../in.ova out
	all_faults pread EIO "$BUNDLE" open -q ../qcow.ova out
	all_faults pread EIO "$BUNDLE" open -q ../disk.qcow2 out
}

@test "short reads and writes and interruptions change nothing" {
	for kind in short EINTR; do
		for n in 1 2 3 5 8 13; do
			for from in "-k ../keys/user.key.pem ../b/disk.manifest.xml" ../in.ova ../qcow.ova; do
				for call in read pread write pwrite; do
					# shellcheck disable=SC2086
					fault $call $n $kind "$BUNDLE" open -q $from out
					cmp ../image out
					rm out
				done
			done
			for call in read pread write pwrite; do
				fault $call $n $kind "$BUNDLE" create -q --for ova -p in ../image out
				cmp ../in.ova out
				fault $call $n $kind "$BUNDLE" create -q --force --for gce ../image out
				cmp ../in.tar.gz out
				rm out
			done
		done
	done
}

@test "what is killed leaves nothing" {
	for delay in 0.002 0.004 0.008 0.012 0.016 0.02 0.03 0.05 0.08; do
		for format in ova gce openstack "ec2 $EC2"; do
			# shellcheck disable=SC2086
			timeout -s KILL $delay "$BUNDLE" create -q --for $format ../image out || true
			[ -z "$(find . -name '.*out*' -o -name '.*part*')" ]
			rm -rf out*
		done
		timeout -s KILL $delay "$BUNDLE" open -q ../qcow.ova out || true
		[ ! -e out ] || cmp ../image out
		[ -z "$(find . -name '.*out*')" ]
		rm -f out
	done
}
