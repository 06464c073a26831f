# SPDX-License-Identifier: Apache-2.0
# What the tests of ctxd share: contexts, images of them, trees that stand for guests.
# shellcheck disable=SC2034 # used by the tests

TOP=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
CTXD=${BINDIR:-$TOP/bin}/ctxd
METADATA_SERVER=${BINDIR:-$TOP/bin}/metadata-server

has() { [[ $1 == *"$2"* ]]; } # TEXT PART

# context < TEXT: a new folder "media" with an image of that context.sh, as OpenNebula makes it
context() {
	rm -rf media ctx
	mkdir media ctx
	cat >ctx/context.sh
	xorriso -as mkisofs -quiet -V CONTEXT -J -R -o media/context.iso ctx 2>xorriso.log || cat xorriso.log
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

cloud_init() {
	mkdir -p tree/usr/bin tree/etc/cloud/cloud.cfg.d
	touch tree/usr/bin/cloud-init
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
	until grep -q 'listening on' log; do kill -0 $pid; sleep 0.02; done
	curl -sf "http://127.0.0.1:$(sed -n 's/.*127.0.0.1://p' log)/latest/user-data" >user-data || true
	kill $pid
	wait $pid
	/usr/bin/python3 "$BATS_TEST_DIRNAME/oracle.py" ctx tree user-data "$@"
}
