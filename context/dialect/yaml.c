/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML dialect: an instance as an administrator writes it, metadata-server.yaml(5).
 *
 *	the keys of context_fields (context/fields.c), of which instance-id is required
 *	NAME | NAME-base64 | NAME-file       for each that holds any bytes
 *	identify: {netns, interface, address, mac, trust} | {vsock}
 *	dialects: [ec2 | openstack | nocloud | cloudstack | gce ...]
 *	imds: {enabled, tokens, hop-limit, instance-tags}
 *
 * What the text may look like is in lib/yaml.h. Unknown keys are faults, and all faults are
 * reported with their places, not the first alone.
 */
#include "context/bind.h"
#include "context/imds.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "context/rules.h"
#include "lib/fs.h"
#include "lib/str.h"
#include "lib/yaml.h"

#define MAX_FILE (4 * MIB)

struct yaml_reader {
	struct bind_reader b; /* first: handlers get either */
	struct instance *in;
};

static void fault(void *arg, const struct err *e)
{
	bind_fault(arg, e);
}

/* ---- identify and imds --------------------------------------------------------------------- */

static int on_identify_interface(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;

	return bind_text(v, context_check_interface, &r->in->identify.interface, e);
}

static int on_identify_address(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	struct ip_prefix ip;
	char text[46];
	const char *s;
	int rc = bind_checked_text(v, context_check_ip, &s, e);

	if (rc)
		return rc;
	if (context_parse_ip(s, &ip, e))
		return -EBADMSG;
	context_format_ip(&ip, text);
	r->in->identify.address = strdup(text);
	return r->in->identify.address ? 0 : err_nomem(e);
}

