#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What metadata-server writes and serves in the clouds' own forms, read by cloud-init's own classes,
# and its images judged by ds-identify.

bats_require_minimum_version 1.5.0

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
MS=${BINDIR:-$TOP/bin}/metadata-server

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	CLOUD_INIT=$("$TOP/tests/interop/fetch-cloud-init") || CLOUD_INIT=''
	export CLOUD_INIT
	cat >web1.yaml <<-'YAML'
		instance-id: i-0a1b2c3d4e5f60718
		hostname: web1.example.org
		ssh-keys: ["ssh-ed25519 AAAA ops", "ssh-rsa BBBB dev"]
		nics:
		  - mac: 02:00:c0:a8:00:05
		    addresses: [192.168.0.5/24, "2001:db8::5/64"]
		    gateway: 192.168.0.1
		    gateway6: "2001:db8::1"
		    dns: [192.168.0.1]
		    search: [example.org]
		    routes: [10.0.0.0/8 via 192.168.0.254]
		    mtu: 1400
		  - {mac: "02:00:c0:a8:00:06", method: dhcp}
		user-data-base64: AP/+f4AhCg0A
	YAML
	cp web1.yaml more.yaml
	printf 'vendor-data: "#cloud-config\\n{}\\n"\nfiles: [{path: /etc/motd, content: "hi\\n"}]\n' >>more.yaml
}

setup() {
	[ -n "$CLOUD_INIT" ] || skip "cloud-init cannot be had"
	cd "$BATS_TEST_TMPDIR" || return
}
teardown() { [ -z "${PID:-}" ] || { kill "$PID" && wait "$PID"; } || true; }

# extract IMAGE: into the folder "seed", by somebody else's reader
extract() { xorriso -indev "$1" -osirrox on -extract / seed 2>/dev/null && chmod -R u+w seed; }

serve() { # FILE
	local i
	"$MS" serve -v --as "$1" --listen 127.0.0.1:0 2>log 3>&- &
	PID=$!
	for ((i = 0; i < 3000; i++)); do
		! grep -q 'listening on' log || break
		sleep 0.02
	done
	URL=http://127.0.0.1:$(sed -n 's/.*listening on 127.0.0.1://p' log)
}

read_as() { PYTHONPATH=$CLOUD_INIT /usr/bin/python3 "$TOP/tests/interop/cloud_init_read.py" "$1" "$2" >found.json; }

same_machine() {
	jq -e '.instance_id == "i-0a1b2c3d4e5f60718" and .hostname == "web1.example.org" and
		.keys == ["ssh-ed25519 AAAA ops", "ssh-rsa BBBB dev"] and .userdata == "AP/+f4AhCg0A"' found.json
}

# The first NIC is static with all that was said, the second has a lease.
same_network() {
	jq -e '[.network.network.ethernets[]] | sort_by(.match.macaddress) | (.[0] |
		.addresses == ["192.168.0.5/24", "2001:db8::5/64"] and .gateway4 == "192.168.0.1" and
		.gateway6 == "2001:db8::1" and .mtu == 1400 and .nameservers.addresses == ["192.168.0.1"] and
		.nameservers.search == ["example.org"] and .routes == [{"to": "10.0.0.0/8", "via": "192.168.0.254"}])
		and (.[1].dhcp4 and .[1].match.macaddress == "02:00:c0:a8:00:06")' found.json
}

@test "cloud-init reads the NoCloud image, network and vendor-data included" {
	"$MS" iso --kind nocloud --strict "$BATS_FILE_TMPDIR/web1.yaml" x.iso
	extract x.iso
	read_as nocloud seed
	same_machine && same_network
	sed '$a vendor-data: "#cloud-config\\n{}\\n"' "$BATS_FILE_TMPDIR/web1.yaml" >vendor.yaml
	"$MS" convert --to nocloud vendor.yaml more
	read_as nocloud more
	jq -e '.vendordata == "#cloud-config\n{}\n"' found.json
}

@test "cloud-init reads the config drive, files included" {
	"$MS" iso --kind config-drive --strict "$BATS_FILE_TMPDIR/more.yaml" x.iso
	extract x.iso
	read_as config-drive seed
	same_machine && same_network
	jq -e '.files == {"/etc/motd": "hi\n"} and .vendordata == "#cloud-config\n{}\n"' found.json
}

