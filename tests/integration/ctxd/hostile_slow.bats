#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Hostile values: whatever a variable of the context holds, no file of the guest gets a line of its
# author's, and no shell that reads one of these files runs anything. And the same values, as they
# should be: a second run leaves every file as it is, with its time.

bats_require_minimum_version 1.5.0
load common

setup() {
	[ "$(id -u)" = 0 ] || skip "needs root"
	dir=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "$BATS_TEST_TMPDIR")")
	cd "$dir" || return
}

teardown() { [ -z "${dir-}" ] || rm -rf "$dir"; }

# One variable a line, with a value that is well.
variables() {
	cat <<-'END'
	DISK1_MOUNT_POINT=/mnt/share
	DISK1_MOUNT_TAG=share
	DNS=9.9.9.9
	EC2_INSTANCE_ID=i-1
	ETH0_ALIAS0_IP=192.168.0.6
	ETH0_ALIAS0_IP6=2001:db8::6
	ETH0_ALIAS0_MASK=255.255.255.0
	ETH0_DNS=192.168.0.1
	ETH0_GATEWAY=192.168.0.1
	ETH0_IP=192.168.0.5
	ETH0_IP6=2001:db8::5
	ETH0_IP6_GATEWAY=2001:db8::1
	ETH0_IP6_METHOD=static
	ETH0_IP6_METRIC=9
	ETH0_IP6_PREFIX_LENGTH=64
	ETH0_IP6_ULA=fd00::5
	ETH0_MAC=02:00:c0:a8:00:05
	ETH0_MASK=255.255.255.0
	ETH0_METHOD=static
	ETH0_METRIC=7
	ETH0_MTU=1450
	ETH0_NETWORK=192.168.0.0
	ETH0_ROUTES=10.0.0.0/8 via 192.168.0.9
	ETH0_SEARCH_DOMAIN=example.org
	GROW_FS=/srv
	ONEGATE_ENDPOINT=http://192.0.2.1:5030
	ONEGATE_TOKEN=token
	CRYPTED_PASSWORD=$6$salt$hash
	SEARCH_DOMAIN=example.net
	SET_HOSTNAME=web1.example.org
	SSH_PUBLIC_KEY=ssh-rsa AAAA
	TIMEZONE=Europe/Zurich
	USERNAME=ops
	USERNAME_SHELL=/bin/sh
	USERNAME_SUDO=YES
	VMID=7
	END
}

# guest KIND: a tree of that kind with what more parts look at
guest() {
	tree "$1"
	nic eth0 02:00:c0:a8:00:05
	mkdir -p tree/etc/{ssh,sudoers.d,doas.d,skel} tree/usr/share/zoneinfo/Europe tree/context
	touch tree/usr/share/zoneinfo/Europe/Zurich tree/etc/{timezone,fstab}
	printf 'ops:!:1::::::\nroot:!:1::::::\n' >tree/etc/shadow
}

