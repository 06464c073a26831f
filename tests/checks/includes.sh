#!/bin/sh
# The direction of includes, as docs/architecture.md draws it.
. tests/checks/tap.sh

# "file:header" for each header that a file includes, as it is written there: "x.h" or <x.h>.
included=$(files '*.c' '*.h' | grep -v '^tests/' | xargs grep -HoE '^#include ["<][^">]+[">]' |
	sed 's/#include //')

# only FOLDER PATTERN: every header of the project that FOLDER includes matches PATTERN.
only() {
	! printf '%s\n' "$included" | tr -d '"' |
		awk -F: -v in_it="^$1/" -v ok="$2" '$1 ~ in_it && $2 !~ /^</ && $2 !~ ok' | grep .
}

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

# A spoke is a file, and those whose names go on from its own: ec2.c, ec2_read.c.
spokes() {
	! printf '%s\n' "$included" | tr -d '"' | awk -F: '
		$1 ~ /^(imgconv\/format|context\/dialect|catalog\/source|ctxd\/apply)\/[^\/]*[.]c$/ {
			dir = $1
			sub(/[^\/]*$/, "", dir)
			own = substr($1, length(dir) + 1)
			sub(/(_.*)?[.]c$/, "", own)
			if (!index($2, dir) || substr($2, length(dir) + 1) ~ "^" own "[_a-z]*[.]h$")
				next
			print
		}' | grep .
}
check "spokes never include each other" spokes

# third PATTERN FILES...: the third-party header is included there alone.
third() {
	header=$1
	shift
	for f in $(printf '%s\n' "$included" | sed -n "s#:<$header.*##p" | sort -u); do
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
