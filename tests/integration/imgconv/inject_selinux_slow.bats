#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Labels by the guest's own policy, as libselinux would give them.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load guest

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	make_tree tree
	F=tree/etc/selinux/targeted/contexts/files
	mkdir -p $F
	printf '# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n' >tree/etc/selinux/config
	cat >$F/file_contexts <<-'END'
	/.*	system_u:object_r:default_t:s0
	/[^/]+	--	system_u:object_r:etc_runtime_t:s0
	/a?quota\.(user|group)	--	<<none>>
	/usr/.*	system_u:object_r:usr_t:s0
	/etc/.*	system_u:object_r:etc_t:s0
	/usr/(.*/)?s?bin(/.*)?	system_u:object_r:bin_t:s0
	/usr/(.*/)?lib(/.*)?	system_u:object_r:lib_t:s0
	/usr/lib/systemd/system(/.*)?	system_u:object_r:systemd_unit_file_t:s0
	/etc/systemd/system(/.*)?	system_u:object_r:systemd_unit_file_t:s0
	/etc/rc\.d/init\.d/.*	--	system_u:object_r:initrc_exec_t:s0
	/etc/hostname.*	--	system_u:object_r:net_conf_t:s0
	/root(/.*)?	system_u:object_r:admin_home_t:s0
	/root/\.ssh(/.*)?	system_u:object_r:ssh_home_t:s0
	/var/log(/.*)?	system_u:object_r:var_log_t:s0
	/var/.*\.log(\.[0-9]+)?	--	system_u:object_r:some_log_t:s0
	/srv/x|/srv/y	system_u:object_r:alt_t:s0
	/etc	-d	system_u:object_r:etc_t:s0
	/etc/shadow	--	system_u:object_r:shadow_t:s0
	/etc/link	-l	system_u:object_r:link_t:s0
	/opt/(a*)*b	system_u:object_r:slow_t:s0
	END
	echo '/home/[^/]+/\.ssh(/.*)?	unconfined_u:object_r:ssh_home_t:s0' >$F/file_contexts.homedirs
	echo '/etc/local-app(/.*)?	system_u:object_r:local_t:s0' >$F/file_contexts.local
	printf '/run /var/run\n/opt/root /root\n' >$F/file_contexts.subs_dist
}

label() { debugfs -R "ea_get -V $1 security.selinux" image 2>/dev/null | tr -d '\0'; }

@test "new files, folders and links have the label that libselinux says" {
	command -v matchpathcon || skip "needs matchpathcon"
	local p wanted
	make_fs tree image 16M -t ext4
	mkdir -p o/{etc/{local-app/sub,rc.d/init.d,systemd/system},usr/lib/x,usr/local/sbin,root/.ssh,home/u/.ssh,var/log/app,srv,opt/root/.ssh,new}
	touch o/etc/{local-app/sub/f,rc.d/init.d/s,systemd/system/u.service,shadow,hostname.new,x} o/usr/lib/x/y \
		o/usr/local/sbin/tool o/root/.ssh/authorized_keys o/home/u/.ssh/id o/var/log/app/f o/var/x.log.3 \
		o/srv/{x,y,z} o/opt/root/.ssh/k o/top o/aquota.user o/new/f
	ln -s x o/etc/link
	"$IMGCONV" inject -q --overlay o image
	clean image
	n=0
	while read -r p; do
		case $(stat -c %F "o$p") in
		directory) t="dir" ;;
		"symbolic link") t=lnk_file ;;
		*) t="file" ;;
		esac
		wanted=$(matchpathcon -n -f "$PWD/$F/file_contexts" -m $t "$p" 2>/dev/null) || continue
		[ "$wanted" != "<<none>>" ] || wanted=
		# Folders that the guest had stay as they were.
		[ -e "tree$p" ] && [ "$t" = dir ] && continue
		[ "$(label "$p")" = "$wanted" ] || {
			echo "$p: $(label "$p"), not $wanted"
			return 1
		}
		n=$((n + 1))
	done < <(cd o && find . -mindepth 1 | sed 's/^\.//')
	[ $n -ge 30 ]
	# The link /lib leads to /usr/lib, and that is what counts.
	touch f
	"$IMGCONV" inject -q --file f:/lib/y image
	[ "$(label /usr/lib/y)" = system_u:object_r:lib_t:s0 ]
	run ! has "$("$IMGCONV" ls image /)" autorelabel
}

@test "what replaces a file keeps its label, and an archive's own label counts" {
	make_fs tree image 16M -t ext4
	debugfs -w -R 'ea_set /etc/hostname security.selinux own_u:object_r:own_t:s0' image
	echo x >f
	"$IMGCONV" inject -q --file f:/etc/hostname image
	[ "$(label /etc/hostname)" = own_u:object_r:own_t:s0 ]
	clean image
}

@test "without labels in the policy the guest is asked to label" {
	rm $F/file_contexts*
	make_fs tree image 16M -t ext4
	touch f
	run --separate-stderr "$IMGCONV" inject --file f:/x image
	[ "$output" = $'+ /x\n+ /.autorelabel' ]
	[ "$("$IMGCONV" cat image /.autorelabel)" = -F ]
	[ -z "$("$IMGCONV" inject -q --file f:/x image)" ]
	sed -i s/enforcing/disabled/ tree/etc/selinux/config
	make_fs tree image 16M -t ext4
	run --separate-stderr "$IMGCONV" inject --file f:/x image
	[ "$output" = "+ /x" ]
}

@test "an expression that would take for ever is no match" {
	make_fs tree image 16M -t ext4
	touch f
	"$IMGCONV" inject -q --file f:/opt/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa image
	printf '/(.*)*(.*)*(.*)*\\1x y\n/(( bad\n/[ bad\n' >$F/file_contexts.local
	make_fs tree image 16M -t ext4
	"$IMGCONV" inject -q --file f:/opt/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa image
}
