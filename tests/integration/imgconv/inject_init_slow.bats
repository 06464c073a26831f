#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What `inject --ctxd` enables, judged by the init systems' own programs: insserv computes the same
# links, OpenRC the same order, systemd finds no cycle.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup_file() {
	DEBS=$("$BATS_TEST_DIRNAME/../../interop/fetch-init") || DEBS=
	export DEBS
}

setup() {
	[ -n "$DEBS" ] || skip "Debian's packages cannot be had"
	GUEST=${BINDIR:-$TOP/bin}/../share/acclimate/guest
	cd "$BATS_TEST_TMPDIR" || return
}

# sysv TREE: a Debian whose links insserv has made
sysv() {
	local p
	mkdir "$1"
	for p in sysv-rc initscripts ifupdown udev procps kmod util-linux-extra cloud-init insserv; do
		cp -a "$DEBS/$p/etc" "$1"
	done
	rm -f "$1"/etc/init.d/README "$1"/etc/rc?.d/README
	mkdir -p "$1"/{bin,sbin,usr/sbin,lib/insserv}
	elf "$1"/bin/sh
	elf "$1"/sbin/init
	touch "$1"/etc/inittab
	rm -f "$1"/etc/init.d/rc "$1"/etc/init.d/rcS
	# shellcheck disable=SC2046 # names
	insserv "$1" $(ls "$1"/etc/init.d)
}

insserv() { # TREE SCRIPT...
	local e=$PWD/$1/etc lib=$PWD/$1/lib/insserv
	shift
	(cd "$e/init.d" && "$DEBS/insserv/sbin/insserv" -d -p "$e/init.d" -c "$e/insserv.conf" \
		-o "$e/insserv/overrides" -i "$lib" "$@")
}

links() { (cd "$1"/etc && find rc?.d -type l -printf '%p %l\n' | sort); }

@test "insserv makes the same links, and has nothing to add" {
	sysv tree
	make_fs tree image 32M -t ext4
	"$IMGCONV" inject --ctxd image
	clean image
	mkdir ours
	debugfs -R "rdump /etc /lib ours" image
	cp "$GUEST"/sysv/debian/ctxd-* tree/etc/init.d
	insserv tree ctxd-local ctxd-imds ctxd-network ctxd-final
	links tree >expected
	grep -q 'rcS.d/S..ctxd-imds ../init.d/ctxd-imds' expected
	links ours >got
	diff expected got
	# What startpar goes by: insserv leaves out what follows from the rest.
	for f in ours tree; do grep '^networking:' $f/lib/insserv/.depend.boot | xargs -n1 | sort >$f.rule; done
	diff tree.rule ours.rule
	for word in $(grep '^ctxd-' tree/lib/insserv/.depend.boot); do
		grep '^ctxd-' ours/lib/insserv/.depend.boot | grep -qw -- "$word"
	done
	# And it leaves our tree as it is.
	insserv ours
	links ours >again
	diff got again
}

openrc() { # SERVICE DEPEND
	printf '#!/sbin/openrc-run\ndepend() { %s\n}\nstart() { echo "%s" >>/log; }\n' "$2" "$1" >tree/etc/init.d/"$1"
	chmod 755 tree/etc/init.d/"$1"
}

