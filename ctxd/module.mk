# ctxd goes into guests of any age, so it is one static file that needs nothing of theirs.
ctxd_LIBS := context lib
ctxd_PKGS := libevent_core
ctxd_STATIC := 1
# libarchive's ISO reader needs zlib; the token's cipher is nettle's.
ctxd_LDLIBS := -levent_core -larchive -lz -lnettle
ctxd_MAN := ctxd.8
