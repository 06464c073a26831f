#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd goes into guests of every init system, enabled as that system's own tool would.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir -p tree/{bin,sbin,etc,usr/sbin}
	elf tree/bin/sh
	elf tree/sbin/init
}

inject() {
	make_fs tree image 16M -t ext4
	run --separate-stderr "$IMGCONV" inject --ctxd image
	[ "$status" -eq 0 ] || { echo "$stderr"; return 1; }
	clean image
	# A second time there is nothing to do.
	cp image image.once
	[ -z "$("$IMGCONV" inject -q --ctxd image)" ]
	cmp image image.once
	# It comes out again, and all that is left is as it was.
	"$IMGCONV" inject -q --remove-ctxd image.once
	clean image.once
	# An administrator's link goes with what it starts.
	rm -f tree/etc/rcS.d/S??ctxd-local
	make_fs tree before 8M -t ext4
	diff <(all before) <(all image.once)
}

links() { "$IMGCONV" inject -o json --list "$1" image | jq -r '.[] | select(.type == "l") | .name + " " + .target' | sort; }
cat_() { "$IMGCONV" inject --cat "$1" image; }

script() { # FILE PROVIDES REQUIRED BEFORE LEVELS
	printf '%s\n' '#!/bin/sh' '### BEGIN INIT INFO' "# Provides: $2" "# Required-Start: $3" \
		"# X-Start-Before: $4" "# Default-Start: $5" '### END INIT INFO' >"$1"
}

# As Debian 7 has them: dense numbers, and a file for startpar.
debian() {
	local d=tree/etc/init.d
	mkdir -p $d tree/etc/rcS.d
	touch tree/etc/inittab
	script $d/mountkernfs.sh mountkernfs "" "" S
	script $d/mountall.sh mountall mountkernfs "" S
	script $d/networking "networking ifupdown" "mountkernfs \$local_fs" "" S
	script $d/bootmisc.sh bootmisc networking "" S
	for x in 01mountkernfs.sh 02mountall.sh 03networking 04bootmisc.sh; do
		ln -s "../init.d/${x#??}" tree/etc/rcS.d/S$x
	done
	printf '%s\n' 'TARGETS = mountkernfs.sh mountall.sh networking bootmisc.sh' \
		'INTERACTIVE =' 'mountall.sh: mountkernfs.sh' \
		'networking: mountkernfs.sh mountall.sh' 'bootmisc.sh: networking' >$d/.depend.boot
}

