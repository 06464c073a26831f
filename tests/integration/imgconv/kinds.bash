# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What commands have to do with every kind of image. The disk is disk.raw, of 5 MiB or more; full.raw
# is the same without holes.

# What a format can be, a line each: FORMAT -o KEY=VALUE for each subformat that is one file, or
# FORMAT where there are none.
kinds() {
	local f s some
	for f in $(formats); do
		some=
		for s in $("$IMGCONV" completion bash | grep -oE 'subformat=[A-Za-z]*' | sort -u); do
			case $s in
			*Flat | *twoGb*) ;;
			*) "$IMGCONV" measure -O "$f" -o "$s" --size 1M >/dev/null 2>&1 &&
				some=1 && echo "$f -o $s" ;;
			esac
		done
		[ "$some" ] || echo "$f"
	done
}

# Those of several files too, and what is compressed.
measured_kinds() {
	kinds
	"$IMGCONV" completion bash | grep -oE 'subformat=(twoGb|monolithicF)[A-Za-z]*' | sort -u |
		sed 's/^/vmdk -o /'
	echo "qcow2 -o cluster_size=512"
	echo "qcow2 -o cluster_size=2M"
	echo "qcow2 -o compression=zlib"
	echo "qcow2 -o compression=zstd,cluster_size=4096"
	echo "raw -o compression=gzip"
}

# expected_map RAW: what --scan has to find, 4 KiB blocks that are not all zeros; lines of start,
# length and data or zero.
expected_map() {
	/usr/bin/python3 - "$1" <<-'PY'
		import sys
		data = open(sys.argv[1], "rb").read()
		last = None
		for off in range(0, len(data), 4096):
		    block = data[off:off + 4096]
		    kind = "data" if block.strip(b"\0") else "zero"
		    if kind != last:
		        if last:
		            print(start, off - start, last)
		        start, last = off, kind
		print(start, len(data) - start, last)
	PY
}

# map_of [OPTION...] IMAGE: lines of start, length and data or zero, neighbours joined.
map_of() {
	"$IMGCONV" map -o json "$@" | jq -r '.[] | "\(.start) \(.length) \(.kind)"' |
		sed 's/hole/zero/' | joined
}
joined() {
	awk '$3 == kind { length_ += $2; next }
		kind { print start, length_, kind }
		{ start = $1; length_ = $2; kind = $3 }
		END { if (kind) print start, length_, kind }'
}

# map_kind KIND: of disk.raw as that; its map is in the file `expected`.
map_kind() {
	# shellcheck disable=SC2086 # a kind is several words
	"$IMGCONV" convert -q -O $1 disk.raw out.img
	map_of -f "${1%% *}" --scan out.img | diff expected -
	# Without it nothing that is not zero may be missing.
	map_of -f "${1%% *}" out.img >out.map
	/usr/bin/python3 - expected out.map <<-'PY'
		import sys
		def blocks(name):
		    lines = [l.split() for l in open(name)]
		    return {b for s, n, k in lines if k == "data"
		            for b in range(int(s) // 4096, (int(s) + int(n) + 4095) // 4096)}
		assert blocks(sys.argv[1]) <= blocks(sys.argv[2])
	PY
	rm out.img out.map
}

# measure_kind KIND: what is said of full.raw and of an empty disk is how large the files become.
measure_kind() {
	local exact=true size
	size=$(stat -c %s full.raw)
	echo "kind: $1"
	mkdir out.full out.empty
	# Files are taken for image.*: where there are several, their names are in them.
	# shellcheck disable=SC2086 # a kind is several words
	{
		"$IMGCONV" measure --scan --output json -O $1 full.raw
		"$IMGCONV" measure --output json -O $1 --size "$size"
		"$IMGCONV" convert -q -O $1 full.raw out.full/image.vmdk >&2
		"$IMGCONV" create -O $1 out.empty/image.vmdk "$size" >&2
	} >out.says
	case $1 in
	*compression* | *stream*) exact=false ;;
	esac
	# An empty one is always known.
	jq -es --argjson full "$(cat out.full/* | wc -c)" --argjson exact $exact \
		--argjson empty "$(cat out.empty/* | wc -c)" --argjson size "$size" '
		(.[] | .["virtual-size"] == $size and .allocated <= .required and
			(.["fully-allocated"] // .required) >= .required) and
		.[0].exact == $exact and .[1].exact and .[1].required == $empty and
		if $exact then .[0].required == $full else .[0].required >= $full end' out.says
	rm -r out.*
}

# is_disk KIND SIZE: out.img is sound, of that kind, and its disk that of disk.raw at that size.
is_disk() {
	local f=${1%% *}
	cp disk.raw out.raw
	truncate -s "$2" out.raw
	"$IMGCONV" check -f "$f" out.img
	"$IMGCONV" compare -q -s -f raw -F "$f" out.raw out.img
	case $1 in
	*vhd*fixed*) ;; # raw to qemu-img
	*) qemu-img compare -q -f raw -F "$(qemu_name "$f")" out.raw out.img ;;
	esac
	case $f in
	qcow2 | vdi | vmdk) qemu-img check -q -f "$f" out.img ;;
	esac
	case $1 in
	*vdi*fixed) ;; # another word for static
	*subformat*) "$IMGCONV" info -o json out.img |
		jq -e --arg s "${1##*=}" '."format-specific".subformat == $s' ;;
	esac
}

# resize_kind KIND: disk.raw of 5 MiB, of which the last one is empty.
resize_kind() {
	# shellcheck disable=SC2086
	"$IMGCONV" convert -q -O $1 disk.raw out.img
	"$IMGCONV" resize -q -f "${1%% *}" out.img +4M
	is_disk "$1" 9M
	"$IMGCONV" resize -q -f "${1%% *}" out.img 4M
	is_disk "$1" 4M
	rm out.img out.raw
}

# create_kind KIND
create_kind() {
	cp disk.raw out.kept
	truncate -s 0 disk.raw
	# shellcheck disable=SC2086
	"$IMGCONV" create -O $1 out.img 20M
	is_disk "$1" 20M
	mv out.kept disk.raw
	rm out.img out.raw
}
