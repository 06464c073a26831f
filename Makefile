# Acclimate: the only makefile. `make help` lists what it can do.
#
# A folder is an archive (every .c but main.c and cmd_*.c) and, where it has a main.c, a program
# (main.c and cmd_*.c, linked with the archives that its module.mk names). Modes never mix: all
# output goes to build/$(MODE)/; bin/ points to the programs of the mode that was built last.

MODE ?= release
MODES := debug release asan fuzz
ifeq ($(filter $(MODE),$(MODES)),)
$(error MODE is '$(MODE)', not one of: $(MODES))
endif

PREFIX ?= /usr/local
DESTDIR ?=
V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-8s %s\n' '$(1)' '$(2)'
else
Q :=
say = @:
endif

B := build/$(MODE)
BINDIR := $(B)/bin

CC := gcc
AR := ar
PKG_CONFIG ?= pkg-config

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings \
	-Wformat=2 -Wundef -Wpointer-arith -Wno-missing-field-initializers \
	-Werror=implicit-function-declaration
ifeq ($(DEV),1)
WARN += -Werror
endif
CPPFLAGS_ALL := -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(CPPFLAGS)
CFLAGS_ALL := -std=gnu11 -g $(WARN) -ffunction-sections -fdata-sections -pthread
LDFLAGS_ALL := -Wl,--gc-sections -Wl,--as-needed -pthread

ifeq ($(MODE),debug)
CFLAGS_ALL += -Og
endif
ifeq ($(MODE),release)
CFLAGS_ALL += -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
LDFLAGS_PROG := -pie -Wl,-z,relro,-z,now
endif
ifeq ($(MODE),asan)
CFLAGS_ALL += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
LDFLAGS_ALL += -fsanitize=address,undefined
endif
ifeq ($(MODE),fuzz)
CC := clang
CFLAGS_ALL += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link \
	-fno-sanitize-recover=undefined
LDFLAGS_ALL += -fsanitize=address,undefined
endif
CFLAGS_ALL += $(CFLAGS)
LDFLAGS_ALL += $(LDFLAGS)

FOLDERS := lib imgconv context bundle ctxd metadata-server catalog

# What each folder's module.mk may set (X is the folder's name):
#   X_LIBS     archives that X needs, after its own
#   X_PKGS     pkg-config packages whose headers or libraries X needs
#   X_LDLIBS   libraries without a .pc file
#   X_PRELIBS  libraries before those of the packages: a static one that a program is to have in
#              place of the shared one
#   X_STATIC   1: the program is one static file (not in the sanitizer modes)
#   X_MAN      manual pages
#   X_UNITS    units for systemd, which name programs below /usr/local; X_SYSUSERS: users for it
include $(foreach f,$(FOLDERS),$(f)/module.mk)
include initscripts/module.mk

all_sources = $(wildcard $(1)/*.c $(1)/*/*.c)
prog_sources = $(wildcard $(1)/main.c $(1)/cmd_*.c)
lib_sources = $(filter-out $(call prog_sources,$(1)),$(call all_sources,$(1)))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
archive = $(B)/lib/lib$(1).a
# An archive's name after its own dependencies: left before right for the linker.
closure = $(1) $(foreach l,$($(1)_LIBS),$(call closure,$(l)))
uniq = $(if $(1),$(call uniq,$(filter-out $(lastword $(1)),$(1))) $(lastword $(1)))
deps_of = $(call uniq,$(call closure,$(1)))
pkgs_of = $(sort $(foreach l,$(call deps_of,$(1)),$($(l)_PKGS)))
ldlibs_of = $(foreach l,$(call deps_of,$(1)),$($(l)_LDLIBS))

PROGRAMS := $(foreach f,$(FOLDERS),$(if $(wildcard $(f)/main.c),$(f)))
ALL_PKGS := $(sort $(foreach f,$(FOLDERS),$($(f)_PKGS)))
ifneq ($(filter-out help clean format,$(or $(MAKECMDGOALS),all)),)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(ALL_PKGS) 2>/dev/null)
endif

.PHONY: all help clean
all: programs data

$(B)/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(PKG_CFLAGS) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

define folder_rules
$(call archive,$(1)): $(call objects,$(call lib_sources,$(1)))
	$$(call say,AR,$$@)
	@mkdir -p $$(@D) && rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rules,$(f))))

# A static program is never linked with a sanitizer's run-time library.
SANITIZED := $(filter asan fuzz,$(MODE))
define program_rules
$(1)_OBJS := $(call objects,$(call prog_sources,$(1)))
$(BINDIR)/$(1): $$($(1)_OBJS) $(foreach l,$(call deps_of,$(1)),$(call archive,$(l)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $(if $(and $($(1)_STATIC),$(if $(SANITIZED),,1)),-static $(filter-out -pie,$(LDFLAGS_ALL)),$(LDFLAGS_PROG) $(LDFLAGS_ALL)) \
		-o $$@ $$($(1)_OBJS) -Wl,--start-group $(foreach l,$(call deps_of,$(1)),$(call archive,$(l))) -Wl,--end-group \
		$(if $($(1)_STATIC),$($(1)_LDLIBS),$($(1)_PRELIBS) $$(shell $(PKG_CONFIG) --libs $(call pkgs_of,$(1))) $(call ldlibs_of,$(1)))
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rules,$(p))))

