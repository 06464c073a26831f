# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What imgconv does in its sandbox and outside of it, seen by strace.

# may_watch: skips the test where nothing can be watched.
may_watch() {
	[ "${MODE:-}" != asan ] || skip "a sanitizer looks into /proc"
	strace -o trace -e trace=execve true 2>/dev/null || skip "strace may not trace here"
}

# watched COMMAND...: leaves in `after` what the processes of imgconv opened, executed or connected
# to once they were in the sandbox, threads that they started included; in `outside` the rest; in
# `confined` how many there were.
watched() {
	strace -qq -f -o trace -e trace=%file,fork,vfork,clone,clone3,seccomp,socket,connect,bind \
		"$IMGCONV" "$@"
	/usr/bin/python3 - <<-'PY'
		import re
		lines = []    # of process and call
		halves = {}   # process -> where its call is that another one's came in between of
		for pid, call in (l.split(None, 1) for l in open("trace")):
		    end = re.match(r"<\.\.\. \w+ resumed>(.*)", call, re.S)
		    if end and pid in halves:
		        lines[halves.pop(pid)][1] += end.group(1)
		        continue
		    if call.endswith(" <unfinished ...>\n"):
		        halves[pid] = len(lines)
		        call = call[:-len(" <unfinished ...>\n")]
		    lines.append([pid, call])
		starts = {}   # thread -> who started it
		entered = {}  # process -> the line that confined it
		for i, (pid, call) in enumerate(lines):
		    m = re.search(r"^clone3?\(.*CLONE_THREAD.*= (\d+)$", call)
		    if m:
		        starts[m.group(1)] = pid
		    if re.match(r"seccomp\(SECCOMP_SET_MODE_FILTER, .*len=.*= 0$", call):
		        entered[pid] = i
		after, outside = open("after", "w"), open("outside", "w")
		for i, (pid, call) in enumerate(lines):
		    while pid not in entered and pid in starts:
		        pid = starts[pid]
		    inside = pid in entered and i > entered[pid]
		    if not inside:
		        outside.write(call)
		    elif re.search(r'/openssl[.]cnf", .* ENOENT', call):
		        pass  # libcrypto looks for its configuration, and does without
		    elif not re.match(r"(newfstatat|statx)\(\d+, \"\"|clone3?\(.*CLONE_THREAD|"
		                      r"[+-]{3} ", call):
		        after.write(call)
		open("confined", "w").write("%d\n" % len(entered))
	PY
	cat after
}
