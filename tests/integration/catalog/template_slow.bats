#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# catalog template: each definition is read by the software that it is for; where that is not to be
# had, by a strict reader of its documents.

bats_require_minimum_version 1.5.0
load store

setup_file() {
	store_up
	export LIBVIRT_DEFAULT_URI=test:///default
}
setup() {
	store_fresh
	new_image my_box
	UUID=ec2aaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee
}

requires() {
	command -v "$1" >/dev/null || skip "no $1"
}

# uefi_image NAME ARCH: an image with a program that UEFI of that architecture finds.
uefi_image() {
	local raw=$BATS_TEST_TMPDIR/$1.raw dir=$ACCLIMATE_STORE/images/$1 file=BOOTX64.EFI
	[ "$2" = x86_64 ] || file=BOOTAA64.EFI
	truncate -s 40M "$raw"
	printf 'label: gpt\nstart=2048, size=71680, type=U\n' | sfdisk -q "$raw"
	mformat -i "$raw@@1M" -T 71680 -h 64 -s 32 ::
	mmd -i "$raw@@1M" ::/EFI ::/EFI/BOOT
	printf 'MZ' | mcopy -i "$raw@@1M" - "::/EFI/BOOT/$file"
	mkdir -p "$dir"
	qemu-img convert -O qcow2 "$raw" "$dir/disk.qcow2"
	printf '{"name": "%s", "source": {"architecture": "%s"}}' "$1" "$2" >"$dir/image.json"
}

defined() {
	virt-xml-validate "$1" domain
	virsh -q define --validate "$1"
}

@test "a kernel that knows NVMe alone gets a machine of QEMU, and no other" {
	load common
	make_root "$BATS_TEST_TMPDIR"
	echo 'CONFIG_BLK_DEV_NVME=y' >"$BATS_TEST_TMPDIR/config"
	debugfs -w -f - "$BATS_TEST_TMPDIR/root.img" >/dev/null 2>&1 <<-END
		rm /boot/config-6.1.0-test
		write $BATS_TEST_TMPDIR/config /boot/config-6.1.0-test
	END
	catalog import -q "$BATS_TEST_TMPDIR/root.img" --name nvme
	catalog template nvme --for qemu | grep -q -- '-device nvme,'
	local kind
	for kind in libvirt opennebula opennebula-image proxmox; do
		run --separate-stderr -1 catalog template nvme --for $kind
		[ -z "$output" ]
		[[ $stderr == *"NVMe alone: machines of $kind cannot"* ]]
	done
}

@test "libvirt: valid, defined, and with EC2's identity" {
	requires virsh
	requires virt-xml-validate
	catalog template my_box --for libvirt --uuid "$UUID" -q >"$BATS_TEST_TMPDIR/x.xml"
	defined "$BATS_TEST_TMPDIR/x.xml"
	grep -q "<entry name=\"serial\">$UUID</entry>" "$BATS_TEST_TMPDIR/x.xml"
	grep -q '<transient/>' "$BATS_TEST_TMPDIR/x.xml"
	# A clone is written to; an ISO says what there is to say.
	catalog clone my_box work
	catalog template work --for libvirt --iso '/tmp/a&b.iso' --network 'my "net"' -q >"$BATS_TEST_TMPDIR/y.xml"
	defined "$BATS_TEST_TMPDIR/y.xml"
	run ! grep -q 'transient\|smbios' "$BATS_TEST_TMPDIR/y.xml"
	grep -qF "file=\"$(path_of work)\"" "$BATS_TEST_TMPDIR/y.xml"
	grep -qF 'a&amp;b.iso' "$BATS_TEST_TMPDIR/y.xml"
}

@test "libvirt: UEFI and arm64 where the image asks for them" {
	requires virsh
	requires mformat
	uefi_image u x86_64
	uefi_image a arm64
	catalog template u --for libvirt -q >"$BATS_TEST_TMPDIR/u.xml"
	defined "$BATS_TEST_TMPDIR/u.xml"
	grep -q 'firmware="efi"' "$BATS_TEST_TMPDIR/u.xml"
	catalog template a --for libvirt -q >"$BATS_TEST_TMPDIR/a.xml"
	virt-xml-validate "$BATS_TEST_TMPDIR/a.xml" domain
	grep -q 'arch="aarch64" machine="virt"' "$BATS_TEST_TMPDIR/a.xml"
}

