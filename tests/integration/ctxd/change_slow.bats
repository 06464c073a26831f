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
	for p in "$@"; do cp told "tree/usr/sbin/$p"; done
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
	ctxd() { env -i /usr/sbin/chroot tree /usr/sbin/ctxd "$@"; } # udev gives no PATH either
	until_() { for i in $(seq 2500); do "$@" && return; sleep 0.02; done; echo "never: $*"; return 1; }
	never() { if "$@"; then echo "not expected: $*"; return 1; fi; }
	set -eu
	. ./script
	END
	timeout 180 unshare -n -m -u -p -f bash run.sh
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
	grep -qx 'ifup eth1' tree/calls
	never grep eth0 tree/calls # which is what it was
	until_ grep -q 'write /etc/network/interfaces' tree/run/ctxd/log
	ip link del eth1
	gone() { ! grep -q eth1 tree/etc/network/interfaces; }
	until_ gone
	ctxd watch --down
	# What it started comes to its own end.
	none() { [ -z "$(pidof ctxd)" ]; }
	until_ none
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
	grep -q 'RUN+="/usr/bin/systemd-run .*/usr/sbin/ctxd update --settle"$' $rules
	mkdir -p tree/usr/lib/systemd/system
	touch tree/usr/lib/systemd/system/ctxd-update.service
	ctxd local -q --wait 0
	[ "$(grep -c 'RUN+="/bin/systemctl --no-block start ctxd-update.service"$' $rules)" = "$(($(wc -l <$rules) - 1))" ]
	mkdir -p tree/run/udev/control
	ctxd watch # leaves it to udev
	touch tree/run/ctxd/poll
	ctxd watch -q --background # but nobody tells of this context's changes
	ctxd watch --down
	rm tree/context/context.sh
	ctxd local -q --wait 0
	[ ! -e $rules ]
	END
}

