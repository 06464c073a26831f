# Sources that are clouds: AMIs that are not ours, copies of them, SSM, snapshots, S3, Glance, OpenNebula.

bats_require_minimum_version 1.5.0
load sources
load ../flip

setup_file() {
	cloud_up
	export WEB=$CLOUD/web AMI=$BATS_FILE_TMPDIR/ami
	SNAPSHOT=$(catalog_snapshot)
	export SNAPSHOT
}
teardown_file() { cloud_down; }
setup() {
	fresh_sources
	AMI=$BATS_FILE_TMPDIR/ami
	if [ -e "$CLOUD/tests-image" ]; then
		image "$AMI_EBS" owner-id=123456789012 state=available is-public=false product-codes= owner-alias=
		rm "$CLOUD/tests-image"
	fi
	add ec2 ec2
}
catalog_snapshot() { tests/cloud/cloud snapshot --state "$CLOUD" list | jq -r '.[0].id'; }
snapshots() { tests/cloud/cloud snapshot --state "$CLOUD" list | jq length; }

# How often CopyImage was answered.
asked() { requests 'Action=CopyImage.* 200 ' || true; }

# The test's AMI becomes that of somebody else, who shows it to all.
not_ours() { image "$AMI_EBS" owner-id=210987654321 is-public=true; }

# ---- public AMIs -----------------------------------------------------------------------------------

@test "a public AMI is taken from its vendor's download of the same serial" {
	not_ours
	make_disk "$BATS_TEST_TMPDIR/u.raw" 3
	make_streams "$BATS_TEST_TMPDIR/u.raw" "$AMI_EBS"
	add ubuntu simplestreams url="$CLOUD_WEB/ubuntu"
	run --separate-stderr catalog import "$AMI_EBS"
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"is taken in its place: source 'ubuntu'"*20240423/disk1.img* ]]
	same "$BATS_TEST_TMPDIR/u.raw" "$AMI_EBS"
	run catalog show "$AMI_EBS" -o json
	[ "$(jq -r '.source."in-place-of".id' <<<"$output")" = "$AMI_EBS" ]
	[ "$(jq -r '.verified[0]' <<<"$output")" = "file digest (SHA-256)" ]
}

@test "what is downloaded in its place has to be what the vendor says" {
	not_ours
	make_disk "$BATS_TEST_TMPDIR/u.raw" 3
	make_streams "$BATS_TEST_TMPDIR/u.raw" "$AMI_EBS"
	flip "$WEB/ubuntu/noble/noble-amd64.img" 300000
	add ubuntu simplestreams url="$CLOUD_WEB/ubuntu"
	refused "its sha256 is" import "$AMI_EBS"
}

@test "without a download it is explained what can be done, in one line" {
	not_ours
	refused "snap-.*one's own or shared.*--copy.*share snapshot" import "$AMI_EBS"
}

@test "--copy: the copy is fetched and removed, image and snapshot" {
	not_ours
	local before
	before=$(snapshots)
	run --separate-stderr catalog import --copy "$AMI_EBS"
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"is copied to 'ami-"*"is removed"* ]]
	same_ebs "$AMI_EBS"
	[ "$(snapshots)" -eq "$before" ]
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
	run catalog list --owner self
	[[ $output != *acclimate-* ]]
}

@test "--copy whose answers get lost makes one copy, and removes it" {
	not_ours
	local before action
	before=$(snapshots)
	for action in CopyImage DeregisterImage DeleteSnapshot; do
		fault add drop --service ec2 --match "Action=$action" --bytes 5 --count 1
	done
	import --copy "$AMI_EBS"
	same_ebs "$AMI_EBS"
	[ "$(snapshots)" -eq "$before" ]
	[ "$(tests/cloud/cloud fault --state "$CLOUD" list | wc -l)" -eq 0 ]
}

