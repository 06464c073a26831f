#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd detect: which medium is taken for the context, and what is said about the others.

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir media ctx tree
	echo "SET_HOSTNAME='x'" >ctx/context.sh
}

detect() { "$CTXD" detect --root tree --dev media "$@"; }

@test "an image is known by its volume id, in either case, whoever made it" {
	for id in CONTEXT context; do
		xorriso -as mkisofs -quiet -V $id -J -R -o media/x ctx
		[ "$(detect)" = "opennebula media/x" ]
		genisoimage -quiet -V $id -o media/x ctx
		[ "$(detect)" = "opennebula media/x" ]
	done
}

@test "other media are looked at and left" {
	genisoimage -quiet -V holidays -o media/a ctx
	truncate -s 1M media/b
	printf short >media/c
	mkfs.ext4 -q -L CONTEXT -d ctx media/d 2M
	run -3 detect --explain
	has "$output" "media/a: ISO 9660 volume 'holidays'"
	has "$output" "media/b: no ISO 9660 volume"
	has "$output" "media/c: no ISO 9660 volume"
	has "$output" "media/d: no ISO 9660 volume"
	has "$output" "found: none"
	run -3 detect
	[ "$output" = none ]
}

@test "each kind of medium is known, on ISO 9660 and on FAT" {
	mkdir -p seed drive/openstack/latest
	printf 'instance-id: i-1\n' >seed/meta-data
	: >seed/user-data
	echo '{"uuid": "u"}' >drive/openstack/latest/meta_data.json
	genisoimage -quiet -V cidata -R -o media/x seed
	[ "$(detect)" = "nocloud media/x" ]
	genisoimage -quiet -V config-2 -R -o media/x drive
	[ "$(detect)" = "openstack media/x" ]
	for label in cidata CIDATA config-2; do
		rm media/x
		mkfs.fat -C -n $label media/x 1024 >/dev/null 2>&1
		run -0 detect -e
		has "$output" "media/x: FAT volume '$label'"
	done
	rm media/x
	mkfs.fat -C -n PHOTOS media/x 1024 >/dev/null
	run -3 detect -e
	has "$output" "media/x: FAT volume 'PHOTOS'"
}

@test "the command line and the firmware say where NoCloud's documents are" {
	mkdir -p tree/proc tree/sys/class/dmi/id
	echo 'BOOT_IMAGE=/vmlinuz ds=nocloud;h=web1;i=i-7 quiet' >tree/proc/cmdline
	[ "$(detect)" = "nocloud /proc/cmdline" ]
	echo 'ds=nocloud-net;s=http://192.0.2.1/seed quiet' >tree/proc/cmdline
	run -3 detect -e
	has "$output" "/proc/cmdline: nocloud at http://192.0.2.1/seed/, when the network is there"
	[ "$(detect --network)" = "nocloud http://192.0.2.1/seed/" ]
	for s in https://192.0.2.1/ http://example.org/ http://192.0.2.1@example.org/; do
		echo "ds=nocloud;s=$s" >tree/proc/cmdline
		run -3 detect -e --network
		has "$output" "/proc/cmdline: nocloud: '$s'"
	done
	echo 'ds=ec2' >tree/proc/cmdline
	run -3 detect -e
	has "$output" "'ds=ec2' is not for ctxd"
	echo quiet >tree/proc/cmdline
	echo 'ds=nocloud;h=web2' >tree/sys/class/dmi/id/product_serial
	[ "$(detect)" = "nocloud serial number" ]
}

@test "a metadata service is taken to be there only where the firmware names its cloud" {
	mkdir -p tree/sys/class/dmi/id
	run -3 detect --network -e
	has "$output" "machine: it names no cloud with a metadata service"
	echo 'OpenStack Nova' >tree/sys/class/dmi/id/product_name
	# It may have a config drive, which is waited for: no word of a service before the network.
	run -3 detect -e
	[[ $output != *OpenStack* ]]
	[ "$(detect --network)" = "openstack http://169.254.169.254/" ]
	echo 7783-7084-3265-9085-8269-3286-77 >tree/sys/class/dmi/id/chassis_asset_tag
	echo x >tree/sys/class/dmi/id/product_name
	run -3 detect --network -e
	has "$output" "Microsoft Azure: its service is not one that ctxd reads"
}

@test "a CD-ROM comes before a disk" {
	genisoimage -quiet -V CONTEXT -o media/sda ctx
	cp media/sda media/sr1
	cp media/sda media/sr0
	[ "$(detect)" = "opennebula media/sr0" ]
}

@test "the folder of containers is taken where there is no medium" {
	mkdir tree/context
	cp ctx/context.sh tree/context
	[ "$(detect)" = "opennebula tree/context/context.sh" ]
	run detect --root / # the last one counts
	[[ $output != *tree/* ]]
	genisoimage -quiet -V CONTEXT -o media/x ctx
	[ "$(detect)" = "opennebula media/x" ]
	rm media/x tree/context/context.sh
	ln -s /etc/passwd tree/context/context.sh
	run -3 detect
}

@test "a volume on a user's disk of Amazon EC2 is not taken, unless forced" {
	mkdir -p tree/sys/class/dmi/id
	echo 'Amazon EC2' >tree/sys/class/dmi/id/sys_vendor
	genisoimage -quiet -V CONTEXT -o media/nvme1n1 ctx
	run -3 detect -e
	has "$output" "not taken without --force"
	has "$output" "machine: Amazon EC2"
	[ "$(detect --force)" = "opennebula media/nvme1n1" ]
	mv media/nvme1n1 media/vdb
	[ "$(detect)" = "opennebula media/vdb" ]
}

@test "the account is there as JSON" {
	genisoimage -quiet -V CONTEXT -o 'media/a"b' ctx
	printf x >media/c
	detect -o json >out
	/usr/bin/python3 - <<-'END'
	import json
	d = json.load(open("out"))
	assert d["found"] is True and d["kind"] == "opennebula" and d["where"] == 'media/a"b', d
	assert [s["what"] for s in d["steps"]] == ['media/a"b'], d
	END
	rm media/a*
	run -3 detect -o json
	[ "$(jq -r '.found, .steps[0].why' <<<"$output")" = $'false\nno ISO 9660 volume, and no FAT volume' ]
}

@test "wrong usage says so" {
	run -2 "$CTXD" detect --wat
	run -2 "$CTXD" detect -o yaml
	has "$output" "yaml"
	run -2 "$CTXD" detect --root nowhere
	run -2 "$CTXD" detect --wait 9999
	run -2 "$CTXD" detect more
	for folder in nowhere ''; do
		run -1 "$CTXD" detect --dev "$folder"
		has "$output" "'$folder': No such file"
	done
	run -0 "$CTXD" detect --help
}