# starts FILE: QEMU makes the machine, and says so over QMP before it would run.
starts() {
	printf '{"execute":"qmp_capabilities"}\n{"execute":"query-status"}\n{"execute":"query-block"}\n{"execute":"quit"}\n' |
		timeout 200 sh "$1" -S -qmp stdio -monitor none -serial none >"$BATS_TEST_TMPDIR/qmp" 2>"$BATS_TEST_TMPDIR/err" ||
		{ cat "$BATS_TEST_TMPDIR/err"; return 1; }
	grep -q prelaunch "$BATS_TEST_TMPDIR/qmp"
}

@test "qemu: the script starts, whatever the path" {
	mv "$ACCLIMATE_STORE" "$BATS_TEST_TMPDIR/it's, a store"
	export ACCLIMATE_STORE="$BATS_TEST_TMPDIR/it's, a store"
	catalog template my_box --for qemu --accel tcg --uuid "$UUID" -q | sed 's/-serial mon:stdio//' >"$BATS_TEST_TMPDIR/run.sh"
	starts "$BATS_TEST_TMPDIR/run.sh"
	grep -q "a store" "$BATS_TEST_TMPDIR/qmp"
	grep -q "uuid=$UUID,serial=$UUID" "$BATS_TEST_TMPDIR/run.sh"
	sh -n "$BATS_TEST_TMPDIR/run.sh"
}