@test "--copy that is interrupted removes its copy; killed, the next import does" {
	not_ours
	local before pid
	before=$(snapshots)
	for sig in INT KILL; do
		fault add drip --service ebs --match 'blocks/1[0-9][0-9]' --rate 100000
		interruptible catalog import -q --copy "$AMI_EBS" 3>&- &
		pid=$!
		for _ in $(seq 1200); do
			[ "$(stat -c %s "$ACCLIMATE_STORE/partial/$AMI_EBS/disk.qcow2" 2>/dev/null || echo 0)" -gt 1000000 ] && break
			sleep 0.1
		done
		kill -$sig $pid
		has_ended $pid "$AMI_EBS"
		[ -z "$(ls "$ACCLIMATE_STORE/images" 2>/dev/null)" ]
		fault clear
		if [ $sig = INT ]; then
			[ "$(snapshots)" -eq "$before" ]
		else
			[ "$(snapshots)" -eq $((before + 1)) ]
		fi
	done
	catalog gc --partial
	run --separate-stderr catalog import --copy "$AMI_EBS"
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"is there from an import before"* ]]
	same_ebs "$AMI_EBS"
	[ "$(snapshots)" -eq "$before" ]
}

@test "--copy where the cloud knows late what was made makes one copy, and removes all of it" {
	not_ours
	local before copies sig pid
	before=$(snapshots)
	copies=$(asked)
	sleep 4 # the AMI itself is to be known
	fault add lag --service ec2 --seconds 4
	import --copy "$AMI_EBS"
	same_ebs "$AMI_EBS"
	[ "$(snapshots)" -eq "$before" ]
	[ "$(asked)" -eq $((copies + 1)) ]
	# Killed as soon as it was asked for, while no list shows it: the journal alone knows.
	catalog rm "$AMI_EBS"
	for sig in INT KILL; do
		copies=$(asked)
		interruptible catalog import -q --copy "$AMI_EBS" 3>&- &
		pid=$!
		for _ in $(seq 3000); do
			[ "$(asked)" -gt "$copies" ] && break
			sleep 0.02
		done
		kill -$sig $pid
		has_ended $pid "$AMI_EBS"
		[ $sig = KILL ] || [ "$(snapshots)" -eq "$before" ]
	done
	[ "$(snapshots)" -eq $((before + 1)) ]
	import --copy "$AMI_EBS"
	same_ebs "$AMI_EBS"
	[ "$(snapshots)" -eq "$before" ]
	[ "$(tests/cloud/cloud image --state "$CLOUD" list |
		jq '[.[] | select(.state != "deregistered" and (.name | startswith("acclimate-")))] | length')" -eq 0 ]
}

@test "--copy that the owner does not allow is refused, and nothing is left" {
	not_ours
	image "$AMI_EBS" tag:no-copy=1
	refused "do not have permission to access the storage" import --copy "$AMI_EBS"
	image "$AMI_EBS" tag:no-copy=
}

@test "an image of the marketplace is refused before anything is fetched" {
	image "$AMI_EBS" product-codes=abc123
	refused "marketplace.*abc123" import "$AMI_EBS"
	refused "marketplace" import --copy "$AMI_EBS"
}

# ---- SSM, snapshots, S3 -----------------------------------------------------------------------------

@test "a parameter of SSM is the AMI that it holds" {
	echo "{\"/aws/service/debian/release/12/latest/amd64\": \"$AMI_EBS\", \"/aws/service/x\": \"y\"}" >"$CLOUD/ssm.json"
	run catalog show ssm:/aws/service/debian/release/12/latest/amd64
	[[ $output == *"id: $AMI_EBS"* ]]
	import ssm:/aws/service/debian/release/12/latest/amd64
	same_ebs "$AMI_EBS"
	run -1 catalog show ssm:/aws/service/x
	[[ $output == *"is 'y', no AMI"* ]]
	run -1 catalog show ssm:/aws/service/none
	[[ $output == *ParameterNotFound* ]]
	fault add throttle --service ssm --count 2
	catalog show ssm:/aws/service/debian/release/12/latest/amd64
	rm "$CLOUD/ssm.json"
}

