/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XML by expat into a tree that knows its byte offsets: see lib/xml.h.
 *
 * The whole input is given to expat in one call, so that XML_GetCurrentByteIndex counts from its
 * first byte. At the end of an element expat stands at the '<' of the end tag and knows its length;
 * for an empty tag it stands behind it, with length 0.
 */
#include "lib/xml.h"

#include <expat.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "lib/str.h"

#define DEFAULT_BYTES (8u << 20)
#define DEFAULT_DEPTH 64
#define DEFAULT_NODES 200000
/* Bytes of a namespace's name, which expat and the tree copy for each name in it: the longest of
 * those that are known here has 84. */
#define NAMESPACE_MAX 256

/* Between namespace and local name; not legal in a namespace name, and refused there by expat. */
#define NS_SEPARATOR '\n'

struct xml_doc {
	char *name;
	struct xml_node *all; /* every element, the latest first */
	struct xml_node *root;
};

/* An element whose end tag has not come. */
struct open_node {
	struct xml_node *node;
	struct buf text;
	bool solid; /* there is text that is not blank */
	bool split; /* a comment stands behind it */
};

struct parse {
	XML_Parser parser;
	struct xml_doc *doc;
	struct xml_limits limits;
	struct open_node *open; /* limits.depth of them */
	unsigned depth;
	size_t nodes;
	int rc;
	struct err *e;
};

/* ---- memory --------------------------------------------------------------------------------- */

static void doc_free(struct xml_doc *doc)
{
	struct xml_node *n, *before;

	if (!doc)
		return;
	for (n = doc->all; n; n = before) {
		before = n->all;
		for (size_t i = 0; i < n->n_attrs; i++) {
			free((char *)n->attrs[i].ns);
			free((char *)n->attrs[i].name);
			free((char *)n->attrs[i].value);
		}
		free(n->attrs);
		free((char *)n->ns);
		free((char *)n->name);
		free((char *)n->text);
		free(n);
	}
	free(doc->name);
	free(doc);
}

void xml_free(struct xml_node *root)
{
	if (root)
		doc_free(root->doc);
}

/* "NS\nLOCAL" or "LOCAL" into two copies. */
static int split_name(const char *full, const char **ret_ns, const char **ret_name)
{
	const char *sep = strrchr(full, NS_SEPARATOR);

	*ret_ns = sep ? strndup(full, (size_t)(sep - full)) : strdup("");
	*ret_name = strdup(sep ? sep + 1 : full);
	return *ret_ns && *ret_name ? 0 : -ENOMEM;
}

/* ---- events --------------------------------------------------------------------------------- */

