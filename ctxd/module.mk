# ctxd goes into guests of any age, so it is one static file that needs nothing of theirs.
ctxd_LIBS := context lib
ctxd_PKGS := libevent_core
ctxd_STATIC := 1
# nettle has the token's cipher.
ctxd_LDLIBS := -levent_core -lnettle
ctxd_MAN := ctxd.8
