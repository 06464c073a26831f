#!/bin/sh
# Manual pages are well-formed, and name every option that --help shows.
. tests/checks/tap.sh
: "${BINDIR:=bin}"

pages() { files '*/*.1' '*/*.5' '*/*.8' | grep -v '^tests/'; }
lint() {
	rc=0
	for p in $(pages); do
		mandoc -T lint -W warning "$p" || rc=1
	done
	return $rc
}
# Each program's commands and long options stand in its manual page.
documented() {
	rc=0
	for prog in imgconv bundle catalog metadata-server ctxd; do
		page=$(pages | grep -E "^$prog/${prog}[.][18]\$" | head -n 1)
		[ -n "$page" ] || { echo "$prog has no manual page"; rc=1; continue; }
		text=$(mandoc -T utf8 "$page" | sed 's/.\x08//g')
		for cmd in $("$BINDIR/$prog" --help | awk '/^commands:/{on=1;next} on&&/^  /{print $1}'); do
			printf '%s' "$text" | grep -qw -e "$cmd" ||
				{ echo "$page: no word of the command '$cmd'"; rc=1; }
			for opt in $("$BINDIR/$prog" "$cmd" --help | grep -oE -e '--[a-z][a-z0-9-]+' |
				grep -vx -e --help | sort -u); do
				printf '%s' "$text" | grep -qF -e "$opt" ||
					{ echo "$page: no word of '$cmd $opt'"; rc=1; }
			done
		done
	done
	return $rc
}
# Every option of a format (-o KEY=VALUE) stands in the manual page.
keys() {
	text=$(mandoc -T utf8 imgconv/imgconv.1 | sed 's/.\x08//g')
	all=$("$BINDIR/imgconv" completion bash | grep -oE "'list [^']*'" | tr ' ' '\n' |
		sed -n 's/=.*//p' | sort -u)
	[ -n "$all" ] || { echo "no options of formats are known"; return 1; }
	rc=0
	for key in $all; do
		printf '%s' "$text" | grep -qF -e "$key=" ||
			{ echo "imgconv/imgconv.1: no word of '-o $key='"; rc=1; }
	done
	return $rc
}
links() {
	rc=0
	for f in $(files '*.md'); do
		for l in $(grep -oE '\]\([^)#:]+' "$f" | sed 's/](//'); do
			[ -e "$(dirname "$f")/$l" ] || { echo "$f: dead link $l"; rc=1; }
		done
	done
	return $rc
}
check "manual pages pass mandoc's lint" lint
check "manual pages name every command and option" documented
check "imgconv.1 names every option of a format" keys
check "links between documents lead somewhere" links
finish