@test "OpenRC starts it after the file systems and before network and cloud-init" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	local p f
	mkdir -p tree/{bin,run,dev,tmp,usr/sbin,etc/runlevels/boot}
	for p in openrc librc1 libeinfo1; do cp -a "$DEBS/$p/." tree; done
	for p in dash sleep cat ls grep sed mkdir touch rm readlink uname chmod env tr; do
		cp "$(readlink -f "$(command -v $p)")" tree/bin/$p
	done
	ln -s dash tree/bin/sh
	for f in tree/bin/* tree/sbin/* tree/lib/rc/bin/*; do ldd "$f" 2>/dev/null | grep -o '/[^ ]*' || :; done |
		sort -u | while read -r f; do
			[ -e "tree$f" ] || { mkdir -p "tree${f%/*}" && cp "$f" "tree$f"; }
		done
	rm -f tree/sbin/init
	elf tree/sbin/init
	openrc root ":"
	openrc localmount "need root"
	openrc bootmisc "need localmount"
	openrc networking "need localmount; after bootmisc; provide net"
	openrc cloud-init-ds-identify "after localmount; before net; before cloud-init-local"
	openrc cloud-init-local "after localmount; before net; before cloud-init"
	openrc cloud-init "after cloud-init-local; after net"
	for f in root localmount bootmisc networking cloud-init-ds-identify cloud-init-local cloud-init; do
		ln -s /etc/init.d/$f tree/etc/runlevels/boot
	done
	make_fs tree image 32M -t ext4
	"$IMGCONV" inject --ctxd image
	rm -r tree
	mkdir tree
	debugfs -R "rdump / tree" image
	# In place of the program: what it was called with.
	printf '#!/bin/sh\necho "ctxd $*" >>/log\nmkdir -p /run/ctxd\ntouch /run/ctxd/context\n' >tree/usr/sbin/ctxd
	touch tree/etc/insserv.conf
	timeout 600 chroot tree /sbin/openrc boot
	[ "$(xargs <tree/log)" = "root localmount bootmisc ctxd local --quiet ctxd imds --quiet \
--background cloud-init-ds-identify cloud-init-local networking cloud-init" ] || {
		cat tree/log
		return 1
	}
}

# units TREE GENERATION: Debian's systemd with everything of the network enabled, and cloud-init
units() {
	local s=$1/lib/systemd/system e=$1/etc/systemd/system u
	mkdir -p "$s" "$e"/{cloud-init,multi-user}.target.wants "$1"/usr/{bin,sbin} "$1"/bin "$1"/sbin "$1"/usr/lib
	cp -a /lib/systemd/system/. "$s"
	cp -a "$DEBS"/cloud-init/lib/systemd/system/. "$DEBS"/ifupdown/lib/systemd/system/. "$s"
	elf "$1"/lib/systemd/systemd
	elf "$1"/bin/sh
	ln -s /lib/systemd/systemd "$1"/sbin/init
	for u in cloud-init-local cloud-init cloud-config cloud-final; do
		ln -s /lib/systemd/system/$u.service "$e"/cloud-init.target.wants
	done
	for u in cloud-init.target systemd-networkd.service networking.service; do
		ln -s /lib/systemd/system/$u "$e"/multi-user.target.wants
	done
	[ "$2" = new ] || return 0
	# From 24.3 on one process does it all, and the stages' units only talk to it.
	printf '%s\n' '[Unit]' 'DefaultDependencies=no' 'Wants=network-pre.target' \
		'After=systemd-remount-fs.service' 'RequiresMountsFor=/var/lib/cloud' \
		'[Service]' 'Type=notify' 'ExecStart=/bin/sh' >"$s"/cloud-init-main.service
	mv "$s"/cloud-init.service "$s"/cloud-init-network.service
	rm "$e"/cloud-init.target.wants/cloud-init.service
	sed -i 's/^\[Unit\]/&\nAfter=cloud-init-main.service/' "$s"/cloud-init-{local,network}.service
	ln -s /lib/systemd/system/cloud-init-{main,network}.service "$e"/cloud-init.target.wants
}

verify() { systemd-analyze --root="$PWD/tree" --man=no verify multi-user.target 2>&1; }

systemd() { # GENERATION UNIT...: comes before each of these
	local generation=$1 u c
	shift
	command -v systemd-analyze || skip "needs systemd-analyze"
	units tree "$generation"
	make_fs tree image 64M -t ext4
	"$IMGCONV" inject --ctxd image
	rm -r tree
	mkdir tree
	debugfs -R "rdump / tree" image
	run ! has "$(verify)" ctxd
	run ! has "$(verify)" cycle
	# Whatever it comes before, it cannot also come after.
	for c in ctxd-local ctxd-imds; do
		for u in "$@"; do
			mkdir -p tree/etc/systemd/system/$c.service.d
			printf '[Unit]\nAfter=%s\n' "$u" >tree/etc/systemd/system/$c.service.d/x.conf
			has "$(verify)" "ordering cycle" || {
				echo "$c does not come before $u"
				return 1
			}
			rm -r tree/etc/systemd/system/$c.service.d
		done
	done
}

@test "systemd: before the network and cloud-init up to 24.1" {
	systemd old sysinit.target cloud-init-local.service cloud-init.service networking.service \
		systemd-networkd.service network-pre.target
}

@test "systemd: before the network and cloud-init from 24.3 on" {
	systemd new sysinit.target cloud-init-main.service cloud-init-local.service \
		cloud-init-network.service networking.service
}
