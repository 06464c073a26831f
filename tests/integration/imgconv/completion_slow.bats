#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# PROGRAM completion: real shells at a terminal say what a tab makes of a line.

bats_require_minimum_version 1.5.0
load common

setup_file() {
	make_work
	mkdir folder
	touch disk.raw
	for p in imgconv bundle catalog ctxd metadata-server; do
		"$BINDIR/$p" completion bash >"$p.bash"
		"$BINDIR/$p" completion zsh >"_$p"
	done
}

teardown_file() { remove_work; }

setup() {
	cd "$WORK" || return
	PATH=$BINDIR:$PATH
	command -v zsh >/dev/null || NO_ZSH=1
}

# becomes SHELL SCRIPT: standard input has pairs of lines, what is typed and what it becomes.
becomes() {
	cat >pairs
	awk 'NR % 2 == 1' pairs | "$BATS_TEST_DIRNAME/type_tab" "$1" "$2" | sed 's/ *$//' >got
	awk 'NR % 2 == 0' pairs | diff - got
}

@test "bash offers commands, options and values" {
	becomes bash imgconv.bash <<-'EOT'
		imgconv conv
		imgconv convert
		imgconv help inj
		imgconv help inject
		imgconv --v
		imgconv --version
		imgconv convert -q --output-f
		imgconv convert -q --output-format
		imgconv info -o
		imgconv info -o
		imgconv info -o x --output t
		imgconv info -o x --output text
		imgconv info --output=j
		imgconv info --output=json
		imgconv convert --digest sha
		imgconv convert --digest sha1 sha256 sha512
		imgconv convert -o compression=zs
		imgconv convert -o compression=zstd
		imgconv convert -o cluster_size=4k,compression=zs
		imgconv convert -o cluster_size=4k,compression=zstd
		imgconv convert -O qcow2 d
		imgconv convert -O qcow2 disk.raw
		imgconv convert -O qcow2 disk.raw f
		imgconv convert -O qcow2 disk.raw folder
		imgconv convert -O qcow2 disk.raw x d
		imgconv convert -O qcow2 disk.raw x d
		imgconv inject --overlay=f
		imgconv inject --overlay=folder
		imgconv convert --size d
		imgconv convert --size d
	EOT
}

@test "bash knows the formats that the program has" {
	formats=$("$IMGCONV" --version | sed -n 's/^formats: //p' | tr ' ' '\n' | sort | paste -sd ' ')
	becomes bash imgconv.bash <<-EOT
		imgconv convert -f$(printf ' ')
		imgconv convert -f $formats
		imgconv convert --output-format=
		imgconv convert --output-format=$formats
	EOT
}

@test "bash completes the other programs" {
	becomes bash bundle.bash <<-'EOT'
		bundle open -O q
		bundle open -O qcow2
		bundle verify --parts d
		bundle verify --parts d
		bundle verify --parts f
		bundle verify --parts folder
		bundle verify d
		bundle verify disk.raw
		bundle migrate d
		bundle migrate disk.raw
	EOT
	becomes bash catalog.bash <<-'EOT'
		catalog import --compress zs
		catalog import --compress zstd
		catalog run --with=o
		catalog run --with=opennebula
		catalog rm d
		catalog rm d
	EOT
	becomes bash ctxd.bash <<-'EOT'
		ctxd det
		ctxd detect
		ctxd detect --ex
		ctxd detect --explain
		ctxd local d
		ctxd local d
	EOT
	becomes bash metadata-server.bash <<-'EOT'
		metadata-server serve --instances f
		metadata-server serve --instances folder
		metadata-server check d
		metadata-server check disk.raw
		metadata-server check x y z d
		metadata-server check x y z disk.raw
	EOT
}

@test "zsh completes the same" {
	[ -z "$NO_ZSH" ] || skip "there is no zsh"
	becomes zsh _imgconv <<-'EOT'
		imgconv conv
		imgconv convert
		imgconv help inj
		imgconv help inject
		imgconv --v
		imgconv --version
		imgconv convert --output-f
		imgconv convert --output-format=
		imgconv info -o t
		imgconv info -o text
		imgconv info --output=j
		imgconv info --output=json
		imgconv convert --digest=sha5
		imgconv convert --digest=sha512
		imgconv convert -o compression=zs
		imgconv convert -o compression=zstd
		imgconv convert -o cluster_size=4k,compression=zs
		imgconv convert -o cluster_size=4k,compression=zstd
		imgconv convert -O qcow2 d
		imgconv convert -O qcow2 disk.raw
		imgconv convert -O qcow2 disk.raw f
		imgconv convert -O qcow2 disk.raw folder/
		imgconv inject --overlay=f
		imgconv inject --overlay=folder/
	EOT
	becomes zsh _metadata-server <<-'EOT'
		metadata-server serve --instances f
		metadata-server serve --instances folder/
		metadata-server check x y z d
		metadata-server check x y z disk.raw
	EOT
	for p in bundle catalog ctxd; do zsh -n "_$p"; done
}

# offered PROGRAM: "COMMAND OPTION" for all that the script for bash knows.
offered() {
	bash -c '
		source "$1.bash"
		"_$1_table" "" 0
		for command in ${kind#one }; do
			"_$1_table" "$command" ""
			for option in $options; do echo "$command $option"; done
		done' - "$1"
}

@test "every option that is offered is known, and every one of --help is offered" {
	[ "${MODE:-}" != asan ] || skip "hundreds of programs are started to compare texts"
	for p in imgconv bundle catalog ctxd metadata-server; do
		offered "$p" >all
		[ "$(wc -l <all)" -gt 20 ]
		while read -r command option; do
			case $option in -h | --help) continue ;; esac
			# Whether or not it takes a value, one of the others is wrong: nothing is done.
			if "$BINDIR/$p" "$command" "$option" --none-such --none-such >>said 2>&1; then
				return 1
			fi
		done <all
		[ -z "$(grep "no option '" said | grep -vF "'--none-such'")" ]
		"$BINDIR/$p" --help | awk '/^commands:/ { on = 1; next } on && /^  / { print $1 }' |
			while read -r command; do
				"$BINDIR/$p" "$command" --help | sed -n '/^options:/,$p' |
					grep -oE '^ *(-., )?--[a-z0-9-]+' | sed 's/.*--/--/' |
					sed "s/^/$command /"
			done | sort >want
		grep -e ' --' all | sort | diff want -
	done
}

@test "another shell is refused" {
	run "$IMGCONV" completion fish
	[ "$status" = 2 ]
	[[ $output == *"'fish' is neither bash nor zsh"* ]]
	run "$IMGCONV" completion
	[ "$status" = 2 ]
}
