/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML dialect: an instance as an administrator writes it, metadata-server.yaml(5).
 *
 *	instance-id, hostname, public-hostname, ami-id, instance-type, availability-zone,
 *	availability-zone-id, region, reservation-id, account-id, architecture, kernel-id,
 *	ramdisk-id                                          one word each; instance-id is required
 *	launch-index: N                launch-time: YYYY-MM-DDTHH:MM:SSZ
 *	ssh-keys, security-groups: [TEXT ...]
 *	nics: [{mac, addresses, gateway, gateway6, dns, search, routes, mtu, metric, method,
 *	        method6, public-ipv4} ...]
 *	user-data: TEXT | user-data-base64: TEXT | user-data-file: PATH
 *	tags, block-devices, extra: {KEY: TEXT ...}
 *	identify: {interface, address, mac, trust}
 *	imds: {enabled, tokens, hop-limit, instance-tags}
 *
 * What the text may look like is in lib/yaml.h. Unknown keys are faults, and all faults are
 * reported with their places, not the first alone.
 */
#include "context/dialect/yaml.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "lib/str.h"
#include "lib/yaml.h"

#define MAX_USER_DATA MIB
#define MAX_FILE (4 * MIB)

void yaml_fault(void *arg, const struct err *e)
{
	struct yaml_reader *r = arg;

	if (r->report)
		r->report(r->arg, e);
	if (r->rc)
		return;
	r->rc = -e->code;
	if (r->first)
		*r->first = *e;
}

/* ---- scalars ------------------------------------------------------------------------------- */