@test "no value makes a line of its own, or a command, in any file" {
	reachable
	variables >variables
	cat >try.py <<-'END'
	import glob, os, re, shutil, subprocess, sys
	kind = sys.argv[1]
	good = [line.rstrip("\n").split("=", 1) for line in open("variables")]
	bads = ["\nINJECTED=x", "$(INJECTED)`INJECTED`\"; INJECTED; '; INJECTED #", "/../../INJECTED"]
	shells = ["etc/sysconfig/network-scripts/ifcfg-*", "etc/sysconfig/network/ifcfg-*",
	          "etc/sysconfig/network/config"]
	def fail(*what):
	    sys.exit("%s: %s" % (kind, " ".join(map(repr, what))))
	def check(name, value):
	    shutil.rmtree("run", ignore_errors=True)
	    shutil.copytree("tree", "run", symlinks=True)
	    with open("run/context/context.sh", "w", newline="") as f:
	        for n, v in good:
	            v = value if n == name else v
	            f.write("%s='%s'\n" % (n, v.replace("'", "'\\''")))
	    done = subprocess.run([os.environ["CTXD"], "local", "-q", "--root", "run"],
	                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
	    if done.returncode not in (0, 1):
	        fail(name, value, done)
	    count = 0
	    for folder, _, files in os.walk("run"):
	        if folder.startswith(("run/context", "run/run/ctxd")):
	            continue
	        for file in files:
	            path = os.path.join(folder, file)
	            data = open(path, "rb").read() if not os.path.islink(path) else b""
	            count += b"192.168.0.5" in data
	            if "INJECTED" in path or re.search(rb"(^|[\r\n])INJECTED=", data):
	                fail(name, value, path, data)
	    if name != "ETH0_IP" and not name.endswith(("_MAC", "_METHOD", "_MASK")) and not count:
	        fail(name, value, "the NIC was not configured", done.stderr)
	    for f in sum(map(glob.glob, ["run/" + p for p in shells]), []):
	        ran = subprocess.run(["/bin/sh", "-c", ". ./" + f], env={"PATH": "/nowhere"}, capture_output=True)
	        if ran.returncode or b"INJECTED" in ran.stderr:
	            fail(name, value, f, ran.stderr)
	check("", "")
	for name, value in good:
	    for bad in bads:
	        check(name, value + bad)
	END
	export CTXD
	for kind in networkd ifupdown alpine manager redhat suse; do
		guest $kind
		/usr/bin/python3 try.py $kind
	done
}

@test "a second run changes nothing, with every way to configure a network" {
	reachable
	state() { find tree ! -path 'tree/run/ctxd*' -printf '%p %i %T@ %s %m %U:%G %l\n' | sort; }
	for kind in networkd netplan ifupdown alpine manager redhat suse; do
		guest $kind
		mkdir -p tree/etc/chrony/sources.d
		while IFS= read -r line; do
			printf "%s='%s'\n" "${line%%=*}" "${line#*=}"
		done < <(variables) >tree/context/context.sh
		"$CTXD" local -q --root tree >log 2>&1 || { cat log; false; }
		state >first
		[ "$(grep -c . tree/var/lib/ctxd/written)" -ge 4 ]
		"$CTXD" local --root tree 2>log
		state | diff first -
		run ! grep -E 'write|remove|link|make' log
		[ -z "$("$CTXD" local -n --root tree 2>/dev/null)" ]
		# Without the context nothing of the network is left, and with undo nothing at all.
		"$CTXD" undo --root tree >/dev/null
		[ ! -e tree/var/lib/ctxd ]
		! grep -rl 'ctxd' tree/etc tree/run --exclude-dir=ctxd || false
	done
}

@test "who owns a folder on the way to a file does not lead root elsewhere" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	accounts
	mkdir -p tree/home/ops/{real,under} tree/srv
	echo 'ops:x:1000:1000::/home/ops:/bin/sh' >>tree/etc/passwd
	echo 'ops:x:1000:' >>tree/etc/group
	echo secret >tree/etc/secret
	ln -s ../../etc tree/home/ops/folder
	ln -s ../../etc/secret tree/home/ops/link
	ln tree/etc/secret tree/home/ops/hard
	ln -s ../etc/secret tree/srv/mine
	chown -hR 1000:1000 tree/home/ops/{folder,link,real,under}
	chown 1000:1000 tree/home/ops
	seed <<-'END'
	#cloud-config
	write_files:
	- {path: /home/ops/folder/new, content: x}
	- {path: /home/ops/link, content: x, append: true, permissions: '0644', owner: ops}
	- {path: /home/ops/hard, content: x, append: true, permissions: '0644', owner: ops}
	- {path: /home/ops/real/new, content: "theirs", permissions: '0640', owner: 'ops:ops'}
	- {path: /home/ops/under/a/b, content: "deep"}
	- {path: /srv/mine, content: x, append: true}
	END
	run -1 local_
	has "$output" "/home/ops/folder/new"
	has "$output" "the folder 'folder' on the way is a symbolic link of user 1000's"
	has "$output" "/home/ops/link' is a symbolic link of user 1000's"
	has "$output" "/home/ops/hard' has another name elsewhere"
	[ "$(cat tree/etc/secret)" = secret ]
	[ "$(stat -c %u tree/etc/secret)" = 0 ]
	[ ! -e tree/etc/new ]
	[ -L tree/home/ops/link ]
	[ "$(stat -c '%u %g %a' tree/home/ops/real/new) $(cat tree/home/ops/real/new)" = '1000 1000 640 theirs' ]
	[ "$(cat tree/home/ops/under/a/b)" = deep ]
	[ "$(cat tree/srv/mine)" = $'secret\nx' ] # root's own link leads where it leads
	# Nor when it is taken away.
	echo mine >tree/etc/b
	rm -r tree/home/ops/under/a
	ln -s ../../../etc tree/home/ops/under/a
	chown -h 1000 tree/home/ops/under/a
	run -1 "$CTXD" undo --root tree
	has "$output" "symbolic link of user 1000's"
	[ "$(cat tree/etc/b)" = mine ]
	[ ! -e tree/home/ops/real/new ]
}
