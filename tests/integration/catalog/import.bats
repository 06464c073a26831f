# catalog import against the cloud on loopback: one quick test a behaviour. How it fails otherwise is in
# import_slow.bats, what each fault does at each stage in faults_slow.bats.

bats_require_minimum_version 1.5.0
load common

setup_file() { cloud_up small; }
teardown_file() { cloud_down; }
setup() { fresh_store; }

@test "an instance-store AMI becomes a disk with its partition, verified" {
	run --separate-stderr import "$AMI_BUNDLE" -o json
	echo "$stderr"
	[ "$status" -eq 0 ]
	same_bundle "$AMI_BUNDLE"
	[[ $output == *'"manifest signature (RSA, SHA-1)"'* ]]
	[[ $output == *'"kernel": "/boot/vmlinuz-6.1.0-test"'* ]]
	sfdisk -J "$BATS_TEST_TMPDIR/raw" | grep -q '"start": 2048'
	e2fsck -fn "$BATS_TEST_TMPDIR/raw?offset=1048576"
}

@test "an EBS AMI becomes its disk, once; the store lists, shows and removes it" {
	import "$AMI_EBS" --name mine --compress zlib
	same_ebs mine
	[ "$(qemu-img info "$(disk mine)" | grep -c 'compression type: zlib')" -eq 1 ]
	before=$(stat -c '%i %Y' "$(disk mine)")
	run --separate-stderr import "$AMI_EBS" --name mine
	[ "$status" -eq 1 ]
	[[ $stderr == *"in the store already"* ]]
	[ "$(stat -c '%i %Y' "$(disk mine)")" = "$before" ]
	run catalog images
	[[ $output == *mine*1.00\ GiB*test-ebs* ]]
	run catalog show mine -o json
	[[ $output == *"\"id\": \"$AMI_EBS\""* ]]
	catalog rm mine
	store_is_empty
	run catalog rm mine
	[ "$status" -eq 1 ]
}

@test "an overlay is injected on the way" {
	mkdir -p "$BATS_TEST_TMPDIR/ov/etc"
	echo hello >"$BATS_TEST_TMPDIR/ov/etc/acclimate-test"
	import "$AMI_EBS" --overlay "$BATS_TEST_TMPDIR/ov"
	qemu-img convert -f qcow2 -O raw "$(disk "$AMI_EBS")" "$BATS_TEST_TMPDIR/raw"
	e2fsck -fn "$BATS_TEST_TMPDIR/raw?offset=1048576"
	[ "$(debugfs -R 'cat /etc/acclimate-test' "$BATS_TEST_TMPDIR/raw?offset=1048576" 2>/dev/null)" = hello ]
}

@test "the cloud's images are listed, with filters" {
	run catalog list
	[[ $output == *"$AMI_BUNDLE"* ]]
	[[ $output == *"$AMI_EBS"* ]]
	run catalog list --filter name=test-e* -o json
	[[ $output == *"$AMI_EBS"* ]]
	[[ $output != *"$AMI_BUNDLE"* ]]
	run catalog show "$AMI_BUNDLE"
	[[ $output == *"virtualization: paravirtual"* ]]
}

@test "a private key that is another's, or lacking, and a signature by somebody else are refused" {
	openssl genrsa -out "$BATS_TEST_TMPDIR/other.pem" 1024 2>/dev/null
	refused "key" import "$AMI_BUNDLE" --private-key "$BATS_TEST_TMPDIR/other.pem"
	refused "signature" import "$AMI_BUNDLE" --cert "$BATS_TEST_TMPDIR/other.pem"
	unset EC2_PRIVATE_KEY
	refused "private key" import "$AMI_BUNDLE"
}

@test "a part and a block that were altered are refused" {
	fault add corrupt --service s3 --match 'root.part.1'
	refused "part[.]1.*SHA-1" import "$AMI_BUNDLE"
	fault add corrupt --service ebs --match '/blocks/21'
	refused "block 21.*SHA-256" import "$AMI_EBS"
}

