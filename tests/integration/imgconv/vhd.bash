# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of VHD share.
load peers

craft() { "$HERE/craft_vhd" "$@"; }
# same_vpc RAW VHD: qemu-img sees the size and the bytes of RAW.
same_vpc() {
	[ "$(virtual_size vhd "$2")" = "$(bytes "$1")" ] && qemu-img compare -q -f raw -F vpc "$1" "$2"
}
# same_vhd RAW VHD: and so do 7-Zip and libvhdi.
same_vhd() {
	same_vpc "$1" "$2"
	7zz x -so "$2" 2>/dev/null | cmp "$1" -
	/usr/bin/python3 "$HERE/craft_vhd" libvhdi "$2" | cmp "$1" -
}
