#!/bin/sh
# Every C file is as clang-format leaves it.
. tests/checks/tap.sh
# A file that passed is not looked at again, for as long as it, the style and the program are the same.
format() {
	passed=${BUILD:-build}/formatted
	style=$({ clang-format --version && cat .clang-format; } | sha256sum | cut -c 1-16)
	mkdir -p "${passed%/*}" && touch "$passed"
	files '*.c' '*.h' | xargs sha256sum | sed "s/^/$style /" | sort >"$passed.new"
	comm -13 "$passed" "$passed.new" | cut -d ' ' -f 4- | xargs -r clang-format --dry-run -Werror &&
		mv "$passed.new" "$passed"
}
check "C files are formatted (make format)" format
finish
