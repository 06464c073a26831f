bundle_LIBS := imgconv lib
bundle_PKGS := libcrypto libisal
bundle_MAN := bundle.1
