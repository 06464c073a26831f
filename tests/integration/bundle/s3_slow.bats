#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bundles to S3 and back, against OpenStack Swift; boto3 looks at what is there.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup_file() {
	export CLOUD=$BATS_FILE_TMPDIR/cloud
	cd "$TOP" || return
	tests/cloud/cloud start --state "$CLOUD" --owner-pid $$ 3>&- || return 1
	mkdir "$BATS_FILE_TMPDIR/w"
	cd "$BATS_FILE_TMPDIR/w" || return
	make_image image
	keys
	"$MKBUNDLE" --image image --name disk --out b --keys keys --part-size 200000 --style euca2ools
	set -a
	# shellcheck disable=SC1091
	. "$CLOUD/env"
	set +a
	boto 's3.create_bucket(Bucket="images")'
}

teardown_file() { "$TOP/tests/cloud/cloud" stop --state "$CLOUD"; }

setup() {
	cd "$BATS_FILE_TMPDIR/w" || return
	set -a
	# shellcheck disable=SC1091
	. "$CLOUD/env"
	set +a
	mark
}

boto() { # PYTHON
	python3 -c 'import boto3, os, sys
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"), config=Config(s3={"addressing_style": "path"}))
exec(sys.argv[1])' "$1"
}

# Requests since the last mark, and those of them that have a word.
mark() { MARK=$(wc -l <"$CLOUD/log/requests.log"); }
since() { tail -n "+$((MARK + 1))" "$CLOUD/log/requests.log" | grep -w "$1"; }
# were WORD N: so many lines have it, a method mostly; a line comes shortly after its answer.
were() {
	local n
	for _ in $(seq 600); do
		n=$(since "$1" | grep -c . || true)
		[ "$n" -lt "$2" ] || break
		sleep 0.05
	done
	[ "$n" = "$2" ]
}

@test "all parts, then the manifest; a second time nothing but the manifest" {
	local n
	n=$(find b -name 'disk.part.*' | wc -l)
	"$BUNDLE" upload --acl private b/disk.manifest.xml s3://images/path/to
	were PUT $((n + 1))
	since PUT | tail -n 1 | grep -q 'disk.manifest.xml'
	boto 'import hashlib
for f in os.listdir("b"):
    assert s3.get_object(Bucket="images", Key="path/to/" + f)["Body"].read() == open("b/" + f, "rb").read()'
	mark
	"$BUNDLE" upload --acl private b/disk.manifest.xml s3://images/path/to/
	were PUT 1
	boto 's3.put_object(Bucket="images", Key="path/to/disk.part.01", Body=b"x")'
	mark
	"$BUNDLE" upload --acl private b/disk.manifest.xml s3://images/path/to
	were PUT 2
}

@test "and back, where parts that are right are not fetched again" {
	"$BUNDLE" upload --acl private b/disk.manifest.xml s3://images
	"$BUNDLE" download s3://images/disk.manifest.xml back
	diff -r b back
	rm back/disk.part.02 back/disk.manifest.xml
	mark
	"$BUNDLE" download s3://images/disk.manifest.xml back
	were GET 2
	diff -r b back
	echo mine >back/disk.part.03
	refuses "exists and is not what the manifest says" download s3://images/disk.manifest.xml back
	[ "$(cat back/disk.part.03)" = mine ]
	"$BUNDLE" download --force s3://images/disk.manifest.xml back
	diff -r b back
	opens back/disk.manifest.xml image
}