@test "SysV: between the file systems and the network, what is later moves" {
	debian
	inject
	[ "$(links /etc/rcS.d)" = "S01mountkernfs.sh ../init.d/mountkernfs.sh
S02mountall.sh ../init.d/mountall.sh
S03ctxd-local ../init.d/ctxd-local
S04ctxd-imds ../init.d/ctxd-imds
S05networking ../init.d/networking
S06bootmisc.sh ../init.d/bootmisc.sh" ]
	[ "$(cat_ /etc/init.d/.depend.boot)" = "TARGETS = mountkernfs.sh mountall.sh ctxd-local ctxd-imds networking bootmisc.sh
INTERACTIVE =
mountall.sh: mountkernfs.sh
networking: mountkernfs.sh mountall.sh ctxd-local ctxd-imds
bootmisc.sh: networking
ctxd-local: mountall.sh
ctxd-imds: mountall.sh ctxd-local" ]
	has "$(inside image 'stat /etc/init.d/ctxd-imds')" 'Mode:  0755'
}

@test "SysV: with room between the numbers nothing moves" {
	debian
	rm tree/etc/rcS.d/* tree/etc/init.d/.depend.boot
	# The scripts of Debian 5 have no headers that could be relied upon.
	for x in mountall.sh networking; do echo '#!/bin/sh' >tree/etc/init.d/$x; done
	ln -s ../init.d/mountall.sh tree/etc/rcS.d/S35mountall.sh
	ln -s ../init.d/networking tree/etc/rcS.d/S40networking
	inject
	[ "$(links /etc/rcS.d)" = "S35mountall.sh ../init.d/mountall.sh
S36ctxd-local ../init.d/ctxd-local
S37ctxd-imds ../init.d/ctxd-imds
S40networking ../init.d/networking" ]
}

@test "SysV: an administrator's own number stays" {
	debian
	ln -s ../init.d/ctxd-local tree/etc/rcS.d/S02ctxd-local
	inject
	has "$(links /etc/rcS.d)" "S02ctxd-local"
	run ! has "$(links /etc/rcS.d)" "S03ctxd-local"
}

@test "SysV: where no order is possible the guest is left as it is" {
	debian
	ln -sf ../init.d/networking tree/etc/rcS.d/S01networking
	rm tree/etc/rcS.d/S03networking
	make_fs tree image 16M -t ext4
	cp image image.before
	run --separate-stderr "$IMGCONV" inject --ctxd image
	[ "$status" -eq 1 ]
	has "$stderr" "'/etc/rcS.d' starts 'mountall.sh' at 2 and 'networking' at 1: 'ctxd-local' cannot be between"
	cmp image image.before
	rm tree/etc/rcS.d/*mountall*
	make_fs tree image 16M -t ext4
	run --separate-stderr "$IMGCONV" inject --ctxd image
	[ "$status" -eq 1 ]
	has "$stderr" "nothing in the guest's '/etc/rcS.d' is \$local_fs, which 'ctxd-local' needs"
}

@test "SUSE: in boot.d" {
	mkdir -p tree/etc/init.d/boot.d
	touch tree/etc/inittab
	script tree/etc/init.d/boot.localfs boot.localfs "" "" B
	ln -s ../boot.localfs tree/etc/init.d/boot.d/S05boot.localfs
	inject
	[ "$(links /etc/init.d/boot.d)" = "S05boot.localfs ../boot.localfs
S06boot.ctxd-local ../boot.ctxd-local
S07boot.ctxd-imds ../boot.ctxd-imds" ]
}

@test "Red Hat 6: links as chkconfig makes them, although init is Upstart" {
	mkdir -p tree/etc/rc.d/init.d tree/etc/init tree/etc/rc.d/rc{0,1,2,3,4,5,6}.d
	ln -s rc.d/init.d tree/etc/init.d
	for n in 0 1 2 3 4 5 6; do ln -s rc.d/rc$n.d tree/etc/rc$n.d; done
	elf tree/sbin/initctl
	touch tree/etc/rc.d/rc.sysinit
	ln -s ../init.d/network tree/etc/rc.d/rc3.d/S10network
	echo 'CentOS release 6.10 (Final)' >tree/etc/redhat-release
	inject
	has "$stderr" "init: upstart"
	[ "$(links /etc/rc.d/rc3.d)" = "S07ctxd-local ../init.d/ctxd-local
S08ctxd-imds ../init.d/ctxd-imds
S10network ../init.d/network
S12ctxd-network ../init.d/ctxd-network
S98ctxd-final ../init.d/ctxd-final" ]
	[ "$(links /etc/rc0.d)" = "K02ctxd-final ../init.d/ctxd-final
K88ctxd-network ../init.d/ctxd-network
K92ctxd-imds ../init.d/ctxd-imds
K93ctxd-local ../init.d/ctxd-local" ]
	has "$(cat_ /etc/rc.d/init.d/ctxd-imds | sed -n 2p)" "# chkconfig: 2345 08 92"
	mv tree/etc/rc.d/rc3.d/S10network tree/etc/rc.d/rc3.d/S08network
	make_fs tree image 16M -t ext4
	run --separate-stderr "$IMGCONV" inject --ctxd image
	[ "$status" -eq 1 ]
	has "$stderr" "network starts at number 8 of runlevel 3"
}

@test "Upstart: a job" {
	mkdir -p tree/etc/init
	elf tree/sbin/initctl
	inject
	has "$(cat_ /etc/init/ctxd.conf)" "start on (starting cloud-init-local"
	has "$(cat_ /etc/init/ctxd-final.conf)" "start on stopped rc"
}

@test "OpenRC: runlevels boot (sysinit in Debian) and default, with the interpreter that there is" {
	mkdir -p tree/etc/runlevels/boot tree/etc/init.d
	elf tree/sbin/openrc
	elf tree/sbin/openrc-run
	inject
	[ "$(links /etc/runlevels/sysinit)" = "ctxd-imds /etc/init.d/ctxd-imds
ctxd-local /etc/init.d/ctxd-local" ]
	echo "#!/sbin/openrc-run" >tree/etc/init.d/localmount
	inject
	[ "$(links /etc/runlevels/boot)" = "ctxd-imds /etc/init.d/ctxd-imds
ctxd-local /etc/init.d/ctxd-local" ]
	[ "$(links /etc/runlevels/default)" = "ctxd-final /etc/init.d/ctxd-final
ctxd-network /etc/init.d/ctxd-network" ]
	has "$(cat_ /etc/init.d/ctxd-local | sed -n 1p)" "#!/sbin/openrc-run"
	mv tree/sbin/openrc tree/sbin/rc
	mv tree/sbin/openrc-run tree/sbin/runscript
	inject
	has "$(cat_ /etc/init.d/ctxd-local | sed -n 1p)" "#!/sbin/runscript"
}
