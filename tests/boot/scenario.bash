# The main job, step by step; the demo shows it and the tests assert it. Sourced by bash.
#
# WORK is the folder for everything; BINDIR has the programs. The steps use nothing else.

. tests/boot/guest.bash

# An ordinary user has no sbin.
PATH=$PATH:/usr/sbin:/sbin

AMI_DIR=${AMI_DIR:-build/ami}
HOST_IMDS=web1.example.org
HOST_ISO=web2.example.org

scenario_keys() {
	ssh-keygen -q -t ed25519 -N '' -C scenario -f "$WORK/id"
	SSH_KEY=$WORK/id
	for host in $HOST_IMDS $HOST_ISO; do
		cat >"$WORK/$host.sh" <<-END
			#!/bin/sh
			echo "user-data of $host ran on \$(hostname)" >/run/user-data-ran
		END
	done
}

# The cloud ends with this shell, whatever happens to it.
scenario_cloud() {
	tests/cloud/cloud start --state "$WORK/cloud" --owner-pid $$ >&2
	set -a
	. "$WORK/cloud/env"
	set +a
	export EC2_PRIVATE_KEY=$AMI_DIR/keys/user.key.pem EC2_CERT=$AMI_DIR/keys/user.cert.pem
	export ACCLIMATE_STORE=$WORK/store
}

# Sets AMI_BUNDLE and AMI_EBS.
scenario_load() {
	AMI_BUNDLE=$(tests/cloud/cloud load --state "$WORK/cloud" "$AMI_DIR/instance-store") || return 1
	AMI_EBS=$(tests/cloud/cloud load --state "$WORK/cloud" "$AMI_DIR/ebs") || return 1
}

scenario_import() {
	"$BINDIR/catalog" import "$AMI_BUNDLE" --name bundle-debian --require-signature || return 1
	"$BINDIR/catalog" import "$AMI_EBS" --name ebs-debian --inject-ctxd
}

# Both guests, side by side: one asks the host's metadata-server, one has a context ISO alone.
scenario_boot() {
	GUEST_IMDS=$WORK/guest-imds
	GUEST_ISO=$WORK/guest-iso
	guest_start "$GUEST_IMDS" --with imds --hostname $HOST_IMDS --ssh-key "$SSH_KEY.pub" \
		--user-data "$WORK/$HOST_IMDS.sh" bundle-debian
	guest_start "$GUEST_ISO" --with opennebula --hostname $HOST_ISO --ssh-key "$SSH_KEY.pub" \
		--user-data "$WORK/$HOST_ISO.sh" ebs-debian
}

# What a guest says of itself, a "name: value" a line.
scenario_facts() {
	guest_sh "$1" tests/boot/facts.sh
}

scenario_end() {
	guest_stop "$WORK/guest-imds" "$WORK/guest-iso"
	[ ! -d "$WORK/cloud" ] || tests/cloud/cloud stop --state "$WORK/cloud" >&2
}
