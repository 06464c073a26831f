# Servers and catalogs that lie, break off, repeat themselves, or want too much.

bats_require_minimum_version 1.5.0
load sources

setup_file() { web_up; }
teardown_file() { cloud_down; }
setup() { fresh_sources; }
teardown() {
	if [ -e "$BATS_TEST_TMPDIR/proxy.pid" ]; then
		kill "$(cat "$BATS_TEST_TMPDIR/proxy.pid")"
	fi
}

# streams PRODUCTS-JSON: a simplestreams of that document alone.
streams() {
	mkdir -p "$WEB/s/streams/v1"
	echo '{"format": "index:1.0", "index": {"a": {"format": "products:1.0",
		"datatype": "image-downloads", "path": "streams/v1/p.json"}}}' >"$WEB/s/streams/v1/index.json"
	cat >"$WEB/s/streams/v1/p.json"
	catalog source list | grep -q '^s ' || add s simplestreams url="$CLOUD_WEB/s"
}
# one_line PATTERN COMMAND...: exit 1 and one line that matches.
one_line() {
	local pattern=$1
	shift
	run --separate-stderr "$@"
	echo "status $status: $stderr"
	[ "$status" -eq 1 ]
	[ "$(printf '%s\n' "$stderr" | wc -l)" -eq 1 ]
	[[ $stderr =~ $pattern ]]
}

# ---- catalogs ---------------------------------------------------------------------------------------

@test "names with control characters reach neither the terminal nor the file system" {
	streams <<-'END'
		{"format": "products:1.0", "products": {"p\u001b[2J/../../etc": {"arch": "amd64",
		 "versions": {"2024": {"pubname": "../../\u001b]0;x\u0007 evil", "items": {
		 "i\n\t\\": {"ftype": "disk1.img", "path": "a.img", "size": 5}}}}}}}
	END
	run catalog search evil
	[ "${#lines[@]}" -eq 2 ]
	[[ $output != *$'\e'* ]]
	run catalog search evil -o json
	jq -e '.[0].name == "../../\u001b]0;x\u0007 evil"' <<<"$output"
	echo 12345 >"$WEB/s/a.img"
	run -1 import "s:$(jq -r '.[0].id' <<<"$output")"
	[ -z "$(find "$BATS_TEST_TMPDIR" -name '*evil*')" ]
}

@test "paths in a catalog lead to the web alone" {
	local path
	for path in file:///etc/x.img ftp://x/y.img 'http://user:pw@h/a.img' 's3://b/k.img'; do
		streams <<<'{"format": "products:1.0", "products": {"p": {"versions": {"1": {"items": {
			"i": {"ftype": "disk1.img", "path": "'"$path"'"}}}}}}}'
		one_line "leads nowhere" catalog list s --refresh
	done
}

@test "documents that are too large, too deep, doubled, or no JSON" {
	streams <<<'{}'
	one_line "no 'format'" catalog list s
	truncate -s 65M "$WEB/s/streams/v1/p.json"
	one_line "p.json.*(more than|bytes)" catalog list s --refresh
	# As long as it likes, it is neither held in memory nor fetched to its end.
	truncate -s 1G "$WEB/s/streams/v1/p.json"
	one_line "p.json.*(more than|bytes)" /usr/bin/time -q -o "$BATS_TEST_TMPDIR/rss" -f %M \
		"$BINDIR/catalog" list s --refresh
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/rss")" -lt 200000 ] || [ "$MODE" = asan ]
	python3 -c 'print("[" * 100000)' >"$WEB/s/streams/v1/p.json"
	one_line "p.json.*deep" catalog list s --refresh
	echo '{"format": "products:1.0", "format": "x"}' >"$WEB/s/streams/v1/p.json"
	one_line "p.json.*duplicate" catalog list s --refresh
	echo '<html>Login</html>' >"$WEB/s/streams/v1/p.json"
	one_line "p.json" catalog list s --refresh
	python3 - >"$WEB/s/streams/v1/index.json" <<-'END'
		import json
		print(json.dumps({"format": "index:1.0", "index": {"c%d" % i: {"datatype": "image-downloads", "path": "p"}
		                                                   for i in range(300)}}))
	END
	one_line "more than 200 documents" catalog list s --refresh
}