@test "one ctxd at a time changes a guest, and its scripts keep none waiting" {
	tree none
	echo "SET_HOSTNAME='web1'" | context
	mkdir -p tree/run/ctxd
	# Who has the lock lives: in a container a lock of a process that ended is not shown, nor who waits.
	flock -o tree/run/ctxd sleep 100 3>&- &
	holder=$!
	until grep -q "FLOCK .* $holder " /proc/locks; do kill -0 $holder; sleep 0.02; done
	"$CTXD" local -q --root tree --dev media &
	pid=$!
	until grep -q -- "-> FLOCK .* $pid " /proc/locks; do kill -0 $pid; sleep 0.02; done
	[ ! -e tree/etc/hostname ]
	local_ -n | grep -q 'write /etc/hostname' # looking is not changing
	until pkill -P $holder sleep; do kill -0 $holder; sleep 0.02; done
	wait $holder || true
	wait $pid
	[ "$(cat tree/etc/hostname)" = web1 ]
	[ "$(stat -c %a tree/run/ctxd)" = 700 ]
	system
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

@test "what an update in the background says is kept, and its scripts are not ended by who listens no more" {
	tree none
	system
	mkdir -p tree/usr/bin
	cat >say.c <<-'END'
	#include <stdio.h>
	int main(void)
	{
		setlinebuf(stdout);
		for (int i = 0; i < 100; i++)
			puts("said by the script");
		fclose(fopen("/ran", "w"));
		return 0;
	}
	END
	cc -static -o tree/usr/bin/env say.c # by which all scripts are run
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web1'" >tree/context/context.sh
	running <<-'END'
	ctxd local -q --wait 0
	ctxd final
	echo "START_SCRIPT='x'" >>tree/context/context.sh
	ctxd update --background 2>&1 | true # as udev, which ends with what it started
	until_ [ -e tree/ran ]
	until_ grep -q 'said by the script' tree/run/ctxd/log
	[ "$(stat -c %a tree/run/ctxd/log)" = 600 ]
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

@test "an interface that the context says otherwise of is taken down and up, and no other" {
	tree ifupdown
	system ifup ifdown
	one() {
		printf '%s\n' "GROW_ROOTFS='NO'" "ETH0_MAC='02:00:c0:a8:00:05'" "ETH0_IP='192.168.0.$1'" \
			"ETH1_MAC='02:00:c0:a8:00:06'" "ETH1_IP='192.168.0.6'" >tree/context/context.sh
	}
	one 5
	running <<-'END'
	ip link add eth0 address 02:00:c0:a8:00:05 type veth peer name eth1 address 02:00:c0:a8:00:06
	ctxd local -q --wait 0
	ctxd final
	ctxd update -q
	[ ! -e tree/calls ] # nothing changed
	sed -i 's/0[.]5/0.7/' tree/context/context.sh
	ctxd update -q
	[ "$(cat tree/calls)" = "$(printf 'ifdown eth0\nifup eth0')" ]
	grep -A1 'iface eth0' tree/etc/network/interfaces.d/ctxd | grep -q 192.168.0.7
	rm tree/calls
	sed -i /ETH1/d tree/context/context.sh
	ctxd update -q
	[ "$(cat tree/calls)" = "ifdown eth1" ]
	never grep eth1 tree/etc/network/interfaces.d/ctxd
	END
}

@test "what the context no longer wants mounted is unmounted" {
	tree none
	system mount umount
	printf '%s\n' "GROW_ROOTFS='NO'" "DISK1_MOUNT_TAG='share'" "DISK1_MOUNT_POINT='/srv/a'" \
		"DISK2_MOUNT_TAG='other'" "DISK2_MOUNT_POINT='/srv/b'" >tree/context/context.sh
	mkdir -p tree/srv/{a,b,mine}
	echo 'UUID=x /srv/mine ext4 defaults 0 2' >tree/etc/fstab
	running <<-'END'
	ctxd local -q --wait 0
	ctxd final
	for m in a b mine; do mount -t tmpfs none tree/srv/$m; done
	rm tree/calls
	sed -i /DISK1/d tree/context/context.sh
	ctxd update -q
	[ "$(cat tree/calls)" = "umount /srv/a" ]
	END
}

@test "what a metadata service says anew is applied; where it does not answer, nothing is lost" {
	tree none
	system
	mkdir -p srv/seed
	printf 'instance-id: i-1\nlocal-hostname: web1\npublic-keys: [ssh-rsa AAAA, ssh-rsa BBBB]\n' >srv/seed/meta-data
	: >srv/seed/user-data
	running <<-'END'
	mkdir cmdline
	echo 'ds=nocloud;s=http://127.0.0.1:8099/seed' >cmdline/text
	mount --bind cmdline/text tree/proc/cmdline
	python3 -m http.server --bind 127.0.0.1 -d srv 8099 2>log &
	pid=$!
	until_ curl -sf --noproxy '*' -o answer http://127.0.0.1:8099/
	ctxd local -q --wait 0
	ctxd network -q
	ctxd final
	[ -e tree/run/ctxd/poll ] # nobody will tell
	grep -q BBBB tree/root/.ssh/authorized_keys
	printf 'instance-id: i-1\nlocal-hostname: web2\npublic-keys: [ssh-rsa AAAA]\n' >srv/seed/meta-data
	ctxd update -q
	[ "$(cat tree/etc/hostname)" = web2 ]
	never grep BBBB tree/root/.ssh/authorized_keys
	kill $pid
	wait $pid || true
	rm tree/root/.ssh/authorized_keys
	never ctxd update -q
	[ "$(cat tree/etc/hostname)" = web2 ]
	grep -q AAAA tree/root/.ssh/authorized_keys
	[ -e tree/run/ctxd/context ]
	END
}

@test "udev takes the rule, and runs it for a NIC that goes, not for a virtual one" {
	command -v udevadm >/dev/null || skip "no udev here"
	nic=
	for n in /sys/class/net/*; do [ ! -e "$n/device" ] || nic=$n; done
	tree none
	mkdir -p tree/run/udev tree/run/systemd/system tree/usr/lib/systemd/system
	touch tree/usr/lib/systemd/system/ctxd-update.service
	echo "SET_HOSTNAME='web1'" | context
	local_ -q
	cat >run.sh <<-'END'
	mkdir -p /run/udev
	mount -t tmpfs none /run/udev
	mkdir /run/udev/rules.d
	cp tree/run/udev/rules.d/90-ctxd.rules /run/udev/rules.d
	udevadm test -a "$1" "$2" 2>&1
	END
	run unshare -m bash run.sh remove /sys/class/net/lo
	grep -q 'Reading rules file: /run/udev/rules.d/90-ctxd.rules' <<<"$output"
	run ! grep -i '90-ctxd.*\(invalid\|unknown\|fail\)' <<<"$output"
	run ! grep 'start ctxd-update' <<<"$output"
	[ -n "$nic" ] || skip "this machine has no NIC of its own"
	# When one comes, udev's own rules would set it up: here, and for true.
	run unshare -m bash run.sh remove "$nic"
	grep -q 'start ctxd-update.service' <<<"$output"
}
