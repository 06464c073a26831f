#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Each place that a context can come from but media: it is found, explained, read, and applied.
# Clouds are our metadata-server's, in a network namespace; VMware's host is a program in its place.

bats_require_minimum_version 1.5.0
load common

setup() {
	[ "$(id -u)" = 0 ] && unshare -n -m true 2>/dev/null || skip "needs root and namespaces"
	cd "$BATS_TEST_TMPDIR" || return
	tree none
	mkdir -p tree/sys/class/dmi/id tree/proc/net
	export CTXD METADATA_SERVER
	cat >instance.yaml <<-'END'
	instance-id: i-0a1b2c3d4e5f60718
	hostname: web1.example.org
	availability-zone: zone-a
	instance-type: m1.small
	ssh-keys: [ssh-ed25519 AAAA one, ssh-rsa BBBB two]
	nics:
	  - mac: 02:00:0a:01:01:05
	    addresses: [10.1.1.5/24]
	user-data: |
	  #!/bin/sh
	  echo hello
	END
}

# cloud < SCRIPT: runs it where our metadata server has 169.254.169.254 and, as a router, 10.1.1.1
cloud() {
	cat >script
	cat >run.sh <<-'END'
	ip link set lo up
	for a in 169.254.169.254 10.1.1.1; do ip addr add $a/32 dev lo; done
	"$METADATA_SERVER" serve --as instance.yaml --listen 169.254.169.254:80 --listen 10.1.1.1:80 \
		--access-log log 2>server.log &
	pid=$!
	trap 'kill $pid; wait $pid' EXIT
	until curl -s --noproxy '*' -o /dev/null http://10.1.1.1/; do kill -0 $pid || exit; sleep 0.02; done
	set -eu
	. ./script
	END
	timeout 180 unshare -n bash run.sh || { cat server.log; return 1; }
}

# found KIND URL CLOUD: the machine is taken to be there, that is said, and all is applied
found() {
	KIND=$1 ADDRESS=$2 CLOUD=$3 cloud <<-'END'
	"$CTXD" detect --network --explain --root tree >out
	grep -qx "$ADDRESS: $CLOUD, as the firmware says" out
	grep -qx "found: $KIND $ADDRESS" out
	"$CTXD" network --root tree 2>told
	END
	grep -q "context from $1 $2: instance " told
	[ "$(cat tree/etc/hostname)" = web1 ]
	grep -qx 'ssh-ed25519 AAAA one' tree/root/.ssh/authorized_keys
	grep -qx 'ssh-rsa BBBB two' tree/root/.ssh/authorized_keys
	[ "$("$CTXD" final --root tree -n)" = "run user-data" ]
}

dmi() { echo "$2" >"tree/sys/class/dmi/id/$1"; } # FILE TEXT

@test "Google Compute Engine" {
	dmi product_name 'Google Compute Engine'
	found gce http://169.254.169.254/ 'Google Compute Engine'
	grep -q '/computeMetadata/v1/?recursive=true' log
}

@test "OpenStack" {
	dmi product_name 'OpenStack Nova'
	found openstack http://169.254.169.254/ OpenStack
	grep -q '/openstack/latest/meta_data.json' log
}

@test "Amazon EC2, by its name and by its number alone" {
	dmi sys_vendor 'Amazon EC2'
	found ec2 http://169.254.169.254/ 'Amazon EC2'
	grep -q 'method=PUT target=/latest/api/token' log
	run ! grep -q 'token=v1 .*method=GET target=/latest/\|target=/latest/meta-data/iam' log
	rm -r tree
	tree none
	mkdir -p tree/sys/class/dmi/id
	dmi product_uuid ec2a1b2c-0000-4000-8000-000000000000
	found ec2 http://169.254.169.254/ 'Amazon EC2'
}

