/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of reading VMDK from a pipe share: vmdk_stream.c takes the stream apart,
 * vmdk_stream_tables.c proves that its tables mean the grains that came.
 */
#ifndef IMGCONV_FORMAT_VMDK_STREAM_H
#define IMGCONV_FORMAT_VMDK_STREAM_H

#include "imgconv/format/vmdk.h"

#define VMDK_TABLE_DIGEST 16 /* bytes kept of a SHA-256 */
#define VMDK_TABLE_EMPTY UINT32_MAX

struct vmdk_stream {
	struct image_stream common;
	struct vmdk_header h;
	uint8_t raw[SECTOR]; /* the header as it came */
	bool tables_first;   /* the tables lie before the grains, nothing but an end behind them */

	uint8_t *in; /* in_cap bytes, in_len of them there, used up to in_at */
	size_t in_cap, in_len, in_at;
	uint64_t pos; /* where in the stream in_at is */
	bool eof;

	struct vmdk_decoder *decoder;
	uint8_t *grain;
	uint64_t next_lba; /* no grain below it may follow */

	/* The entries of the grains that came, of one table. */
	uint8_t table[GT_SIZE];
	uint32_t table_index;
	bool table_used;
	/* Tables that are not empty: as the grains were, or (tables_first) as they are to be. Up
	 * to `met` the other side was met. */
	struct vmdk_expected {
		uint32_t index;
		uint8_t digest[VMDK_TABLE_DIGEST];
	} * expected;
	size_t n_expected, cap_expected, met;
	/* Tables that came behind their grains: what the directory is to say. */
	struct vmdk_seen {
		uint32_t sector;
		uint32_t index; /* VMDK_TABLE_EMPTY: any */
	} * seen;
	size_t n_seen, cap_seen;
	uint64_t gd; /* the sector of the directory that came; 0: none yet */
	bool has_footer;
	bool done;
};

/* vmdk_stream.c */
/* Makes n bytes (n <= in_cap) be at *ret. Errors: EBADMSG the stream ends before. */
int vmdk_stream_need(struct vmdk_stream *s, size_t n, const uint8_t **ret, struct err *e);
void vmdk_stream_used(struct vmdk_stream *s, size_t n);
/* Passes over all before the offset, which is not behind the position. */
int vmdk_stream_skip_to(struct vmdk_stream *s, uint64_t offset, struct err *e);

/* vmdk_stream_tables.c */
void vmdk_stream_tables_free(struct vmdk_stream *s);
/* Reads the tables in front. */
int vmdk_stream_read_front(struct vmdk_stream *s, struct err *e);
/* Notes a grain that begins at the sector of the file. */
int vmdk_stream_add_grain(struct vmdk_stream *s, uint64_t lba, uint64_t sector, struct err *e);
/* What is behind a marker of that type, which has been passed. */
int vmdk_stream_take_table(struct vmdk_stream *s, struct err *e);
int vmdk_stream_take_directory(struct vmdk_stream *s, struct err *e);
/* No grain is to follow: all tables were met. */
int vmdk_stream_close_tables(struct vmdk_stream *s, struct err *e);

#endif
