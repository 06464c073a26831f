#!/bin/sh
# The direction of includes, as docs/architecture.md draws it.
. tests/checks/tap.sh

# includes FOLDER: "file:header" for each project header that a file of the folder includes.
includes() {
	files "$1/*.c" "$1/*.h" | xargs -r grep -HoE '^#include "[^"]+"' |
		sed 's/#include "//; s/"$//'
}
# only FOLDER PATTERN: every header that FOLDER includes matches PATTERN.
only() {
	wrong=$(includes "$1" | awk -F: -v ok="$2" '$2 !~ ok')
	[ -z "$wrong" ] || { echo "$wrong"; return 1; }
}
# apart DIR: no file of DIR includes another header of DIR but its seam's.
face() { printf '%s' "$1" | sed 's/[.]/[.]/g'; }

check "lib includes only lib" only lib '^lib/'
check "imgconv includes itself and lib" only imgconv '^(imgconv|lib)/'
check "context includes itself and lib" only context '^(context|lib)/'
check "bundle includes itself, lib and imgconv's face" \
	only bundle '^((bundle|lib)/|imgconv/(imgconv|confine|args)[.]h$)'
check "ctxd includes itself, lib and context's face" \
	only ctxd '^((ctxd|lib)/|context/[a-z]+[.]h$)'
check "metadata-server includes itself, lib and context's face" \
	only metadata-server '^((metadata-server|lib)/|context/[a-z]+[.]h$)'
check "catalog includes itself, lib and the faces" \
	only catalog '^((catalog|lib)/|imgconv/(imgconv|confine)[.]h$|bundle/[a-z0-9]+[.]h$|context/[a-z]+[.]h$)'

spokes() {
	wrong=""
	for f in $(files 'imgconv/format/*.c' 'context/dialect/*.c' 'catalog/source/*.c' \
		'ctxd/apply/*.c'); do
		own=$(basename "$f" .c)
		dir=$(dirname "$f")
		more=$(grep -oE '^#include "[^"]+"' "$f" | sed 's/#include "//; s/"$//' |
			grep "^$dir/" | grep -v "^$dir/${own%%_*}[_a-z]*[.]h\$")
		[ -z "$more" ] || wrong="$wrong $f:$more"
	done
	[ -z "$wrong" ] || { echo "$wrong"; return 1; }
}
check "spokes never include each other" spokes

# third PATTERN FILES...: the third-party header is included there alone.
third() {
	header=$1
	shift
	found=$(files '*.c' '*.h' | grep -v '^tests/' | xargs grep -lE "^#include <$header" | sort | tr '\n' ' ')
	for f in $found; do
		case " $* " in *" $f "*) ;; *) echo "<$header> in $f"; return 1 ;; esac
	done
}
check "libcurl in lib/http_curl.h alone" third 'curl/' lib/http_curl.h
check "libyaml in lib/yaml.c alone" third 'yaml[.]h' lib/yaml.c
check "jansson in lib/json.c alone" third 'jansson[.]h' lib/json.c
check "expat in lib/xml.c alone" third 'expat[.]h' lib/xml.c
check "nettle in context/token.c alone" third 'nettle/' context/token.c
check "PCRE2 in imgconv/inject/selinux.c alone" third 'pcre2[.]h' imgconv/inject/selinux.c
# shellcheck disable=SC2046
check "libext2fs in the files of ext4 alone" third 'ext2fs/' $(files 'imgconv/inject/ext4*')
finish
