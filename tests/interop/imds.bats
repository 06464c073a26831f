#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Clients that were not written for us, against metadata-server: cloud-init, boto3, awscli,
# ec2metadata.

bats_require_minimum_version 1.5.0

TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
MS=${BINDIR:-$TOP/bin}/metadata-server

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	cat >web1.yaml <<-'YAML'
		instance-id: i-0a1b2c3d4e5f60718
		hostname: web1.example.org
		ssh-keys: ["ssh-ed25519 AAAA ops", "ssh-rsa BBBB ops", "ssh-rsa CCCC dev"]
		ami-id: ami-12345678
		instance-type: t3.micro
		availability-zone: eu-west-1b
		account-id: "123456789012"
		security-groups: [web, ssh]
		nics:
		  - mac: 02:00:c0:a8:00:05
		    addresses: [192.168.0.5/24, "2001:db8::5/64"]
		  - mac: 02:00:c0:a8:00:06
		    addresses: [10.0.0.6/8, 10.0.0.7/8]
		user-data-base64: AP/+f4AhCg0A
		tags: {Name: web1, role: "a/b c"}
		block-devices: {ami: sda1, root: /dev/sda1}
	YAML
	sed 's/^user-data-base64.*/imds: {tokens: required}/' web1.yaml >v2.yaml
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }
teardown() { [ -z "${PID:-}" ] || { kill "$PID" && wait "$PID"; } || true; }

serve() { # FILE
	local i
	: >log # not what the server before this one wrote
	"$MS" serve -v --as "$1" --listen 127.0.0.1:0 2>>log 3>&- &
	PID=$!
	for ((i = 0; i < 3000; i++)); do
		! grep -q 'listening on' log || break
		sleep 0.02
	done
	URL=http://127.0.0.1:$(sed -n 's/.*listening on 127.0.0.1://p' log)
}

logged() { # TEXT: of a request, which is noted when it was answered
	local i
	for ((i = 0; i < 500; i++)); do
		! grep -qF "$1" log || return 0
		sleep 0.02
	done
	return 1
}

cloud_init() { # PLATFORM
	local path
	path=$("$TOP/tests/interop/fetch-cloud-init") || skip "cloud-init cannot be had"
	PYTHONPATH=$path /usr/bin/python3 "$TOP/tests/interop/cloud_init_ec2.py" "$URL" "$1" >found.json
}

@test "cloud-init on EC2's firmware takes everything, by tokens, and nothing it asks for is missing" {
	serve web1.yaml
	cloud_init aws
	/usr/bin/python3 <<-'PY'
		import base64, json
		r = json.load(open("found.json"))
		assert r["found"] and r["cloud"] == "aws" and r["refused"] == [], r
		assert r["requests"][0] == "/latest/api/token"
		assert r["instance_id"] == "i-0a1b2c3d4e5f60718"
		assert r["hostname"] == "web1.example.org"
		assert sorted(r["keys"]) == ["ssh-ed25519 AAAA ops", "ssh-rsa BBBB ops", "ssh-rsa CCCC dev"], r["keys"]
		assert r["region"] == "eu-west-1" and r["availability_zone"] == "eu-west-1b"
		assert base64.b64decode(r["userdata"]) == b"\x00\xff\xfe\x7f\x80!\n\r\x00"
		m = r["metadata"]
		assert m["security-groups"] == ["web", "ssh"], m
		assert m["tags"]["instance"] == {"Name": "web1", "role": "a/b c"}
		assert m["block-device-mapping"] == {"ami": "sda1", "root": "/dev/sda1"}
		nic = m["network"]["interfaces"]["macs"]["02:00:c0:a8:00:06"]
		assert nic["device-number"] == "1" and nic["local-ipv4s"] == ["10.0.0.6", "10.0.0.7"], nic
		assert r["identity"]["accountId"] == "123456789012"
		n = r["network"]["ethernets"]
		macs = {e["match"]["macaddress"]: e for e in n.values()}
		assert macs["02:00:c0:a8:00:05"]["dhcp4"] and macs["02:00:c0:a8:00:05"]["dhcp6"], n
		assert macs["02:00:c0:a8:00:06"]["addresses"] == ["10.0.0.7/8"], n
	PY
	! grep -q 'status=4' log
}

@test "cloud-init on EC2's firmware works where tokens are required, without user-data" {
	serve v2.yaml
	cloud_init aws
	/usr/bin/python3 <<-'PY'
		import json
		r = json.load(open("found.json"))
		assert r["found"] and r["userdata"] == "" and r["hostname"] == "web1.example.org", r
		assert [p for p, code in r["refused"]] == ["/2021-03-23/user-data"], r["refused"]
	PY
}

