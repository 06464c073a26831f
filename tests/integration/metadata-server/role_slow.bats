#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the host makes for a guest: signatures of its identity, credentials of its role.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=cloud.example.org 2>/dev/null
	chmod 600 key
}
setup() {
	cd "$BATS_TEST_TMPDIR" || return
	cp "$BATS_FILE_TMPDIR/key" "$BATS_FILE_TMPDIR/cert" .
}
teardown() { stop; }

ID=latest/dynamic/instance-identity
ROLE=latest/meta-data/iam/security-credentials

@test "an identity document is signed three ways, and openssl agrees" {
	define a 'account-id: "123456789012"' 'availability-zone: eu-west-1b'
	start --as instances/a.yaml --listen 127.0.0.1:0 --identity-key key --identity-cert cert
	[ "$(get $ID/)" = $'document\npkcs7\nrsa2048\nsignature' ]
	get $ID/document >document
	get $ID/certificate | cmp - cert
	openssl x509 -in cert -noout -pubkey >pub
	get $ID/signature | base64 -d >signature
	openssl dgst -sha256 -verify pub -signature signature document
	for kind in pkcs7 rsa2048; do
		{
			echo "-----BEGIN PKCS7-----"
			get $ID/$kind
			printf '\n%s\n' "-----END PKCS7-----"
		} >$kind.pem
		# as the documents of EC2 have it
		openssl smime -verify -in $kind.pem -inform PEM -certfile cert -noverify 2>/dev/null | cmp - document
		openssl cms -verify -in $kind.pem -inform PEM -CAfile cert 2>/dev/null | cmp - document
	done
	get $ID/pkcs7 >once
	get $ID/pkcs7 | cmp - once
	[ "$(awk '{ if (length > m) m = length } END { print m }' once)" -eq 64 ]
	change a 's/eu-west-1b/eu-west-1c/'
	wait_log 'loaded again'
	get $ID/document | grep -q eu-west-1c
	get $ID/signature | base64 -d >signature
	openssl dgst -sha256 -verify pub -signature signature <(get $ID/document)
}

@test "without a key there are no signatures, and no listing of any" {
	define a
	start --as instances/a.yaml --listen 127.0.0.1:0
	[ "$(get $ID/)" = document ]
	[ "$(status GET /$ID/signature)" = 404 ]
	[ "$(status GET /$ID/certificate)" = 404 ]
}

@test "keys that are no good are refused" {
	define a
	fails() {
		run --separate-stderr timeout 20 "$MS" serve --as instances/a.yaml -l 127.0.0.1:0 "${@:2}"
		echo "$stderr"
		[ "$status" -eq 1 ]
		has "$stderr" "$1"
	}
	chmod 640 key
	fails "identity key 'key': others may use it (mode 0640, not 0600)" --identity-key key --identity-cert cert
	chmod 600 key
	fails "identity key 'none': No such file" --identity-key none --identity-cert cert
	fails "certificate 'key': is not a certificate in PEM" --identity-key key --identity-cert key
	openssl ecparam -name prime256v1 -genkey -noout -out ec
	chmod 600 ec
	fails "is not an RSA key of 2048 bits or more" --identity-key ec --identity-cert cert
	openssl genrsa -out other 2048 2>/dev/null
	chmod 600 other
	fails "do not belong together" --identity-key other --identity-cert cert
	openssl rsa -in key -aes128 -passout pass:x -out locked 2>/dev/null
	chmod 600 locked
	fails "is not a private key in PEM" --identity-key locked --identity-cert cert
	run --separate-stderr "$MS" serve --as instances/a.yaml -l 127.0.0.1:0 --identity-key key
	[ "$status" -eq 2 ]
}

@test "credentials by value are served, and by get" {
	define a 'iam-role: {name: web, access-key-id: AKIA1, secret-access-key: s1, session-token: t1, expiration: "2090-01-01T00:00:00Z"}'
	start --as instances/a.yaml --listen 127.0.0.1:0
	[ "$(get $ROLE)" = web ]
	[ "$(get $ROLE/web | jq -r '[.Code, .Type, .AccessKeyId, .SecretAccessKey, .Token, .Expiration] | join(" ")')" = \
		"Success AWS-HMAC AKIA1 s1 t1 2090-01-01T00:00:00Z" ]
	[ "$(get latest/meta-data/iam/info | jq -r .Code)" = Success ]
	[ "$("$MS" get instances/a.yaml $ROLE/web | jq -r .Token)" = t1 ]
	run ! grep -q -e s1 -e t1 log
}

