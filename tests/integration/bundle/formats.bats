#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What Google, Azure, OpenStack and OpenNebula take: as GNU tar, gzip and qemu-img see it.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	cp image big
	truncate -s 30000000 big
	cp big mib
	truncate -s 29M mib
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

@test "gce: disk.raw of whole GiB, sparse, in an archive that GNU tar reads" {
	"$BUNDLE" create --for gce image x.tar.gz
	gzip -t x.tar.gz
	[ "$(tar -tzf x.tar.gz)" = disk.raw ]
	[ "$(gzip -dc x.tar.gz | head -c 265 | tail -c 8 | tr -d '\0')" = "ustar  " ]
	tar -xzf x.tar.gz
	[ "$(stat -c %s disk.raw)" = 1073741824 ]
	[ "$(stat -c %b disk.raw)" -le 8000 ]
	cmp -n 4194304 image disk.raw
	"$BUNDLE" verify x.tar.gz
	"$BUNDLE" open -O qcow2 x.tar.gz x.qcow2
	qemu-img compare -f raw -F qcow2 disk.raw x.qcow2
	rm disk.raw
}

@test "azure: a fixed VHD of whole MiB" {
	"$BUNDLE" create --for azure big az.vhd
	[ "$(stat -c %s az.vhd)" = $((29 * 1048576 + 512)) ]
	[ "$(tail -c 512 az.vhd | head -c 8)" = conectix ]
	qemu-img compare -f raw -F vpc mib az.vhd
	"$BUNDLE" verify az.vhd
	"$BUNDLE" open az.vhd az.raw
	cmp mib az.raw
	refuses "from 20 MiB" create --for azure image never.vhd
}

@test "openstack: a QCOW2 and the body that makes its record" {
	"$BUNDLE" create --for openstack -p web -c --memory 512M --property os_distro=debian \
		--property hw_disk_bus=scsi image os.qcow2
	qemu-img check os.qcow2
	qemu-img compare -f raw -F qcow2 image os.qcow2
	python3 -c 'import json
j = json.load(open("os.json"))
assert j["name"] == "web" and j["disk_format"] == "qcow2" and j["container_format"] == "bare"
assert j["min_disk"] == 1 and j["min_ram"] == 512 and j["os_distro"] == "debian"
assert j["hw_disk_bus"] == "scsi" and j["hw_firmware_type"] == "bios"'
	"$BUNDLE" verify os.qcow2
	"$BUNDLE" create --for openstack --memory 1G --property min_disk=20 --property min_ram=512 image min.qcow2
	python3 -c 'import json
j = json.load(open("min.json"), object_pairs_hook=list)
assert [v for k, v in j if k.startswith("min_")] == [20, 512], j'
	refuses "property 'min_disk=x'" create --for openstack --property min_disk=x image never.qcow2
	refuses "'os_distro' is given twice" create --for openstack --property os_distro=a \
		--property os_distro=b image never.qcow2
}

@test "an option of another format is wrong usage" {
	local args
	for args in "gce --property a=b" "azure -c" "azure --dense" "openstack --cpus 2" \
		"ova -r x86_64" "ova -u 123456789012" "gce -k key" "ec2 --memory 1G" "ec2 --property a=b" \
		"ec2 --type floppy" "ec2 --part-size 0" "openstack --kernel aki-1"; do
		# shellcheck disable=SC2086
		run -2 --separate-stderr "$BUNDLE" create --for $args image never
		[ ! -e never ]
	done
	run -2 "$BUNDLE" create --for gce image -
	[ ! -e ./- ]
	run -2 "$BUNDLE" create --for azure --dense image never
	has "$output" "--dense is for ec2, gce;"
}

@test "opennebula: a QCOW2 and templates of image and machine" {
	"$BUNDLE" create --for opennebula -p 'a "b" \c' --cpus 2 --property 'USER_DATA=x"y' image one.qcow2
	qemu-img compare -f raw -F qcow2 image one.qcow2
	grep -qxF 'NAME = "a \"b\" \\c"' one.image
	grep -qxF "PATH = \"$PWD/one.qcow2\"" one.image
	grep -qxF 'VCPU = "2"' one.vm
	grep -qF 'USER_DATA = "x\"y" ]' one.vm
	refuses "upper-case" create --for opennebula --property lower=1 image never.qcow2
}
