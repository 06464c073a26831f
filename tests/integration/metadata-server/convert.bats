#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Contexts from one dialect to another, as documents and as images.

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	cat >web1.yaml <<-'YAML'
		instance-id: i-1
		hostname: web1.example.org
		ssh-keys: [ssh-ed25519 AAAA ops]
		nics:
		  - {mac: '02:00:c0:a8:00:05', addresses: [192.168.0.5/24], gateway: 192.168.0.1, dns: [192.168.0.1]}
		user-data: |
		  #!/bin/sh
		  echo hi
	YAML
}

@test "convert: what all dialects know goes around through all of them and comes back" {
	"$MS" convert --strict --to opennebula web1.yaml context.sh
	"$MS" convert --strict --from opennebula --to nocloud context.sh seed
	"$MS" convert --strict --to openstack seed drive.iso
	"$MS" convert --strict --to yaml drive.iso back.yaml
	"$MS" show -o json web1.yaml | jq -S 'del(.imds)' >a
	"$MS" show -o json back.yaml | jq -S 'del(.imds)' >b
	diff a b
}

@test "convert: what is lost is named; --strict then writes nothing" {
	printf 'swap-devices: true\ntime-zone: Europe/Zurich\niam-role: {name: builder}\n' >>web1.yaml
	run --separate-stderr "$MS" convert --to nocloud web1.yaml seed
	[ "$status" -eq 0 ]
	[[ $stderr == *"no room in 'nocloud' for: swap-devices, iam-role.name"* ]]
	[ -f seed/meta-data ]
	run "$MS" convert --strict --to nocloud web1.yaml seed2
	[ "$status" -eq 3 ]
	[ ! -e seed2 ]
	"$MS" convert -o json --to nocloud web1.yaml 2>/dev/null | jq -e '.lost == ["swap-devices", "iam-role.name"]'
}

@test "convert: a folder that is not empty stays as it is; several documents need one" {
	mkdir seed
	echo mine >seed/x
	run "$MS" convert --to nocloud web1.yaml seed
	[ "$status" -eq 1 ]
	[ "$(ls)" = $'seed\nweb1.yaml' ]
	[ "$(cat seed/x)" = mine ]
	run "$MS" convert --to nocloud web1.yaml
	[ "$status" -eq 1 ]
	[[ $output == *"several documents"* ]]
	run "$MS" convert --to yaml seed
	[[ $output == *"no dialect that is known"* ]]
	"$MS" convert --to nocloud web1.yaml new/ 2>/dev/null
	[ -s new/meta-data ]
	"$MS" convert --to ovf web1.yaml one/ 2>/dev/null
	[ -s one/ovf-env.xml ]
}

@test "convert: malformed documents end in one line that says where" {
	mkdir seed
	printf 'instance-id: [\n' >seed/meta-data
	run "$MS" convert --to yaml seed
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *"meta-data:2:1"* ]]
	printf 'instance-id: i-1\npublic-keys: [nokey]\n' >seed/meta-data
	"$MS" convert -o json seed 2>/dev/null | jq -e '.notes[0] | contains("public-keys: line 1 is not an SSH public key")'
}

@test "iso: each kind has its volume and documents, and is the same at any time" {
	for kind in ovf:OVF-TRANSPORT:ovf-env.xml opennebula:CONTEXT:context.sh nocloud:cidata:meta-data config-drive:config-2:openstack; do
		IFS=: read -r name label file <<<"$kind"
		"$MS" iso --kind "$name" web1.yaml "$name.iso"
		[ "$(blkid -o value -s LABEL "$name.iso")" = "$label" ]
		isoinfo -R -l -i "$name.iso" | grep -q " $file "
		isoinfo -J -l -i "$name.iso" | grep -q " $file"
		TZ=Asia/Tokyo "$MS" iso --kind "$name" web1.yaml - | cmp - "$name.iso"
	done
	xorriso -indev config-drive.iso -osirrox on -extract / drive 2>/dev/null
	jq -e '.uuid == "i-1"' drive/openstack/latest/meta_data.json
	run "$MS" iso --kind floppy web1.yaml x
	[ "$status" -eq 2 ]
}

@test "convert: EC2's tree is read from a crawl, and from a dump of one" {
	printf 'ami-id: ami-1\navailability-zone: eu-west-1b\ntags: {Name: web1}\n' >>web1.yaml
	"$MS" convert --to ec2 web1.yaml tree 2>/dev/null
	[ "$(cat tree/meta-data/public-keys/0/openssh-key)" = "ssh-ed25519 AAAA ops" ]
	"$MS" convert -o json tree | jq -e '.from == "ec2" and .notes == [] and (.context |
		.["instance-id"] == "i-1" and .["ami-id"] == "ami-1" and .region == "eu-west-1" and .tags.Name == "web1" and
		.nics[0].addresses == ["192.168.0.5/24"] and .nics[0].method == "dhcp" and .["ssh-keys"] == ["ssh-ed25519 AAAA ops"])'
	cat >dump.json <<-'JSON'
		{"instance-id": "i-1", "ami-id": "ami-1", "local-hostname": "web1", "security-groups": ["a", "b"],
		 "network": {"interfaces": {"macs": {"02:00:c0:a8:00:05": {"local-ipv4s": ["192.168.0.5", "192.168.0.6"],
		  "subnet-ipv4-cidr-block": "192.168.0.0/23", "device-number": "0", "public-ipv4s": "192.0.2.1"}}}}}
	JSON
	"$MS" convert --from ec2 -o json dump.json | jq -e '.context | .hostname == "web1" and .["security-groups"] == ["a", "b"] and
		.nics[0].addresses == ["192.168.0.5/23", "192.168.0.6/23"] and .nics[0]["public-ipv4"] == "192.0.2.1"'
	mkdir -p half/meta-data/spot
	echo i-1 >half/meta-data/instance-id
	echo '{"action": "stop"}' >half/meta-data/spot/instance-action
	"$MS" convert --to yaml half half.yaml 2>err
	"$MS" check half.yaml
	grep -q 'spot/instance-action is not both' err
}
