bundle_LIBS := imgconv lib
bundle_PKGS := libcrypto libisal
bundle_PRELIBS := $(ARCHIVE_STATIC)
bundle_MAN := bundle.1