# all that only a cloud-config can say; the operator's own words on time zone and locale
all_of_it() {
	cat "$BATS_FILE_TMPDIR/web1.yaml" - <<-'YAML'
		default-user: {name: cloud, gecos: "Cloud Ü", home: /srv/cloud, shell: /bin/sh, groups: [adm, wheel],
		  sudo: "", password-hash: $6$abc$def}
		users:
		  - {name: joe, gecos: Joe, uid: 1500, groups: [audio], sudo: "ALL=(ALL) NOPASSWD:ALL",
		     ssh-keys: [ssh-rsa CCCC joe], password: "o'pen"}
		  - {name: robot, system: true}
		ssh-password-login: true
		time-zone: Europe/Zurich
		locale: de_CH.UTF-8
		ntp-servers: [ntp.example.org]
		grow-root: true
		swap-file: /swap
		swap-size: 1G
		mounts:
		  - {source: /dev/vdb, target: /srv, type: ext4, options: "noatime,nofail", format: true, format-label: data}
		  - {source: LABEL=x, target: /mnt/x}
		files:
		  - {path: /etc/motd, mode: "0600", owner: "joe:adm", append: true, content: "hello\n"}
		  - {path: /etc/bin, content-base64: AP/+}
		scripts:
		  - {name: first one.sh, content: "#!/bin/sh\ntrue\n"}
		  - {name: second.sh, content: "#!/bin/sh\nfalse\n"}
		ready: {url: "https://example.org/home"}
		vendor-data: "#cloud-config\nlocale: en_US.UTF-8\npackages: [x]\n"
	YAML
}

# vendor: what cloud-init makes of the file vendor-data
vendor() { PYTHONPATH=$CLOUD_INIT /usr/bin/python3 "$TOP/tests/interop/cloud_init_vendor.py" vendor-data >vendor.json; }

@test "cloud-init takes users, mounts, files and scripts from the vendor-data, the operator's own prevail" {
	all_of_it >all.yaml
	"$MS" convert --strict --to nocloud all.yaml seed
	"$MS" convert --to yaml seed back.yaml
	# a password makes an account that is not locked, which is said on the way
	same() { "$MS" show -o json "./$1" | jq 'del(.. | ."lock-password"?)'; }
	diff <(same all.yaml) <(same back.yaml)
	read_as nocloud seed
	# the user's own bytes are as they were
	same_machine && same_network
	cp seed/vendor-data vendor-data
	vendor
	jq -e '.config | .locale == "en_US.UTF-8" and .packages == ["x"] and .timezone == "Europe/Zurich" and .ssh_pwauth and
		.mounts == [["/dev/vdb", "/srv", "ext4", "noatime,nofail"], ["LABEL=x", "/mnt/x"]] and
		.swap == {"filename": "/swap", "size": 1073741824} and .growpart.mode == "auto" and .resize_rootfs and
		.ntp.servers == ["ntp.example.org"] and .phone_home.url == "https://example.org/home" and
		(.write_files[0] | .permissions == "0600" and .owner == "joe:adm" and .append and .content == "aGVsbG8K")' vendor.json
	jq -e '.users.joe == {"gecos": "Joe", "uid": 1500, "groups": ["audio"], "sudo": "ALL=(ALL) NOPASSWD:ALL",
		"ssh_authorized_keys": ["ssh-rsa CCCC joe"], "plain_text_passwd": "o\u0027pen", "lock_passwd": false, "default": false}
		and .users.robot.system and (.users.cloud | .default and .gecos == "Cloud Ü" and .sudo == false and
		.hashed_passwd == "$6$abc$def" and .lock_passwd == false)' vendor.json
	jq -e '[.scripts[][0]] == ["000-first20one.sh", "001-second.sh"] and .scripts[0][1] == "IyEvYmluL3NoCnRydWUK"' vendor.json
	# nothing that its schema objects to, but the one word that old ones know too
	jq -e '.wrong == [] or .wrong == ["no jsonschema"] or
		(.wrong | length == 1 and (.[0] | test("^Cloud config schema deprecations: user.sudo: [^:]*: [^:]*$")))' vendor.json
	# what makes a file system leaves one that is there alone
	jq -r '.config.bootcmd[0][2]' vendor.json >format.sh
	truncate -s 4M disk
	sh ./format.sh disk ext4 data 2>/dev/null
	[ "$(blkid -p -o value -s LABEL disk)" = data ]
	cp disk before
	sh ./format.sh disk ext2 other
	cmp disk before
}

