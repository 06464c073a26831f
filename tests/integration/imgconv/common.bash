# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of imgconv share.
: "${BINDIR:=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)/bin}"
IMGCONV=$BINDIR/imgconv
# Where the tests began is not where they are.
HERE=$BATS_TEST_DIRNAME
export IMGCONV HERE

# A folder in memory if it can be: syncing is waited for often enough elsewhere. Several files of tests
# run at once, and one takes up to 300 MiB.
make_work() {
	local free
	free=$(df --output=avail -B 1M /dev/shm 2>/dev/null | tail -n 1)
	WORK=
	[ "${free:-0}" -lt 1500 ] || WORK=$(mktemp -d /dev/shm/imgconv.XXXXXX 2>/dev/null) || WORK=
	[ -n "$WORK" ] || WORK=$(mktemp -d)
	export WORK
	cd "$WORK" || return
}
# Where a whole file is skipped there is nothing to remove.
remove_work() {
	[ -n "${WORK:-}" ] || return 0
	cd / && rm -rf "$WORK" "$WORK.err"
}

# The formats that imgconv knows, raw last.
formats() {
	"$IMGCONV" --version | sed -n 's/^formats: //p'
}

# few WORD...: the first two of what a test goes through; in *_all_slow.bats, which are links to the
# quick tests, all of it.
few() {
	case $BATS_TEST_FILENAME in
	*_slow.bats) ;;
	*) set -- "${@:1:2}" ;;
	esac
	printf '%s\n' "$@"
}

# shellcheck disable=SC2046 # they are words
few_formats() { few $(formats); }

# one_in N: of the lines of a list, likewise.
one_in() {
	case $BATS_TEST_FILENAME in
	*_slow.bats) cat ;;
	*) sed -n "1~$1p" ;;
	esac
}

# What qemu-img calls a format; a fixed VHD is raw to it.
qemu_name() { [ "$1" = vhd ] && echo vpc || echo "$1"; }

# make_disk FILE SIZE: runs of noise, text and single bytes with holes between; the same each time.
make_disk() {
	rm -f "$1"
	truncate -s "$2" "$1"
	/usr/bin/python3 - "$1" <<-'PY'
		import os, random, sys
		rnd = random.Random(7)
		size = os.path.getsize(sys.argv[1])
		with open(sys.argv[1], "r+b") as f:
		    for i in range(40):
		        n = min(rnd.randrange(1, size // 30 + 2), size)
		        f.seek(rnd.randrange(size - n + 1) if size else 0)
		        f.write(rnd.randbytes(n) if i % 3 == 0 else
		                (b"%d the quick brown fox " % i * (n // 20 + 1))[:n] if i % 3 == 1 else
		                bytes([i]) * n)
	PY
}

# same RAW IMAGE: qemu-img finds the image clean and its guest's bytes those of RAW.
same() {
	qemu-img check -q -f qcow2 "$2"
	qemu-img compare -q -f raw -F qcow2 "$1" "$2"
}

# fails TEXT ARG...: imgconv ends with 1, says TEXT in its one line, and leaves no file behind.
fails() {
	local text=$1 before status=0
	shift
	before=$(ls -A)
	"$IMGCONV" "$@" >/dev/null 2>"$WORK.err" || status=$?
	if [ "$status" != 1 ] || [ "$(wc -l <"$WORK.err")" != 1 ] ||
		! grep -qF -e "$text" "$WORK.err" || [ "$(ls -A)" != "$before" ]; then
		echo "imgconv $*: status $status, wanted '$text', got:"
		cat "$WORK.err"
		ls -A
		return 1
	fi
}

# refuses_all FORMAT FOLDER: for each line NAME<TAB>TEXT of the input, FOLDER/NAME.FORMAT is refused
# with one line that has TEXT, and nothing is left behind.
refuses_all() {
	local name text message n=0
	while IFS=$'\t' read -r name text; do
		n=$((n + 1))
		if message=$("$IMGCONV" convert -f "$1" -O raw "$2/$name.$1" out.raw 2>&1) ||
			[[ $message != *"$text"* || $message == *$'\n'* || -e out.raw ]]; then
			echo "$name: wanted '$text', got: $message"
			return 1
		fi
	done
	[ $n -gt 20 ]
}