@test "a page that is its own next one, and one on another server" {
	mkdir -p "$WEB/g/v2"
	add g glance url="$CLOUD_WEB/g"
	echo '{"images": [], "next": "/g/v2/images?limit=200&sort=created_at:desc"}' >"$WEB/g/v2/images"
	one_line "pages go round" catalog list g
	echo '{"images": [], "next": "http://example.org/v2/images"}' >"$WEB/g/v2/images"
	one_line "another server" catalog list g --refresh
	echo '{"images": [], "next": "/g/v2/images?b"}' >"$WEB/g/v2/images"
	one_line "pages go round" catalog list g --refresh
	# By way of another one.
	echo '{"images": [], "next": "/g/v2/images2"}' >"$WEB/g/v2/images"
	echo '{"images": [], "next": "/g/v2/images"}' >"$WEB/g/v2/images2"
	one_line "pages go round" catalog list g --refresh
	[ "$(requests 'GET /g/v2/images')" -lt 20 ]
}

@test "a folder that holds itself, and one with a hundred thousand names" {
	mkdir -p "$WEB/loop"
	ln -s . "$WEB/loop/again"
	add loop directory url="$CLOUD_WEB/loop" depth=8
	catalog list loop
	python3 -c 'print("\n".join("<a href=\"%d.img\">" % i for i in range(20000)))' >"$WEB/many"
	add many directory url="$CLOUD_WEB/many"
	mkdir "$WEB/manyd" && touch "$WEB/manyd/.unlisted"
	python3 -c 'print("\n".join("%064d  %d.img" % (i, i) for i in range(20000)))' >"$WEB/manyd/SHA256SUMS"
	add manyd directory url="$CLOUD_WEB/manyd"
	one_line "more than 10000 files" catalog list manyd
}

# ---- files --------------------------------------------------------------------------------------------

big() {
	make_disk "$BATS_TEST_TMPDIR/a.raw" 21
	truncate -s 40M "$BATS_TEST_TMPDIR/a.raw"
	head -c 35000000 /dev/zero | openssl enc -aes-128-ctr -K "$(printf %032x 3)" -iv "$(printf %032x 0)" |
		dd of="$BATS_TEST_TMPDIR/a.raw" bs=1M seek=5 conv=notrunc status=none
	truncate -s 40M "$BATS_TEST_TMPDIR/a.raw"
	qemu-img convert -O qcow2 "$BATS_TEST_TMPDIR/a.raw" "$WEB/a.qcow2"
	cp "$BATS_TEST_TMPDIR/a.raw" "$WEB/a.raw"
}

@test "every passing fault, twice in a row, at head and body, of raw disks and files" {
	big
	local kind n=0
	for kind in hangup "status --status 503" throttle "drop --bytes 100000" "drop --reset --bytes 5000" \
		"short --bytes 70000" "stall --bytes 1000"; do
		n=$((n + 1))
		# shellcheck disable=SC2086
		fault add $kind --service web --match '^GET /a' --count 2
		[[ $kind == drop* || $kind == short* || $kind == stall* ]] ||
			fault add ${kind} --service web --match '^HEAD' --count 2
		import "$CLOUD_WEB/a.raw" --name "raw$n" --attempt-timeout 1
		same "$BATS_TEST_TMPDIR/a.raw" "raw$n"
		# shellcheck disable=SC2086
		fault add $kind --service web --match '^GET /a' --count 2
		import "$CLOUD_WEB/a.qcow2" --name "file$n" --attempt-timeout 1
		same "$BATS_TEST_TMPDIR/a.raw" "file$n"
		catalog rm "raw$n" "file$n"
	done
}