@test "CloudStack, whose service is on the router: by each client's lease, or the gateway" {
	dmi product_name 'CloudStack KVM Hypervisor'
	run -3 "$CTXD" detect --network -e --root tree
	has "$output" "machine: no DHCP server and no gateway is known"
	mkdir -p tree/run/systemd/netif/leases
	printf 'ADDRESS=10.1.1.5\nSERVER_ADDRESS=10.1.1.1\n' >tree/run/systemd/netif/leases/2
	found cloudstack http://10.1.1.1/ CloudStack
	grep -q '/latest/meta-data/vm-id' log
	rm -r tree/run/systemd
	mkdir -p tree/var/lib/dhcp
	printf 'lease {\n  option dhcp-server-identifier 10.9.9.9;\n}\nlease {\n  option dhcp-server-identifier 10.1.1.1;\n}\n' \
		>tree/var/lib/dhcp/dhclient.eth0.leases
	[ "$("$CTXD" detect --network --root tree)" = "cloudstack http://10.1.1.1/" ]
	rm -r tree/var
	printf 'Iface\tDestination\tGateway\neth0\t0001010A\t00000000\neth0\t00000000\t0101010A\n' >tree/proc/net/route
	[ "$("$CTXD" detect --network --root tree)" = "cloudstack http://10.1.1.1/" ]
	# What a lease says is data: no user, no name, no other scheme.
	mkdir -p tree/run/systemd/netif/leases
	rm -r tree/run/ctxd
	for hostile in 'x@10.1.1.1' evil.example '10.1.1.1:99999' '[fe80::1%nowhere]'; do
		echo "SERVER_ADDRESS=$hostile" >tree/run/systemd/netif/leases/2
		run -1 "$CTXD" network --force --root tree
		has "$output" "$hostile"
	done
}

@test "a service that is not there is no end of the boot" {
	dmi product_name 'Google Compute Engine'
	# Refused: known at once, asked again some times, and told in a line.
	run -1 timeout 180 unshare -n sh -c \
		'ip link set lo up && ip addr add 169.254.169.254/32 dev lo && "$CTXD" network --root tree'
	has "$output" "'http://169.254.169.254/': 'computeMetadata/v1/?recursive=true&alt=json': connecting"
	[ ! -e tree/run/ctxd/context ]
	[ "${#lines[@]}" = 1 ]
}

@test "a network that comes late is waited for, before a session token is asked for" {
	dmi sys_vendor 'Amazon EC2'
	cat >late.sh <<-'END'
	# There before its address is: who finds the way must not be refused.
	"$METADATA_SERVER" serve --as instance.yaml --listen 0.0.0.0:80 --access-log log 2>server.log &
	server=$!
	until grep -qs 'listening on' server.log; do kill -0 $server || exit; sleep 0.02; done
	"$CTXD" network --root tree 2>told &
	ctxd=$!
	# It has asked for a way, and there is none: its reader sleeps.
	for i in $(seq 200); do
		reader=$(cat /proc/$ctxd/task/$ctxd/children) && [ -n "$reader" ] &&
			grep -q nanosleep /proc/${reader% }/wchan && break
		sleep 0.05
	done
	ip link set lo up
	ip addr add 169.254.169.254/32 dev lo
	wait $ctxd
	status=$?
	kill $server
	wait $server
	exit $status
	END
	timeout 180 unshare -n bash late.sh || { cat told server.log; return 1; }
	[ "$(cat tree/etc/hostname)" = web1 ]
	has "$(head -n 1 log)" /latest/api/token
}

# alone: ctxd runs in a chroot without a library
alone() {
	case ${MODE:-release} in asan | fuzz) skip "with a sanitizer ctxd is linked dynamically" ;; esac
}

