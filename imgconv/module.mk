imgconv_LIBS := lib
imgconv_PKGS := libdeflate libisal zlib libzstd ext2fs com_err libarchive libpcre2-8
imgconv_PRELIBS := $(ARCHIVE_STATIC)
imgconv_MAN := imgconv.1
