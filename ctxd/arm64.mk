# ctxd for arm64, by Debian's cross compiler: `make ctxd-arm64` puts it into build/arm64/ctxd. Only
# what ctxd is linked from is compiled, so of libraries only its own need be there.
CC := aarch64-linux-gnu-gcc
AR := aarch64-linux-gnu-ar
STRIP := aarch64-linux-gnu-strip
B := build/arm64
ROOT := $(B)/root
LIBDIR := $(ROOT)/usr/lib/aarch64-linux-gnu

space := $(subst ,, )
OTHERS := curl/ openssl/ archive ext2fs seccomp libdeflate isa-l zlib zstd
ALL := $(wildcard lib/*.c context/*.c context/*/*.c ctxd/*.c ctxd/*/*.c)
PROGRAM := ctxd/main.c $(wildcard ctxd/cmd_*.c)
others = $(shell grep -lE '^.include [<"]($(subst $(space),|,$(strip $(OTHERS) $(2))))' $(1))
# Headers of ours that include theirs, and whoever includes either.
SKIP := $(call others,$(ALL),$(call others,$(wildcard lib/*.h context/*.h ctxd/*.h)))
LIBRARY := $(filter-out $(SKIP) $(PROGRAM),$(ALL))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

CPPFLAGS_ALL := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -isystem $(ROOT)/usr/include \
	-isystem $(ROOT)/usr/include/aarch64-linux-gnu
CFLAGS_ALL := -std=gnu11 -g -O2 -Wall -Wextra -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-Wno-missing-field-initializers -ffunction-sections -fdata-sections -pthread

$(B)/ctxd: $(call objects,$(PROGRAM)) $(B)/libctxd.a
	@printf '  %-8s %s\n' LINK $@
	@$(CC) -static -Wl,--gc-sections -pthread -o $@.tmp $(call objects,$(PROGRAM)) $(B)/libctxd.a \
		-L$(LIBDIR) -levent_core -lnettle -lcrypt -lyaml -ljansson -lexpat
	@$(STRIP) $@.tmp && mv $@.tmp $@
$(B)/libctxd.a: $(call objects,$(LIBRARY))
	@rm -f $@ && $(AR) rcs $@ $^
$(B)/obj/%.o: %.c | $(ROOT)/done
	@printf '  %-8s %s\n' CC $<
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(ROOT)/done:
	ctxd/fetch-arm64

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