# a program that says how often it was run
program() {
	cat >prog <<-'SH'
		#!/bin/sh
		echo "$ACCLIMATE_INSTANCE $ACCLIMATE_INSTANCE_ID $#:$1:$2" >>calls
		cat answer
	SH
	chmod +x prog
	echo '{"Version": 1, "AccessKeyId": "AKIA2", "SecretAccessKey": "s2", "SessionToken": "t2", "Expiration": "2090-01-01T00:00:00.5+00:00"}' >answer
	define a "iam-role: {name: web, credential-process: '$PWD/prog \"a b\" \$(touch\\ hacked)'}" \
		'identify: {interface: lo, address: 127.0.0.1}'
}

@test "a credential process is run without a shell, once, and asked for as the guest it is for" {
	program
	start -d instances --listen 127.0.0.1:0
	[ "$(get $ROLE/)" = web ]
	for _ in 1 2 3; do
		get $ROLE/web >got &
		other=$!
		get $ROLE/web | jq -r '[.AccessKeyId, .Token, .Expiration] | join(" ")' >out
		[ "$(cat out)" = "AKIA2 t2 2090-01-01T00:00:00Z" ]
		wait $other
	done
	cat calls
	[ "$(cat calls)" = 'a i-a 2:a b:$(touch hacked)' ]
	[ ! -e hacked ]
	[ "$("$MS" get instances/a.yaml $ROLE/web | jq -r .AccessKeyId)" = AKIA2 ]
}

@test "a credential process that fails is 404 to the guest, and a line in the log" {
	program
	start -d instances --listen 127.0.0.1:0
	fails() {
		: >log
		[ "$(status GET /$ROLE/web)" = 404 ]
		wait_log "$1"
		# a new command is tried at once
		change a "s|/prog|/./prog|"
		wait_log 'loaded again'
	}
	echo '{"Version": 2}' >answer
	fails "Version is not 1"
	echo '{"Version": 1, "AccessKeyId": "a"}' >answer
	fails "there is no SecretAccessKey"
	echo '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "SECRET", "Expiration": "2001-01-01T00:00:00Z"}' >answer
	fails "they have ended already"
	echo nonsense SECRET >answer
	fails "is not JSON"
	printf '#!/bin/sh\necho no luck >&2\nexit 1\n' >prog
	fails "no luck"
	head -c 100000 /dev/zero >answer
	printf '#!/bin/sh\ncat answer\n' >prog
	fails "credential-process"
	rm prog
	fails "No such file"
	run ! grep -q SECRET log
}

# a program that says whom it was asked for once it may
patient() {
	cat >patient <<-'SH'
		#!/bin/sh
		echo "$ACCLIMATE_INSTANCE_ID" >>asked
		while [ ! -e "go-$ACCLIMATE_INSTANCE_ID" ]; do sleep 0.02; done
		echo "{\"Version\": 1, \"AccessKeyId\": \"of-$ACCLIMATE_INSTANCE_ID\", \"SecretAccessKey\": \"s\"}"
	SH
	chmod +x patient
}
wait_asked() { until grep -qsx "$1" asked; do kill -0 "$PID"; sleep 0.02; done; }

@test "others are served while a credential process takes its time" {
	patient
	define a "iam-role: {name: web, credential-process: $PWD/patient}" 'identify: {interface: lo, address: 127.0.0.1}'
	start -d instances --listen 127.0.0.1:0
	get $ROLE/web >got &
	local slow=$!
	wait_asked i-a
	[ "$(get latest/meta-data/instance-id)" = i-a ]
	[ ! -s got ]
	touch go-i-a
	wait $slow
	[ "$(jq -r .Code got)" = Success ]
}

@test "credentials that were asked for a machine are not given to the one that took its name" {
	patient
	define a "iam-role: {name: web, credential-process: $PWD/patient}" 'identify: {interface: lo, address: 127.0.0.1}'
	start -d instances -l 127.0.0.1:0
	get $ROLE/web >before &
	local before=$!
	wait_asked i-a
	change a 's/i-a/i-new/'
	wait_log 'loaded again'
	get $ROLE/web >after &
	local after=$!
	wait_asked i-new
	touch go-i-a
	sleep 0.5 # it comes while the other is waited for
	touch go-i-new
	wait $after
	[ "$(jq -r .AccessKeyId after)" = of-i-new ]
	wait $before || true
	run ! grep -q of-i-a before
}

@test "while a fault keeps what was served, nobody gets credentials of a definition that is not" {
	patient
	define a "iam-role: {name: web, credential-process: $PWD/patient}" 'identify: {interface: lo, address: 127.0.0.1}'
	start -d instances -l 127.0.0.1:0
	touch go-i-new go-i-a
	define bad 'hostname: -'
	wait_log 'not loaded again'
	: >log
	change a 's/i-a/i-new/'
	wait_log 'not loaded again'
	[ "$(get latest/meta-data/instance-id)" = i-a ]
	[ "$(status GET /$ROLE/web)" = 404 ]
	wait_log 'another one than is served'
	[ ! -e asked ]
}
