# ctxd goes into guests of any age, so it is one static file that needs nothing of theirs.
ctxd_LIBS := context lib
ctxd_PKGS := libevent_core libcrypt
ctxd_STATIC := 1
# nettle has the token's cipher, crypt hashes passwords.
ctxd_LDLIBS := -levent_core -lnettle -lcrypt -lyaml -ljansson -lexpat
ctxd_MAN := ctxd.8

.PHONY: ctxd-arm64
ctxd-arm64:
	@$(MAKE) --no-print-directory -f ctxd/arm64.mk