@test "cloud-init takes the same from the config drive; by HTTP there are no passwords" {
	all_of_it >all.yaml
	"$MS" iso --kind config-drive --strict all.yaml x.iso
	extract x.iso
	read_as config-drive seed
	same_machine && same_network
	jq -r .vendordata found.json >vendor-data
	vendor
	jq -e '.users.joe.plain_text_passwd == "o\u0027pen" and .config.locale == "en_US.UTF-8" and
		[.config.write_files[].path] == ["/etc/motd", "/etc/bin"]' vendor.json
	serve all.yaml
	curl -sf "$URL/openstack/latest/vendor_data.json" | jq -r '."cloud-init"' >vendor-data
	vendor
	jq -e '.users.joe.uid == 1500 and .users.cloud.gecos == "Cloud Ü"' vendor.json
	run ! grep -E 'passwd": "' vendor.json
	curl -sf "$URL/nocloud/vendor-data" >vendor-data
	vendor
	jq -e '.users.joe.uid == 1500' vendor.json
	run ! grep -E 'passwd": "' vendor.json
}

@test "cloud-init takes the same from EC2's user-data, where its owner makes them of the vendor-data" {
	all_of_it >all.yaml
	echo 'dialects: [nocloud]' >>all.yaml
	"$MS" get ./all.yaml nocloud/vendor-data >web1.user-data
	sed 's/^user-data-base64:.*/user-data-file: web1.user-data/' "$BATS_FILE_TMPDIR/web1.yaml" >ec2.yaml
	serve ec2.yaml
	PYTHONPATH=$CLOUD_INIT /usr/bin/python3 "$TOP/tests/interop/cloud_init_ec2.py" "$URL" unknown >found.json
	jq -r .userdata found.json | base64 -d >vendor-data
	cmp web1.user-data vendor-data
	vendor
	jq -e '.users.joe.uid == 1500 and .config.locale == "en_US.UTF-8" and .config.packages == ["x"] and
		.config.timezone == "Europe/Zurich" and (.scripts | length) == 2' vendor.json
	run ! grep -E 'passwd": "' vendor.json
}

@test "vendor-data that cloud-init would not find again in a message stay alone, and the loss is named" {
	sed '$a users: [{name: joe}]\nvendor-data: "for something else"' "$BATS_FILE_TMPDIR/web1.yaml" >other.yaml
	"$MS" convert --to nocloud other.yaml seed 2>err
	[ "$(cat seed/vendor-data)" = "for something else" ]
	grep -q users err
}

@test "cloud-init reads the OVF environment" {
	"$MS" iso --kind ovf --strict "$BATS_FILE_TMPDIR/web1.yaml" x.iso
	extract x.iso
	read_as ovf seed
	same_machine && same_network
}

@test "cloud-init reads the OpenNebula image; it knows neither routes nor leases" {
	"$MS" iso --strict "$BATS_FILE_TMPDIR/web1.yaml" x.iso
	extract x.iso
	read_as opennebula seed
	jq -e '.hostname == "web1.example.org" and .keys == ["ssh-ed25519 AAAA ops", "ssh-rsa BBBB dev"] and
		.userdata == "AP/+f4AhCg0A" and .network.network.ethernets.eth0.addresses ==
		["192.168.0.5/24", "2001:db8::5/64"]' found.json
}

@test "cloud-init reads OpenStack's, NoCloud's and CloudStack's trees by HTTP" {
	serve "$BATS_FILE_TMPDIR/more.yaml"
	read_as openstack-http "$URL"
	same_machine && same_network
	read_as nocloud-http "$URL"
	same_machine && same_network
	read_as cloudstack-http "$URL"
	same_machine
	run ! grep -E 'status=5' log
}

@test "cloud-init reads GCE's tree" {
	serve "$BATS_FILE_TMPDIR/more.yaml"
	read_as gce-http "$URL"
	jq -e '.instance_id == "i-0a1b2c3d4e5f60718" and .hostname == "web1" and
		.keys == ["ssh-ed25519 AAAA ops", "ssh-rsa BBBB dev"] and .userdata == "AP/+f4AhCg0A"' found.json
}