@test "qemu: UEFI, arm64, every bus" {
	requires mformat
	requires qemu-system-aarch64
	[ -e /usr/share/AAVMF/AAVMF_CODE.fd ] && [ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || skip "no firmware"
	uefi_image u x86_64
	uefi_image a arm64
	for image in u a; do
		catalog template "$image" --for qemu --accel tcg -q | sed 's/-serial mon:stdio//' >"$BATS_TEST_TMPDIR/run.sh"
		starts "$BATS_TEST_TMPDIR/run.sh"
	done
	grep -q 'AAVMF' "$BATS_TEST_TMPDIR/run.sh"
}

# system_image NAME PRETTY_NAME: an image that says which system it is.
system_image() {
	local tree=$BATS_TEST_TMPDIR/$1 dir=$ACCLIMATE_STORE/images/$1
	mkdir -p "$tree/etc" "$tree/usr" "$dir"
	printf 'ID=x\nPRETTY_NAME="%s"\n' "$2" >"$tree/etc/os-release"
	PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -d "$tree" "$tree.raw" 24M >/dev/null 2>&1
	qemu-img convert -O qcow2 "$tree.raw" "$dir/disk.qcow2"
	printf '{"name": "%s"}' "$1" >"$dir/image.json"
}

@test "an emulated processor has no cmpxchg16b where the guest can do without it, and only there" {
	system_image debian 'Debian GNU/Linux 13 (trixie)'
	system_image alma 'AlmaLinux 9.6 (Sage Margay)'
	catalog template debian --for qemu --accel tcg -q | sed 's/-serial mon:stdio//' >"$BATS_TEST_TMPDIR/run.sh"
	grep -q -e '-cpu max,cx16=off' "$BATS_TEST_TMPDIR/run.sh"
	starts "$BATS_TEST_TMPDIR/run.sh"
	for image in alma my_box; do
		catalog template $image --for qemu --accel tcg -q >"$BATS_TEST_TMPDIR/run.sh"
		grep -q -e '-cpu max' "$BATS_TEST_TMPDIR/run.sh"
		run ! grep -q cx16 "$BATS_TEST_TMPDIR/run.sh"
	done
	# A root that cannot be read here: by the record.
	local x=$ACCLIMATE_STORE/images/xfs
	mkdir "$x"
	qemu-img create -q -f qcow2 "$x/disk.qcow2" 24M
	for told in '"source": {"os": "debian", "name": "x"}' '"source": {"name": "Ubuntu-24.04"}' \
		'"injected": {"distribution": "debian"}, "source": {"os": "other"}'; do
		echo "{\"name\": \"xfs\", $told}" >"$x/image.json"
		catalog template xfs --for qemu --accel tcg --firmware bios -q >"$BATS_TEST_TMPDIR/run.sh"
		grep -q -e '-cpu max,cx16=off' "$BATS_TEST_TMPDIR/run.sh"
	done
	echo '{"name": "xfs", "source": {"os": "rocky", "name": "debian-like"}}' >"$x/image.json"
	catalog template xfs --for qemu --accel tcg --firmware bios -q >"$BATS_TEST_TMPDIR/run.sh"
	run ! grep -q cx16 "$BATS_TEST_TMPDIR/run.sh"
	catalog template debian --for qemu --accel kvm -q >"$BATS_TEST_TMPDIR/run.sh"
	run ! grep -q cx16 "$BATS_TEST_TMPDIR/run.sh"
	catalog template debian --for libvirt -q >"$BATS_TEST_TMPDIR/x.xml"
	run ! grep -q cx16 "$BATS_TEST_TMPDIR/x.xml"
	catalog template debian --for libvirt --accel tcg -q >"$BATS_TEST_TMPDIR/x.xml"
	grep -q 'policy="disable" name="cx16"' "$BATS_TEST_TMPDIR/x.xml"
	! command -v virsh >/dev/null || defined "$BATS_TEST_TMPDIR/x.xml"
}

@test "opennebula: the grammar of its templates, and attributes that its reference has" {
	catalog template my_box --for opennebula -q >"$BATS_TEST_TMPDIR/vm"
	catalog template my_box --for opennebula-image -q >"$BATS_TEST_TMPDIR/image"
	python3 tests/integration/catalog/templates.py opennebula "$BATS_TEST_TMPDIR/vm" >"$BATS_TEST_TMPDIR/vm.json"
	python3 tests/integration/catalog/templates.py opennebula-image "$BATS_TEST_TMPDIR/image" >"$BATS_TEST_TMPDIR/image.json"
	grep -q '"IMAGE": "my_box"' "$BATS_TEST_TMPDIR/vm.json"
	grep -qF "\"PATH\": \"$(path_of my_box)\"" "$BATS_TEST_TMPDIR/image.json"
	# Its driver would copy a layer without what lies below.
	catalog clone my_box work
	run catalog template work --for opennebula-image -q
	[ "$status" -eq 1 ]
	[[ $output == *"stands on another one"* ]]
	catalog template work --for opennebula-image --disk /srv/flat.qcow2 -q | grep -q /srv/flat.qcow2
}

@test "proxmox: what its script gives to qm" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nprintf "%%s\\n" "$@"\n' >"$BATS_TEST_TMPDIR/bin/qm"
	chmod +x "$BATS_TEST_TMPDIR/bin/qm"
	mv "$ACCLIMATE_STORE" "$BATS_TEST_TMPDIR/it's a store"
	export ACCLIMATE_STORE="$BATS_TEST_TMPDIR/it's a store"
	catalog template my_box --for proxmox --uuid "$UUID" -q >"$BATS_TEST_TMPDIR/make.sh"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH sh "$BATS_TEST_TMPDIR/make.sh" 123 local vmbr7 >"$BATS_TEST_TMPDIR/args"
	python3 tests/integration/catalog/templates.py proxmox "$BATS_TEST_TMPDIR/args" >"$BATS_TEST_TMPDIR/args.json"
	grep -qF "\"import-from\": \"$(path_of my_box)\"" "$BATS_TEST_TMPDIR/args.json"
	grep -q '"manufacturer": "Amazon EC2"' "$BATS_TEST_TMPDIR/args.json"
	grep -q "\"serial\": \"$UUID\"" "$BATS_TEST_TMPDIR/args.json"
	grep -q '"bridge": "vmbr7"' "$BATS_TEST_TMPDIR/args.json"
	run sh "$BATS_TEST_TMPDIR/make.sh"
	[ "$status" -ne 0 ]
}

@test "what makes no sense is refused" {
	run catalog template my_box --for qemu --uuid nonsense
	[ "$status" -eq 1 ]
	run catalog template my_box --for vmware
	[ "$status" -eq 2 ]
	run catalog template my_box --for libvirt --instance x
	[ "$status" -eq 2 ]
	# An option that would do nothing, and what libvirt takes but cannot start.
	run -2 catalog template my_box --for proxmox --network x
	[[ $output == *"--network has no effect with --for proxmox"* ]]
	run -2 catalog template my_box --for opennebula --iso /x.iso
	run -2 catalog template my_box --for opennebula-image --memory 2G
	run -2 catalog template my_box --for libvirt --iso x.iso
	[[ $output == *"'x.iso' is no absolute path"* ]]
	run catalog template none --for libvirt
	[ "$status" -eq 1 ]
}
