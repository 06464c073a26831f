context_LIBS := lib
context_PKGS := libarchive nettle
