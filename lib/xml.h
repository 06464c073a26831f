/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML 1.0 with namespaces into a bounded, read-only element tree that remembers where in the input
 * each element stood.
 *
 * Read as UTF-8 whatever the declaration says (ASCII is part of it). Refused: document type
 * declarations and so every entity but the five predefined ones and character references,
 * processing instructions, a comment in the middle of a text, a namespace's name of more than 256
 * bytes. Names are local names: the prefix is
 * taken away and the namespace kept beside it.
 */
#ifndef LIB_XML_H
#define LIB_XML_H

#include "lib/buf.h"

/* A zero member means the default in brackets. */
struct xml_limits {
	size_t bytes;   /* of input [8 MiB] */
	unsigned depth; /* of nested elements [64] */
	size_t nodes;   /* elements and attributes [200000] */
};

struct xml_attr {
	const char *name; /* local name */
	const char *ns;   /* namespace, "" if none */
	const char *value;
};

struct xml_node {
	const char *name; /* local name */
	const char *ns;   /* namespace, "" if none */
	const char *text; /* all character data directly in it, joined; "" if none; UTF-8, no NUL */
	size_t text_len;
	struct xml_attr *attrs;
	size_t n_attrs;
	const struct xml_node *parent; /* NULL for the root */
	const struct xml_node *first;  /* child */
	const struct xml_node *next;   /* sibling */
	/*
	 * Bytes [start, end) of the input are this element, from the '<' of its start tag to just
	 * past the '>' of its end tag (or of the empty tag).
	 */
	size_t start, end;
	unsigned line, column; /* of start, from 1 */

	/* private to xml.c */
	struct xml_doc *doc;
	struct xml_node *last;
	struct xml_node *all; /* next in document order */
};

/*
 * Parses len bytes; name is for messages; limits may be NULL. *ret is the root, the caller's.
 * Errors: EBADMSG malformed; EILSEQ not UTF-8; ENOTSUP refused as above; EFBIG over a limit;
 * ENOMEM.
 */
int xml_parse(const char *name, const void *data, size_t len, const struct xml_limits *limits,
	      struct xml_node **ret, struct err *e);
/* Frees the whole tree; root must be what xml_parse returned. */
void xml_free(struct xml_node *root);
DEFINE_AUTO(struct xml_node *, xml_free);

/*
 * Look-ups by local name. All accept NULL for n and then return NULL, so that they can be chained.
 *
 *	for (p = xml_child(parts, "part"); p; p = xml_next(p, "part"))
 */
const struct xml_node *xml_child(const struct xml_node *n, const char *name); /* the first such */
const struct xml_node *xml_next(const struct xml_node *n, const char *name);  /* a later sibling */
/* First child of first child: xml_path(root, "image/parts"). */
const struct xml_node *xml_path(const struct xml_node *n, const char *path);
size_t xml_count(const struct xml_node *n, const char *name);     /* children of that name */
const char *xml_attr(const struct xml_node *n, const char *name); /* value or NULL */
/* The text of the first such child, or dflt (may be NULL) if there is none. */
const char *xml_child_text(const struct xml_node *n, const char *name, const char *dflt);

/*
 * Strict getters, for formats where every element counts: exactly one child of that name must be
 * there. Errors: EBADMSG (missing, twice, has child elements where text is wanted, not a number),
 * ERANGE; the message names file, line and column.
 */
int xml_need(const struct xml_node *n, const char *name, const struct xml_node **ret,
	     struct err *e);
int xml_need_text(const struct xml_node *n, const char *name, const char **ret, struct err *e);
int xml_need_u64(const struct xml_node *n, const char *name, uint64_t min, uint64_t max,
		 uint64_t *ret, struct err *e);
int xml_need_attr(const struct xml_node *n, const char *name, const char **ret, struct err *e);
int xml_need_attr_u64(const struct xml_node *n, const char *name, uint64_t min, uint64_t max,
		      uint64_t *ret, struct err *e);

/* Sets "FILE:LINE:COL: <name>: text"; returns -code. */
int xml_err(const struct xml_node *n, struct err *e, int code, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Appends s escaped for character data and double-quoted attributes. 0 or -ENOMEM. */
int xml_escape(const char *s, struct buf *out);

#endif
