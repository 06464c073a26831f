#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The running server, asked by its administrator: events, reload, status, metrics, access log.
# shellcheck disable=SC2154 # run --separate-stderr sets stderr

bats_require_minimum_version 1.5.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	define a 'hostname: one' 'identify: {interface: lo, address: 127.0.0.1}'
	define b 'identify: {interface: lo, address: 127.0.0.2}' \
		'spot: {action: stop, time: "2030-01-01T00:00:00Z"}'
}
teardown() { stop; }

serve() { start -d instances --listen 127.0.0.1:0 --control sock "$@"; }
ms() { run --separate-stderr "$MS" "$1" --control sock "${@:2}"; }
SPOT=latest/meta-data/spot

@test "a spot interruption is there until it is cleared" {
	serve
	[ "$(status GET /$SPOT/instance-action)" = 404 ]
	ms event a spot terminate --at 2030-02-03T04:05:06Z
	[ "$status" -eq 0 ]
	[ "$(get $SPOT/instance-action)" = '{"action": "terminate", "time": "2030-02-03T04:05:06Z"}' ]
	[ "$(get $SPOT/termination-time)" = 2030-02-03T04:05:06Z ]
	[ "$(get latest/meta-data/hostname)" = one ]
	ms event a
	[ "$(jq -r .spot.action <<<"$output")" = terminate ]
	ms event a spot stop --in 60
	[ "$(get $SPOT/instance-action | jq -r .action)" = stop ]
	ms event a clear spot
	[ "$status" -eq 0 ]
	[ "$output" = "{}" ]
	[ "$(status GET /$SPOT/)" = 404 ]
}

@test "what a definition says is back when what stood above it is cleared" {
	serve
	b() { curl -sf --interface 127.0.0.2 "$URL/$SPOT/instance-action" | jq -r .action; }
	[ "$(b)" = stop ]
	ms event b spot hibernate
	[ "$(b)" = hibernate ]
	ms event b clear
	[ "$(b)" = stop ]
}

@test "maintenance has ids, a rebalance a time, a life cycle a state" {
	local m=latest/meta-data/events/maintenance
	serve
	ms event a maintenance system-reboot --id e1 --at 2030-01-02T03:04:05Z \
		--until 2030-01-02T04:00:00Z --description 'a "reboot"'
	[ "$status" -eq 0 ]
	ms event a maintenance instance-stop --id e2
	[ "$(get $m/scheduled | jq -r 'map(.EventId) | join(" ")')" = "e1 e2" ]
	[ "$(get $m/scheduled | jq -r '.[0].NotBefore + "/" + .[0].NotAfter')" = \
		"2 Jan 2030 03:04:05 GMT/2 Jan 2030 04:00:00 GMT" ]
	[ "$(get $m/scheduled | jq -r '.[0].Description')" = 'a "reboot"' ]
	ms event a maintenance system-reboot --id e1 --state completed
	[ "$(get $m/scheduled | jq -r 'map(.EventId) | join(" ")')" = e2 ]
	[ "$(get $m/history | jq -r 'map(.EventId + .State) | join(" ")')" = e1completed ]
	ms event a rebalance --at 2030-01-02T03:04:05Z
	[ "$(get latest/meta-data/events/recommendations/rebalance)" = '{"noticeTime": "2030-01-02T03:04:05Z"}' ]
	ms event a lifecycle Terminated
	[ "$(get latest/meta-data/autoscaling/target-lifecycle-state)" = Terminated ]
	ms event a clear rebalance
	ms event a clear lifecycle
	ms event a
	[ "$(jq -r 'keys | join(" ")' <<<"$output")" = maintenance ]
}