@test "an AMI that nobody knows, an id that is none, and no credentials" {
	refused "ami-0123456789abcdef0.*(not|exist)" import ami-0123456789abcdef0
	refused "ami-xyz" import ami-xyz
	refused "debian" import debian
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export HOME=$BATS_TEST_TMPDIR AWS_EC2_METADATA_DISABLED=true
	refused "credentials" import "$AMI_EBS"
}

# written AMI N: until so many bytes were written into its disk, wherever they belong.
written() {
	for _ in $(seq 1200); do
		[ $(($(stat -c '%b * %B' "$ACCLIMATE_STORE/partial/$1/disk.qcow2" 2>/dev/null || echo 0))) -lt "$2" ] || return 0
		sleep 0.05
	done
	return 1
}

# kept AMI N: until so many parts of 256 KiB lie there whole.
kept() {
	for _ in $(seq 1200); do
		[ "$(find "$ACCLIMATE_STORE/partial/$1/parts" -size 262144c 2>/dev/null | wc -l)" -lt "$2" ] || return 0
		sleep 0.05
	done
	return 1
}

# stopped AMI BYTES COMMAND...: SIGINT comes when its disk has so many, and the command has ended well.
stopped() {
	interruptible catalog import -q "$1" 3>&- &
	local pid=$! rc=0
	"${@:3}"
	wait_half "$1" "$2"
	kill -INT $pid
	wait $pid || rc=$?
	[ "$rc" -eq 130 ]
	[ -z "$(ls "$ACCLIMATE_STORE/images")" ]
}

@test "SIGINT in the middle of a bundle: the next import fetches what is missing" {
	fault add stall --service s3 --match 'root.part.[3-9]' --bytes 1000
	stopped "$AMI_BUNDLE" 700000 kept "$AMI_BUNDLE" 3
	fault clear
	before=$(requests 'GET .*root.part.[0-2]')
	run --separate-stderr catalog import "$AMI_BUNDLE"
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"went on with 3 of"* ]]
	[ "$(requests 'GET .*root.part.[0-2]')" -eq "$before" ]
	same_bundle "$AMI_BUNDLE"
	[ "$(cd "$ACCLIMATE_STORE" && echo partial/* images/*/*)" = "partial/* images/$AMI_BUNDLE/disk.qcow2 images/$AMI_BUNDLE/image.json" ]
}

@test "SIGINT in the middle of a snapshot: the next import goes on" {
	fault add stall --service ebs --match 'blocks/(2[4-9]|3[01])' --bytes 1000
	# The partition's random bytes, and blocks 20 to 23.
	stopped "$AMI_EBS" 1000000 written "$AMI_EBS" $(((1792 + 4 * 512) * 1024))
	fault clear
	local first=$(($(wc -l <"$CLOUD/log/requests.log") + 1))
	run --separate-stderr catalog import "$AMI_EBS"
	echo "$stderr"
	[ "$status" -eq 0 ]
	# Block 24 was the first that did not come; the last ones before it may not have had their turn. Where it
	# went on, and no earlier, blocks are asked for again.
	[[ $stderr =~ "went on at "([0-9.]+)" "([KM]i)B ]]
	local from
	from=$(($(numfmt --from=iec-i "${BASH_REMATCH[1]}${BASH_REMATCH[2]}") / 524288))
	tail -n "+$first" "$CLOUD/log/requests.log" |
		sed -n 's|.* GET /snapshots/.*/blocks/\([0-9]*\).*|\1|p' | sort -n >"$BATS_TEST_TMPDIR/asked"
	[ "$(head -n 1 "$BATS_TEST_TMPDIR/asked")" -ge "$from" ]
	[ "$from" -gt 0 ]
	[ "$from" -le 24 ]
	same_ebs "$AMI_EBS"
}
