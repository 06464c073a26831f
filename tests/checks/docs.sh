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
plain() { mandoc -T utf8 "$1" | sed 's/.\x08//g'; }
# Each program's commands and long options stand in its manual page.
documented() {
	rc=0
	for prog in imgconv bundle catalog metadata-server ctxd; do
		page=$(pages | grep -E "^$prog/${prog}[.][18]\$" | head -n 1)
		[ -n "$page" ] || { echo "$prog has no manual page"; rc=1; continue; }
		{
			plain "$page"
			for cmd in $("$BINDIR/$prog" --help | awk '/^commands:/{on=1;next} on&&/^  /{print $1}'); do
				echo "=== $cmd"
				"$BINDIR/$prog" "$cmd" --help
			done
		} | awk -v page="$page" '
			function miss(what) { print page ": no word of " what; bad = 1 }
			/^=== / {
				cmd = $2
				if (!match(text, "(^|[^a-z0-9_])" cmd "([^a-z0-9_]|$)"))
					miss("the command \"" cmd "\"")
				next
			}
			cmd == "" { text = text "\n" $0; next }
			{
				while (match($0, /--[a-z][a-z0-9-]+/)) {
					opt = substr($0, RSTART, RLENGTH)
					$0 = substr($0, RSTART + RLENGTH)
					if (opt != "--help" && !index(text, opt))
						miss("\"" cmd " " opt "\"")
				}
			}
			END { exit bad || cmd == "" }' || rc=1
	done
	return $rc
}
# Every option of a format (-o KEY=VALUE) stands in the manual page.
keys() {
	text=$(plain imgconv/imgconv.1)
	all=$("$BINDIR/imgconv" completion bash | grep -oE "'list [^']*'" | tr ' ' '\n' |
		sed -n 's/=.*//p' | sort -u)
	[ -n "$all" ] || { echo "no options of formats are known"; return 1; }
	rc=0
	for key in $all; do
		case $text in
		*"$key="*) ;;
		*) echo "imgconv/imgconv.1: no word of '-o $key='"; rc=1 ;;
		esac
	done
	return $rc
}
links() {
	files '*.md' | xargs grep -oHE '\]\([^)#:]+' | sed 's/:](/ /' | {
		rc=0
		while read -r f l; do
			case $f in */*) at=${f%/*}/$l ;; *) at=$l ;; esac
			[ -e "$at" ] || { echo "$f: dead link $l"; rc=1; }
		done
		return $rc
	}
}
check "manual pages pass mandoc's lint" lint
check "manual pages name every command and option" documented
check "imgconv.1 names every option of a format" keys
check "links between documents lead somewhere" links
finish