# vmware COMMAND...: runs it in a chroot whose firmware is VMware's and whose vmware-rpctool answers
# from the folder guestinfo
vmware() {
	mkdir -p tree/bin tree/guestinfo
	cp "$CTXD" tree/ctxd
	cc -static -x c -o tree/bin/vmware-rpctool - <<-'END'
	#include <stdio.h>
	#include <string.h>
	int main(int argc, char **argv)
	{
		char path[256] = "/guestinfo/";
		int c;
		FILE *f;
		if (argc != 2 || strncmp(argv[1], "info-get ", 9) || strchr(argv[1], '/'))
			return 2;
		strncat(path, argv[1] + 9, 200);
		f = fopen(path, "r");
		if (!f) {
			fprintf(stderr, "No value found\n");
			return 1;
		}
		while ((c = getc(f)) != EOF)
			putchar(c);
		putchar('\n');
		return 0;
	}
	END
	dmi sys_vendor 'VMware, Inc.'
	PATH=/bin timeout 60 /usr/bin/env -u LD_PRELOAD /usr/sbin/chroot tree "$@"
}

@test "VMware's host: context and files, as the guest's own program tells them" {
	alone
	context() { base64 >"tree/guestinfo/guestinfo.opennebula.context"; }
	file() { { echo "$2" && base64; } >"tree/guestinfo/guestinfo.opennebula.file.$1"; }
	run -3 vmware /ctxd detect --explain
	has "$output" "guestinfo.opennebula.context: "
	has "$output" "No value found"
	printf '%s\n' "GROW_ROOTFS='NO'" "SET_HOSTNAME='web1'" "INIT_SCRIPTS='first.sh'" | context
	printf '#!/bin/sh\n' | file 0 first.sh
	echo data | file 1 data.txt
	echo stolen | file 2 ../../etc/cron.d/x
	printf 'x.txt\nno base64!' >tree/guestinfo/guestinfo.opennebula.file.3
	run -0 vmware /ctxd detect --explain
	has "$output" "file.2: a name that no file of a context has"
	has "$output" "file.3: "
	has "$output" "guestinfo.opennebula.context: opennebula"
	has "$output" "found: opennebula guestinfo.opennebula.context"
	run -0 unshare -u -n env PATH=/bin /usr/sbin/chroot tree /ctxd local --wait 0
	[ "$(cat tree/etc/hostname)" = web1 ]
	[ -z "$(find tree -path '*cron.d*')" ]
	[ "$("$CTXD" final --root tree -n)" = $'write /var/lib/ctxd/files/data.txt\nrun first.sh' ]
	echo '%%%' >tree/guestinfo/guestinfo.opennebula.context
	run -3 vmware /ctxd detect --explain
	has "$output" "guestinfo.opennebula.context: "
	# On another machine nothing is asked.
	dmi sys_vendor QEMU
	run -3 env PATH=/bin /usr/sbin/chroot tree /ctxd detect --explain
	[[ $output != *guestinfo* ]]
}

# onegate NAME=VALUE... : the context of a tree that reports READY, and what `ctxd final` does with it
# where requests to 169.254.16.9:5030 are in the file requests, the first one answered with 500
onegate() {
	rm -rf tree requests
	tree none
	printf '%s\n' "REPORT_READY='YES'" "RETRY_WAIT_PERIOD='1'" "VMID='7'" "$@" | context
	"$CTXD" local -q --root tree --dev media 2>told || true
	cp "$CTXD" tree/ctxd
	cat >server.py <<-'END'
	import http.server
	class H(http.server.BaseHTTPRequestHandler):
	    count = 0
	    def do_PUT(self):
	        body = self.rfile.read(int(self.headers["Content-Length"]))
	        with open("requests", "a") as f:
	            print(self.command, self.path, body.decode(), file=f)
	            for k, v in self.headers.items():
	                print(k + ": " + v, file=f)
	        H.count += 1
	        self.send_response(500 if H.count == 1 else 200)
	        self.end_headers()
	    do_POST = do_PUT
	http.server.HTTPServer(("169.254.16.9", 5030), H).serve_forever()
	END
	cat >run.sh <<-'END'
	ip link set lo up
	ip addr add 169.254.16.9/32 dev lo
	python3 server.py 2>/dev/null &
	pid=$!
	trap 'kill $pid' EXIT
	until curl -s --noproxy '*' -o /dev/null http://169.254.16.9:5030/; do kill -0 $pid || exit; sleep 0.02; done
	for _ in $(seq "${TIMES:-1}"); do
		env PATH=/bin /usr/sbin/chroot tree /ctxd final || exit
	done
	END
	timeout 180 unshare -n bash run.sh
}