# ds_identify IMAGE: what the generator of cloud-init decides for a machine with that medium
ds_identify() {
	local id=${CLOUD_INIT%/lib/python3/*}/lib/cloud-init/ds-identify
	rm -rf root fake
	mkdir -p root/{etc/cloud,sys/class/dmi/id,proc,run,dev,var/lib/cloud} fake
	echo 'datasource_list: [ NoCloud, ConfigDrive, OpenNebula, OVF, Ec2, OpenStack, CloudStack, None ]' \
		>root/etc/cloud/cloud.cfg
	echo 'root=/dev/vda1' >root/proc/cmdline
	: >root/proc/1.environ
	touch root/dev/sr0
	{
		echo '#!/bin/sh'
		echo 'cat <<END'
		blkid -o export "$1" | sed 's|^DEVNAME=.*|DEVNAME=/dev/sr0|'
		echo END
	} >fake/blkid
	printf '#!/bin/sh\necho kvm\n' >fake/systemd-detect-virt
	chmod +x fake/*
	# the header of the medium is looked at, too
	cp "$1" root/dev/sr0
	PATH=$PWD/fake:$PATH PATH_ROOT=$PWD/root DEBUG_LEVEL=2 DI_LOG=stderr /bin/sh "$id" --force >out 2>&1 || true
	sed -n 's/^datasource_list: \[ *\(.*\) *\]/\1/p' root/run/cloud-init/cloud.cfg
}

# The kernels that mount them in guests are those of docs/boot-matrix.md.
@test "the kernel mounts each image, and finds what is in it" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	# shellcheck disable=SC2016
	mounted() { unshare -m sh -c 'mount -t iso9660 -o loop,ro "$1" mnt && cd mnt && find . -type f | sort' sh "$1"; }
	mkdir mnt
	"$MS" iso --kind opennebula "$BATS_FILE_TMPDIR/more.yaml" x.iso
	mounted x.iso >found 2>err || skip "this kernel does not mount ISO images: $(head -n 1 err)"
	for kind in opennebula nocloud config-drive ovf; do
		"$MS" iso --kind "$kind" "$BATS_FILE_TMPDIR/more.yaml" x.iso
		mounted x.iso >found
		rm -rf seed
		extract x.iso
		(cd seed && find . -type f | sort) | diff - found
	done
}

# firmware NAME VALUE ...: the files that the kernel has of it
firmware() {
	rm -rf root fake
	mkdir -p root/{etc/cloud,sys/class/dmi/id,proc,run,dev,var/lib/cloud} fake
	echo 'datasource_list: [ NoCloud, ConfigDrive, OpenNebula, OVF, Ec2, OpenStack, CloudStack, GCE, None ]' \
		>root/etc/cloud/cloud.cfg
	echo 'root=/dev/vda1' >root/proc/cmdline
	: >root/proc/1.environ
	printf '#!/bin/sh\nexit 0\n' >fake/blkid
	printf '#!/bin/sh\necho kvm\n' >fake/systemd-detect-virt
	chmod +x fake/*
	while [ $# -gt 0 ]; do
		echo "$2" >"root/sys/class/dmi/id/$1"
		shift 2
	done
	PATH=$PWD/fake:$PATH PATH_ROOT=$PWD/root DEBUG_LEVEL=2 DI_LOG=stderr /bin/sh \
		"${CLOUD_INIT%/lib/python3/*}/lib/cloud-init/ds-identify" --force >out 2>&1 || true
	sed -n 's/^datasource_list: \[ *\(.*\) *\]/\1/p' root/run/cloud-init/cloud.cfg
}

@test "ds-identify knows by the firmware which service to ask" {
	local id=ec2e1916-9099-7caf-fd21-012345abcdef
	[[ $(firmware product_uuid "$id" product_serial "$id") == "Ec2, None"* ]]
	[[ $(firmware product_serial 'ds=nocloud;s=http://169.254.169.254/nocloud/') == "NoCloud, None"* ]]
	[[ $(firmware product_name 'OpenStack Nova') == "OpenStack, None"* ]]
	[[ $(firmware product_name 'CloudStack KVM Hypervisor') == "CloudStack, None"* ]]
	[[ $(firmware product_name 'Google Compute Engine') == "GCE, None"* ]]
	# and nobody by none: the first that may be there is asked
	[[ $(firmware product_name 'Standard PC') != *"Ec2, None"* ]]
}

@test "ds-identify knows each image for what it is" {
	local kind name found
	for kind in opennebula:OpenNebula nocloud:NoCloud config-drive:ConfigDrive ovf:OVF; do
		name=${kind#*:}
		"$MS" iso --kind "${kind%:*}" "$BATS_FILE_TMPDIR/web1.yaml" x.iso
		found=$(ds_identify x.iso)
		echo "$kind: $found"
		[[ $found == "$name, None"* ]]
	done
}
