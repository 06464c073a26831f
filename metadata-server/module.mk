metadata-server_LIBS := context lib
metadata-server_PKGS := libevent_core
metadata-server_MAN :=