@test "OneGate is told READY, with the machine's token, once more if it fails" {
	alone
	onegate "ONEGATE_ENDPOINT='http://169.254.16.9:5030'" "ONEGATE_TOKEN='s3cret+token='"
	[ "$(grep -c '^PUT /vm READY=YES$' requests)" = 2 ]
	[ "$(grep -c '^X-ONEGATE-TOKEN: s3cret+token=$' requests)" = 2 ]
	[ "$(grep -c '^X-ONEGATE-VMID: 7$' requests)" = 2 ]
	# Once: each update comes by here.
	TIMES=3 onegate "ONEGATE_ENDPOINT='http://169.254.16.9:5030'" "ONEGATE_TOKEN='t'"
	[ "$(grep -c '^PUT /vm READY=YES$' requests)" = 2 ]
	# Not before the machine's own script says so; here there is not even a shell.
	run -1 onegate "READY_SCRIPT='exit 1'" "ONEGATE_ENDPOINT='http://169.254.16.9:5030'" "ONEGATE_TOKEN='t'"
	[ ! -e requests ]
}

@test "a hostile address or token of OneGate's is refused, and nothing is sent" {
	alone
	for endpoint in 'file:///etc/passwd' 'http://' $'http://169.254.16.9:5030/\r\nX: y' '-Kx'; do
		run -1 onegate "ONEGATE_ENDPOINT='$endpoint'" "ONEGATE_TOKEN='t'"
		grep -q ONEGATE_ENDPOINT told
		[ ! -e requests ]
	done
	for token in $'t\r\nX-Evil: 1' $'t\nX-Evil: 1'; do
		run -1 onegate "ONEGATE_ENDPOINT='http://169.254.16.9:5030'" "ONEGATE_TOKEN='$token'"
		grep -q ONEGATE_TOKEN told
		[ ! -e requests ]
	done
	# What ctxd does not speak itself is curl's, which is not here.
	for endpoint in https://169.254.16.9:5030 http://one.example 'http://user@169.254.16.9:5030'; do
		run -1 onegate "ONEGATE_ENDPOINT='$endpoint'" "ONEGATE_TOKEN='t'" "RETRY_COUNT='1'"
		has "$output" "curl"
		[ ! -e requests ]
	done
}

@test "curl gets address and token where no other process sees them" {
	alone
	cat >curl.c <<-'END'
	#include <stdio.h>
	int main(int argc, char **argv)
	{
		FILE *f = fopen("/curl.log", "w");
		int c;
		for (int i = 1; i < argc; i++)
			fprintf(f, "argument %s\n", argv[i]);
		while ((c = getchar()) != EOF)
			putc(c, f);
		return 0;
	}
	END
	tree none
	printf '%s\n' "REPORT_READY='YES'" "VMID='7'" "ONEGATE_ENDPOINT='https://one.example/gate'" "ONEGATE_TOKEN='s3cret'" | context
	local_ -q
	mkdir tree/bin
	cp "$CTXD" tree/ctxd
	cc -static -o tree/bin/curl curl.c
	env PATH=/bin /usr/sbin/chroot tree /ctxd final
	run ! grep -q '^argument.*\(s3cret\|one.example\)' tree/curl.log
	grep -qx 'url = "https://one.example/gate/vm"' tree/curl.log
	grep -qx 'request = "PUT"' tree/curl.log
	grep -qx 'header = "X-ONEGATE-TOKEN: s3cret"' tree/curl.log
	grep -qx 'argument =http,https' tree/curl.log
	grep -qx 'argument -sSfg' tree/curl.log
}