int yaml_checked_text(const struct value *v, yaml_check_fn *check, const char **ret, struct err *e)
{
	struct err why = {0};
	int rc = value_text(v, ret, e);

	if (!rc && check(*ret, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return rc;
}

int yaml_set_text(const struct value *v, yaml_check_fn *check, char **at, struct err *e)
{
	const char *s;
	int rc = yaml_checked_text(v, check, &s, e);

	if (rc)
		return rc;
	*at = strdup(s);
	return *at ? 0 : err_nomem(e);
}

#define TEXT_HANDLER(name, check)                                                                  \
	static int on_##name(const struct value *v, void *object, struct err *e)                   \
	{                                                                                          \
		return yaml_set_text(v, check, &((struct yaml_reader *)object)->c->name, e);       \
	}                                                                                          \
	struct name##_needs_semicolon_

TEXT_HANDLER(hostname, context_check_hostname);
TEXT_HANDLER(public_hostname, context_check_hostname);
TEXT_HANDLER(ami_id, context_check_token);
TEXT_HANDLER(instance_type, context_check_token);
TEXT_HANDLER(availability_zone, context_check_token);
TEXT_HANDLER(availability_zone_id, context_check_token);
TEXT_HANDLER(region, context_check_token);
TEXT_HANDLER(reservation_id, context_check_token);
TEXT_HANDLER(account_id, context_check_token);
TEXT_HANDLER(architecture, context_check_token);
TEXT_HANDLER(kernel_id, context_check_token);
TEXT_HANDLER(ramdisk_id, context_check_token);

static int on_instance_id(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;

	r->in->id_place = (struct source_place){v->line, v->column};
	return yaml_set_text(v, context_check_instance_id, &r->c->instance_id, e);
}

static int on_launch_index(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	uint64_t n;
	int rc = value_u64(v, 0, UINT32_MAX, &n, e);

	if (!rc)
		r->c->launch_index = (uint32_t)n;
	return rc;
}

static int on_launch_time(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	struct err why = {0};
	const char *s;
	int rc = value_text(v, &s, e);

	if (!rc && context_parse_time(s, &r->c->launch_time, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return rc;
}

/* ---- lists and maps ------------------------------------------------------------------------ */

int yaml_expect_at_most(const struct value *v, enum value_kind kind, size_t max, struct err *e)
{
	int rc = value_expect(v, kind, e);

	if (!rc && v->n_items > max)
		return value_err(v, e, EFBIG, "has more than %zu entries", max);
	return rc;
}

int yaml_set_list(const struct value *v, yaml_check_fn *check, struct strlist *l,
		  struct yaml_reader *r, struct err *e)
{
	int rc = yaml_expect_at_most(v, VALUE_LIST, YAML_MAX_LIST, e);

	if (rc)
		return rc;
	value_foreach (item, v) {
		struct err why = {0};
		const char *s;

		if (yaml_checked_text(item, check, &s, &why))
			yaml_fault(r, &why);
		else if (strlist_add(l, s))
			return err_nomem(e);
	}
	return 0;
}

static int on_ssh_keys(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;

	return yaml_set_list(v, context_check_ssh_key, &r->c->ssh_keys, r, e);
}

static int on_security_groups(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;

	return yaml_set_list(v, context_check_token, &r->c->security_groups, r, e);
}

static int set_pairs(const struct value *v, yaml_check_fn *check_key, yaml_check_fn *check_value,
		     int (*add)(struct context *c, const char *key, const char *value),
		     struct yaml_reader *r, struct err *e)
{
	int rc = yaml_expect_at_most(v, VALUE_MAP, YAML_MAX_LIST, e);

	if (rc)
		return rc;
	value_foreach (item, v) {
		struct err why = {0};
		struct err rule = {0};
		const char *s;

		if (check_key(item->key, &rule)) {
			value_err(item, &why, rule.code, "the key %s", rule.msg);
			yaml_fault(r, &why);
		} else if (yaml_checked_text(item, check_value, &s, &why)) {
			yaml_fault(r, &why);
		} else if (add(r->c, item->key, s)) {
			return err_nomem(e);
		}
	}
	return 0;
}

static int on_tags(const struct value *v, void *object, struct err *e)
{
	return set_pairs(v, context_check_tag_key, context_check_text, context_add_tag, object, e);
}

static int on_block_devices(const struct value *v, void *object, struct err *e)
{
	return set_pairs(v, context_check_tag_key, context_check_token, context_add_block_device,
			 object, e);
}

static int on_extra(const struct value *v, void *object, struct err *e)
{
	return set_pairs(v, context_check_token, context_check_text, context_add_extra, object, e);
}

/* ---- user-data ----------------------------------------------------------------------------- */

static int begin_user_data(struct yaml_reader *r, const struct value *v, struct err *e)
{
	if (r->user_data)
		return value_err(v, e, EBADMSG, "user-data is given by '%s' already",
				 r->user_data->key);
	r->user_data = v;
	r->c->has_user_data = true;
	return 0;
}

static int end_user_data(const struct yaml_reader *r, const struct value *v, struct err *e)
{
	if (r->c->user_data.len > MAX_USER_DATA)
		return value_err(v, e, EFBIG, "is longer than 1 MiB");
	return 0;
}

static int on_user_data(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	const void *data;
	size_t len;
	int rc = begin_user_data(r, v, e);

	rc = rc ? rc : value_bytes(v, &data, &len, e);
	if (rc)
		return rc;
	if (buf_add(&r->c->user_data, data, len))
		return err_nomem(e);
	return end_user_data(r, v, e);
}

static int on_user_data_base64(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	struct err why = {0};
	const char *text;
	int rc = begin_user_data(r, v, e);

	rc = rc ? rc : value_string(v, &text, e);
	if (rc)
		return rc;
	if (base64_decode(text, strlen(text), &r->c->user_data, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return end_user_data(r, v, e);
}

/*
 * Opens path below folder, one component after the other: nothing on the way may be a symbolic
 * link, "." or "..", so it cannot lead out of the folder.
 */
static int open_below(int folder, const char *path, struct err *e)
{
	AUTO_FD int dir = -1;

	for (;;) {
		size_t len = strcspn(path, "/");
		AUTO_FREE char *name = strndup(path, len);
		bool last = !path[len];
		int fd;

		if (!name)
			return err_nomem(e);
		if (!name_is_plain(name))
			return err_set(e, EACCES, "is not a path below the instance file's folder");
		fd = openat(dir >= 0 ? dir : folder, name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (last ? O_NONBLOCK : O_DIRECTORY));
		if (fd < 0)
			return err_errno(e, errno, "'%s' cannot be opened", name);
		if (last)
			return fd;
		if (dir >= 0)
			close(dir);
		dir = fd;
		path += len + 1;
	}
}

static int on_user_data_file(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	AUTO_FD int fd = -1;
	struct err why = {0};
	const char *path;
	struct stat st;
	int rc = begin_user_data(r, v, e);

	rc = rc ? rc : value_string(v, &path, e);
	if (rc)
		return rc;
	if (r->folder < 0)
		return value_err(v, e, EACCES, "there is no folder to take a file from");
	fd = open_below(r->folder, path, &why);
	if (fd < 0)
		return value_err(v, e, why.code, "%s", why.msg);
	if (fstat(fd, &st))
		return value_err(v, e, errno, "'%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return value_err(v, e, EBADMSG, "'%s' is not a regular file", path);
	if (fs_read_fd(fd, path, MAX_USER_DATA, &r->c->user_data, &why))
		return value_err(v, e, why.code, "%s", why.msg);
	return 0;
}

/* ---- identify and imds --------------------------------------------------------------------- */

int yaml_check_ip(const char *s, struct err *e)
{
	struct ip_prefix ip;

	if (context_parse_ip(s, &ip, e))
		return -EBADMSG;
	return ip.has_prefix ? err_set(e, EBADMSG, "must not have a prefix length") : 0;
}

/* dev_valid_name() of the kernel, and printable. */
static int check_interface(const char *s, struct err *e)
{
	size_t len = strlen(s);

	for (const char *p = s; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == '/' || *p == ':')
			len = 0;
	if (len < 1 || len > 15 || !strcmp(s, ".") || !strcmp(s, ".."))
		return err_set(e, EBADMSG, "is not the name of a network interface");
	return 0;
}

static int on_identify_interface(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;

	return yaml_set_text(v, check_interface, &r->in->identify.interface, e);
}

static int on_identify_address(const struct value *v, void *object, struct err *e)
{
	struct yaml_reader *r = object;
	struct ip_prefix ip;
	char text[46];
	const char *s;
	int rc = yaml_checked_text(v, yaml_check_ip, &s, e);

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

static const struct value_field identify_fields[] = {
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

	if (value_bind_all(v, identify_fields, r, yaml_fault, r))
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

	(void)e; /* each yaml_fault has been told */
	value_bind_all(v, imds_fields, &r->in->imds, yaml_fault, r);
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static const struct value_field fields[] = {
	{"instance-id", FIELD_CUSTOM, .required = true, .handler = on_instance_id},
	{"hostname", FIELD_CUSTOM, .handler = on_hostname},
	{"public-hostname", FIELD_CUSTOM, .handler = on_public_hostname},
	{"ssh-keys", FIELD_CUSTOM, .handler = on_ssh_keys},
	{"nics", FIELD_CUSTOM, .handler = yaml_on_nics},
	{"user-data", FIELD_CUSTOM, .handler = on_user_data},
	{"user-data-base64", FIELD_CUSTOM, .handler = on_user_data_base64},
	{"user-data-file", FIELD_CUSTOM, .handler = on_user_data_file},
	{"identify", FIELD_CUSTOM, .handler = on_identify},
	{"imds", FIELD_CUSTOM, .handler = on_imds},
	{"ami-id", FIELD_CUSTOM, .handler = on_ami_id},
	{"instance-type", FIELD_CUSTOM, .handler = on_instance_type},
	{"availability-zone", FIELD_CUSTOM, .handler = on_availability_zone},
	{"availability-zone-id", FIELD_CUSTOM, .handler = on_availability_zone_id},
	{"region", FIELD_CUSTOM, .handler = on_region},
	{"reservation-id", FIELD_CUSTOM, .handler = on_reservation_id},
	{"account-id", FIELD_CUSTOM, .handler = on_account_id},
	{"architecture", FIELD_CUSTOM, .handler = on_architecture},
	{"kernel-id", FIELD_CUSTOM, .handler = on_kernel_id},
	{"ramdisk-id", FIELD_CUSTOM, .handler = on_ramdisk_id},
	{"launch-index", FIELD_CUSTOM, .handler = on_launch_index},
	{"launch-time", FIELD_CUSTOM, .handler = on_launch_time},
	{"security-groups", FIELD_CUSTOM, .handler = on_security_groups},
	{"tags", FIELD_CUSTOM, .handler = on_tags},
	{"block-devices", FIELD_CUSTOM, .handler = on_block_devices},
	{"extra", FIELD_CUSTOM, .handler = on_extra},
	{0},
};

int instance_parse_yaml(const char *name, const char *filename, const void *data, size_t len,
			int folder, instance_report_fn *report, void *arg, struct instance **ret,
			struct err *e)
{
	struct value_limits limits = {.bytes = MAX_FILE, .depth = 8, .nodes = 20000};
	AUTO(instance_free) struct instance *in = NULL;
	AUTO(context_free) struct context *c = NULL;
	AUTO(value_free) struct value *root = NULL;
	struct yaml_reader r = {.folder = folder, .report = report, .arg = arg, .first = e};
	struct err why = {0};

	if (context_new(&c, e) || instance_new(name, &c, &in, e))
		return -ENOMEM;
	r.in = in;
	r.c = in->context;
	r.c->source = str_format("yaml %s", filename);
	in->file = strdup(filename);
	if (!r.c->source || !in->file)
		return err_nomem(e);
	if (yaml_parse(filename, data, len, &limits, &root, &why)) {
		yaml_fault(&r, &why);
		return r.rc;
	}
	value_bind_all(root, fields, &r, yaml_fault, &r);
	if (r.rc)
		return r.rc;
	/* Each value is good; together they must be too. */
	if (context_validate(r.c, &why) || instance_render(in, &why)) {
		err_wrap(&why, "%s", filename);
		yaml_fault(&r, &why);
		return r.rc;
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
	struct yaml_reader r = {.report = report, .arg = arg, .first = e};
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
		yaml_fault(&r, &why);
		return rc;
	}
	rc = instance_parse_yaml(name, path, buf_str(&text), text.len, folder, report, arg, ret, e);
	if (!rc)
		(*ret)->modified = st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0;
	return rc;
}
