catalog_LIBS := bundle imgconv context lib
catalog_PKGS := libcurl jansson
catalog_MAN := catalog.1
