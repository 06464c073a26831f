# What below initscripts/ is put into guests, as it is ...
GUEST_FILES := $(patsubst initscripts/%,%,$(foreach d,initscripts initscripts/first-boot, \
	$(wildcard $(d)/systemd/* $(d)/openrc/* $(d)/upstart/*))) first-boot/run
# ... and what consists of a header of its distribution and a body that all have in common.
GUEST_SYSV := $(patsubst initscripts/%,%,$(wildcard initscripts/sysv/*/* initscripts/first-boot/sysv/*/*))
GUEST_FILES += $(GUEST_SYSV)

sysv_body = initscripts/$(patsubst %/,%,$(dir $(patsubst %/,%,$(dir $(1)))))/$(patsubst boot.%,%,$(notdir $(1)))
define sysv_rules
$(DATADIR)/guest/$(1): initscripts/$(1) $(call sysv_body,$(1)) initscripts/module.mk
	@mkdir -p $$(@D)
	$$(Q){ head -n 1 $(call sysv_body,$(1)) && cat $$< && tail -n +2 $(call sysv_body,$(1)); } >$$@.tmp
	$$(Q)chmod 755 $$@.tmp && mv $$@.tmp $$@
endef
