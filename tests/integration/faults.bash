# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Disks that fail at the Nth call, by tests/fault/fault.c. The one that loads this has FAULT, the
# layer's path, and right, which looks at an output that is there all the same.

# fault CALL NTH KIND COMMAND...: runs it with that fault; its status, and in count's last line the
# calls there were (those before are of programs that it ran)
fault() {
	local call=$1 nth=$2 kind=$3
	shift 3
	FAULT_CALL=$call FAULT_NTH=$nth FAULT_KIND=$kind FAULT_COUNT=8 LD_PRELOAD=$FAULT "$@" 8>count 2>err
}

# Some numbers from 1 to $1: the first ones, the last ones, and a few between.
some_of() {
	{
		seq 1 "$(($1 < 6 ? $1 : 6))"
		seq 7 "$(($1 / 8 + 1))" "$1"
		seq "$(($1 > 3 ? $1 - 3 : 1))" "$1"
	} | sort -nu
}

# all_faults CALL KIND COMMAND...: every call of a kind fails once: one line, status 1, nothing of the
# name "out" left. Of most kinds there are some, or nothing is tested.
all_faults() {
	local call=$1 kind=$2 calls n
	shift 2
	fault "$call" 0 "$kind" "$@"
	calls=$(tail -n 1 count)
	rm -rf out*
	case $call in
	pread | pwrite | fsync) [ "$calls" -gt 0 ] || return 1 ;;
	esac
	for n in $(some_of "$calls"); do
		echo "fault: $call $n $kind: $*"
		if fault "$call" "$n" "$kind" "$@"; then
			# A failing read-ahead or a hint may be of no account, but then all is right.
			right
		else
			[ $? = 1 ]
			[ "$(grep -vc ": warning: " err)" = 1 ]
			[ -z "$(find . -name "*out*")" ]
		fi
		rm -rf out*
	done
}
