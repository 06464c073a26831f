lib_LIBS :=
lib_PKGS := libcurl libcrypto yaml-0.1 jansson expat libevent_core libseccomp
