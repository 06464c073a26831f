# Every fault of the loopback cloud at every stage of an AMI's import, twice in a row.

bats_require_minimum_version 1.5.0
load sources

setup_file() {
	cloud_up
	export WEB=$CLOUD/web DISK_EBS DISK_BUNDLE
	# Small disks: what counts is the number of imports.
	local dir=$BATS_FILE_TMPDIR/small
	mkdir -p "$dir/ebs" "$dir/bundle"
	make_disk "$dir/ebs/disk.raw" 31
	truncate -s 1G "$dir/ebs/disk.raw"
	echo '{"kind": "ebs", "name": "small", "architecture": "x86_64",
		"root_device_name": "/dev/xvda", "virtualization_type": "hvm"}' >"$dir/ebs/image.json"
	make_disk "$dir/small.raw" 32
	tests/cloud/mkbundle --image "$dir/small.raw" --name small --out "$dir/bundle" \
		--keys "$BATS_FILE_TMPDIR/ami/keys" --part-size 1048576
	echo '{"kind": "instance-store", "name": "small-is", "architecture": "x86_64",
		"root_device_name": "/dev/sda1", "virtualization_type": "hvm"}' >"$dir/bundle/image.json"
	DISK_EBS=$(tests/cloud/cloud load --state "$CLOUD" "$dir/ebs")
	DISK_BUNDLE=$(tests/cloud/cloud load --state "$CLOUD" "$dir/bundle")
}
teardown_file() { cloud_down; }
setup() {
	fresh_sources
	SMALL=$BATS_FILE_TMPDIR/small
	add ec2 ec2
}

# survives AMI RAW SERVICE MATCH FAULT...: each fault twice; the image is whole all the same.
survives() {
	local ami=$1 raw=$2 service=$3 match=$4 kind
	shift 4
	for kind in "$@"; do
		echo "$service $match: $kind"
		# shellcheck disable=SC2086
		fault add $kind --service "$service" --match "$match" --count 2
		import "$ami" --name x --attempt-timeout 1
		same "$raw" x
		# What is only slow is not asked for again.
		[[ $kind == drip* ]] || [ "$(tests/cloud/cloud fault --state "$CLOUD" list | wc -l)" -eq 0 ]
		fault clear
		catalog rm x
	done
}
# gives_up AMI SERVICE MATCH FAULT...: each fault ends it, in one line; nothing is in the store.
gives_up() {
	local ami=$1 service=$2 match=$3 kind
	shift 3
	for kind in "$@"; do
		echo "$service $match: $kind"
		# shellcheck disable=SC2086
		fault add $kind --service "$service" --match "$match"
		run --separate-stderr import "$ami" --name x
		echo "$stderr"
		[ "$status" -eq 1 ]
		[ "$(printf '%s\n' "$stderr" | wc -l)" -eq 1 ]
		[ -z "$(ls "$ACCLIMATE_STORE/images")" ]
		fault clear
	done
}
PASSING=(hangup "status --status 500" throttle "drop --bytes 20")
SLOW=("stall --bytes 10" "drip --rate 20000")

@test "DescribeImages" {
	survives "$DISK_EBS" "$SMALL/ebs/disk.raw" ec2 Action=DescribeImages "${PASSING[@]}" "${SLOW[@]}"
	gives_up "$DISK_EBS" ec2 Action=DescribeImages denied missing expired "truncate --bytes 300" "short --bytes 300" "corrupt --offset 60"
}

@test "the list of blocks" {
	survives "$DISK_EBS" "$SMALL/ebs/disk.raw" ebs '/blocks($|\?)' "${PASSING[@]}" "${SLOW[@]}" empty-page
	gives_up "$DISK_EBS" ebs '/blocks($|\?)' missing denied expired "truncate --bytes 100" "short --bytes 100" "corrupt --offset 3"
}

@test "blocks" {
	survives "$DISK_EBS" "$SMALL/ebs/disk.raw" ebs '/blocks/[0-9]' "${PASSING[@]}" "stall --bytes 10" "drop --reset --bytes 70000" "drip --rate 2000000"
	survives "$DISK_EBS" "$SMALL/ebs/disk.raw" ebs '/blocks/2\?' "status --status 502"
	gives_up "$DISK_EBS" ebs '/blocks/2\?' denied missing expired checksum corrupt "truncate --bytes 1000" "short --bytes 1000"
	gives_up "$DISK_EBS" ebs '/blocks($|\?)' "short-expiry --seconds 0"
}

@test "the manifest of a bundle" {
	survives "$DISK_BUNDLE" "$SMALL/small.raw" s3 'small.manifest.xml' "${PASSING[@]}" "${SLOW[@]}"
	gives_up "$DISK_BUNDLE" s3 'small.manifest.xml' denied missing expired "truncate --bytes 300" "short --bytes 300" "corrupt --offset 900"
}

@test "parts of a bundle" {
	survives "$DISK_BUNDLE" "$SMALL/small.raw" s3 'small.part.1' "${PASSING[@]}" "stall --bytes 10" "drop --reset --bytes 70000" "drip --rate 2000000"
	gives_up "$DISK_BUNDLE" s3 'small.part.1' denied missing expired corrupt "truncate --bytes 1000" "short --bytes 1000"
}

@test "another region is followed once, signed anew; round and round it is not" {
	fault add redirect --service s3 --region eu-west-1 --match small --count 1
	run --separate-stderr import "$DISK_BUNDLE" --name x
	echo "$stderr"
	# What was refused was signed for our region, what came next for the one that it was sent to.
	[ "$(grep -A 1 ' 301 .*fault=' "$CLOUD/log/requests.log" | head -n 2 |
		sed 's/.*region=\([^ ]*\).*/\1/' | paste -sd' ')" = "us-east-1 eu-west-1" ]
	fault clear
	rm -rf "$ACCLIMATE_STORE"
	gives_up "$DISK_BUNDLE" s3 small "redirect --region eu-west-1" "wrong-region --region eu-west-1"
}

@test "a clock that is wrong is said to be" {
	run -1 faketime '2 hours ago' catalog show "$DISK_EBS"
	[[ $output =~ clock|time|skew ]]
}
