#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The OpenNebula context, both ways: images that others read, contexts that others read alike.
# Here cloud-init's own data source is the other, run on the same files.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }

instance() {
	cat <<-'END'
	instance-id: i-0a1b2c3d4e5f60718
	hostname: web1.example.org
	ssh-keys: ["ssh-ed25519 AAAA it's", "ssh-rsa BBBB two"]
	nics:
	  - mac: 02:00:c0:a8:00:05
	    addresses: [192.168.0.5/24, 2001:db8::5/64]
	    gateway: 192.168.0.1
	    dns: [192.168.0.1]
	user-data: |
	  #!/bin/sh
	  echo "$HOME" 'quoted' `id`
	END
}

@test "the image that is written is what other readers expect" {
	instance >web1.yaml
	"$METADATA_SERVER" iso web1.yaml out.iso
	[ "$(blkid -p -s LABEL -o value out.iso)" = CONTEXT ]
	[ "$(blkid -p -s TYPE -o value out.iso)" = iso9660 ]
	isoinfo -d -i out.iso >info
	grep -qx 'Volume id: CONTEXT' info
	grep -q '^Joliet with UCS level 3 found' info
	grep -q '^Rock Ridge signatures version 1 found' info
	isoinfo -R -x /context.sh -i out.iso >rr
	isoinfo -J -x /context.sh -i out.iso >joliet
	isoinfo -x '/CONTEXT.SH;1' -i out.iso >bare
	cmp rr joliet
	cmp rr bare
	xorriso -indev out.iso -osirrox on -extract / files 2>/dev/null
	cmp rr files/context.sh
	7zz x -oseven out.iso >/dev/null
	cmp rr seven/context.sh
}

@test "the same instance gives the same bytes, and they appear whole or not at all" {
	instance >web1.yaml
	"$METADATA_SERVER" iso web1.yaml a.iso
	TZ=Asia/Tokyo "$METADATA_SERVER" iso --kind opennebula web1.yaml - >b.iso
	cmp a.iso b.iso
	"$METADATA_SERVER" iso -V other web1.yaml c.iso
	[ "$(blkid -p -s LABEL -o value c.iso)" = other ]
	mkdir dir
	run -1 "$METADATA_SERVER" iso web1.yaml dir
	run -1 "$METADATA_SERVER" iso web1.yaml nowhere/x.iso
	has "$output" "nowhere/x.iso"
	run -1 "$METADATA_SERVER" iso missing.yaml x.iso
	has "$output" "missing.yaml"
	run -2 "$METADATA_SERVER" iso -k floppy web1.yaml x.iso
	run -2 "$METADATA_SERVER" iso web1.yaml
	run -1 "$METADATA_SERVER" iso -V 'much too long a volume id' web1.yaml x.iso
	printf 'nics: [{addresses: [192.168.0.5/24]}]\n' >nomac.yaml
	run -1 "$METADATA_SERVER" iso nomac.yaml x.iso
	[ ! -e x.iso ]
	[ -z "$(find . -name '*tmp*')" ]
}

@test "a shell reads the values that were meant" {
	instance >web1.yaml
	"$METADATA_SERVER" iso web1.yaml out.iso
	isoinfo -R -x /context.sh -i out.iso >context.sh
	for sh in sh bash; do
		[ "$($sh -c '. ./context.sh; printf %s "$SSH_PUBLIC_KEY"')" = $'ssh-ed25519 AAAA it\'s\nssh-rsa BBBB two' ]
		$sh -c '. ./context.sh; printf %s "$USER_DATA" | base64 -d' | grep -qF "'quoted' \`id\`"
	done
	grep -v '^#' context.sh | sed -n 's/^\([A-Z0-9_]*\)=.*/\1/p' | LC_ALL=C sort -c
}

@test "cloud-init's data source reads a context of ours as ctxd does" {
	oracle
	instance >web1.yaml
	"$METADATA_SERVER" iso web1.yaml out.iso
	isoinfo -R -x /context.sh -i out.iso >c
	both 02:00:c0:a8:00:05=eth0 <c
}
