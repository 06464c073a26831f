#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a guest, as root: what it says of itself, a "name: value" a line. Whatever the guest
# lacks leaves its value empty.
exec 2>/dev/null
PATH=$PATH:/usr/sbin:/sbin
fact() { printf '%s: %s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ' | sed 's/ *$//')"; }
have() { command -v "$1" >/dev/null; }

# ---- the machine --------------------------------------------------------------------------------

fact release "$(. /etc/os-release && echo "$VERSION_ID")"
fact debian-version "$(cat /etc/debian_version)"
fact kernel "$(uname -r)"
fact firmware "$([ -d /sys/firmware/efi ] && echo uefi || echo bios)"
fact root-file-system "$(findmnt -n -o FSTYPE /)"
fact root-device "$(findmnt -n -o SOURCE /)"
fact root-mib "$(($(findmnt -n -b -o SIZE /) >> 20))"
fact partition-table "$(blkid -p -o value -s PTTYPE "$(findmnt -n -o SOURCE / | sed 's/[0-9]*\(\[.*\)*$//')")"
init=$(readlink /proc/1/exe)
case $init in
*/systemd) fact init systemd && fact init-version "$("$init" --version | head -n 1)" ;;
*) [ -d /run/openrc ] && fact init openrc && fact init-version "$(openrc --version)" ||
	{ fact init sysvinit && fact init-version "$("$init" --version 2>&1 | head -n 1)"; } ;;
esac
fact boot-seconds "$(cut -d. -f1 /proc/uptime)"

# ---- who it thinks that it is -------------------------------------------------------------------

fact host-name "$(hostname)"
fact fqdn "$(hostname -f)"
fact hosts-has-name "$(getent hosts "$(hostname)" | awk '{print $1}')"
fact keys "$(cat /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys | grep -oE '(ssh|ecdsa|sk)-[^ ]* AAAA[^ ]*' | sort -u)"
fact user-data "$(cat /run/user-data-ran)"
fact file "$(cat /etc/later)"

# ---- network -------------------------------------------------------------------------------------

nic=$(ip -o link | sed -n 's/^[0-9]*: \([^:@]*\).*link\/ether.*/\1/p' | head -n 1)
fact nic "$nic"
# Of any scope: NetworkManager takes an address of 169.254/16 for one of the link's.
fact addresses "$(ip -4 -o addr show | awk '$2 != "lo" {print $4}')"
fact default-route "$(ip -4 route show default | sed -n 's/.* via \([^ ]*\) .*/\1/p')"
fact name-server "$(sed -n 's/^nameserver //p' /etc/resolv.conf)"
network=
if have nmcli && [ -n "$(nmcli -t -f DEVICE,STATE device | grep "^$nic:connected")" ]; then
	network="NetworkManager"
fi
if have networkctl && networkctl list "$nic" --no-legend | grep -q ' configured'; then
	network="$network networkd"
fi
if have ifquery && ifquery --state | grep -q "^$nic="; then
	network="$network ifupdown"
fi
fact network "${network# }"
fact netplan-files "$(ls /etc/netplan/*.yaml)"

# ---- agents ----------------------------------------------------------------------------------------

json() { # FILE KEY: a string member, wherever it stands
	sed -n "s/.*\"$2\": \"\([^\"]*\)\".*/\1/p" "$1" | head -n 1
}
if have cloud-init; then
	fact cloud-init "$(cloud-init status | sed -n 's/^status: //p')"
	fact cloud-init-version "$(dpkg-query -W -f '${Version}' cloud-init)"
	fact cloud-init-errors "$(sed -n 's/.*"errors": \[\(.*\)\].*/\1/p' /run/cloud-init/result.json)"
	# What dpkg was told to leave out is not changed.
	fact cloud-init-changed-files "$(dpkg --verify cloud-init | awk '/^..5/ { print $NF }' |
		while read -r file; do [ ! -e "$file" ] || echo "$file"; done)"
	fact data-source "$(json /run/cloud-init/result.json datasource | sed 's/ \[.*//')"
else
	fact cloud-init none
fi
fact ctxd-detect "$(ctxd detect)"
fact ctxd-has-context "$([ -e /run/ctxd/context ] && echo yes || echo no)"
# What it would still do.
fact ctxd-would "$([ ! -e /run/ctxd/context ] || ctxd update --quiet --dry-run)"
fact resized-in-vain "$(dmesg | grep 'resizing filesystem from \([0-9]*\) to \1 blocks')"
# Another of its processes may watch.
fact ctxd-serves "$(for pid in $(pidof ctxd); do tr '\0' ' ' <"/proc/$pid/cmdline" | grep ' imds '; done |
	grep -q . && echo yes || echo no)"
fact address-on-lo "$(ip -4 -o addr show dev lo | grep -c '169\.254\.169\.254')"
case $init in
*/systemd)
	fact ctxd-local "$(systemctl is-active ctxd-local.service)"
	fact ctxd-imds "$(systemctl is-active ctxd-imds.service)"
	fact failed-units "$(systemctl --failed --no-legend --plain | awk '{print $1}')"
	;;
*)
	if [ -d /run/openrc ]; then
		fact crashed-services "$(rc-status --crashed)"
	fi
	;;
esac
# IMDSv2 by bash alone: what answers at 169.254.169.254.
answers=$(timeout 60 bash -c '
	ask() {
		exec 3<>/dev/tcp/169.254.169.254/80 || exit
		printf "%s HTTP/1.0\r\nHost: 169.254.169.254\r\n%s\r\n\r\n" "$1" "$2" >&3
		sed "1,/^\r*$/d" <&3
		exec 3>&-
	}
	token=$(ask "PUT /latest/api/token" "X-aws-ec2-metadata-token-ttl-seconds: 60")
	for name in instance-id hostname; do
		echo "$(ask "GET /latest/meta-data/$name" "X-aws-ec2-metadata-token: $token")"
	done')
fact imds-instance-id "$(printf '%s\n' "$answers" | sed -n 1p)"
fact imds-host-name "$(printf '%s\n' "$answers" | sed -n 2p)"
