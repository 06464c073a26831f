# The first machine of the boot matrix: another init system and network than the scenario has. What is asserted of each is in matrix/cell.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64"
	export FOLDER=$PWD/build/boot-matrix
	mkdir -p "$FOLDER"
	tests/boot/matrix/run --folder "$FOLDER" 01 >"$FOLDER/log-01" 2>&1 3>&- || true
}

cell() { # NUMBER: as expected, or what was not
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

@test "every pair of what the matrix varies is in one of its machines" {
	run tests/boot/matrix/pairs check
	echo "$output"
	[ "$status" -eq 0 ]
}
