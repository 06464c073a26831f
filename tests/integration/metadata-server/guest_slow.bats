#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a guest says of itself: OpenStack's password, CloudStack's password server, GCE's guest
# attributes; it stays, and its operator reads it.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir -m 700 state
	define a 'identify: {interface: lo, address: 127.0.0.1}' \
		'dialects: [ec2, openstack, cloudstack, gce]' 'default-user: {password: "first $1"}' \
		'tags: {enable-guest-attributes: "TRUE"}'
	define b 'identify: {interface: lo, address: 127.0.0.2}' 'default-user: {password: second}'
}
teardown() { stop; }

serve() { start -d instances -l 127.0.0.1:0 --control sock --state state "$@"; }
ms() { run --separate-stderr "$MS" "$1" --control sock "${@:2}"; }
PASSWORD=/openstack/latest/password
ATTRIBUTES=computeMetadata/v1/instance/guest-attributes
gce() { curl -s -H 'Metadata-Flavor: Google' "$@"; }
ask() { curl -s -H "DomU_Request: $1" "$URL/"; }

@test "OpenStack: a guest's encrypted password is set once, and its operator decrypts it" {
	openssl genrsa -out key 2048 2>/dev/null
	openssl rsa -in key -pubout -out public 2>/dev/null
	printf 'a password' | openssl pkeyutl -encrypt -pubin -inkey public | base64 -w 0 >sent
	serve
	[ -z "$(get ${PASSWORD#/})" ]
	[ "$(status POST /openstack/2013-04-04/password --data-binary @sent)" = 200 ]
	get ${PASSWORD#/} | cmp - sent
	[ "$(status POST $PASSWORD --data-binary other)" = 409 ]
	[ "$(status POST /openstack/2012-08-10/password --data-binary other)" = 405 ]
	[ "$(status DELETE $PASSWORD)" = 405 ]
	# another guest has said nothing
	[ -z "$(curl -sf --interface 127.0.0.2 "$URL$PASSWORD")" ]
	ms reload
	get ${PASSWORD#/} | cmp - sent
	stop
	[ "$(stat -c %a state/guests state/guests/a.json | paste -sd ' ')" = "700 600" ]
	serve
	ms guest a
	[ "$(jq -r .password <<<"$output" | base64 -d | openssl pkeyutl -decrypt -inkey key)" = "a password" ]
	ms guest a clear password
	[ "$output" = '{}' ]
	[ -z "$(get ${PASSWORD#/})" ]
	[ "$(status POST $PASSWORD --data-binary @sent)" = 200 ]
	# a new machine of that name
	sed -i 's/i-a/i-new/' instances/a.yaml
	ms reload
	[ -z "$(get ${PASSWORD#/})" ]
}

@test "OpenStack: a password that is no text, too long or empty is refused" {
	serve
	[ "$(status POST $PASSWORD --data-binary "$(printf '%01021d' 0)")" = 400 ]
	[ "$(status POST $PASSWORD --data-binary '')" = 400 ]
	[ "$(status POST $PASSWORD --data-binary x -H 'Origin: http://page.example')" = 403 ]
	printf 'a\0b' >nul
	[ "$(status POST $PASSWORD --data-binary @nul)" = 400 ]
	printf 'a\377b' >bytes
	[ "$(status POST $PASSWORD --data-binary @bytes)" = 400 ]
	[ "$(status POST $PASSWORD --data-binary "$(printf '%01020d' 0)")" = 200 ]
}

@test "CloudStack: a password is given until it was taken, and a new one again" {
	serve
	[ "$(ask send_my_password)" = 'first $1' ]
	[ "$(ask send_my_password)" = 'first $1' ]
	[ "$(ask other)" = bad_request ]
	[ "$(status GET / -H 'DomU_Request: other')" = 400 ]
	[ "$(status GET / -H 'DomU_Request: send_my_password' -H 'X-Forwarded-For: 1')" = 403 ]
	[ "$(ask saved_password)" = saved_password ]
	[ "$(ask send_my_password)" = saved_password ]
	run ! grep -rqF first state
	stop
	serve
	[ "$(ask send_my_password)" = saved_password ]
	sed -i 's/first/third/' instances/a.yaml
	ms reload
	[ "$(ask send_my_password)" = 'third $1' ]
	# who did not name the dialect has the EC2 versions there, and no password
	run curl -s --interface 127.0.0.2 -H 'DomU_Request: send_my_password' "$URL/"
	[[ $output == *latest ]]
}

@test "CloudStack: cloud-init's password client takes it, and it is gone" {
	local path
	path=$("$TOP/tests/interop/fetch-cloud-init") || skip "cloud-init cannot be had"
	# its port is a constant
	start -d instances --as instances/a.yaml -l 127.83.12.7:8080 --control sock
	[ -n "$PID" ] && kill -0 "$PID" || skip "port 8080 is taken"
	PYTHONPATH=$path /usr/bin/python3 - <<-'PY'
		from cloudinit.sources.DataSourceCloudStack import CloudStackPasswordServerClient
		c = CloudStackPasswordServerClient("127.83.12.7")
		assert c.get_password() == "first $1"
		assert c.get_password() is None
	PY
	ms guest a
	[ "$(jq -r '."password-taken" | length' <<<"$output")" = 32 ]
	ms guest a clear
	[ "$(curl -s -H 'DomU_Request: send_my_password' http://127.83.12.7:8080/)" = 'first $1' ]
}

@test "GCE: guest attributes are set, listed, read by the operator and dropped" {
	serve
	put() { gce -o /dev/null -w '%{http_code}' -X PUT --data-binary "$2" "$URL/$ATTRIBUTES/$1"; }
	[ "$(put hostkeys/ssh-rsa 'AAAA')" = 200 ]
	[ "$(put hostkeys/ssh-ed25519 'BBBB')" = 200 ]
	[ "$(put a.b/c_d $'one\ntwo "\xc3\xa4"')" = 200 ]
	[ "$(gce "$URL/$ATTRIBUTES/")" = $'a.b/\nhostkeys/' ]
	[ "$(gce "$URL/$ATTRIBUTES/hostkeys/")" = $'ssh-ed25519\nssh-rsa' ]
	[ "$(gce "$URL/$ATTRIBUTES/hostkeys/ssh-rsa")" = AAAA ]
	gce "$URL/$ATTRIBUTES/?recursive=true" | jq -e '. == {"a.b": {"c_d": "one\ntwo \"ä\""},
		"hostkeys": {"ssh-ed25519": "BBBB", "ssh-rsa": "AAAA"}}'
	gce "$URL/$ATTRIBUTES/hostkeys?recursive=true" | jq -e '. == {"ssh-ed25519": "BBBB", "ssh-rsa": "AAAA"}'
	ms guest a
	[ "$(jq -r '."guest-attributes/hostkeys/ssh-rsa"' <<<"$output")" = AAAA ]
	[ "$(gce -o /dev/null -w '%{http_code}' -X DELETE "$URL/$ATTRIBUTES/hostkeys/ssh-rsa")" = 200 ]
	[ "$(gce -o /dev/null -w '%{http_code}' -X DELETE "$URL/$ATTRIBUTES/hostkeys/ssh-rsa")" = 404 ]
	ms guest a clear guest-attributes/a.b/c_d
	[ "$(gce "$URL/$ATTRIBUTES/")" = hostkeys/ ]
	# what is no name, too long, no place, or not allowed
	for bad in x x/y/z 'x/%20' "$(printf '%0129d' 0)/x"; do
		[ "$(put "$bad" v)" = 400 ]
	done
	[ "$(put x/y "$(printf '%04097d' 0)")" = 413 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X PUT -d v "$URL/$ATTRIBUTES/x/y")" = 403 ]
	[ "$(gce --interface 127.0.0.2 -o /dev/null -w '%{http_code}' "$URL/$ATTRIBUTES/")" = 403 ]
	# too much, too often
	local all=() i
	for i in $(seq 100); do # by one curl: who takes his time may go on
		all+=(--next -s -o /dev/null -w '%{http_code}\n' -H 'Metadata-Flavor: Google' -X PUT
			--data-binary "$i" "$URL/$ATTRIBUTES/x/y")
	done
	curl "${all[@]:1}" >codes
	grep -q 429 codes
}

@test "what is kept is the server's user's, and a file that is not ours is told" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	[ "${MODE:-}" != asan ] || skip "a sanitizer wants more"
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.." 2>/dev/null || true
	chown nobody state
	serve --user nobody
	[ "$(status POST $PASSWORD --data-binary x)" = 200 ]
	[ "$(stat -c %U state/guests/a.json)" = nobody ]
	stop
	echo '{"a": 1}' >state/guests/a.json
	run --separate-stderr timeout 20 "$MS" serve -d instances -l 127.0.0.1:0 --state state
	[ "$status" -eq 1 ]
	has "$stderr" "state/guests/a.json:1:1: is not what was kept of a guest"
}

@test "GCE: who waits is answered by a change of its own, not by a neighbour's, and in its time" {
	serve
	local url="$URL/computeMetadata/v1/instance/hostname?wait_for_change=true" etag i
	etag=$(gce -D - -o /dev/null "$url&last_etag=NONE" | sed -n 's/^[Ee][Tt]ag: \([0-9a-f]*\).*/\1/p')
	gce "$url&last_etag=$etag&timeout_sec=600" >answer 3>&- &
	local client=$!
	gce "$url&last_etag=$etag&timeout_sec=1" >soon 3>&- &
	local other=$!
	for i in 1 2 3; do
		: >log
		echo "hostname: b$i" >>instances/b.yaml
		wait_log 'loaded again'
		sed -i '$d' instances/b.yaml
	done
	wait "$other"
	[ ! -s answer ]
	echo 'hostname: other' >>instances/a.yaml
	wait "$client"
	[ "$(cat answer)" = other ]
}
