#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ctxd network: metadata services, in a network namespace where one answers at 169.254.169.254.

bats_require_minimum_version 1.5.0
load common

setup() {
	[ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null || skip "needs root and network namespaces"
	cd "$BATS_TEST_TMPDIR" || return
	tree none
	mkdir -p tree/sys/class/dmi/id tree/proc srv
}

# service < SCRIPT: runs it where srv is served, and requests are in the file log
service() {
	cat >script
	cat >server.py <<-'END'
	import http.server, sys
	class H(http.server.SimpleHTTPRequestHandler):
	    def do_GET(self):
	        if self.path.startswith("/moved/"):
	            self.send_response(301)
	            self.send_header("Location", "http://169.254.169.254/seed/meta-data")
	            self.end_headers()
	        else:
	            super().do_GET()
	http.server.ThreadingHTTPServer(("169.254.169.254", 80), lambda *a: H(*a, directory="srv")).serve_forever()
	END
	cat >run.sh <<-'END'
	ip link set lo up
	ip addr add 169.254.169.254/32 dev lo
	python3 server.py 2>log &
	pid=$!
	trap 'kill $pid' EXIT
	until curl -s --noproxy '*' -o /dev/null http://169.254.169.254/; do kill -0 $pid || exit; sleep 0.02; done
	set -eu
	. ./script
	END
	export CTXD
	timeout 180 unshare -n bash run.sh
}

@test "OpenStack's documents are fetched and applied; the network stays as it is" {
	echo 'OpenStack Nova' >tree/sys/class/dmi/id/product_name
	mkdir -p srv/openstack/latest
	echo '{"uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "hostname": "web1.example.org",
		"public_keys": {"k": "ssh-rsa AAAA k"}}' >srv/openstack/latest/meta_data.json
	echo '#!/bin/sh' >srv/openstack/latest/user_data
	service <<-'END'
	"$CTXD" network --root tree
	END
	[ "$(cat tree/etc/hostname)" = web1 ]
	grep -qx 'ssh-rsa AAAA k' tree/root/.ssh/authorized_keys
	grep -q 'GET /openstack/latest/network_data.json HTTP/1.1" 404' log
	[ "$("$CTXD" final --root tree -n)" = "run user-data" ]
	# What is served there is not taken from it again.
	run -1 timeout 20 "$CTXD" imds --root tree --listen 127.0.0.1:0
	has "$output" "metadata service"
}

@test "NoCloud's documents are fetched from where the command line says" {
	echo 'ds=nocloud;s=http://169.254.169.254/seed;h=named' >tree/proc/cmdline
	mkdir srv/seed
	echo 'instance-id: i-9' >srv/seed/meta-data
	: >srv/seed/user-data
	service <<-'END'
	"$CTXD" network --root tree
	END
	[ "$(cat tree/etc/hostname)" = named ]
}

@test "no redirection is followed, and nothing is asked where no cloud is named" {
	echo 'ds=nocloud;s=http://169.254.169.254/moved/' >tree/proc/cmdline
	mkdir srv/seed
	echo 'instance-id: i-9' >srv/seed/meta-data
	service <<-'END'
	! "$CTXD" network --root tree 2>out
	grep -q 'the answer was 301' out
	: >log
	echo quiet >tree/proc/cmdline
	"$CTXD" network --root tree
	[ ! -s log ]
	END
	[ ! -e tree/etc/hostname ]
}

@test "with cloud-init the service is left to it" {
	cloud_init
	echo 'OpenStack Nova' >tree/sys/class/dmi/id/product_name
	run -0 "$CTXD" network --root tree
	has "$output" "left to cloud-init"
}

@test "EC2's metadata are crawled with a session token, as our own service has them" {
	echo 'Amazon EC2' >tree/sys/class/dmi/id/sys_vendor
	mv tree tree1
	tree none
	printf '%s\n' "SET_HOSTNAME='web1.example.org'" "SSH_PUBLIC_KEY='ssh-rsa AAAA k'" \
		"USER_DATA='#!/bin/sh'" "EC2_INSTANCE_ID='i-0123456789abcdef0'" | context
	"$CTXD" local -q --root tree --dev media
	cat >run.sh <<-'END'
	"$CTXD" imds --root tree -v 2>log &
	pid=$!
	trap 'kill $pid' EXIT
	until grep -qs 'listening on' log; do kill -0 $pid || exit; sleep 0.02; done
	set -e
	"$CTXD" network --root tree1
	END
	export CTXD
	timeout 180 unshare -n bash run.sh
	[ "$(cat tree1/etc/hostname)" = web1 ]
	grep -qx 'ssh-rsa AAAA k' tree1/root/.ssh/authorized_keys
	[ "$("$CTXD" final --root tree1 -n)" = "run user-data" ]
	grep -q 'PUT /latest/api/token: 200' log
}

@test "user data can be for root alone" {
	printf '%s\n' "USER_DATA='secret'" "SET_HOSTNAME='web1'" | context
	"$CTXD" local -q --root tree --dev media
	cat >run.sh <<-'END'
	"$CTXD" imds --root tree --root-user-data 2>log &
	pid=$!
	trap 'kill $pid' EXIT
	until grep -qs 'listening on' log; do kill -0 $pid || exit; sleep 0.02; done
	set -e
	get() { curl -s --noproxy '*' -o out.$1 -w '%{http_code}\n' "http://169.254.169.254/$2"; }
	[ "$(get a latest/user-data)" = 200 ]
	chmod 777 .
	for path in latest/user-data latest//user-data/ 2009-04-04/user-data latest/%75ser-data; do
		[ "$(setpriv --reuid 65534 --clear-groups curl -s --noproxy '*' -o /dev/null -w '%{http_code}' "http://169.254.169.254/$path")" = 403 ]
	done
	for path in openstack/latest/user_data 'computeMetadata/v1/?recursive=true'; do
		! setpriv --reuid 65534 --clear-groups curl -s --noproxy '*' -H 'Metadata-Flavor: Google' \
			"http://169.254.169.254/$path" | grep -q secret || exit 1
	done
	[ "$(setpriv --reuid 65534 --clear-groups curl -s --noproxy '*' "http://169.254.169.254/latest/meta-data/hostname")" = web1 ]
	END
	export CTXD
	timeout 180 unshare -n bash run.sh
	[ "$(cat out.a)" = secret ]
}
