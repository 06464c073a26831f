#!/bin/sh
# Runs inside a guest: what it says of itself, a "name: value" a line.
fact() { printf '%s: %s\n' "$1" "$2"; }

json() { # json FILE KEY: a string member, wherever it stands
	sed -n "s/.*\"$2\": \"\([^\"]*\)\".*/\1/p" "$1" | head -n 1
}

fact host-name "$(hostname)"
fact fqdn "$(hostname -f)"
fact ssh-key "$(awk '/^ssh-/ {print $1, $2}' ~/.ssh/authorized_keys | sort -u | head -n 1)"
fact user-data "$(cat /run/user-data-ran 2>/dev/null)"
fact cloud-init "$(cloud-init status | sed -n 's/^status: //p')"
fact cloud-init-errors "$(sed -n 's/.*"errors": \[\(.*\)\].*/\1/p' /run/cloud-init/result.json)"
fact data-source "$(json /run/cloud-init/result.json datasource)"
fact cloud-init-package "$(dpkg-query -W -f '${Version}' cloud-init)"
fact cloud-init-changed-files "$(dpkg --verify cloud-init 2>/dev/null | grep -c '^..5')"
fact address-on-lo "$(ip -4 -o addr show dev lo | grep -c '169\.254\.169\.254')"
fact addresses "$(ip -4 -o addr show scope global | awk '{print $4}' | tr '\n' ' ')"
fact ctxd "$(systemctl is-active ctxd-imds.service 2>/dev/null)"
fact failed-units "$(systemctl --failed --no-legend --plain | awk '{print $1}' | tr '\n' ' ')"
fact virtualization "$(systemd-detect-virt)"
fact boot-time "$(systemd-analyze time 2>/dev/null | head -n 1)"