@test "a bundle is opened, verified and shown where it lies, each part fetched once" {
	local n
	n=$(find b -name 'disk.part.*' | wc -l)
	"$BUNDLE" upload --acl private b/disk.manifest.xml s3://images/here
	mkdir -p empty tmp
	mark
	(cd empty && TMPDIR=../tmp "$BUNDLE" open -j 3 -k ../keys/user.key.pem -O qcow2 s3://images/here/disk.manifest.xml d.qcow2)
	were GET $((n + 1))
	qemu-img compare -f raw -F qcow2 image empty/d.qcow2
	[ "$(find empty tmp -type f)" = empty/d.qcow2 ]
	mark
	run --separate-stderr "$BUNDLE" verify -k keys/user.key.pem s3://images/here/disk.manifest.xml
	[ "$status" = 0 ]
	has "$output" "parts:     $n"
	has "$output" "image:     4194304 bytes, digest right"
	were GET $((n + 1))
	mark
	diff <("$BUNDLE" info -o json s3://images/here/disk.manifest.xml) <("$BUNDLE" info -o json b/disk.manifest.xml)
	were GET 1
	boto 's3.put_object(Bucket="images", Key="here/disk.part.02", Body=b"x" * 200000)'
	cd empty
	refuses "part 2 'disk.part.02'.*digest|SHA-1" open --force -k ../keys/user.key.pem s3://images/here/disk.manifest.xml never
	boto 's3.delete_object(Bucket="images", Key="here/disk.part.02")'
	refuses "disk.part.02" open -k ../keys/user.key.pem s3://images/here/disk.manifest.xml never
	refuses "beside its manifest" open -d .. -k ../keys/user.key.pem s3://images/here/disk.manifest.xml never
	refuses "does not name a manifest" info s3://images
	refuses "none.manifest.xml" verify s3://images/none.manifest.xml
	boto 's3.put_object(Bucket="images", Key="x.ova", Body=b"x" * 200000)'
	refuses "x.ova" open s3://images/x.ova never
}

@test "other deliveries go as files, large ones in parts, and come back" {
	local n
	"$BUNDLE" create --for ova image web.ova
	"$BUNDLE" create --for openstack image web.qcow2
	truncate -s 70M big
	"$BUNDLE" create --for azure -f raw big big.vhd
	printf 'in the middle' | dd of=big.vhd bs=1M seek=33 conv=notrunc status=none
	mark
	"$BUNDLE" upload web.ova web.qcow2 web.json big.vhd s3://images/of/clouds
	boto 'for f in "web.ova", "web.qcow2", "web.json", "big.vhd":
    assert s3.get_object(Bucket="images", Key="of/clouds/" + f)["Body"].read() == open(f, "rb").read(), f'
	were PUT 8 # three files, five parts
	mark
	"$BUNDLE" download -j 3 s3://images/of/clouds/big.vhd files
	cmp big.vhd files/big.vhd
	n=$(((70 + 7) / 8 + 1))
	were range=bytes 9
	[ "$(since GET | grep -c .)" -le "$n" ]
	"$BUNDLE" download s3://images/of/clouds/web.ova files
	cmp web.ova files/web.ova
	"$BUNDLE" verify files/web.ova
	echo mine >files/web.ova
	refuses "'files/web.ova' exists" download s3://images/of/clouds/web.ova files
	[ "$(cat files/web.ova)" = mine ]
	"$BUNDLE" download --force s3://images/of/clouds/web.ova files
	cmp web.ova files/web.ova
	: >empty.raw
	refuses "'empty.raw' is empty" upload empty.raw s3://images
	refuses "no regular file" upload files s3://images
	refuses "does not name a file" download s3://images/of/clouds/ files
	[ "$(cd files && echo * .[!.]*)" = "big.vhd web.ova .[!.]*" ]
}

@test "a file whose server breaks off is resumed, one that may not be read leaves nothing" {
	truncate -s 30M big
	"$BUNDLE" upload big s3://images/broken
	"$TOP/tests/cloud/cloud" fault --state "$CLOUD" add drop --service s3 --match '^GET /.*big' --bytes 1000000 --count 2
	"$BUNDLE" download s3://images/broken/big dropped
	cmp big dropped/big
	"$TOP/tests/cloud/cloud" fault --state "$CLOUD" add status --service s3 --match '^GET /.*big' --status 403
	mkdir dropped2
	refuses "s3://images/broken/big" download s3://images/broken/big dropped2
	"$TOP/tests/cloud/cloud" fault --state "$CLOUD" clear
}

@test "a part that is damaged on either side is told, and the manifest does not come" {
	cp -r b bad
	printf x >>bad/disk.part.01
	run "$BUNDLE" upload --acl private bad/disk.manifest.xml s3://images/bad
	[ "$status" = 1 ]
	has "$output" "part 1 'disk.part.01' is not what the manifest says"
	boto 'keys = [o["Key"] for o in s3.list_objects_v2(Bucket="images", Prefix="bad/").get("Contents", [])]
assert not [k for k in keys if "manifest" in k or "part.01" in k], keys'
	"$BUNDLE" upload --acl private b/disk.manifest.xml s3://images/damaged
	boto 's3.put_object(Bucket="images", Key="damaged/disk.part.01", Body=b"x")'
	run "$BUNDLE" download s3://images/damaged/disk.manifest.xml damaged
	[ "$status" = 1 ]
	has "$output" "'s3://images/damaged/disk.part.01' is not what the manifest says"
	[ ! -e damaged/disk.manifest.xml ]
	[ ! -e damaged/disk.part.01 ]
}

@test "what is not there, and what is no such URL" {
	mkdir elsewhere
	cd elsewhere
	echo x >x
	refuses "s3://images/none" download s3://images/none.manifest.xml nothing
	[ ! -e nothing ]
	refuses "s3://" download images/x nothing
	# Nothing is sent, or fetched, where the command line is wrong.
	run -2 "$BUNDLE" upload x - s3://images/early
	refuses "s3://images/early/x" download s3://images/early/x nothing
	run -2 "$BUNDLE" download s3://images/x ''
	refuses "NoSuchBucket" upload --acl private ../b/disk.manifest.xml s3://no-such-bucket-here
	# Swift does not know EC2's.
	refuses "HTTP 400" upload ../b/disk.manifest.xml s3://images/acl
}

@test "a signal leaves no parts behind that cost money" {
	truncate -s 400M large
	"$BUNDLE" upload -q -j 1 large s3://images/signal &
	pid=$!
	for _ in $(seq 1200); do
		since PUT >/dev/null && break
		sleep 0.05
	done
	since PUT
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	[ "$status" = 143 ]
	boto 'assert "Uploads" not in s3.list_multipart_uploads(Bucket="images"), "an upload is left behind"
assert "Contents" not in s3.list_objects_v2(Bucket="images", Prefix="signal/")'
	rm large
}

@test "what is fetched has the mode that the umask leaves it" {
	(
		umask 077
		"$BUNDLE" download s3://images/path/to/disk.manifest.xml private
	)
	[ "$(stat -c %a private/* | sort -u)" = 600 ]
}