@test "a path of parameters as a source: all pages, AMIs alone, and what is gone is left out" {
	local i
	for i in $(seq 30); do
		printf '"/aws/service/debian/release/%d/latest/amd64": "%s",' "$i" "$AMI_EBS"
		printf '"/aws/service/debian/release/%d/version": "%d",' "$i" "$i"
	done >"$BATS_TEST_TMPDIR/known"
	printf '{%s "/aws/service/debian/gone": "ami-0123456789abcdef0", "/aws/service/other": "%s"}' \
		"$(cat "$BATS_TEST_TMPDIR/known")" "$AMI_EBS" >"$CLOUD/ssm.json"
	add debian ssm prefix=/aws/service/debian
	run -0 catalog list debian --all -o json
	[ "$(jq length <<<"$output")" -eq 30 ]
	[ "$(jq -r 'map(select(.id == "ssm:/aws/service/debian/release/12/latest/amd64")) | .[0].name' <<<"$output")" = test-ebs ]
	[ "$(catalog search release/12/latest --all -o json | jq -r '.[].id')" = "ssm:/aws/service/debian/release/12/latest/amd64" ]
	import ssm:/aws/service/debian/release/12/latest/amd64 --name x
	same_ebs x
	# The same as aws sees.
	[ "$(aws ssm get-parameters-by-path --path /aws/service/debian --recursive --endpoint-url "$AWS_ENDPOINT_URL_SSM" \
		--query 'length(Parameters)')" -eq 61 ]
	add no ssm
	run -1 catalog list no
	[[ $output == *"prefix=/"* ]]
	rm "$CLOUD/ssm.json"
}

@test "listed are one's own images, and those of owners that are asked for" {
	add buckets s3 bucket=images
	add volumes ebs
	run -0 catalog list ec2
	[[ $output == *"$AMI_EBS"* ]]
	run -0 catalog list volumes --owner self
	[[ $output == *"$SNAPSHOT"* ]]
	run -0 catalog list volumes --owner 210987654321
	[[ $output != *"$SNAPSHOT"* ]]
	run -0 catalog list volumes --owner 210987654321 --owner self
	[[ $output == *"$SNAPSHOT"* ]]
	not_ours
	add anew ec2
	run -0 catalog list anew
	[[ $output == *"$AMI_BUNDLE"* && $output != *"$AMI_EBS"* ]]
	add theirs ec2 owners=210987654321
	run -0 catalog list theirs
	[[ $output == *"$AMI_EBS"* && $output != *"$AMI_BUNDLE"* ]]
	run -0 catalog list anew --owner 210987654321 --owner self
	[[ $output == *"$AMI_EBS"* && $output == *"$AMI_BUNDLE"* ]]
	run -0 catalog list anew --owner all
	[[ $output == *"$AMI_EBS"* && $output == *"$AMI_BUNDLE"* ]]
	# What takes no filter is not shown whole where one is given.
	run -0 catalog list --filter root-device-type=instance-store
	[[ $output == *"$AMI_BUNDLE"* && $output != *"$SNAPSHOT"* && $output != *".qcow2"* ]]
	run -1 catalog list buckets --owner self
	[[ $output == *"'buckets' is a source of kind s3, which is not listed by owners or filters"* ]]
	run -1 catalog list volumes --filter name=x
	[[ $output == *"'volumes' is a source of kind ebs, which is not listed by filters"* ]]
}

@test "a snapshot by its id, listed and imported" {
	add snaps ebs
	run catalog list snaps
	[[ $output == *"$SNAPSHOT"* ]]
	import "$SNAPSHOT"
	same_ebs "$SNAPSHOT"
	refused_id "snap-xyz' is not the id of a snapshot" import snap-xyz
}
refused_id() {
	local pattern=$1
	shift
	run --separate-stderr "$@"
	[ "$status" -eq 1 ]
	[[ $stderr == *"$pattern"* ]]
}

s3_put() { aws s3api put-object --endpoint-url "$AWS_ENDPOINT_URL_S3" --bucket images --key "$2" --body "$1" >/dev/null; }