/* Ends the parsing: the first error counts. */
PRINTF_LIKE(3, 4)
static void stop(struct parse *p, int code, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (p->rc < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->rc = err_set(p->e, code, "%s:%" PRIu64 ":%" PRIu64 ": %s", p->doc->name,
			(uint64_t)XML_GetCurrentLineNumber(p->parser),
			(uint64_t)XML_GetCurrentColumnNumber(p->parser) + 1, text);
	XML_StopParser(p->parser, XML_FALSE);
}

static void stop_nomem(struct parse *p)
{
	stop(p, ENOMEM, "out of memory");
}

static int add_attrs(struct xml_node *n, const XML_Char **atts, size_t count)
{
	if (!count)
		return 0;
	n->attrs = calloc(count, sizeof(*n->attrs));
	if (!n->attrs)
		return -ENOMEM;
	for (n->n_attrs = 0; n->n_attrs < count; atts += 2) {
		struct xml_attr *a = &n->attrs[n->n_attrs++];

		a->value = strdup(atts[1]);
		if (!a->value || split_name(atts[0], &a->ns, &a->name) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void link_node(struct parse *p, struct xml_node *n)
{
	struct xml_node *parent = p->depth ? p->open[p->depth - 1].node : NULL;

	n->all = p->doc->all;
	p->doc->all = n;
	n->doc = p->doc;
	n->parent = parent;
	if (!parent)
		p->doc->root = n;
	else if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	if (parent)
		parent->last = n;
}

static void XMLCALL on_start(void *opaque, const XML_Char *name, const XML_Char **atts)
{
	struct parse *p = opaque;
	struct xml_node *n;
	size_t count = 0;

	if (p->rc < 0)
		return;
	while (atts[2 * count])
		count++;
	if (p->depth >= p->limits.depth) {
		stop(p, EFBIG, "nested more than %u levels deep", p->limits.depth);
		return;
	}
	if (count >= p->limits.nodes || p->nodes > p->limits.nodes - count - 1) {
		stop(p, EFBIG, "more than %zu elements and attributes", p->limits.nodes);
		return;
	}
	p->nodes += count + 1;
	n = calloc(1, sizeof(*n));
	if (!n) {
		stop_nomem(p);
		return;
	}
	link_node(p, n);
	n->start = (size_t)XML_GetCurrentByteIndex(p->parser);
	n->line = (unsigned)XML_GetCurrentLineNumber(p->parser);
	n->column = (unsigned)XML_GetCurrentColumnNumber(p->parser) + 1;
	if (split_name(name, &n->ns, &n->name) < 0 || add_attrs(n, atts, count) < 0) {
		stop_nomem(p);
		return;
	}
	p->open[p->depth++] = (struct open_node){.node = n};
}

static void XMLCALL on_end(void *opaque, const XML_Char *name)
{
	struct parse *p = opaque;
	struct open_node *o;

	(void)name;
	if (p->rc < 0)
		return;
	o = &p->open[--p->depth];
	o->node->end = (size_t)XML_GetCurrentByteIndex(p->parser) +
		       (size_t)XML_GetCurrentByteCount(p->parser);
	o->node->text_len = o->text.len;
	o->node->text = o->text.len ? buf_detach(&o->text) : strdup("");
	buf_release(&o->text);
	if (!o->node->text)
		stop_nomem(p);
}

static bool is_blank(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!strchr(" \t\r\n", s[i]))
			return false;
	}
	return true;
}

static void XMLCALL on_text(void *opaque, const XML_Char *s, int len)
{
	struct parse *p = opaque;
	struct open_node *o;

	if (p->rc < 0 || !p->depth)
		return;
	o = &p->open[p->depth - 1];
	o->solid = o->solid || !is_blank(s, (size_t)len);
	if (o->split && !is_blank(s, (size_t)len))
		stop(p, ENOTSUP, "a comment in the middle of a text is not supported");
	else if (buf_add(&o->text, s, (size_t)len) < 0)
		stop_nomem(p);
}

static void XMLCALL on_comment(void *opaque, const XML_Char *text)
{
	struct parse *p = opaque;

	(void)text;
	if (p->rc == 0 && p->depth) {
		struct open_node *o = &p->open[p->depth - 1];

		o->split = o->solid;
	}
}

static void XMLCALL on_doctype(void *opaque, const XML_Char *name, const XML_Char *sysid,
			       const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	stop(opaque, ENOTSUP, "document type declarations are not supported");
}

static void XMLCALL on_instruction(void *opaque, const XML_Char *target, const XML_Char *data)
{
	(void)data;
	stop(opaque, ENOTSUP, "processing instructions ('%.32s') are not supported", target);
}

/* ---- before expat: bounds -------------------------------------------------------------------- */

/*
 * xmlns or xmlns:PREFIX = "NAME": whether NAME has more bytes than it may. *at is behind "xmlns", and
 * comes to the '='.
 */
static bool is_long_namespace(const char **at, const char *end)
{
	const char *p = *at, *start;
	char quote;

	while (p < end && !strchr("=\"'<>", *p))
		p++;
	*at = p;
	if (p == end || *p != '=')
		return false;
	for (p++; p < end && strchr(" \t\r\n", *p); p++)
		;
	if (p == end || (*p != '"' && *p != '\''))
		return false;
	quote = *p++;
	for (start = p; p < end && *p != quote && *p != '<' && p - start <= NAMESPACE_MAX; p++)
		;
	return p - start > NAMESPACE_MAX;
}

/* What stands in comments and texts and looks like it is judged like it. */
static int check_namespaces(const char *name, const char *data, size_t len, struct err *e)
{
	static const char word[] = "xmlns";
	const char *end = data + len;

	for (const char *p = data; (p = memmem(p, (size_t)(end - p), word, strlen(word)));) {
		size_t start = (size_t)(p - data);

		p += strlen(word);
		if (is_long_namespace(&p, end))
			return err_set(e, EFBIG,
				       "%s: byte %zu: a namespace's name of more than %d bytes",
				       name, start, NAMESPACE_MAX);
	}
	return 0;
}

/* ---- parsing -------------------------------------------------------------------------------- */

static void parse_release(struct parse *p)
{
	for (unsigned i = 0; i < p->depth; i++)
		buf_release(&p->open[i].text);
	free(p->open);
	if (p->parser)
		XML_ParserFree(p->parser);
	doc_free(p->doc);
}
DEFINE_AUTO_STRUCT(struct parse, parse_release);

static int set_up(struct parse *p, const char *name)
{
	p->doc = calloc(1, sizeof(*p->doc));
	p->open = calloc(p->limits.depth, sizeof(*p->open));
	/* The encoding given here overrides the declaration's. */
	p->parser = XML_ParserCreateNS("UTF-8", NS_SEPARATOR);
	if (!p->doc || !p->open || !p->parser)
		return -ENOMEM;
	p->doc->name = strdup(name);
	if (!p->doc->name)
		return -ENOMEM;
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, on_start, on_end);
	XML_SetCharacterDataHandler(p->parser, on_text);
	XML_SetCommentHandler(p->parser, on_comment);
	XML_SetStartDoctypeDeclHandler(p->parser, on_doctype);
	XML_SetProcessingInstructionHandler(p->parser, on_instruction);
	return 0;
}

int xml_parse(const char *name, const void *data, size_t len, const struct xml_limits *limits,
	      struct xml_node **ret, struct err *e)
{
	AUTO(parse_release) struct parse p = {.e = e};
	int rc;

	p.limits = limits ? *limits : (struct xml_limits){0};
	if (!p.limits.bytes)
		p.limits.bytes = DEFAULT_BYTES;
	if (!p.limits.depth)
		p.limits.depth = DEFAULT_DEPTH;
	if (!p.limits.nodes)
		p.limits.nodes = DEFAULT_NODES;
	if (len > p.limits.bytes || len > INT_MAX)
		return err_set(e, EFBIG, "%s: more than %zu bytes", name, p.limits.bytes);
	/* Before expat, which takes a byte order mark of UTF-16 for more than what it is told. */
	if (len && !utf8_valid(data, len))
		return err_set(e, EILSEQ, "%s: not UTF-8", name);
	rc = data ? check_namespaces(name, data, len, e) : 0;
	if (rc < 0)
		return rc;
	if (set_up(&p, name) < 0)
		return err_nomem(e);
	if (XML_Parse(p.parser, data ? data : "", (int)len, XML_TRUE) != XML_STATUS_OK) {
		enum XML_Error code = XML_GetErrorCode(p.parser);

		if (code == XML_ERROR_NO_MEMORY)
			stop_nomem(&p);
		else
			stop(&p, EBADMSG, "%s", XML_ErrorString(code));
	}
	if (p.rc < 0)
		return p.rc;
	*ret = p.doc->root;
	p.doc = NULL;
	return 0;
}

/* ---- look-ups ------------------------------------------------------------------------------- */

/* n itself or the next sibling behind it that has the name. */
static const struct xml_node *named(const struct xml_node *n, const char *name)
{
	while (n && strcmp(n->name, name) != 0)
		n = n->next;
	return n;
}

const struct xml_node *xml_child(const struct xml_node *n, const char *name)
{
	return n ? named(n->first, name) : NULL;
}

const struct xml_node *xml_next(const struct xml_node *n, const char *name)
{
	return n ? named(n->next, name) : NULL;
}

const struct xml_node *xml_path(const struct xml_node *n, const char *path)
{
	while (n && *path) {
		size_t len = strcspn(path, "/");

		for (n = n->first; n; n = n->next) {
			if (!strncmp(n->name, path, len) && !n->name[len])
				break;
		}
		path += len + (path[len] == '/');
	}
	return n;
}

size_t xml_count(const struct xml_node *n, const char *name)
{
	size_t count = 0;

	for (n = xml_child(n, name); n; n = xml_next(n, name))
		count++;
	return count;
}

const char *xml_attr(const struct xml_node *n, const char *name)
{
	for (size_t i = 0; n && i < n->n_attrs; i++) {
		if (!strcmp(n->attrs[i].name, name))
			return n->attrs[i].value;
	}
	return NULL;
}

const char *xml_child_text(const struct xml_node *n, const char *name, const char *dflt)
{
	const struct xml_node *child = xml_child(n, name);

	return child ? child->text : dflt;
}

/* ---- strict getters ------------------------------------------------------------------------- */

int xml_err(const struct xml_node *n, struct err *e, int code, const char *fmt, ...)
{
	char text[sizeof(e->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, code, "%s:%u:%u: <%.64s>: %s", n->doc->name, n->line, n->column, n->name,
		       text);
}

int xml_need(const struct xml_node *n, const char *name, const struct xml_node **ret, struct err *e)
{
	const struct xml_node *child = xml_child(n, name);

	if (!child)
		return xml_err(n, e, EBADMSG, "has no <%s>", name);
	if (xml_next(child, name))
		return xml_err(xml_next(child, name), e, EBADMSG, "must be there once only");
	*ret = child;
	return 0;
}

int xml_need_text(const struct xml_node *n, const char *name, const char **ret, struct err *e)
{
	const struct xml_node *child = NULL;
	int rc = xml_need(n, name, &child, e);

	if (rc < 0 || !child)
		return rc;
	if (child->first)
		return xml_err(child, e, EBADMSG, "must hold text alone, not <%.64s>",
			       child->first->name);
	*ret = child->text;
	return 0;
}

int xml_need_u64(const struct xml_node *n, const char *name, uint64_t min, uint64_t max,
		 uint64_t *ret, struct err *e)
{
	const char *text = "";
	struct err inner;
	int rc = xml_need_text(n, name, &text, e);

	if (rc < 0)
		return rc;
	rc = str_to_u64(text, min, max, ret, &inner);
	if (rc < 0)
		return xml_err(xml_child(n, name), e, rc == -EINVAL ? EBADMSG : -rc, "%s",
			       inner.msg);
	return 0;
}

int xml_need_attr(const struct xml_node *n, const char *name, const char **ret, struct err *e)
{
	const char *value = xml_attr(n, name);

	if (!value)
		return xml_err(n, e, EBADMSG, "has no attribute '%s'", name);
	*ret = value;
	return 0;
}

int xml_need_attr_u64(const struct xml_node *n, const char *name, uint64_t min, uint64_t max,
		      uint64_t *ret, struct err *e)
{
	const char *text = "";
	struct err inner;
	int rc = xml_need_attr(n, name, &text, e);

	if (rc < 0)
		return rc;
	rc = str_to_u64(text, min, max, ret, &inner);
	if (rc < 0)
		return xml_err(n, e, rc == -EINVAL ? EBADMSG : -rc, "attribute '%s': %s", name,
			       inner.msg);
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

int xml_escape(const char *s, struct buf *out)
{
	for (; *s; s++) {
		const char *entity = *s == '&'    ? "&amp;"
				     : *s == '<'  ? "&lt;"
				     : *s == '>'  ? "&gt;"
				     : *s == '"'  ? "&quot;"
				     : *s == '\r' ? "&#13;"
						  : NULL;
		int rc = entity ? buf_adds(out, entity) : buf_addc(out, *s);

		if (rc < 0)
			return rc;
	}
	return 0;
}
