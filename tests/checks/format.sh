#!/bin/sh
# Every C file is as clang-format leaves it.
. tests/checks/tap.sh
format() { files '*.c' '*.h' | xargs clang-format --dry-run -Werror; }
check "C files are formatted (make format)" format
finish
