#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What an instance answers by HTTP in the dialects that are not EC2's.

bats_require_minimum_version 1.5.0
load common

setup() { cd "$BATS_TEST_TMPDIR" || return; }
teardown() { stop; }

# code PATH [OPTION...]: the status, the body in body, the headers in head
code() {
	local path=$1
	shift
	curl -sS --path-as-is -o body -D head -w '%{http_code}' "$@" "$URL$path"
}

@test "OpenStack: versions show what they had; a drive's password is not served" {
	define web1 "hostname: web1.example.org" "user-data: hello" "tags: {a: b}" \
		"default-user: {password: secret}" "files: [{path: /etc/motd, content: hi}]" \
		"vendor-data: v" "nics: [{mac: '02:00:c0:a8:00:05', addresses: [192.168.0.5/24]}]"
	start --as instances/web1.yaml --listen 127.0.0.1:0
	[ "$(code /openstack)" = 200 ]
	[ "$(tail -n1 body)" = latest ]
	[ "$(code /openstack/2012-08-10/)" = 200 ]
	[ "$(cat body)" = $'meta_data.json\nuser_data' ]
	[ "$(code /openstack/2013-04-04/vendor_data.json)" = 404 ]
	[ "$(code /openstack/2018-08-27/vendor_data.json)" = 200 ]
	[ "$(code /openstack/latest/meta_data.json)" = 200 ]
	grep -qi 'content-type: application/json' head
	jq -e '.uuid == "i-web1" and .meta.a == "b" and (has("admin_pass") | not)' body
	[ "$(code "/openstack$(jq -r '.files[0].content_path' body)")" = 200 ]
	[ "$(cat body)" = hi ]
	[ "$(code /openstack/latest/network_data.json)" = 200 ]
	jq -e '.networks[0].ip_address == "192.168.0.5"' body
	[ "$(code /openstack/latest/user_data)" = 200 ] && [ "$(cat body)" = hello ]
	[ "$(code /openstack/2099-01-01/meta_data.json)" = 404 ]
	[ "$(code /openstack/latest/password -X POST -d x)" = 405 ]
	[ "$(code /openstack/../latest/)" = 400 ]
}

@test "NoCloud and CloudStack: documents and flat names; what is for programs is not served" {
	define web1 "hostname: web1" "ssh-keys: [ssh-rsa AAAA a]" "extra: {SECRET: x}" \
		"instance-type: small" "nics: [{mac: '02:00:c0:a8:00:05', addresses: [192.168.0.5/24]}]"
	start --as instances/web1.yaml --listen 127.0.0.1:0
	[ "$(code /nocloud/meta-data)" = 200 ]
	jq -e '."local-hostname" == "web1" and (has("extra") | not)' body
	[ "$(code /nocloud/user-data)" = 200 ] && [ ! -s body ]
	[ "$(code /nocloud/network-config)" = 200 ]
	[ "$(code /nocloud/vendor-data)" = 404 ]
	[ "$(code /latest/instance-id)" = 200 ] && [ "$(cat body)" = i-web1 ]
	[ "$(code /latest/meta-data/service-offering)" = 200 ] && [ "$(cat body)" = small ]
	[ "$(code /latest/public-keys)" = 200 ] && [ "$(cat body)" = "ssh-rsa AAAA a" ]
	[ "$(code /latest/meta-data/public-keys/)" = 200 ] && [ "$(cat body)" = "0=a" ]
	[ "$(code /latest/public-ipv4)" = 404 ]
}

@test "dialects that an instance does not speak are not there; required tokens leave EC2 alone" {
	define web1 "dialects: [nocloud]"
	define web2 "imds: {tokens: required}"
	define web3 "imds: {tokens: required}" "dialects: [ec2, openstack]"
	start --as instances/web1.yaml --listen 127.0.0.1:0
	[ "$(code /nocloud/meta-data)" = 200 ]
	[ "$(code /openstack)" = 404 ]
	[ "$(code /latest/meta-data/)" = 404 ]
	[ "$(code /latest/instance-id)" = 404 ]
	stop
	start --as instances/web2.yaml --listen 127.0.0.1:0
	[ "$(code /nocloud/meta-data)" = 404 ]
	[ "$(code /openstack/latest/meta_data.json)" = 404 ]
	[ "$(code /latest/instance-id)" = 401 ]
	stop
	start --as instances/web3.yaml --listen 127.0.0.1:0
	[ "$(code /openstack/latest/meta_data.json)" = 200 ]
	[ "$(code /latest/meta-data/)" = 401 ]
	echo 'dialects: [gopher]' >>instances/web1.yaml
	sed -i '/nocloud/d' instances/web1.yaml
	run "$MS" check instances/web1.yaml
	[[ $output == *"is not one of: ec2, openstack, nocloud"* ]]
}
