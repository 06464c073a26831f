catalog_LIBS := bundle imgconv context lib
catalog_PKGS := libcurl jansson libarchive
catalog_PRELIBS := $(ARCHIVE_STATIC)
catalog_MAN := catalog.1
