# The main job, asserted: both AMIs imported from the cloud on loopback and booted side by side.
# Everything is read inside the guests, over SSH.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export WORK SSH_KEY GUEST_IMDS GUEST_ISO BINDIR
	BINDIR=${BINDIR:-$PWD/bin}
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/acclimate-boot.XXXXXX")
	. tests/boot/scenario.bash
	{
		tests/ami/build --out "$AMI_DIR" all && scenario_keys && scenario_cloud &&
			scenario_load && scenario_import && scenario_boot
		for guest in "$GUEST_IMDS" "$GUEST_ISO"; do
			guest_wait_ssh "$guest" 900 && guest_wait_cloud_init "$guest" 600
		done
		scenario_facts "$GUEST_IMDS" >"$WORK/imds.facts"
		scenario_facts "$GUEST_ISO" >"$WORK/iso.facts"
	} >"$WORK/setup.log" 2>&1 3>&- || true
}

teardown_file() {
	. tests/boot/scenario.bash
	# What a failure needs is kept where the next run finds room for its own.
	if [ -e "$WORK/failed" ]; then
		rm -rf build/boot-failure
		mkdir -p build/boot-failure
		cp "$WORK"/*.log "$WORK"/*.facts "$WORK"/guest-*/*.log build/boot-failure/ 2>/dev/null
		for g in imds iso; do
			cp "$WORK/guest-$g/console.log" "build/boot-failure/console-$g.log"
			cp "$WORK/guest-$g/run.log" "build/boot-failure/run-$g.log"
		done 2>/dev/null
	fi
	scenario_end 3>&-
	rm -rf "$WORK"
}

setup() {
	. tests/boot/scenario.bash
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || touch "$WORK/failed"
}

value() { sed -n "s/^$2: //p" "$WORK/$1.facts"; }

# fact GUEST NAME EXPECTED
fact() {
	local got
	got=$(value "$1" "$2")
	[ "$got" = "$3" ] || {
		echo "$1: $2 is '$got', expected '$3'"
		tail -n 25 "$WORK/setup.log"
		cat "$WORK/$1.facts"
		return 1
	}
}

# cloud-init cuts a host name at its first dot, and Debian's leaves /etc/hosts alone.
@test "imds: the guest has the host name of its metadata" {
	fact imds host-name web1
}

@test "imds: the metadata's SSH key, and no other, is authorized" {
	fact imds ssh-key "$(cut -d' ' -f1,2 "$SSH_KEY.pub")"
}

@test "imds: the user-data script ran" {
	fact imds user-data "user-data of web1.example.org ran on web1"
}

@test "imds: cloud-init is done, from the Ec2 data source, without errors" {
	fact imds cloud-init done
	fact imds cloud-init-errors ""
	[[ $(value imds data-source) == DataSourceEc2* ]]
}

@test "imds: no unit failed, nothing of ours is in the guest" {
	fact imds failed-units ""
	fact imds address-on-lo 0
	run guest_ssh "$GUEST_IMDS" 'ls /usr/sbin/ctxd'
	[ "$status" -ne 0 ]
}

@test "imds: IMDSv2 answers inside the guest, user-data byte for byte" {
	guest_ssh "$GUEST_IMDS" 'sudo cat /var/lib/cloud/instance/user-data.txt' >"$WORK/got"
	cmp "$WORK/got" "$WORK/web1.example.org.sh"
	run guest_sh "$GUEST_IMDS" tests/boot/imds-token.sh
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "iso: the guest has the host name of its context" {
	fact iso host-name web2
	fact iso fqdn web2.example.org
}

@test "iso: the context's SSH key, and no other, is authorized" {
	fact iso ssh-key "$(cut -d' ' -f1,2 "$SSH_KEY.pub")"
}

@test "iso: the user-data script ran" {
	fact iso user-data "user-data of web2.example.org ran on web2"
}

@test "iso: cloud-init is done, from the Ec2 data source, without errors" {
	fact iso cloud-init done
	fact iso cloud-init-errors ""
	[[ $(value iso data-source) == DataSourceEc2* ]]
}

@test "iso: ctxd serves 169.254.169.254 on lo, and no unit failed" {
	fact iso ctxd active
	fact iso address-on-lo 1
	fact iso failed-units ""
}

@test "iso: the static address of the context is the only one" {
	fact iso addresses "10.0.2.15/24 "
}

@test "iso: IMDSv2 answers inside the guest" {
	run guest_sh "$GUEST_ISO" tests/boot/imds-token.sh
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "both: cloud-init is the package's, unmodified" {
	fact imds cloud-init-changed-files 0
	fact iso cloud-init-changed-files 0
}

@test "both: the guests power off when asked to, and nothing is left running" {
	local pids
	pids="$(cat "$GUEST_IMDS/pid" "$GUEST_ISO/pid")"
	guest_stop "$GUEST_IMDS" "$GUEST_ISO"
	for pid in $pids; do run ! kill -0 "$pid"; done
	run ! grep -q 'ending QEMU' "$GUEST_IMDS/run.log" "$GUEST_ISO/run.log"
	[ ! -e "$GUEST_IMDS/run.json" ]
}
