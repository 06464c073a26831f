# The first machines of the boot matrix: other init systems, networks, disks and sources than the
# scenario has. What is asserted of each is in matrix/cell.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	command -v qemu-system-x86_64 >/dev/null || return 0
	export FOLDER=$PWD/build/boot-matrix
	mkdir -p "$FOLDER"
	# Together: while one guest waits, the other has the processors.
	for number in 01 02; do
		tests/boot/matrix/run --folder "$FOLDER" "$number" >"$FOLDER/log-$number" 2>&1 3>&- &
	done
	wait
}

cell() { # NUMBER: as expected, or what was not
	command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64"
	tail -n 20 "$FOLDER/log-$1"
	cat "$FOLDER/cell-$1/verdict"
	case $(cat "$FOLDER/cell-$1/verdict") in
	Debian*) skip "$(cat "$FOLDER/cell-$1/verdict")" ;;
	esac
	[ "$(cat "$FOLDER/cell-$1/verdict")" = pass ]
}

@test "Debian 12, SysV init, ifupdown, no cloud-init, OpenNebula's ISO" {
	cell 01
}

@test "Debian 13, networkd, UEFI, Btrfs, no cloud-init, a config-2 ISO" {
	cell 02
}

@test "both follow, while they run: another medium, a NIC that comes and goes, a disk that grows" {
	cell 01
	cell 02
	for n in 01 02; do
		[ "$(sed -n 's/^follows: //p' "$FOLDER/cell-$n/facts")" = "medium nic disk" ]
	done
}

@test "every pair of what the matrix varies is in one of its machines" {
	run tests/boot/matrix/pairs check
	echo "$output"
	[ "$status" -eq 0 ]
}
