imgconv_LIBS := lib
imgconv_PKGS := libdeflate zlib libzstd ext2fs com_err libarchive
imgconv_MAN := imgconv.1