@test "events outlive a reload and a restart, and not their machine" {
	mkdir state
	serve --state state
	ms event a spot terminate
	ms reload
	[ "$(jq .instances <<<"$output")" = 2 ]
	[ "$(status GET /$SPOT/instance-action)" = 200 ]
	stop
	[ "$(stat -c %a state/events.json)" = 600 ]
	serve --state state
	[ "$(status GET /$SPOT/instance-action)" = 200 ]
	sed -i s/i-a/i-new/ instances/a.yaml
	ms reload
	[ "$(get latest/meta-data/instance-id)" = i-new ]
	[ "$(status GET /$SPOT/instance-action)" = 404 ]
	stop
	echo '{"a": 1}' >state/events.json
	run --separate-stderr timeout 20 "$MS" serve -d instances -l 127.0.0.1:0 --state state
	[ "$status" -eq 1 ]
	has "$stderr" "state/events.json:1:2: 'a': is not what was kept of an instance"
}

@test "wrong events change nothing, and are told" {
	serve
	wrong() { # STATUS TEXT ARGUMENT...
		ms event "${@:3}"
		echo "$stderr"
		[ "$status" -eq "$1" ]
		has "$stderr" "$2"
		ms event a
		[ "$output" = "{}" ]
	}
	wrong 1 "'spot.action': is not one of" a spot explode
	wrong 1 "no such instance" none spot stop
	wrong 1 "instance '../a': is not a name" ../a spot stop
	wrong 1 "instance './a.yaml': is not a name" ./a.yaml
	wrong 1 "instance '': is not a name" ''
	wrong 1 "'x' is no kind of event" a clear x
	wrong 1 "'x y' is no kind of event" a clear 'x y'
	wrong 2 "is not a time" a spot stop --at tomorrow
	wrong 2 "give spot ACTION" a spot
	wrong 2 "give spot ACTION" a nonsense
	wrong 2 "two times" a spot stop --in 5 --at 2030-01-01T00:00:00Z
	for body in '{"hostname": "x"}' '[]' '{' '{"spot": {"action": "stop"' '{"spot": 1.5}' '{"spot": {"action": "stop"}}' \
		'{"maintenance": [{"id": "e1", "code": "x", "state": "cancelled"}]}'; do
		[ "$(curl -s -o out -w '%{http_code}' --unix-socket sock -X PATCH -d "$body" \
			http://x/v1/instances/a/events)" = 400 ]
		jq -e .error out >/dev/null
	done
}

@test "maintenances that are announced in a row are as many" {
	serve
	ms event a maintenance system-reboot
	ms event a maintenance instance-stop
	ms event a
	[ "$(jq -r '.maintenance | map(.code) | join(" ")' <<<"$output")" = "system-reboot instance-stop" ]
}

@test "to clear what is empty is not to clear everything" {
	serve
	ms event a spot stop
	ms event a clear ''
	[ "$status" -eq 1 ]
	ms event a
	[ "$(jq -r .spot.action <<<"$output")" = stop ]
	ms guest a clear ''
	[ "$status" -eq 1 ]
}

