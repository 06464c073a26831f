# metadata-server.service under a real systemd, in a guest: what is asserted was read inside of it.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	command -v qemu-system-x86_64 >/dev/null && [ "${MODE:-}" != asan ] || return 0
	export FOLDER=$PWD/build/boot-matrix
	mkdir -p "$FOLDER"
	export STATUS=0
	tests/boot/service/run "$FOLDER" >"$FOLDER/log-service" 2>&1 3>&- || STATUS=$?
}

setup() {
	command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64"
	[ "${MODE:-}" != asan ] || skip "a sanitizer wants more than the unit lets it"
	[ "$STATUS" -ne 3 ] || skip "$(tail -n 1 "$FOLDER/log-service")"
	[ "$STATUS" -eq 0 ] || { tail -n 60 "$FOLDER/log-service" && return 1; }
}

facts() { # "NAME: PATTERN"...: each of them is so
	local want got status=0
	for want in "$@"; do
		got=$(sed -n "s/^${want%%: *}: //p" "$FOLDER/service/facts")
		# shellcheck disable=SC2053 # a pattern
		[[ $got == ${want#*: } ]] || { echo "${want%%: *} is '$got', not '${want#*: }'" && status=1; }
	done
	return $status
}

@test "make install, five commands of the page, and the page's example is answered" {
	facts 'start: 0' 'active: active' 'enabled: enabled' 'web1: web1.example.org' 'stranger: 404' \
		'user: metadata-server:/var/lib/acclimate:*/nologin'
}

@test "its own user, no capabilities, no way to gain some, and filters" {
	facts 'show-user: metadata-server' 'show-no-new-privileges: yes' 'show-capabilities: cap_net_bind_service' \
		'process-user: metadata-server metadata-server' 'process-cap-Inh: 0000000000000000' \
		'all-cap-Prm: 0000000000000000' 'process-cap-Eff: 0000000000000000' \
		'process-cap-Amb: 0000000000000000' 'process-no-new-privileges: 1' 'process-seccomp: 2' \
		'runtime: metadata-server:metadata-server 750' 'state: metadata-server:metadata-server 700' \
		'as-a-user: refused' 'exposure: [01].*'
}

@test "definitions, events, faults and the watchdog, inside of the unit's walls" {
	facts 'new-definition: two.example.org' 'event: terminate' 'after-a-fault: two.example.org' \
		'log-of-the-fault: web2.yaml:*' 'status-text: 2 instances' 'watchdog: 0'
}

@test "systemctl reload reads definitions again, in the same process" {
	facts 'restart: 0' 'event-after-restart: terminate' 'before-reload: two.example.org' 'reload: 0' \
		'after-reload: again.example.org' 'same-process: yes' 'active-after-reload: active'
}

@test "it comes back after a crash, stops in order, and leaves its state alone" {
	facts 'after-a-crash: web1.example.org' 'stop: 0' 'result: success, exit status 0' \
		'kept-connection: open closed' 'left-behind: ' 'state-stays: [1-9]*' 'start-with-a-fault: 1' \
		'failed-units: '
}
