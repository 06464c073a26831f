/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What AWS services say when they refuse:
 *
 *	S3       XML   Error: Code, Message, Region, RequestId
 *	EC2      XML   Response: Errors: Error: Code, Message; RequestID
 *	others   XML   ErrorResponse: Error: Code, Message; RequestId
 *	EBS      JSON  Message, Reason; the code in the header x-amzn-ErrorType: "Code:uri"
 *	SSM      JSON  __type "namespace#Code", message
 */
#include <stdio.h>
#include <strings.h>

#include "lib/aws.h"
#include "lib/json.h"
#include "lib/str.h"

#define MAX_DOCUMENT (256u << 10)

static const char *first_of(const char *a, const char *b)
{
	return a ? a : b ? b : "";
}

#define COPY(dst, src) snprintf((dst), sizeof(dst), "%s", (src))

static void parse_xml(const struct httpc_response *r, struct aws_error *ret)
{
	static const struct xml_limits limits = {.bytes = MAX_DOCUMENT, .depth = 16, .nodes = 1000};
	AUTO(xml_free) struct xml_node *root = NULL;
	const struct xml_node *error;

	if (xml_parse("", r->body.data, r->body.len, &limits, &root, NULL) < 0)
		return;
	if (!strcmp(root->name, "Error"))
		error = root;
	else if (!strcmp(root->name, "Response"))
		error = xml_path(root, "Errors/Error");
	else
		error = xml_path(root, "Error");
	COPY(ret->code, xml_child_text(error, "Code", ""));
	COPY(ret->message, xml_child_text(error, "Message", ""));
	COPY(ret->region, xml_child_text(error, "Region", ""));
	COPY(ret->request_id, first_of(xml_child_text(error, "RequestId", NULL),
				       first_of(xml_child_text(root, "RequestID", NULL),
						xml_child_text(root, "RequestId", NULL))));
}

/* A member that is a string, by either spelling. */
static const char *member(const struct value *v, const char *a, const char *b)
{
	const char *s = "";
	const struct value *m = value_get(v, a) ? value_get(v, a) : value_get(v, b);

	if (m)
		value_string(m, &s, NULL);
	return s;
}

/* "com.amazon.coral.service#AccessDeniedException:http://..." into "AccessDeniedException" */
static void copy_type(struct aws_error *ret, const char *type)
{
	const char *hash = strrchr(type, '#');

	COPY(ret->code, hash ? hash + 1 : type);
	ret->code[strcspn(ret->code, ":")] = '\0';
}

static void parse_json(const struct httpc_response *r, struct aws_error *ret)
{
	static const struct value_limits limits = {
		.bytes = MAX_DOCUMENT, .depth = 16, .nodes = 1000};
	AUTO(value_free) struct value *v = NULL;
	const char *type = httpc_header(r, "x-amzn-ErrorType");

	if (type)
		copy_type(ret, type);
	if (json_parse("", r->body.data, r->body.len, &limits, &v, NULL) < 0)
		return;
	if (!type)
		copy_type(ret, member(v, "__type", "code"));
	COPY(ret->message, member(v, "message", "Message"));
	COPY(ret->reason, member(v, "Reason", "reason"));
}

static const char *skip_blanks(const struct httpc_response *r)
{
	const char *p = buf_str(&r->body);

	return p + strspn(p, " \t\r\n");
}

void aws_error_parse(const struct httpc_response *r, struct aws_error *ret)
{
	const char *region = httpc_header(r, "x-amz-bucket-region");
	const char *id =
		first_of(httpc_header(r, "x-amzn-RequestId"), httpc_header(r, "x-amz-request-id"));

	*ret = (struct aws_error){.status = r->status};
	if (*skip_blanks(r) == '<')
		parse_xml(r, ret);
	else
		parse_json(r, ret);
	if (region)
		COPY(ret->region, region);
	if (!*ret->request_id)
		COPY(ret->request_id, id);
}