@test "a bucket: its images, a bundle by its manifest, resumed and in ranges" {
	make_disk "$BATS_TEST_TMPDIR/a.raw" 9
	truncate -s 40M "$BATS_TEST_TMPDIR/a.raw"
	head -c 9000000 /dev/urandom | dd of="$BATS_TEST_TMPDIR/a.raw" bs=1M seek=20 conv=notrunc status=none
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$BATS_TEST_TMPDIR/a.qcow2"
	aws s3api create-bucket --endpoint-url "$AWS_ENDPOINT_URL_S3" --bucket images >/dev/null
	s3_put "$BATS_TEST_TMPDIR/a.raw" "deep/debian-12 x+y.raw"
	s3_put "$BATS_TEST_TMPDIR/a.qcow2" "deep/debian-12-arm64.qcow2"
	s3_put "$BATS_TEST_TMPDIR/a.qcow2" "deep/README"
	add bucket s3 bucket=images prefix=deep/
	run catalog search debian --source bucket
	[ "${#lines[@]}" -eq 3 ]
	import "s3://images/deep/debian-12-arm64.qcow2" --name one
	[ "$(catalog show one -o json | jq -r '.verified[0]')" = "file digest (MD5, ETag)" ]
	same "$BATS_TEST_TMPDIR/a.raw" one
	fault add corrupt --service s3 --match 'GET.*arm64.qcow2'
	run -1 --separate-stderr import "s3://images/deep/debian-12-arm64.qcow2" --name other
	[[ $stderr =~ "its md5 is "[0-9a-f]+", the ETag says "[0-9a-f]+" (where that is known to be none: --digest)" ]]
	fault clear
	run -1 --separate-stderr import "$AMI_EBS" --digest "sha256:$(sha256sum </dev/null | cut -c -64)"
	[[ $stderr == *"is no file that has a digest"* ]]
	fault add throttle --service s3 --match 'x%2By.raw' --count 2
	fault add drop --service s3 --match 'GET.*x%2By.raw' --bytes 300000 --count 2
	import "bucket:deep/debian-12 x+y.raw" --name two
	same "$BATS_TEST_TMPDIR/a.raw" two
	[ "$(requests 'GET.*y.raw.*range=bytes=8388608-')" -ge 1 ]
	local location
	location=$(catalog show "$AMI_BUNDLE" -o json | jq -r .location)
	import "s3://$location" --name bundle
	same_bundle bundle
	run -1 import s3://images/deep/none.raw
	[[ $output == *none.raw* ]]
	run -1 import s3://images
}

# ---- OpenStack --------------------------------------------------------------------------------------

# glance_image ID FILE FORMAT [MEMBERS]
glance_image() {
	cp "$2" "$CLOUD/glance/$1"
	jq -n --arg id "$1" --arg format "$3" --arg sum "$(sha512sum <"$2" | cut -c -128)" \
		--argjson size "$(stat -c %s "$2")" --argjson more "${4:-{\}}" \
		'{id: $id, name: ("image " + $id), status: "active", visibility: "public",
		  container_format: "bare", disk_format: $format, size: $size, virtual_size: null,
		  checksum: null, os_hash_algo: "sha512", os_hash_value: $sum, tags: [],
		  created_at: "2024-01-02T03:04:05Z", os_distro: "debian", architecture: "aarch64"} + $more' \
		>"$CLOUD/glance/$1.json"
}
openstack() {
	rm -f "$CLOUD"/glance/*
	echo secret >"$BATS_TEST_TMPDIR/password"
	add os glance auth-url="$CLOUD_OPENSTACK/identity" username=demo project=demo region=one \
		password-file="$BATS_TEST_TMPDIR/password"
}

@test "Glance by Keystone: pages, search, import, digest" {
	openstack
	make_disk "$BATS_TEST_TMPDIR/a.raw" 11
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$BATS_TEST_TMPDIR/a.qcow2"
	local i
	for i in $(seq 10 70); do glance_image "00$i" "$BATS_TEST_TMPDIR/password" qcow2; done
	glance_image 0099 "$BATS_TEST_TMPDIR/a.qcow2" qcow2
	glance_image 0098 "$BATS_TEST_TMPDIR/a.raw" raw
	run catalog list os
	[ "${#lines[@]}" -eq 64 ]
	run catalog search 0099 arch=arm64 os=debian
	[ "${#lines[@]}" -eq 2 ]
	import os:0099
	same "$BATS_TEST_TMPDIR/a.raw" 0099
	import os:0098
	same "$BATS_TEST_TMPDIR/a.raw" 0098
	flip "$CLOUD/glance/0098" 1500000
	run -1 import os:0098 --name bad
	[[ $output == *"its sha512 is"* ]]
}

@test "Glance: a token that expires in the middle is asked for anew" {
	openstack
	make_disk "$BATS_TEST_TMPDIR/a.raw" 12
	truncate -s 60M "$BATS_TEST_TMPDIR/a.raw"
	head -c 30000000 /dev/urandom | dd of="$BATS_TEST_TMPDIR/a.raw" bs=1M seek=20 conv=notrunc status=none
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$BATS_TEST_TMPDIR/a.qcow2"
	glance_image 0001 "$BATS_TEST_TMPDIR/a.qcow2" qcow2
	fault add drop --service glance --match 'GET.*/file' --bytes 10000000 --count 1
	fault add expired --service glance --match 'GET.*/file' --count 1
	run --separate-stderr catalog import os:0001
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"asking for a new token"* ]]
	same "$BATS_TEST_TMPDIR/a.raw" 0001
	[ "$(requests 'POST /identity/v3/auth/tokens')" -ge 2 ]
}

