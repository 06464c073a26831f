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
	[ "$(code /openstack/latest/user_data)" = 200 ]
	[ "$(cat body)" = hello ]
	[ "$(code /openstack/2099-01-01/meta_data.json)" = 404 ]
	[ "$(code /openstack/latest/password -X PUT -d x)" = 405 ]
	[ "$(code /openstack/../latest/)" = 400 ]
}

@test "NoCloud and CloudStack: documents and flat names; what is for programs is not served" {
	define web1 "hostname: web1" "ssh-keys: [ssh-rsa AAAA a]" "extra: {SECRET: x}" \
		"instance-type: small" "nics: [{mac: '02:00:c0:a8:00:05', addresses: [192.168.0.5/24]}]"
	start --as instances/web1.yaml --listen 127.0.0.1:0
	[ "$(code /nocloud/meta-data)" = 200 ]
	jq -e '."local-hostname" == "web1" and (has("extra") | not)' body
	[ "$(code /nocloud/user-data)" = 200 ]
	[ ! -s body ]
	[ "$(code /nocloud/network-config)" = 200 ]
	[ "$(code /nocloud/vendor-data)" = 404 ]
	[ "$(code /latest/instance-id)" = 200 ]
	[ "$(cat body)" = i-web1 ]
	[ "$(code /latest/meta-data/service-offering)" = 200 ]
	[ "$(cat body)" = small ]
	[ "$(code /latest/public-keys)" = 200 ]
	[ "$(cat body)" = "ssh-rsa AAAA a" ]
	[ "$(code /latest/meta-data/public-keys/)" = 200 ]
	[ "$(cat body)" = "0=a" ]
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

# gce PATH [OPTION...]
gce() { code "/computeMetadata/v1/$1" -H 'Metadata-Flavor: Google' "${@:2}"; }

@test "GCE: its header is needed and given; folders, leaves, all as JSON or lines" {
	define web1 "hostname: web1.example.org" "ssh-keys: [ssh-rsa AAAA a]" "tags: {my-Key: v}" \
		"instance-type: n1-standard-1" "availability-zone: europe-west1-b" "account-id: p1" \
		"security-groups: [http, ssh]" "user-data-base64: AP8=" \
		"nics: [{mac: '02:00:c0:a8:00:05', addresses: [192.168.0.5/24], public-ipv4: 192.0.2.1}]"
	start --as instances/web1.yaml --listen 127.0.0.1:0
	[ "$(code /computeMetadata/v1/instance/id)" = 403 ]
	[ "$(gce instance/id -H 'X-Forwarded-For: 10.0.0.1')" = 403 ]
	[ "$(gce instance/id)" = 200 ]
	[ "$(cat body)" = i-web1 ]
	grep -qi '^metadata-flavor: google' head
	grep -qi '^etag: ' head
	[ "$(gce instance/zone)" = 200 ]
	[ "$(cat body)" = projects/p1/zones/europe-west1-b ]
	[ "$(gce instance/network-interfaces/0/access-configs/0/external-ip)" = 200 ]
	[ "$(cat body)" = 192.0.2.1 ]
	[ "$(gce instance/network-interfaces/0/)" = 200 ]
	grep -qx access-configs/ body
	grep -qx mac body
	[ "$(gce instance/tags)" = 200 ]
	[ "$(cat body)" = '["http","ssh"]' ]
	[ "$(gce instance/attributes/my-Key)" = 200 ]
	[ "$(cat body)" = v ]
	[ "$(gce 'instance/attributes/?recursive=true&alt=text')" = 200 ]
	grep -qx 'ssh-keys cloudinit:ssh-rsa AAAA a' body
	[ "$(gce '?recursive=true')" = 200 ]
	jq -e '.instance.networkInterfaces[0].ip == "192.168.0.5" and .instance.attributes["user-data-encoding"] == "base64"' body
	"$MS" convert --from gce -o json body | jq -e '.context.hostname == "web1.example.org" and .notes == []'
	[ "$(gce instance/nothing)" = 404 ]
	[ "$(gce instance/guest-attributes/a/b -X PUT -d x)" = 403 ]
	[ "$(code /computeMetadata/ -H 'Metadata-Flavor: Google')" = 200 ]
	[ "$(cat body)" = v1/ ]
	[ "$(gce ../v1/instance/id)" = 400 ]
}

@test "GCE: a client that knows what there is waits for a change, or for its time to be over" {
	define web1 "hostname: web1" "tags: {a: old}"
	start --instances instances --as web1 --listen 127.0.0.1:0
	local wait='instance/attributes/?recursive=true&wait_for_change=true' etag
	[ "$(gce "$wait&last_etag=NONE")" = 200 ]
	etag=$(sed -n 's/^[Ee][Tt]ag: \([0-9a-f]*\).*/\1/p' head)
	[ "$(gce "$wait&last_etag=$etag&timeout_sec=1")" = 200 ]
	[ "$(cat body)" = '{"a":"old"}' ]
	curl -sS -H 'Metadata-Flavor: Google' "$URL/computeMetadata/v1/$wait&last_etag=$etag&timeout_sec=60" >answer 3>&- &
	local client=$!
	sleep 0.3
	[ ! -s answer ]
	define web1 "hostname: web1" "tags: {a: new}"
	kill -HUP "$PID"
	wait "$client"
	[ "$(cat answer)" = '{"a":"new"}' ]
}
