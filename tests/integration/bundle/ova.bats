#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# OVA: ours is read by tar, sha256sum, qemu-img and 7-Zip; theirs, by us.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	make_image image
	qemu-img convert -O vmdk -o subformat=streamOptimized image disk.vmdk
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

mkova() { "$BATS_TEST_DIRNAME/mkova" "$@"; }

@test "an archive with descriptor, disk and manifest that other programs read" {
	"$BUNDLE" create --for ova -p web --cpus 2 --memory 3G --property hostname=h1 \
		--property 'user-data=a&b"<' image x.ova
	mkdir x
	tar -xf x.ova -C x
	[ "$(tar -tf x.ova | head -n 1)" = web.ovf ]
	(cd x && sed -E 's|SHA256\((.*)\)= (.*)|\2  \1|' web.mf | sha256sum -c --quiet)
	[ "$(find x -type f | wc -l)" = 3 ]
	qemu-img compare -f raw -F vmdk image x/web-disk1.vmdk
	7zz t x/web-disk1.vmdk >/dev/null
	python3 - <<-'END'
		import os
		import xml.etree.ElementTree as E
		ovf, rasd = "{http://schemas.dmtf.org/ovf/envelope/1}", "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
		root = E.parse("x/web.ovf").getroot()
		f, = root.iter(ovf + "File")
		assert f.get(ovf + "href") == "web-disk1.vmdk"
		assert int(f.get(ovf + "size")) == os.path.getsize("x/web-disk1.vmdk")
		d, = root.iter(ovf + "Disk")
		assert d.get(ovf + "capacity") == "4194304" and d.get(ovf + "fileRef") == f.get(ovf + "id")
		items = {i.findtext(rasd + "ResourceType"): i for i in root.iter(ovf + "Item")}
		assert items["3"].findtext(rasd + "VirtualQuantity") == "2"
		assert items["4"].findtext(rasd + "VirtualQuantity") == "3072"
		assert items["17"].findtext(rasd + "HostResource") == "ovf:/disk/" + d.get(ovf + "diskId")
		assert {p.get(ovf + "key"): p.get(ovf + "value") for p in root.iter(ovf + "Property")} == \
		    {"hostname": "h1", "user-data": 'a&b"<'}
	END
	"$BUNDLE" open x.ova out.raw
	cmp image out.raw
	"$BUNDLE" verify x.ova
}

@test "what VirtualBox and VMware lay out is read" {
	mkova --out vbox.ova --disk disk.vmdk
	"$BUNDLE" verify vbox.ova
	"$BUNDLE" open -O qcow2 vbox.ova vbox.qcow2
	qemu-img compare -f raw -F qcow2 image vbox.qcow2
	mkova --out vmware.ova --style vmware --disk disk.vmdk
	"$BUNDLE" info -o json vmware.ova >json
	python3 -c 'import json
j = json.load(open("json"))
assert j["name"] == "web & db" and j["firmware"] == "efi" and j["memory"] == 4 << 30 and j["product"] == "Thing"
assert j["disks"][0]["size"] == 4194304 and j["several-machines"]
assert {p["key"]: p["value"] for p in j["properties"]} == \
    {"net.dns.0": "10.0.0.1", "user-data": "I2Nsb3VkLWNvbmZpZw=="}'
}

@test "a disk that is not what the manifest says comes to nothing" {
	mkova --out bad.ova --disk disk.vmdk --break digest
	refuses "sha1 is .* the manifest says" open bad.ova never
	mkova --out path.ova --disk disk.vmdk --break path
	refuses "no plain file name" open path.ova never
}
