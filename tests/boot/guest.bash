# Guests of `catalog run`, for the demo and the tests; sourced by bash.
#
# A guest is a run folder: run.log (what catalog said), console.log, run.json while it runs, pid.
# Whatever is asserted about a guest is read inside it, over SSH.
# Needs: BINDIR (programs). Uses SSH_KEY (private key) to log in as SSH_USER (default debian).

SSH_USER=${SSH_USER:-debian}

# guest_start DIR OPTION... IMAGE: boots in the background.
guest_start() {
	local dir=$1
	shift
	mkdir -p "$dir"
	"$BINDIR/catalog" run --run-dir "$dir" "$@" </dev/null >"$dir/run.log" 2>&1 3>&- 4>&- &
	echo $! >"$dir/pid"
}

guest_alive() {
	kill -0 "$(cat "$1/pid")" 2>/dev/null
}

# guest_port DIR: the local port of its SSH; waits until QEMU was started.
guest_port() {
	local dir=$1 i
	for ((i = 0; i < 300; i++)); do
		if [ -e "$dir/run.json" ]; then
			sed -n 's/.*"ssh-port": \([0-9]*\).*/\1/p' "$dir/run.json"
			return 0
		fi
		guest_alive "$dir" || break
		sleep 0.1
	done
	echo "the guest of $dir did not start:" >&2
	cat "$dir/run.log" >&2
	return 1
}

# The rest of an ssh command line: options for the guest of DIR, then a command.
guest_ssh_raw() {
	local dir=$1 port
	shift
	port=$(guest_port "$dir") || return 1
	ssh -F none -p "$port" -i "$SSH_KEY" -o IdentitiesOnly=yes -o BatchMode=yes \
		-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		-o ConnectTimeout=20 -o ServerAliveInterval=10 -o ServerAliveCountMax=6 \
		"$SSH_USER@127.0.0.1" "$@"
}

# guest_ssh DIR COMMAND...
guest_ssh() {
	guest_ssh_raw "$@" </dev/null
}

# guest_sh DIR FILE: runs a shell script of the host inside the guest.
guest_sh() {
	guest_ssh_raw "$1" sh -s <"$2"
}

# guest_wait_ssh DIR SECONDS: until the key opens the door.
guest_wait_ssh() {
	local dir=$1 until=$((SECONDS + $2))
	while ((SECONDS < until)); do
		guest_alive "$dir" || break
		# Before sshd listens, a try only costs the guest time.
		if grep -q 'SSH answers' "$dir/run.log" && guest_ssh "$dir" true 2>/dev/null; then
			return 0
		fi
		sleep 2
	done
	if guest_alive "$dir"; then
		echo "no way into the guest of $dir by SSH within $2 s; the last of its console:" >&2
	else
		echo "the guest of $dir ended before SSH answered; the last of its console:" >&2
	fi
	tail -n 40 "$dir/console.log" >&2
	tail -n 5 "$dir/run.log" >&2
	return 1
}

# guest_wait_cloud_init DIR SECONDS: until its cloud-init came to an end, good or bad.
guest_wait_cloud_init() {
	local dir=$1 until=$((SECONDS + $2)) status
	while ((SECONDS < until)); do
		status=$(guest_ssh "$dir" cloud-init status 2>/dev/null)
		case $status in
		*done* | *error* | *disabled*) return 0 ;;
		esac
		guest_alive "$dir" || break
		sleep 3
	done
	echo "cloud-init in the guest of $dir did not end within $2 s: $status" >&2
	return 1
}

# guest_stop DIR...: all of them, side by side.
guest_stop() {
	local dir
	for dir in "$@"; do
		[ -e "$dir/pid" ] && kill "$(cat "$dir/pid")" 2>/dev/null
	done
	for dir in "$@"; do
		[ -e "$dir/pid" ] || continue
		while guest_alive "$dir"; do sleep 0.2; done
		wait "$(cat "$dir/pid")" 2>/dev/null || true # not always our child
		rm -f "$dir/pid"
	done
	return 0
}
