metadata-server_LIBS := context lib
metadata-server_PKGS := libevent_core
# `serve --stdio` is started for every connection of a guest, and must be there in a few
# milliseconds: the shared libarchive brings ICU and libxml2 along, which take twenty.
metadata-server_PRELIBS := -l:libarchive.a -lz
metadata-server_MAN := metadata-server.8 metadata-server.yaml.5
metadata-server_UNITS := metadata-server.service
metadata-server_SYSUSERS := metadata-server.sysusers