@test "cloud-init on unknown firmware takes everything without tokens" {
	serve web1.yaml
	cloud_init unknown
	/usr/bin/python3 <<-'PY'
		import json
		r = json.load(open("found.json"))
		assert r["found"] and r["cloud"] == "unknown" and r["refused"] == [], r
		assert not any("api/token" in p for p in r["requests"])
		assert r["instance_id"] == "i-0a1b2c3d4e5f60718" and len(r["keys"]) == 3
	PY
}

@test "boto3 gets tokens, the region and the document" {
	serve v2.yaml
	AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL /usr/bin/python3 <<-'PY'
		import os
		from botocore.utils import IMDSFetcher, InstanceMetadataFetcher, InstanceMetadataRegionFetcher
		url = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
		# a second, the default, is little on a busy machine
		f = IMDSFetcher(base_url=url, timeout=20, num_attempts=1)
		token = f._fetch_metadata_token()
		assert token, "no token"
		assert f._get_request("latest/meta-data/instance-id", None, token).text == "i-0a1b2c3d4e5f60718"
		assert InstanceMetadataRegionFetcher(base_url=url, timeout=20).retrieve_region() == "eu-west-1"
		# there are no credentials, and that is said at once
		assert InstanceMetadataFetcher(base_url=url, timeout=20, num_attempts=1).retrieve_iam_role_credentials() == {}
	PY
	logged 'method=PUT target=/latest/api/token'
	! grep -q 'status=401' log
}

@test "botocore's and the AWS CLI's clients take a role's credentials" {
	sed '$a iam-role: {name: web, access-key-id: AKIAIOSFODNN7EXAMPLE, secret-access-key: abc, session-token: tok}' \
		v2.yaml >role.yaml
	serve role.yaml
	AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL /usr/bin/python3 <<-'PY'
		import os
		from botocore.utils import InstanceMetadataFetcher
		f = InstanceMetadataFetcher(base_url=os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"], timeout=20, num_attempts=1)
		c = f.retrieve_iam_role_credentials()
		assert c["role_name"] == "web" and c["access_key"] == "AKIAIOSFODNN7EXAMPLE", c
		assert c["secret_key"] == "abc" and c["token"] == "tok" and c["expiry_time"], c
	PY
	env -i PATH="$PATH" HOME="$PWD" AWS_EC2_METADATA_SERVICE_ENDPOINT="$URL/" \
		AWS_METADATA_SERVICE_TIMEOUT=20 AWS_METADATA_SERVICE_NUM_ATTEMPTS=3 aws configure list >listed
	grep -qE 'access_key .*MPLE +iam-role' listed
}

@test "awscli asks by the endpoint that it is told" {
	serve v2.yaml
	# a second, its default, is little on a busy machine
	env -i PATH="$PATH" HOME="$PWD" AWS_EC2_METADATA_SERVICE_ENDPOINT="$URL/" \
		AWS_METADATA_SERVICE_TIMEOUT=20 AWS_METADATA_SERVICE_NUM_ATTEMPTS=3 aws configure list >listed
	cat listed
	grep -qE 'region +eu-west-1|region +<not set>' listed
	logged 'target=/latest/meta-data/iam/security-credentials/'
}

@test "the AWS SDK for JavaScript takes a role's credentials" {
	local sdk
	sdk=$("$TOP/tests/interop/fetch-aws-sdk-js") || skip "node and its packages cannot be had"
	sed '$a iam-role: {name: web, access-key-id: AKIAIOSFODNN7EXAMPLE, secret-access-key: abc, session-token: tok}' \
		v2.yaml >js.yaml
	serve js.yaml
	cat >js.js <<-'JS'
		const { fromInstanceMetadata } = require("@aws-sdk/credential-provider-imds");
		fromInstanceMetadata({ timeout: 20000, maxRetries: 3 })().then((c) => console.log(
		  c.accessKeyId, c.secretAccessKey, c.sessionToken, c.expiration > new Date()));
	JS
	[ "$(NODE_PATH=$sdk AWS_EC2_METADATA_SERVICE_ENDPOINT=$URL node js.js)" = "AKIAIOSFODNN7EXAMPLE abc tok true" ]
	logged 'method=PUT target=/latest/api/token'
}

@test "ec2metadata of cloud-utils reads its values" {
	local path
	path=$("$TOP/tests/interop/fetch-cloud-init") || skip "cloud-utils cannot be had"
	serve web1.yaml
	# its token's address is a constant: the copy that is run asks nobody but us
	sed "s|169.254.169.254|${URL#http://}|" "${path%/lib/python3/*}/bin/ec2metadata" >ec2metadata.py
	grep -q "instdata_host = \"${URL#http://}\"" ec2metadata.py
	run ! grep -qF 169.254 ec2metadata.py
	ec2metadata() { env -i /usr/bin/python3 ec2metadata.py "$@"; }
	[ "$(ec2metadata --instance-id)" = i-0a1b2c3d4e5f60718 ]
	[ "$(ec2metadata --availability-zone)" = eu-west-1b ]
	ec2metadata --public-keys | grep -q CCCC
}