@test "what fails for good fails at once, and leaves nothing" {
	big
	mkdir -p "$ACCLIMATE_STORE/partial"
	local kind
	for kind in denied missing; do
		fault add $kind --service web
		refused "403|404" import "$CLOUD_WEB/a.qcow2"
		fault clear
	done
	# By HEAD, and at most by GET as well.
	[ "$(requests '/a.qcow2 403 ')" -le 2 ]
	[ "$(requests '/a.qcow2 404 ')" -le 2 ]
}

@test "a server that lies about the size, and one that answers with another range" {
	big
	local sum
	sum=$(sha256sum <"$WEB/a.qcow2" | cut -c -64)
	mkdir "$WEB/d"
	cp "$WEB/a.qcow2" "$WEB/d/"
	echo "$sum  a.qcow2" >"$WEB/d/SHA256SUMS"
	add d directory url="$CLOUD_WEB/d"
	# Less than was asked for, and said to be all: the rest is asked for.
	fault add truncate --service web --match '^GET /d/a.qcow2' --bytes 5000000
	import d:a.qcow2 --name cut
	same "$BATS_TEST_TMPDIR/a.raw" cut
	fault clear
	streams <<<'{"format": "products:1.0", "products": {"p": {"versions": {"1": {"items": {
		"i": {"ftype": "disk1.img", "path": "/d/a.qcow2", "size": 5}}}}}}}'
	run -1 import s:p/1/i --name size
	[[ $output == *"the catalog says 5"* ]]
	fault add corrupt --service web --match '^GET /d/a.qcow2' --offset 4000 --count 1
	run -1 import d:a.qcow2
	[[ $output == *"its sha256 is"* ]]
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
	import d:a.qcow2
	same "$BATS_TEST_TMPDIR/a.raw" a
}

@test "a file that changes in the middle is not made of two halves" {
	big
	cp "$WEB/a.qcow2" "$WEB/b.qcow2"
	printf 'changed' | dd of="$WEB/b.qcow2" bs=1 seek=20000000 conv=notrunc status=none
	fault add drip --service web --match '^GET' --rate 2000000
	interruptible catalog import -q "$CLOUD_WEB/a.qcow2" --workers 1 3>&- &
	pid=$!
	for _ in $(seq 600); do
		[ "$(stat -c %s "$ACCLIMATE_STORE/partial/a/source" 2>/dev/null || echo 0)" -gt 1000000 ] && break
		sleep 0.1
	done
	mv "$WEB/b.qcow2" "$WEB/a.qcow2"
	fault clear
	rc=0
	wait $pid || rc=$?
	[ "$rc" -eq 1 ]
	[ -z "$(ls "$ACCLIMATE_STORE/images")" ]
}

@test "interrupted, a download and a raw disk go on where they were" {
	big
	local name pid before
	for name in a.qcow2 a.raw; do
		fault add drip --service web --match "^GET /$name" --rate 2000000
		interruptible catalog import -q "$CLOUD_WEB/$name" --workers 1 3>&- &
		pid=$!
		for _ in $(seq 600); do
			[ "$(cat "$ACCLIMATE_STORE"/partial/a/{source,disk.qcow2} 2>/dev/null | wc -c)" -gt 10000000 ] && break
			sleep 0.1
		done
		kill -INT $pid
		rc=0
		wait $pid || rc=$?
		[ "$rc" -eq 130 ]
		fault clear
		run --separate-stderr catalog import "$CLOUD_WEB/$name"
		echo "$stderr"
		[ "$status" -eq 0 ]
		[[ $stderr == *"went on at"* ]]
		same "$BATS_TEST_TMPDIR/a.raw" a
		catalog rm a
	done
}

@test "--timeout ends it in time, with what there is kept" {
	big
	# Some of it comes at once, the rest does not.
	fault add stall --service web --match '^GET /a' --skip 2
	run --separate-stderr catalog import -q "$CLOUD_WEB/a.qcow2" --timeout 10 --workers 1
	echo "$stderr"
	[ "$status" -eq 1 ]
	[[ $stderr == *"it took longer than 10 s"* ]]
	[ -e "$ACCLIMATE_STORE/partial/a/source" ]
}

