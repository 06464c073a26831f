# SPDX-License-Identifier: Apache-2.0
# What the tests of ctxd share: contexts, images of them, trees that stand for guests.
# shellcheck disable=SC2034 # used by the tests

TOP=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
CTXD=${BINDIR:-$TOP/bin}/ctxd
METADATA_SERVER=${BINDIR:-$TOP/bin}/metadata-server

has() { [[ $1 == *"$2"* ]]; } # TEXT PART

# context < TEXT: a new folder "media" with an image of that context.sh, as older releases of OpenNebula make
# it; those of now do so by xorriso, which waits for the disk
context() {
	rm -rf media ctx
	mkdir media ctx
	cat >ctx/context.sh
	genisoimage -quiet -V CONTEXT -J -R -o media/context.iso ctx
}

# tree KIND: a new folder "tree" with what ctxd looks at in a guest that uses
# networkd, netplan, ifupdown, alpine, manager (NetworkManager), redhat, suse, or nothing that it knows
tree() {
	rm -rf tree
	mkdir -p tree/{etc,root,run,home/ops,sys/class/net,sbin}
	printf '%s\n' root:x:0: ops:x:1000: >tree/etc/group
	cat >tree/etc/passwd <<-END
	root:x:0:0:root:/root:/bin/sh
	nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
	ops:x:$(id -u):$(id -g)::/home/ops:/bin/sh
	bad:x:no:number::/home:/bin/sh
	END
	echo '127.0.0.1 localhost' >tree/etc/hosts
	case $1 in
	netplan)
		mkdir -p tree/lib/{systemd,netplan} tree/etc/netplan
		touch tree/lib/systemd/systemd-{networkd,resolved} tree/lib/netplan/generate
		;;
	networkd)
		mkdir -p tree/lib/systemd tree/etc/systemd/system/multi-user.target.wants
		touch tree/lib/systemd/systemd-networkd
		ln -s x tree/etc/systemd/system/multi-user.target.wants/systemd-networkd.service
		;;
	ifupdown)
		mkdir -p tree/etc/network/interfaces.d tree/lib/systemd
		touch tree/sbin/ifup tree/lib/systemd/systemd-networkd
		printf 'source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n' \
			>tree/etc/network/interfaces
		;;
	alpine)
		mkdir -p tree/etc/network
		touch tree/sbin/ifup
		printf 'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n\n' \
			>tree/etc/network/interfaces
		;;
	manager)
		mkdir -p tree/usr/sbin tree/etc/systemd/system/multi-user.target.wants
		touch tree/usr/sbin/NetworkManager
		ln -s x tree/etc/systemd/system/multi-user.target.wants/NetworkManager.service
		;;
	redhat)
		mkdir -p tree/etc/sysconfig/network-scripts tree/etc/rc.d/rc3.d
		touch tree/etc/sysconfig/network-scripts/ifup-eth
		ln -s ../init.d/network tree/etc/rc.d/rc3.d/S10network
		;;
	suse)
		mkdir -p tree/etc/sysconfig/network tree/usr/sbin
		touch tree/usr/sbin/wicked
		echo 'NETCONFIG_DNS_STATIC_SERVERS=""' >tree/etc/sysconfig/network/config
		;;
	esac
}

# nic NAME MAC: an interface of the tree's machine
nic() {
	mkdir -p "tree/sys/class/net/$1"
	echo "$2" >"tree/sys/class/net/$1/address"
	echo "INTERFACE=$1" >"tree/sys/class/net/$1/uevent"
}

# cloud_init: the tree has it, and its init system starts it
cloud_init() {
	mkdir -p tree/usr/bin tree/etc/cloud/cloud.cfg.d tree/etc/systemd/system/cloud-init.target.wants
	touch tree/usr/bin/cloud-init
	ln -s /lib/systemd/systemd tree/sbin/init
	ln -s x tree/etc/systemd/system/cloud-init.target.wants/cloud-init.service
}

local_() { "$CTXD" local --root tree --dev media "$@"; }

# Every file of the tree with its content, to see what changed.
snapshot() { (cd tree && find . -type f ! -path './run/ctxd/*' | sort | xargs -d '\n' sha256sum); }