static int on_identify_mac(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	struct err why = {0};
	const char *s;
	int rc = value_text(v, &s, e);

	if (!rc && context_parse_mac(s, r->in->identify.mac, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return rc;
}

static int on_identify_trust(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	const char *s;
	int rc = value_string(v, &s, e);

	if (!rc && strcmp(s, "address"))
		return value_err(v, e, EBADMSG, "is not 'address'");
	if (!rc)
		r->in->identify.trust_address = true;
	return rc;
}

static int check_netns(const char *s, struct err *e)
{
	return name_is_plain(s) ? 0 : err_set(e, EBADMSG, "is not the name of a network namespace");
}

static int on_identify_netns(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;

	return bind_text(v, check_netns, &r->in->identify.netns, e);
}

/* Numbers below 3 are the hypervisor and the host. */
static int on_identify_vsock(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	struct instance_identify *id = &r->in->identify;
	struct err why = {0};
	const char *s;
	uint64_t cid;
	int rc = value_text(v, &s, e);

	if (rc)
		return rc;
	if (str_to_u64(s, 3, UINT32_MAX - 1, &cid, &why))
		return value_err(v, e, EBADMSG, "is not the CID of a guest, 3 or more");
	id->interface = strdup(IDENTIFY_VSOCK);
	id->address = str_format("%llu", (unsigned long long)cid);
	return id->interface && id->address ? 0 : err_nomem(e);
}

static const struct value_field identify_fields[] = {
	{"netns", FIELD_CUSTOM, .handler = on_identify_netns},
	{"vsock", FIELD_CUSTOM, .handler = on_identify_vsock},
	{"interface", FIELD_CUSTOM, .handler = on_identify_interface},
	{"address", FIELD_CUSTOM, .handler = on_identify_address},
	{"mac", FIELD_CUSTOM, .handler = on_identify_mac},
	{"trust", FIELD_CUSTOM, .handler = on_identify_trust},
	{0},
};

static int on_identify(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	const struct instance_identify *id = &r->in->identify;

	if (value_get(v, "vsock") && v->n_items > 1)
		return value_err(value_get(v, "vsock"), e, EBADMSG,
				 "stands alone, without interface and address");
	if (value_bind_all(v, identify_fields, r, fault, r))
		return 0;
	r->in->identify.given = true;
	r->in->identify.place = (struct source_place){v->line, v->column};
	if (id->interface)
		return 0;
	if (!id->address)
		return value_err(v, e, EBADMSG, "needs an interface");
	if (!id->trust_address)
		return value_err(v, e, EBADMSG,
				 "needs an interface: an address alone can be forged by other "
				 "guests ('trust: address' where it cannot)");
	return 0;
}

static const char *const token_names[] = {
	[IMDS_TOKENS_OPTIONAL] = "optional",
	[IMDS_TOKENS_REQUIRED] = "required",
	NULL,
};

static const struct value_field imds_fields[] = {
	{"enabled", FIELD_BOOL, offsetof(struct imds_policy, enabled)},
	{"tokens", FIELD_ENUM, offsetof(struct imds_policy, tokens), .names = token_names},
	{"hop-limit", FIELD_UNSIGNED, offsetof(struct imds_policy, hop_limit), .min = 1, .max = 64},
	{"instance-tags", FIELD_BOOL, offsetof(struct imds_policy, instance_tags)},
	{0},
};

static int on_imds(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;

	(void)e; /* each fault has been told */
	value_bind_all(v, imds_fields, &r->in->imds, fault, r);
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int on_dialects(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	int rc = value_expect(v, VALUE_LIST, e);

	if (!rc && !v->n_items)
		rc = value_err(v, e, EBADMSG, "is empty");
	value_foreach (item, v) {
		unsigned bit = 0;
		const char *s;

		rc = rc ? rc : value_string(item, &s, e);
		if (!rc && instance_dialect_bit(s, &bit))
			rc = value_err(item, e, EBADMSG,
				       "is not one of: ec2, openstack, nocloud, cloudstack, gce");
		r->in->dialects |= bit;
	}
	return rc;
}

static int on_instance_id(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;

	r->in->id_place = (struct source_place){v->line, v->column};
	return bind_text(v, context_check_instance_id, &r->in->context->instance_id, e);
}

/* Keys that are not the context's, and the one of it that an instance must have. */
static const struct value_field keys[] = {
	{"instance-id", FIELD_CUSTOM, .required = true, .handler = on_instance_id},
	{"identify", FIELD_CUSTOM, .handler = on_identify},
	{"imds", FIELD_CUSTOM, .handler = on_imds},
	{"dialects", FIELD_CUSTOM, .handler = on_dialects},
	{0},
};

int instance_parse_yaml(const char *name, const char *filename, const void *data, size_t len,
			int folder, instance_report_fn *report, void *arg, struct instance **ret,
			struct err *e)
{
	struct value_limits limits = {.bytes = MAX_FILE, .depth = 8, .nodes = 50000};
	AUTO(instance_free) struct instance *in = NULL;
	AUTO(context_free) struct context *c = NULL;
	AUTO(value_free) struct value *root = NULL;
	struct yaml_reader r = {.b = {.folder = folder, .report = report, .arg = arg, .first = e}};
	struct err why = {0};

	if (context_new(&c, e) || instance_new(name, &c, &in, e))
		return -ENOMEM;
	r.in = in;
	r.b.c = in->context;
	in->context->source = str_format("yaml %s", filename);
	in->file = strdup(filename);
	if (!in->context->source || !in->file)
		return err_nomem(e);
	if (yaml_parse(filename, data, len, &limits, &root, &why)) {
		bind_fault(&r.b, &why);
		return r.b.rc;
	}
	bind_struct(&r.b, root, context_fields, in->context, keys);
	if (r.b.rc)
		return r.b.rc;
	/* Each value is good; together they must be too. */
	if (context_validate(in->context, &why) || instance_render(in, &why)) {
		err_wrap(&why, "%s", filename);
		bind_fault(&r.b, &why);
		return r.b.rc;
	}
	*ret = STEAL(in);
	return 0;
}

/* "instances/web1.yaml" to "instances" and "web1". */
static int split_path(const char *path, char **folder, char **name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	if (!str_has_suffix(base, ".yaml") || !strcmp(base, ".yaml") || base[0] == '.')
		return err_set(e, EINVAL, "'%s': is not named NAME.yaml", path);
	*name = strndup(base, strlen(base) - strlen(".yaml"));
	*folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("./");
	return *name && *folder ? 0 : err_nomem(e);
}

int instance_read_yaml(const char *path, instance_report_fn *report, void *arg,
		       struct instance **ret, struct err *e)
{
	struct bind_reader r = {.report = report, .arg = arg, .first = e};
	AUTO_FREE char *folder_path = NULL;
	AUTO_FREE char *name = NULL;
	AUTO_BUF text = BUF_INIT;
	AUTO_FD int folder = -1;
	AUTO_FD int fd = -1;
	struct err why = {0};
	struct stat st;
	int rc = split_path(path, &folder_path, &name, &why);

	if (!rc) {
		folder = open(folder_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 || folder < 0 || fstat(fd, &st))
			rc = err_errno(&why, errno, "'%s'", path);
		else if (!S_ISREG(st.st_mode))
			rc = err_set(&why, EBADMSG, "'%s': is not a regular file", path);
		else
			rc = fs_read_fd(fd, path, MAX_FILE, &text, &why);
	}
	if (rc) {
		bind_fault(&r, &why);
		return rc;
	}
	rc = instance_parse_yaml(name, path, buf_str(&text), text.len, folder, report, arg, ret, e);
	if (!rc)
		(*ret)->modified = st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0;
	return rc;
}