@test "what is waited for is said on stderr" {
	big
	fault add status --service web --status 503 --count 1
	run --separate-stderr catalog import "$CLOUD_WEB/a.qcow2"
	[ "$status" -eq 0 ]
	[[ $stderr == *"waiting: "*"HTTP 503"*"attempt 2 of"* ]]
}

@test "two imports of one file at once: one image, and the other is told" {
	big
	# It goes on when the fault is cleared, and no sooner.
	fault add stall --service web --match '^GET' --bytes 100000
	interruptible catalog import -q "$CLOUD_WEB/a.qcow2" --attempt-timeout 2 3>&- &
	first=$!
	for _ in $(seq 1200); do [ -e "$ACCLIMATE_STORE/partial/a" ] && break; sleep 0.05; done
	run --separate-stderr import "$CLOUD_WEB/a.qcow2"
	[ "$status" -eq 1 ]
	[[ $stderr == *"under way"* ]]
	fault clear
	wait $first
	same "$BATS_TEST_TMPDIR/a.raw" a
}

@test "a proxy of the environment is used" {
	big
	python3 -B tests/integration/catalog/proxy.py "${CLOUD_WEB##*:}" "$BATS_TEST_TMPDIR/proxy.log" \
		>"$BATS_TEST_TMPDIR/port" 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/proxy.pid"
	for _ in $(seq 1200); do [ -s "$BATS_TEST_TMPDIR/port" ] && break; sleep 0.05; done
	http_proxy=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/port") import http://images.example/a.qcow2
	same "$BATS_TEST_TMPDIR/a.raw" a
	grep -q '^GET http://images.example/a.qcow2' "$BATS_TEST_TMPDIR/proxy.log"
}

@test "what GCE exports is opened: ours, and GNU tar's" {
	make_disk "$BATS_TEST_TMPDIR/disk.raw" 22
	truncate -s 1G "$BATS_TEST_TMPDIR/disk.raw"
	bundle create --for gce "$BATS_TEST_TMPDIR/disk.raw" "$WEB/ours.tar.gz"
	import "$CLOUD_WEB/ours.tar.gz" --name ours
	same "$BATS_TEST_TMPDIR/disk.raw" ours
	tar --format=oldgnu -C "$BATS_TEST_TMPDIR" -Sczf "$BATS_TEST_TMPDIR/gnu.tar.gz" disk.raw
	import "$BATS_TEST_TMPDIR/gnu.tar.gz" --name gnu
	same "$BATS_TEST_TMPDIR/disk.raw" gnu
	# Of two files in it, neither is the disk.
	cp "$BATS_TEST_TMPDIR/disk.raw" "$BATS_TEST_TMPDIR/other.raw"
	tar --format=oldgnu -C "$BATS_TEST_TMPDIR" -Sczf "$BATS_TEST_TMPDIR/two.tar.gz" other.raw disk.raw
	run --separate-stderr -1 import "$BATS_TEST_TMPDIR/two.tar.gz" --name two
	echo "$stderr"
	[ "${#stderr_lines[@]}" -eq 1 ]
	[ -z "$(ls "$ACCLIMATE_STORE/partial")" ]
}

@test "an OVA is opened" {
	big
	bundle create --for ova "$BATS_TEST_TMPDIR/a.raw" "$WEB/vm.ova"
	import "$CLOUD_WEB/vm.ova"
	same "$BATS_TEST_TMPDIR/a.raw" vm
	import "$CLOUD_WEB/vm.ova" --name packed --compress zstd
	same "$BATS_TEST_TMPDIR/a.raw" packed
	qemu-img info --output=json "$(disk packed)" | jq -e '."format-specific".data."compression-type" == "zstd"'
}