.PHONY: programs
programs: $(foreach p,$(PROGRAMS),$(BINDIR)/$(p))
	@mkdir -p bin && for p in $(PROGRAMS); do ln -sfn ../$(BINDIR)/$$p bin/$$p; done

# What `imgconv inject --ctxd` puts into a guest, where programs look for it:
# share/acclimate beside bin, in the build as after installation.
DATADIR := $(B)/share/acclimate
.PHONY: data
data: $(addprefix $(DATADIR)/guest/,$(GUEST_FILES)) $(if $(filter ctxd,$(PROGRAMS)),$(DATADIR)/guest/ctxd)
$(DATADIR)/guest/ctxd: $(BINDIR)/ctxd
	@mkdir -p $(@D)
	$(Q)cp $< $@.tmp && $(if $(SANITIZED),true,strip $@.tmp) && mv $@.tmp $@
$(foreach f,$(GUEST_SYSV),$(eval $(call sysv_rules,$(f))))
$(DATADIR)/guest/%: initscripts/%
	@mkdir -p $(@D)
	$(Q)cp -p $< $@

include tests/module.mk

# ---- installation -------------------------------------------------------------------------

# Where bash and zsh look for completion.
SHARE := $(DESTDIR)$(PREFIX)/share
BASH_COMPLETIONS := $(SHARE)/bash-completion/completions
ZSH_COMPLETIONS := $(SHARE)/zsh/site-functions

UNITS := $(foreach f,$(FOLDERS),$(addprefix $(f)/,$($(f)_UNITS)))
SYSUSERS := $(foreach f,$(FOLDERS),$(addprefix $(f)/,$($(f)_SYSUSERS)))
SYSTEMD := $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERS_D := $(DESTDIR)$(PREFIX)/lib/sysusers.d
MAN_PAGES := $(foreach f,$(FOLDERS),$(addprefix $(f)/,$($(f)_MAN)))

.PHONY: install uninstall
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/acclimate
	$(foreach p,$(PROGRAMS),install -m 755 $(BINDIR)/$(p) $(DESTDIR)$(PREFIX)/bin/$(p) &&) true
	cd $(DATADIR) && find . -type f -exec install -D -m 644 {} $(abspath $(DESTDIR)$(PREFIX))/share/acclimate/{} \;
	chmod 755 $(DESTDIR)$(PREFIX)/share/acclimate/guest/ctxd
	$(foreach m,$(MAN_PAGES),install -D -m 644 $(m) $(DESTDIR)$(PREFIX)/share/man/man$(lastword $(subst ., ,$(m)))/$(notdir $(m)) &&) true
	install -d $(SYSTEMD) $(SYSUSERS_D)
	$(foreach u,$(UNITS),sed 's|/usr/local/|$(PREFIX)/|g' $(u) >$(SYSTEMD)/$(notdir $(u)) &&) true
	$(foreach u,$(SYSUSERS),install -m 644 $(u) $(SYSUSERS_D)/$(basename $(notdir $(u))).conf &&) true
	install -d $(BASH_COMPLETIONS) $(ZSH_COMPLETIONS)
	$(foreach p,$(PROGRAMS),$(BINDIR)/$(p) completion bash >$(BASH_COMPLETIONS)/$(p) &&) true
	$(foreach p,$(PROGRAMS),$(BINDIR)/$(p) completion zsh >$(ZSH_COMPLETIONS)/_$(p) &&) true

uninstall:
	$(foreach p,$(PROGRAMS),rm -f $(DESTDIR)$(PREFIX)/bin/$(p) $(BASH_COMPLETIONS)/$(p) $(ZSH_COMPLETIONS)/_$(p) &&) true
	rm -rf $(DESTDIR)$(PREFIX)/share/acclimate
	$(foreach u,$(UNITS),rm -f $(SYSTEMD)/$(notdir $(u)) &&) true
	$(foreach u,$(SYSUSERS),rm -f $(SYSUSERS_D)/$(basename $(notdir $(u))).conf &&) true
	$(foreach m,$(MAN_PAGES),rm -f $(DESTDIR)$(PREFIX)/share/man/man$(lastword $(subst ., ,$(m)))/$(notdir $(m)) &&) true

clean:
	rm -rf build/debug build/release build/asan build/fuzz bin

help:
	@sed -n 's/^#: //p' tests/module.mk | cat - && printf '%s\n' \
	  'make [MODE=debug|release|asan|fuzz]   build everything; programs in bin/' \
	  'make install DESTDIR= PREFIX=         install programs, manual pages, completion, guest files' \
	  'make clean                            remove what was built (keeps build/ami)' \
	  'V=1 shows the commands, DEV=1 makes warnings errors'

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
