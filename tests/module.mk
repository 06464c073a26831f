# Tests and checks. Lines that begin with "#: " are shown by `make help`.
#: make check-fast [MODE=asan]           unit, integration and source checks: under a minute
#: make check                            all of that, the linters, the cloud, both boots
#: make unit | integration | fuzz-replay one group of tests; TESTS=path limits it
#: make fuzz [FUZZ_SECONDS=60]           run every fuzzer for a while (MODE=fuzz)
#: make lint [LINT_STEPS=225000]         clang-tidy, cppcheck, shellcheck, mandoc; looking deeper
#: make format | check-format            clang-format
#: make check-includes check-headers     direction of includes; each header compiles alone
#: make bench [BENCH=WORD BENCH_ROUNDS=3] speed against what people use today
#: make boot-matrix                      boot every machine of docs/boot-matrix.md, and write it
#: make demo                             the main job on a loopback cloud

UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(UNIT_SOURCES))
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZERS := $(patsubst tests/%.c,$(B)/tests/%,$(FUZZ_SOURCES))
BATS_ALL := $(wildcard tests/integration/*/*.bats tests/interop/*.bats)
BATS_SLOW := $(filter tests/integration/cloud/% tests/interop/% %_slow.bats,$(BATS_ALL))
BATS_FAST := $(filter-out $(BATS_SLOW),$(BATS_ALL))
BATS_BOOT := $(wildcard tests/boot/*.bats)

# What is built for tests alone is built fast, but for fuzzing: not optimized, linked by gold where
# that is.
LDFLAGS_TEST := $(LDFLAGS_PROG) $(LDFLAGS_ALL)
ifneq ($(MODE),fuzz)
$(B)/obj/tests/%.o: CFLAGS_ALL += -O0 -U_FORTIFY_SOURCE
LDFLAGS_TEST += $(if $(shell command -v ld.gold 2>/dev/null),-fuse-ld=gold)
endif

# A unit test links the archive of the folder whose name it lies under, and what that needs.
folder_of = $(word 3,$(subst /, ,$(1)))
define unit_rules
$(B)/tests/$(1): $(B)/obj/tests/$(1).o $(foreach l,$(call deps_of,$(2)),$(call archive,$(l)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $(LDFLAGS_TEST) -o $$@ $$< -Wl,--start-group $(foreach l,$(call deps_of,$(2)),$(call archive,$(l))) -Wl,--end-group \
		$$(shell $(PKG_CONFIG) --libs $(call pkgs_of,$(2)) cmocka) $(call ldlibs_of,$(2))
endef
$(foreach t,$(UNIT_SOURCES),$(eval $(call unit_rules,$(patsubst tests/%.c,%,$(t)),$(call folder_of,$(t)))))

# A fuzzer is built with libFuzzer in MODE=fuzz; elsewhere it replays its corpus.
ALL_ARCHIVES := $(foreach f,$(FOLDERS),$(call archive,$(f)))
FUZZ_MAIN := $(if $(filter fuzz,$(MODE)),,$(B)/obj/tests/fuzz/replay.o)
$(B)/tests/fuzz/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(FUZZ_MAIN) $(ALL_ARCHIVES)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_TEST) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer) -o $@ $< $(FUZZ_MAIN) \
		-Wl,--start-group $(ALL_ARCHIVES) -Wl,--end-group $(shell $(PKG_CONFIG) --libs $(ALL_PKGS)) $(foreach f,$(FOLDERS),$($(f)_LDLIBS))

.PHONY: tests-built unit integration fuzz-replay fuzz check-fast check lint format check-format \
	check-includes check-headers check-docs machine-images demo boot-matrix bench
.SECONDARY: $(call objects,$(UNIT_SOURCES) $(FUZZ_SOURCES)) $(FUZZ_MAIN)

# A layer that lets a program's reads and writes fail.
$(B)/tests/fault.so: tests/fault/fault.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O1 -g $(WARN) -U_FORTIFY_SOURCE -fPIC -shared -o $@ $< -ldl

tests-built: $(UNIT_TESTS) $(FUZZERS) $(B)/tests/fault.so

RUN_TESTS := BINDIR=$(abspath $(BINDIR)) BUILD=$(abspath $(B)) MODE=$(MODE) tests/run
unit: $(or $(TESTS),$(UNIT_TESTS))
	@$(RUN_TESTS) $(or $(TESTS),$(UNIT_TESTS))
integration: all $(B)/tests/fault.so
	@$(RUN_TESTS) $(or $(TESTS),$(BATS_FAST))
fuzz-replay: $(or $(TESTS),$(FUZZERS))
	@$(RUN_TESTS) $(or $(TESTS),$(FUZZERS))

SOURCE_CHECKS := tests/checks/format.sh tests/checks/includes.sh tests/checks/docs.sh
LINT_CHECKS := tests/checks/lint.sh tests/checks/headers.sh

# The long ones first: short ones fill the gaps at the end.
UNIT_SLOW := $(filter %_slow,$(UNIT_TESTS))
ALL_FAST := $(BATS_FAST) $(SOURCE_CHECKS) $(filter-out $(UNIT_SLOW),$(UNIT_TESTS)) $(FUZZERS)
check-fast: all tests-built
	@$(RUN_TESTS) $(ALL_FAST)
# Some tests look into the machine images, and say so where there are none. The guests boot at the
# end, a file of tests for each processor: a busy host makes them crawl.
check: machine-images all tests-built
	@$(RUN_TESTS) $(LINT_CHECKS) $(BATS_SLOW) $(UNIT_SLOW) $(ALL_FAST) -- $(BATS_BOOT)

# Made beside what is compiled: most of it is waiting for packages.
machine-images:
	-tests/ami/build

FUZZ_SECONDS ?= 60
fuzz: $(FUZZERS)
	@test $(MODE) = fuzz || { echo "make fuzz needs MODE=fuzz" >&2; exit 2; }
	$(foreach f,$(FUZZERS),mkdir -p $(B)/corpus/$(notdir $(f)) && $(f) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix=$(B)/$(notdir $(f))- $(B)/corpus/$(notdir $(f)) $(wildcard tests/fuzz/corpus/$(patsubst fuzz_%,%,$(notdir $(f)))) &&) true

lint:
	@$(RUN_TESTS) $(LINT_CHECKS)
check-format check-includes check-headers check-docs:
	@$(RUN_TESTS) tests/checks/$(patsubst check-%,%,$@).sh
format:
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

demo: all
	tests/boot/demo

# Resumes: a machine whose inputs are what they were is not booted again.
boot-matrix: all
	BINDIR=$(BINDIR) tests/boot/matrix/run --table docs/boot-matrix.md

BENCH_ROUNDS ?= 3
BENCH_DIR ?= /dev/shm
bench: all
	tests/bench/run --bindir $(BINDIR) --rounds $(BENCH_ROUNDS) --dir $(BENCH_DIR) --only "$(BENCH)"
	tests/bench/imds --bindir $(BINDIR) --rounds $(BENCH_ROUNDS) --dir $(BENCH_DIR) --only "$(BENCH)"