@test "status, reload and the list are asked by the socket" {
	serve
	ms status
	[ "$(jq -r '[.instances, .loads, .faults] | join(" ")' <<<"$output")" = "2 1 " ]
	[ "$(curl -sf --unix-socket sock http://x/v1/instances | jq -r 'map(.name) | join(" ")')" = "a b" ]
	[ "$(stat -c %a sock)" = 660 ]
	define c 'hostname: c_c'
	ms reload
	[ "$status" -eq 1 ]
	has "$stderr" "instances/c.yaml:2:1: 'hostname': is not a host name"
	ms status
	has "$(jq -r .faults <<<"$output")" "instances/c.yaml:2:1"
	[ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket sock -X POST http://x/v1/status)" = 405 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket sock http://x/v2)" = 404 ]
}

@test "one server has the socket; what a dead one left is taken over" {
	serve
	run --separate-stderr timeout 20 "$MS" serve -d instances -l 127.0.0.1:0 --control sock
	[ "$status" -eq 1 ]
	has "$stderr" "control socket 'sock': a server listens there"
	ms status
	[ "$status" -eq 0 ]
	kill -9 "$PID"
	wait "$PID" || true
	ms status
	[ "$status" -eq 1 ]
	has "$stderr" "is no server running?"
	serve
	ms status
	[ "$status" -eq 0 ]
	stop
	rm sock
	echo mine >sock
	run --separate-stderr timeout 20 "$MS" serve -d instances -l 127.0.0.1:0 --control sock
	[ "$status" -eq 1 ]
	[ "$(cat sock)" = mine ]
}

@test "metrics and health have an address of their own, and nothing else there" {
	serve --metrics 127.0.0.1:0
	local m
	m=$(sed -n 's/.*metrics are at //p' log)
	get latest/meta-data/hostname
	TOKEN=$(token) get latest/meta-data/hostname
	status GET /latest/none
	[ "$(curl -sf "http://$m/healthz")" = ok ]
	curl -sf "http://$m/metrics" >out
	grep -qx 'metadata_server_instances 2' out
	grep -qx 'metadata_server_responses_total{status="2xx"} 3' out
	grep -qx 'metadata_server_responses_total{status="4xx"} 1' out
	grep -qx 'metadata_server_served_total{imds="v1"} 1' out
	grep -qx 'metadata_server_served_total{imds="v2"} 1' out
	grep -qx 'metadata_server_tokens_total 1' out
	# every sample has its help and type
	[ "$(grep -c '^# TYPE' out)" -eq "$(grep -v '^#' out | sed 's/[ {].*//' | sort -u | wc -l)" ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$m/v1/status")" = 404 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://$m/v1/reload")" = 404 ]
	echo bad >instances/a.yaml
	wait_log 'not loaded again'
	[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$m/healthz")" = 503 ]
	[ "$(get latest/meta-data/hostname)" = one ]
}

@test "the access log is a line for each request, as JSON or text" {
	serve --access-log access.json --access-log-format json
	get latest/meta-data/hostname
	TOKEN=$(token) get latest/meta-data/hostname
	printf 'GET /\x01" HTTP/1.1\r\n\r\n' | $RAW "$PORT" >/dev/null
	status GET '/latest/no%22ne'
	curl -s --interface 127.0.0.3 "$URL/latest/"
	stop
	jq -c '[.instance, .["instance-id"], .peer, .interface, .method, .target, .status, .token, .why]' access.json >got
	cat got
	diff got - <<-'JSON'
		["a","i-a","127.0.0.1","lo","GET","/latest/meta-data/hostname",200,"v1",null]
		["a","i-a","127.0.0.1","lo","PUT","/latest/api/token",200,"v1",null]
		["a","i-a","127.0.0.1","lo","GET","/latest/meta-data/hostname",200,"v2",null]
		[null,null,"127.0.0.1","lo","-","-",400,null,"a control character"]
		["a","i-a","127.0.0.1","lo","GET","/latest/no%22ne",404,"v1",null]
		[null,null,"127.0.0.3","lo","GET","/latest/",404,"v1","unknown guest"]
	JSON
	run ! grep -q "one" access.json
	[ "$(stat -c %a access.json)" = 640 ]
	serve --access-log access.txt
	get latest/meta-data/hostname
	stop
	grep -qE '^20[0-9TZ:.-]+ peer=127.0.0.1 interface=lo instance=a status=200 bytes=3 token=v1 why="" method=GET target=/latest/meta-data/hostname$' access.txt
}

@test "one guest may ask so often, another one is not troubled by it" {
	serve --guest-requests 1/5
	for _ in $(seq 30); do printf 'GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n'; done |
		$RAW "$PORT" keep >out
	[ "$(grep -ao 'HTTP/1.1 200' out | wc -l)" -ge 5 ]
	[ "$(grep -ao 'HTTP/1.1 429' out | wc -l)" -eq 1 ]
	[ "$(curl -sf --interface 127.0.0.2 "$URL/latest/meta-data/instance-id")" = i-b ]
}
