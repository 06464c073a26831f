#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What changes when the boot is over: NICs come, the context is another, the service serves that.
# In a chroot that is a running system of its own, in a network namespace of its own.

bats_require_minimum_version 1.5.0
load common

setup() {
	[ "$(id -u)" = 0 ] && unshare -n -m -u -p -f true 2>/dev/null || skip "needs root and namespaces"
	case ${MODE:-release} in asan | fuzz) skip "with a sanitizer ctxd is linked dynamically" ;; esac
	cd "$BATS_TEST_TMPDIR" || return
}

# system: the tree runs ctxd, with programs in place of what it would tell: each call is in the file calls
system() {
	cat >told.c <<-'END'
	#include <stdio.h>
	int main(int argc, char **argv)
	{
		FILE *f = fopen("/calls", "a");
		for (int i = 0; i < argc; i++)
			fprintf(f, "%s%s", i ? " " : "", argv[i]);
		putc('\n', f);
		return 0;
	}
	END
	cc -static -o told told.c
	mkdir -p tree/{bin,dev,proc,sys,context,usr/sbin}
	mknod tree/dev/null c 1 3
	for p in "$@"; do cp told "tree/bin/$p"; done
	cp "$CTXD" tree/usr/sbin/ctxd
}

# running < SCRIPT: runs it; "ctxd" is the system's own, and all ends with it
running() {
	cat >script
	cat >run.sh <<-'END'
	mount -t proc proc /proc
	mount -t proc proc tree/proc
	mount -t sysfs sysfs tree/sys
	mount -t tmpfs tmpfs tree/run
	ip link set lo up
	ctxd() { env PATH=/bin /usr/sbin/chroot tree /usr/sbin/ctxd "$@"; }
	until_() { for i in $(seq 500); do "$@" && return; sleep 0.02; done; echo "never: $*"; return 1; }
	never() { if "$@"; then echo "not expected: $*"; return 1; fi; }
	set -eu
	. ./script
	END
	timeout 60 unshare -n -m -u -p -f bash run.sh
}

@test "a NIC that comes later is configured, where ctxd itself watches" {
	tree alpine
	system ifup ifdown
	cat >tree/context/context.sh <<-'END'
	GROW_ROOTFS='NO'
	ETH0_MAC='02:00:c0:a8:00:05'
	ETH0_IP='192.168.0.5'
	ETH1_MAC='02:00:c0:a8:00:06'
	ETH1_IP='192.168.0.6'
	END
	running <<-'END'
	ip link add eth0 address 02:00:c0:a8:00:05 type veth peer name peer0
	ctxd local -q --wait 0
	ctxd final
	ctxd watch -q --background
	ctxd watch -q --background # one is enough
	[ "$(pidof ctxd | wc -w)" = 1 ]
	grep -q 'iface eth0' tree/etc/network/interfaces
	never grep -q 'iface eth1' tree/etc/network/interfaces
	[ ! -e tree/calls ]
	ip link add veth9 type veth peer name peer9 # none of the context's business
	ip link add eth1 address 02:00:c0:a8:00:06 type veth peer name peer1
	until_ grep -qs ifup tree/calls
	grep -A1 'iface eth1' tree/etc/network/interfaces | grep -q 'address 192.168.0.6'
	ctxd watch --down
	[ -z "$(pidof ctxd)" ]
	END
}

@test "the service serves the context that is, not the one that was" {
	tree none
	system
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web1'" >tree/context/context.sh
	running <<-'END'
	get() { curl -sf --noproxy '*' http://169.254.169.254/latest/meta-data/local-hostname; }
	ctxd local -q --wait 0
	ctxd imds -q --background
	ctxd final
	[ "$(get)" = web1 ]
	first=$(pidof ctxd)
	ctxd update -q
	[ "$(pidof ctxd)" = "$first" ] # nothing changed
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web2'" >tree/context/context.sh
	ctxd update -q
	[ "$(get)" = web2 ]
	[ "$(cat tree/etc/hostname) $(hostname)" = "web2 web2" ]
	END
}

@test "the service is started anew by what started it" {
	tree none
	system systemctl
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web1'" >tree/context/context.sh
	running <<-'END'
	mkdir -p tree/run/systemd/system
	ctxd local -q --wait 0
	ctxd final
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web2'" >tree/context/context.sh
	ctxd update -q
	[ "$(cat tree/calls)" = "systemctl --no-block try-restart ctxd-imds.service" ]
	END
}

@test "udev's rule starts the unit, or where there is none what this systemd can" {
	tree none
	system
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web1'" >tree/context/context.sh
	running <<-'END'
	rules=tree/run/udev/rules.d/90-ctxd.rules
	ctxd local -q --wait 0
	[ ! -e $rules ]
	mkdir -p tree/run/udev
	ctxd local -q --wait 0
	grep -q 'RUN+="/usr/sbin/ctxd update --settle --background"$' $rules
	mkdir -p tree/run/systemd/system
	ctxd local -q --wait 0
	grep -q 'RUN+="systemd-run .*/usr/sbin/ctxd update --settle"$' $rules
	mkdir -p tree/usr/lib/systemd/system
	touch tree/usr/lib/systemd/system/ctxd-update.service
	ctxd local -q --wait 0
	[ "$(grep -c 'RUN+="systemctl --no-block start ctxd-update.service"$' $rules)" = 3 ]
	mkdir -p tree/run/udev/control
	ctxd watch # leaves it to udev
	rm tree/context/context.sh
	ctxd local -q --wait 0
	[ ! -e $rules ]
	END
}

@test "one ctxd at a time changes a guest, and its scripts keep none waiting" {
	tree none
	echo "SET_HOSTNAME='web1'" | context
	mkdir -p tree/run/ctxd
	exec 8<tree/run/ctxd
	flock 8
	"$CTXD" local -q --root tree --dev media 8<&- &
	pid=$!
	until grep -q -- "-> FLOCK .* $pid " /proc/locks; do kill -0 $pid; sleep 0.02; done
	[ ! -e tree/etc/hostname ]
	local_ -n 8<&- | grep -q 'write /etc/hostname' # looking is not changing
	exec 8<&-
	wait $pid
	[ "$(cat tree/etc/hostname)" = web1 ]
	[ "$(stat -c %a tree/run/ctxd)" = 700 ]
	system
	cp told tree/bin/env
	mkdir -p tree/usr/bin
	cat >update.c <<-'END'
	#include <unistd.h>
	int main(void)
	{
		execl("/usr/sbin/ctxd", "ctxd", "local", "-q", "--wait", "0", (char *)0);
		return 1;
	}
	END
	cc -static -o tree/usr/bin/env update.c
	rm -r media
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web3'" "START_SCRIPT='x'" >tree/context/context.sh
	running <<-'END'
	ctxd local -q --wait 0
	ctxd final # its script is a ctxd that would wait for this one
	END
}

@test "what an earlier boot left where /run is on the disk does not count" {
	tree none
	system
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web1'" >tree/context/context.sh
	running <<-'END'
	umount tree/run
	ctxd local -q --wait 0
	ctxd final
	[ -e tree/run/ctxd/booted ]
	ctxd local -q --wait 0 # by hand, in the same boot
	[ -e tree/run/ctxd/booted ]
	# The image is saved, and started anew with a medium that cannot be read.
	echo another >tree/run/ctxd/boot
	printf '\0' >tree/context/context.sh
	never ctxd local -q --wait 0
	[ ! -e tree/run/ctxd/booted ]
	[ ! -e tree/run/ctxd/context ]
	rm tree/context/context.sh
	ctxd local -q --wait 0
	[ ! -e tree/run/ctxd ]
	END
}
