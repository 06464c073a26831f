/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip (RFC 1952) by ISA-L's igzip, which checks CRC-32 and length of each member. Members may
 * follow each other without a gap (pigz, concatenation), anything else behind one is an error:
 * gzip(1) lets zeros pass there, but no bundle has them.
 */
#include <inttypes.h>

#include <isa-l/igzip_lib.h>

#include "bundle/gunzip.h"

#define INPUT_STEP (1u << 30) /* avail_in has 32 bits */

struct gunzip {
	struct inflate_state state;
	const uint8_t *in;
	size_t in_len;    /* not yet given to state */
	uint64_t taken;   /* bytes of input given to state before `in` */
	uint64_t members; /* begun */
	bool inside;      /* a member */
	bool in_header;   /* of it */
	struct isal_gzip_header header;
};

int gunzip_new(struct gunzip **ret, struct err *e)
{
	struct gunzip *g = calloc(1, sizeof(*g));

	if (!g)
		return err_nomem(e);
	isal_inflate_init(&g->state);
	*ret = g;
	return 0;
}

void gunzip_free(struct gunzip *g)
{
	free(g);
}

void gunzip_input(struct gunzip *g, const void *data, size_t len)
{
	g->in = data;
	g->in_len = len;
}

static const char *reason(int rc)
{
	switch (rc) {
	case ISAL_INVALID_BLOCK:
		return "a block has an invalid header";
	case ISAL_INVALID_SYMBOL:
		return "an invalid code";
	case ISAL_INVALID_LOOKBACK:
		return "a distance reaches before the beginning";
	case ISAL_INVALID_WRAPPER:
		return "no gzip header";
	case ISAL_UNSUPPORTED_METHOD:
		return "a compression method other than deflate";
	case ISAL_INCORRECT_CHECKSUM:
		return "checksum or length is wrong";
	default:
		return "corrupt data";
	}
}

static uint64_t input_position(const struct gunzip *g)
{
	return g->taken - g->state.avail_in;
}

/*
 * The header is read apart: isal_inflate would do it, too, but (2.30) forgets which optional fields
 * there are when its input ends between two of them.
 */
static void begin_member(struct gunzip *g)
{
	isal_inflate_reset(&g->state);
	isal_gzip_header_init(&g->header);
	g->state.crc_flag = ISAL_GZIP_NO_HDR_VER;
	g->members++;
	g->inside = true;
	g->in_header = true;
}

/* Gives state more input if it has none; false: there is none. */
static bool refill(struct gunzip *g)
{
	uint32_t n = (uint32_t)MIN(g->in_len, INPUT_STEP);

	if (g->state.avail_in)
		return true;
	if (!n)
		return false;
	g->state.next_in = (uint8_t *)(uintptr_t)g->in; /* igzip does not write there */
	g->state.avail_in = n;
	g->in += n;
	g->in_len -= n;
	g->taken += n;
	return true;
}

static int no_further_member(const struct gunzip *g, struct err *e)
{
	return err_set(e, EBADMSG,
		       "gzip: bytes near 0x%" PRIx64
		       " follow the end of the data but are no further member",
		       input_position(g));
}

static int corrupt(const struct gunzip *g, int rc, struct err *e)
{
	if (g->in_header && g->members > 1)
		return no_further_member(g, e);
	return err_set(e, EBADMSG, "gzip: member %" PRIu64 ", near 0x%" PRIx64 ": %s", g->members,
		       input_position(g), reason(rc));
}

static int read_header(struct gunzip *g, struct err *e)
{
	int rc = isal_read_gzip_header(&g->state, &g->header);

	if (rc == ISAL_DECOMP_OK)
		g->in_header = false;
	else if (rc != ISAL_END_INPUT || g->state.avail_in)
		return corrupt(g, rc, e);
	return 0;
}

static int inflate_some(struct gunzip *g, struct err *e)
{
	uint32_t in_before = g->state.avail_in, out_before = g->state.avail_out;
	int32_t bits_before = g->state.read_in_length;
	int rc = isal_inflate(&g->state);

	if (rc != ISAL_DECOMP_OK)
		return corrupt(g, rc, e);
	if (g->state.block_state == ISAL_BLOCK_FINISH)
		g->inside = false;
	else if (in_before && g->state.avail_in == in_before && g->state.avail_out == out_before &&
		 g->state.read_in_length == bits_before)
		return err_set(e, EBADMSG, "gzip: no progress at 0x%" PRIx64, input_position(g));
	return 0;
}

int gunzip_output(struct gunzip *g, void *out, size_t cap, size_t *ret_len, struct err *e)
{
	g->state.next_out = out;
	g->state.avail_out = (uint32_t)cap;
	while (g->state.avail_out) {
		uint32_t left = g->state.avail_out;
		bool more = refill(g);
		int rc;

		if (!g->inside && !more)
			break;
		if (!g->inside)
			begin_member(g);
		rc = g->in_header ? read_header(g, e) : inflate_some(g, e);
		if (rc < 0)
			return rc;
		/* Without input it only hands out what it had kept for want of room. */
		if (!more && g->state.avail_out == left)
			break;
	}
	*ret_len = cap - g->state.avail_out;
	return 0;
}

int gunzip_finish(struct gunzip *g, struct err *e)
{
	if (g->in_header && g->members > 1)
		return no_further_member(g, e);
	if (g->inside)
		return err_set(e, EBADMSG, "gzip: data ends inside of member %" PRIu64, g->members);
	if (!g->members)
		return err_set(e, EBADMSG, "gzip: there is no data");
	return 0;
}
