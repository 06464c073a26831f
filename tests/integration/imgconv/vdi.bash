# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of VDI share.
load peers

# same_vdi RAW VDI: qemu-img finds it sound, and sees, as 7-Zip does, the size and bytes of RAW.
same_vdi() {
	qemu-img check -q -f vdi "$2"
	[ "$(virtual_size vdi "$2")" = "$(bytes "$1")" ]
	qemu-img compare -q -f raw -F vdi "$1" "$2"
	7zz x -so "$2" 2>/dev/null | cmp "$1" -
}