@test "Glance: a wrong password, what cannot be read, what is not active" {
	openstack
	glance_image 0001 "$BATS_TEST_TMPDIR/password" iso
	glance_image 0002 "$BATS_TEST_TMPDIR/password" qcow2 '{"container_format": "docker"}'
	glance_image 0003 "$BATS_TEST_TMPDIR/password" qcow2 '{"status": "queued"}'
	refused "format is|format 'iso'" import os:0001
	refused "container is 'docker'" import os:0002
	refused "'queued'" import os:0003
	echo wrong >"$BATS_TEST_TMPDIR/password"
	run -1 catalog list os --refresh
	[[ $output == *Keystone*401* ]]
	[[ $output != *wrong* ]]
}

# ---- OpenNebula --------------------------------------------------------------------------------------

@test "OpenNebula's marketplace: list, import by a redirect, digest" {
	mkdir -p "$WEB/one/appliance/6af0/download"
	make_disk "$BATS_TEST_TMPDIR/a.raw" 13
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$WEB/one/real.qcow2"
	ln -s ../../../real.qcow2 "$WEB/one/appliance/6af0/download/0"
	cat >"$BATS_TEST_TMPDIR/market.json" <<-END
		{"appliances": [{"_id": {"\$oid": "6af0"}, "name": "Alpine Linux 3.20", "publisher": "OpenNebula",
		 "format": "qcow2", "version": "6.10", "tags": ["alpine", "linux"], "creation_time": "1713866400",
		 "os-id": "Alpine", "os-release": "3.20", "os-arch": "x86_64",
		 "files": [{"size": "3145728", "md5": "$(md5sum <"$WEB/one/real.qcow2" | cut -c -32)"}]},
		 {"_id": {"\$oid": "7b"}, "name": "a service", "type": "SERVICE_TEMPLATE", "roles": {}}]}
	END
	mv "$WEB/one/appliance" "$WEB/one/files"
	mkdir "$WEB/market"
	cp "$BATS_TEST_TMPDIR/market.json" "$WEB/market/appliance"
	add one opennebula url="$CLOUD_WEB/market"
	run catalog search alpine arch=x86_64 -o json
	[ "$(jq -r '.[0].id' <<<"$output")" = 6af0 ]
	[ "$(jq -r '.[0]."creation-date"' <<<"$output")" = 2024-04-23T10:00:00Z ]
	rm "$WEB/market/appliance"
	mkdir -p "$WEB/market/appliance/6af0/download"
	cp "$WEB/one/real.qcow2" "$WEB/market/appliance/6af0/download/0"
	import one:6af0 --offline
	same "$BATS_TEST_TMPDIR/a.raw" 6af0
}

@test "appliances as YAML, in a folder" {
	make_disk "$BATS_TEST_TMPDIR/a.raw" 14
	cp "$BATS_TEST_TMPDIR/a.raw" "$WEB/a.raw"
	mkdir -p "$BATS_TEST_TMPDIR/market/appliances"
	cat >"$BATS_TEST_TMPDIR/market/appliances/abc-1.yaml" <<-END
		---
		name: Debian 12
		version: 6.10.0-1
		publisher: OpenNebula Systems
		tags: [debian]
		format: raw
		creation_time: 1713866400
		os-id: Debian
		os-release: '12'
		os-arch: aarch64
		opennebula_template: {context: {network: 'YES'}}
		images:
		- name: debian12
		  url: $CLOUD_WEB/a.raw
		  size: 3145728
		  checksum:
		    md5: d41d8cd98f00b204e9800998ecf8427e
		    sha256: $(sha256sum <"$WEB/a.raw" | cut -c -64)
	END
	add yaml opennebula url="$BATS_TEST_TMPDIR/market"
	run catalog search os=debian arch=arm64
	[[ $output == *yaml:abc-1* ]]
	import yaml:abc-1
	same "$BATS_TEST_TMPDIR/a.raw" abc-1
	sed -i 's/url: .*/url: file:\/\/\/etc\/passwd/' "$BATS_TEST_TMPDIR/market/appliances/abc-1.yaml"
	run -1 import yaml:abc-1 --refresh --name b
	[[ $output == *"none of the web"* ]]
}