# oracle: lets python3 import cloud-init's own modules; skips where there are none. They are
# taken from the machine images of tests/ami, which are Debian's own package, unmodified.
oracle() {
	local root=$TOP/build/ami/root.tar dir=$TOP/build/oracle
	if /usr/bin/python3 -c 'import cloudinit' 2>/dev/null; then
		return
	fi
	[ -e "$root" ] || skip "cloud-init is not here: make the machine images first"
	if [ ! -e "$dir/.done" ] || [ "$root" -nt "$dir/.done" ]; then
		mkdir -p "$dir"
		(
			flock 9
			[ -e "$dir/.done" ] && [ "$dir/.done" -nt "$root" ] && exit 0
			tar -C "$dir" --no-same-owner -xf "$root" ./usr/lib/python3/dist-packages
			touch "$dir/.done"
		) 9>"$dir/.lock"
	fi
	export PYTHONPATH=$dir/usr/lib/python3/dist-packages
}

# reachable: other accounts may go through to where the test works
reachable() {
	local d p=
	chmod 711 .
	for d in $(pwd | tr / ' '); do
		p=$p/$d
		[ "$(stat -c %A "$p" | cut -c10)" != - ] || chmod o+x "$p"
	done
}

# both MAC=NAME... : cloud-init and ctxd on the context of standard input
both() {
	tree netplan
	context
	cp ctx/context.sh .
	"$CTXD" local -q --root tree --dev media 2>/dev/null
	: >log
	"$CTXD" imds --root tree --listen 127.0.0.1:0 2>log &
	pid=$!
	until grep -q 'listening on' log; do kill -0 $pid || return; sleep 0.02; done
	curl -sf "http://127.0.0.1:$(sed -n 's/.*127.0.0.1://p' log)/latest/user-data" >user-data || true
	kill $pid
	wait $pid
	/usr/bin/python3 "$BATS_TEST_DIRNAME/oracle.py" ctx tree user-data "$@"
}

# seed < USER-DATA: a NoCloud medium
seed() {
	rm -rf media seed
	mkdir media seed
	printf 'instance-id: %s\nlocal-hostname: web1\n' "${ID:-i-1}" >seed/meta-data
	cat >seed/user-data
	xorriso -as mkisofs -quiet -V cidata -J -R -o media/seed.iso seed 2>xorriso.log || cat xorriso.log
}

# accounts: the tree's files as a distribution has them
accounts() {
	tree none
	cat >tree/etc/passwd <<-END
	root:x:0:0:root:/root:/bin/sh
	nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
	END
	printf 'root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n' >tree/etc/shadow
	printf 'root:x:0:\nsudo:x:27:\nnogroup:x:65534:\n' >tree/etc/group
	printf 'root:*::\nsudo:*::\nnogroup:!::\n' >tree/etc/gshadow
	rmdir tree/home/ops
	mkdir -p tree/etc/sudoers.d tree/nonexistent tree/bin tree/usr/sbin
	touch tree/bin/sh tree/bin/bash tree/usr/sbin/nologin
}

# Contexts.
web1() {
	cat <<-'END'
	ETH0_DNS='192.168.0.1'
	ETH0_GATEWAY='192.168.0.254'
	ETH0_IP='192.168.0.5'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_MASK='255.255.255.0'
	ETH0_SEARCH_DOMAIN='example.org'
	SET_HOSTNAME='web1.example.org'
	SSH_PUBLIC_KEY='ssh-ed25519 AAAA one
	ssh-rsa BBBB two'
	USER_DATA='hello'
	END
}

# One NIC with all there is, one for DHCP and SLAAC, one that is not there.
many() {
	cat <<-'END'
	ETH0_ALIAS0_IP='192.168.0.6'
	ETH0_ALIAS0_MASK='255.255.255.255'
	ETH0_DNS='192.168.0.1 2001:db8::53'
	ETH0_GATEWAY='10.9.9.9'
	ETH0_IP='192.168.0.5'
	ETH0_IP6='2001:db8::5'
	ETH0_IP6_GATEWAY='fe80::1'
	ETH0_IP6_ULA='fd00::5'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_METRIC='7'
	ETH0_MTU='1450'
	ETH0_ROUTES='10.0.0.0/8 via 192.168.0.9, 2001:db8:8::/48 via 2001:db8::9'
	ETH0_SEARCH_DOMAIN='a.example b.example'
	ETH1_IP6_METHOD='auto'
	ETH1_MAC='02:00:c0:a8:01:05'
	ETH1_METHOD='dhcp'
	ETH2_IP='192.168.2.5'
	ETH2_MAC='02:00:c0:a8:02:05'
	END
}

nics() {
	nic eth0 02:00:c0:a8:00:05
	nic eth1 02:00:c0:a8:01:05
}

plain() {
	printf '%s\n' "ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.5'" \
		"ETH0_GATEWAY='192.168.0.1'" "ETH0_DNS='192.168.0.1'"
}
