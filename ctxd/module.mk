ctxd_LIBS := context lib
ctxd_PKGS := libevent_core
ctxd_STATIC := 1
ctxd_LDLIBS :=
ctxd_MAN :=
