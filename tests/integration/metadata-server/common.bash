# SPDX-License-Identifier: Apache-2.0
# What the tests of metadata-server share.
# shellcheck disable=SC2034 # for those that load it

TOP=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
MS=${BINDIR:-$TOP/bin}/metadata-server
RAW="/usr/bin/python3 $TOP/tests/integration/metadata-server/raw.py"
TTL='X-aws-ec2-metadata-token-ttl-seconds'
unset XDG_RUNTIME_DIR

has() { [[ $1 == *"$2"* ]]; } # TEXT PART

# define NAME [LINE...]: instances/NAME.yaml with an id and these lines
define() {
	local name=$1
	shift
	mkdir -p instances
	printf '%s\n' "instance-id: i-$name" "$@" >"instances/$name.yaml"
}

# start OPTION...: a server; its log is in log, its pid in $PID, its ports in $PORT and $PORT6
start() {
	local i
	: >log
	"$MS" serve -v "$@" 2>>log 3>&- &
	PID=$!
	for ((i = 0; i < 2500; i++)); do
		[ "$(grep -c 'listening on' log)" -lt "$(printf '%s\n' "$@" | grep -c -e '^-l$' -e '^--listen$')" ] || break
		kill -0 "$PID" || break
		sleep 0.02
	done
	PORT=$(sed -n 's/.*listening on [0-9.]*://p' log | head -n 1)
	PORT6=$(sed -n 's/.*listening on \[.*\]://p' log | head -n 1)
	URL=http://127.0.0.1:$PORT
}

stop() {
	[ -z "${PID:-}" ] || { kill "$PID" && wait "$PID"; } 2>/dev/null || true
	PID=
}

# wait_log TEXT: until the log has it
wait_log() {
	local i
	for ((i = 0; i < 2500; i++)); do
		! grep -qF -e "$1" log || return 0
		sleep 0.02
	done
	cat log
	return 1
}

# until_get PATH VALUE: until that is served
until_get() {
	local i
	for ((i = 0; i < 2500; i++)); do
		[ "$(get "$1")" != "$2" ] || return 0
		sleep 0.02
	done
	cat log
	return 1
}

# change NAME SED-COMMAND: the definition, at once: a server that watches reads it once
change() {
	sed "$2" "instances/$1.yaml" >changed
	mv changed "instances/$1.yaml"
}

token() { curl -sf -X PUT -H "$TTL: ${1:-60}" "$URL/latest/api/token"; }
get() { curl -sf ${TOKEN:+-H "X-aws-ec2-metadata-token: $TOKEN"} "$URL/$1"; }
# status METHOD PATH [CURL-OPTION...]
status() {
	local method=$1 path=$2
	shift 2
	curl -s -o /dev/null -w '%{http_code}' -X "$method" --path-as-is "$@" "$URL$path"
}
