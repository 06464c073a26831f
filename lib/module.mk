lib_LIBS :=
lib_PKGS := libcurl libcrypto yaml-0.1 jansson expat libevent_core libseccomp

# X_PRELIBS of programs that are started often: the shared libarchive brings ICU and libxml2 along, which
# take longer to load than much of what the programs do. Static, it needs what its filters do.
ARCHIVE_STATIC := -l:libarchive.a -lz -lzstd -l:liblzma.so.5 -l:libbz2.so.1.0 -l:liblz4.so.1
