/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of OpenNebula's context.sh: see context/opennebula.h.
 *
 *	variable                            becomes
 *	SET_HOSTNAME, else HOSTNAME         hostname, made a legal one
 *	SSH_PUBLIC_KEY, EC2_PUBLIC_KEY,
 *	SSH_KEY                             ssh_keys, a line each, each once
 *	USER_DATA, else USERDATA            user_data; USERDATA_ENCODING, USER_DATA_ENCODING=base64
 *	DNS, SEARCH_DOMAIN                  added to those of every NIC
 *	ETHn_MAC IP MASK METHOD GATEWAY METRIC MTU DNS SEARCH_DOMAIN ROUTES IP6 IPV6 IP6_ULA
 *	IP6_PREFIX_LENGTH IP6_GATEWAY GATEWAY6 IP6_METHOD, ETHn_ALIASm_IP MASK IP6 ...
 *	                                    NIC n; NICs in the order of their numbers
 *	EC2_INSTANCE_ID EC2_AMI_ID ...      our own, see fields[]
 *	everything else                     extra
 *
 * As cloud-init's data source reads them: empty counts as absent, MASK is 255.255.255.0 if absent,
 * IP6_PREFIX_LENGTH (64) holds for IP6_ULA too, a NIC's own name servers come before the common
 * ones. Unlike there, METHOD, ALIAS, IP6_METHOD and METRIC count, and a NIC without IP gets none.
 *
 * Not read: PCIn_* (passed-through devices), VROUTER_*, VLAN_ID, files other than context.sh.
 */
#include "context/dialect/opennebula.h"

#include <stdarg.h>

#include "lib/str.h"

#define LABEL_MAX 63

/* Fields that OpenNebula has no variable for, and the rule of each. */
static const struct {
	const char *name;
	size_t offset;
	int (*check)(const char *s, struct err *e);
} fields[] = {
	{"EC2_INSTANCE_ID", offsetof(struct context, instance_id), context_check_instance_id},
	{"EC2_PUBLIC_HOSTNAME", offsetof(struct context, public_hostname), context_check_hostname},
	{"EC2_AMI_ID", offsetof(struct context, ami_id), context_check_token},
	{"EC2_INSTANCE_TYPE", offsetof(struct context, instance_type), context_check_token},
	{"EC2_AVAILABILITY_ZONE", offsetof(struct context, availability_zone), context_check_token},
	{"EC2_AVAILABILITY_ZONE_ID", offsetof(struct context, availability_zone_id),
	 context_check_token},
	{"EC2_REGION", offsetof(struct context, region), context_check_token},
	{"EC2_RESERVATION_ID", offsetof(struct context, reservation_id), context_check_token},
	{"EC2_ACCOUNT_ID", offsetof(struct context, account_id), context_check_token},
	{"EC2_ARCHITECTURE", offsetof(struct context, architecture), context_check_token},
	{"EC2_KERNEL_ID", offsetof(struct context, kernel_id), context_check_token},
	{"EC2_RAMDISK_ID", offsetof(struct context, ramdisk_id), context_check_token},
};

/* Variables that are read into fields; the others go to extra. */
static const char *const known[] = {
	"SET_HOSTNAME",      "HOSTNAME",
	"SSH_PUBLIC_KEY",    "EC2_PUBLIC_KEY",
	"SSH_KEY",           "USER_DATA",
	"USERDATA",          "USER_DATA_ENCODING",
	"USERDATA_ENCODING", "DNS",
	"SEARCH_DOMAIN",     "EC2_AMI_LAUNCH_INDEX",
	"EC2_LAUNCH_TIME",   "EC2_SECURITY_GROUPS",
	"EC2_TAGS",          "EC2_BLOCK_DEVICES",
};

int one_note(struct one_reader *r, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT, shown = BUF_INIT;
	va_list ap;
	int rc;

	if (!r->notes || r->notes->n > 2 * SHELLVARS_NOTES_MAX)
		return 0;
	va_start(ap, fmt);
	rc = buf_vaddf(&text, fmt, ap);
	va_end(ap);
	if (rc == 0)
		rc = str_escape(buf_str(&text), text.len, 256, &shown);
	return rc < 0 ? rc : strlist_add(r->notes, buf_str(&shown));
}

const char *one_get(const struct one_reader *r, const char *name)
{
	const char *v = shellvars_get(r->vars, name);

	return v && *v ? v : NULL;
}

/* ---- host name ------------------------------------------------------------------------- */

/* Appends one label: other characters become '-', none at its ends, cut at 63. */
static int add_label(struct buf *out, const char *label, size_t len)
{
	size_t start = out->len;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < len && out->len - start < LABEL_MAX; i++) {
		char c = label[i];
		bool legal =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (legal || out->len > start)
			rc = buf_addc(out, legal ? c : '-');
	}
	while (rc == 0 && out->len > start && out->data[out->len - 1] == '-')
		out->data[--out->len] = '\0';
	return rc;
}

static int read_hostname(struct one_reader *r)
{
	AUTO_BUF name = BUF_INIT;
	const char *given = one_get(r, "SET_HOSTNAME"), *p, *dot;
	int rc = 0;

	if (!given)
		given = one_get(r, "HOSTNAME");
	for (p = given; p && rc == 0; p = *dot ? dot + 1 : NULL) {
		size_t before = name.len;

		dot = strchrnul(p, '.');
		if (before)
			rc = buf_addc(&name, '.');
		if (rc == 0)
			rc = add_label(&name, p, (size_t)(dot - p));
		if (rc == 0 && name.len == before + 1 && before)
			name.data[--name.len] = '\0'; /* an empty label: no dot for it */
		if (name.len > ONE_HOSTNAME_MAX) {
			name.len = before;
			name.data[before] = '\0';
			break;
		}
	}
	if (rc < 0 || !given)
		return rc;
	if (strcmp(buf_str(&name), given) != 0)
		rc = one_note(r, "host name '%s' is taken as '%s'", given, buf_str(&name));
	if (rc == 0 && name.len) {
		r->c->hostname = buf_detach(&name);
		rc = r->c->hostname ? 0 : -ENOMEM;
	}
	return rc;
}

/* ---- keys, user data -------------------------------------------------------------------- */

bool one_list_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->v[i], s) == 0)
			return true;
	}
	return false;
}

/* The lines of a variable that has one key in each; "#" lines are comments. */
static int read_keys(struct one_reader *r, const char *variable)
{
	const char *p = one_get(r, variable);
	unsigned line = 0;

	while (p && *p) {
		const char *end = strchrnul(p, '\n');
		size_t len = (size_t)(end - p);
		AUTO_FREE char *key = NULL;

		line++;
		while (len && strchr(" \t\r", p[len - 1]))
			len--;
		while (len && (*p == ' ' || *p == '\t')) {
			p++;
			len--;
		}
		if (len && *p != '#') {
			struct err e;
			int rc = 0;

			key = strndup(p, len);
			if (!key)
				return -ENOMEM;
			if (context_check_ssh_key(key, &e) < 0)
				rc = one_note(r, "%s: line %u %s", variable, line, e.msg);
			else if (!one_list_has(&r->c->ssh_keys, key))
				rc = strlist_add(&r->c->ssh_keys, key);
			if (rc < 0)
				return rc;
		}
		p = *end ? end + 1 : end;
	}
	return 0;
}

static int read_user_data(struct one_reader *r)
{
	const char *data = one_get(r, "USER_DATA"), *encoding = one_get(r, "USERDATA_ENCODING");
	struct err e;

	if (!data)
		data = one_get(r, "USERDATA");
	if (!encoding)
		encoding = one_get(r, "USER_DATA_ENCODING");
	if (!data)
		return 0;
	r->c->has_user_data = true;
	if (!encoding || strcasecmp(encoding, "base64") != 0)
		return buf_adds(&r->c->user_data, data);
	if (base64_decode(data, strlen(data), &r->c->user_data, &e) == 0)
		return 0;
	buf_clear(&r->c->user_data);
	r->c->has_user_data = false;
	return e.code == ENOMEM ? -ENOMEM : one_note(r, "user data are left out: %s", e.msg);
}

/* ---- the rest --------------------------------------------------------------------------- */

static int add_group(struct context *c, char *line, struct err *e)
{
	return context_check_token(line, e) < 0 ? -EBADMSG : strlist_add(&c->security_groups, line);
}

/* KEY=VALUE into its parts; NULL if there is no '='. */
static char *cut_pair(char *line, struct err *e)
{
	char *eq = strchr(line, '=');

	if (!eq) {
		err_set(e, EBADMSG, "is not NAME=VALUE");
		return NULL;
	}
	*eq = '\0';
	return eq + 1;
}

static int add_tag(struct context *c, char *line, struct err *e)
{
	char *value = cut_pair(line, e);

	if (!value || context_check_token(line, e) < 0 || context_check_text(value, e) < 0)
		return -EBADMSG;
	return context_add_tag(c, line, value);
}

static int add_block_device(struct context *c, char *line, struct err *e)
{
	char *name = cut_pair(line, e);

	if (!name || context_check_tag_key(line, e) < 0 || context_check_token(name, e) < 0)
		return -EBADMSG;
	return context_add_block_device(c, line, name);
}

/* Hands each line of a variable to add. */
static int read_lines(struct one_reader *r, const char *variable,
		      int (*add)(struct context *c, char *line, struct err *e))
{
	const char *text = one_get(r, variable);
	AUTO_FREE char *copy = text ? strdup(text) : NULL;
	char *save = NULL;
	unsigned number = 0;

	if (text && !copy)
		return -ENOMEM;
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct err e;
		int rc = add(r->c, line, &e);

		number++;
		if (rc == -EBADMSG)
			rc = one_note(r, "%s: line %u %s", variable, number, e.msg);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_number(struct one_reader *r, const char *variable, uint64_t max, uint64_t *ret)
{
	const char *v = one_get(r, variable);

	if (!v || str_to_u64(v, 0, max, ret, NULL) == 0)
		return 0;
	return one_note(r, "%s '%s' is not a number up to %llu", variable, v,
			(unsigned long long)max);
}

static int read_fields(struct one_reader *r)
{
	uint64_t index = 0;
	struct err e;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(fields); i++) {
		const char *v = one_get(r, fields[i].name);
		char **to = (char **)((char *)r->c + fields[i].offset);

		if (v && fields[i].check(v, &e) < 0)
			rc = one_note(r, "%s %s", fields[i].name, e.msg);
		else if (v && !(*to = strdup(v)))
			rc = -ENOMEM;
	}
	if (rc == 0)
		rc = read_number(r, "EC2_AMI_LAUNCH_INDEX", UINT32_MAX, &index);
	r->c->launch_index = (uint32_t)index;
	if (rc == 0)
		rc = read_number(r, "EC2_LAUNCH_TIME", INT64_MAX, &r->c->launch_time);
	if (rc == 0)
		rc = read_lines(r, "EC2_SECURITY_GROUPS", add_group);
	if (rc == 0)
		rc = read_lines(r, "EC2_TAGS", add_tag);
	return rc < 0 ? rc : read_lines(r, "EC2_BLOCK_DEVICES", add_block_device);
}

static bool is_known(const char *name)
{
	unsigned n;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(name, known[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(name, fields[i].name) == 0)
			return true;
	}
	return one_nic_number(name, &n);
}

static int read_extra(struct one_reader *r)
{
	for (size_t i = 0; i < r->vars->n; i++) {
		const struct context_pair *v = &r->vars->v[i];
		int rc = 0;

		if (is_known(v->key))
			continue;
		if (strlen(v->key) > 255 || !utf8_valid(v->value, strlen(v->value)))
			rc = one_note(r, "%s is left out: not UTF-8, or its name is too long",
				      v->key);
		else
			rc = context_add_extra(r->c, v->key, v->value);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* FNV-1a, 128 bits (draft-eastlake-fnv): spreads well; nothing rests on it being secret. */
static unsigned __int128 fnv1a(unsigned __int128 h, const char *s, size_t len)
{
	const unsigned __int128 prime = ((unsigned __int128)0x1000000 << 64) | 0x13b;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * prime;
	return h;
}

static int make_instance_id(struct one_reader *r, const char *text, size_t len)
{
	unsigned __int128 h = ((unsigned __int128)0x6c62272e07bb0142 << 64) | 0x62b821756295c58d;
	const char *vmid = one_get(r, "VMID"), *cloud = one_get(r, "ONEGATE_ENDPOINT");

	if (r->c->instance_id)
		return 0;
	if (vmid) {
		h = fnv1a(h, vmid, strlen(vmid) + 1);
		h = fnv1a(h, cloud ? cloud : "", cloud ? strlen(cloud) : 0);
	} else if (r->c->n_nics && *r->c->nics[0].mac) {
		h = fnv1a(h, r->c->nics[0].mac, sizeof(r->c->nics[0].mac));
	} else {
		h = fnv1a(h, text, len);
	}
	h ^= h >> 68; /* 17 hex digits are 68 bits */
	r->c->instance_id =
		str_format("i-%01x%016llx", (unsigned)(h >> 64) & 15u, (unsigned long long)h);
	return r->c->instance_id ? 0 : -ENOMEM;
}

static int fill(struct one_reader *r, const char *source, const char *text, size_t len)
{
	int rc;

	r->c->source = strdup(source);
	rc = r->c->source ? read_fields(r) : -ENOMEM;
	if (rc == 0)
		rc = read_hostname(r);
	if (rc == 0)
		rc = read_keys(r, "SSH_PUBLIC_KEY");
	if (rc == 0)
		rc = read_keys(r, "EC2_PUBLIC_KEY");
	if (rc == 0)
		rc = read_keys(r, "SSH_KEY");
	if (rc == 0)
		rc = read_user_data(r);
	if (rc == 0)
		rc = one_read_nics(r);
	if (rc == 0)
		rc = read_extra(r);
	return rc < 0 ? rc : make_instance_id(r, text, len);
}

int opennebula_read(const char *text, size_t len, const char *source, struct strlist *notes,
		    struct context **ret, struct err *e)
{
	AUTO(shellvars_release) struct shellvars vars = {0};
	AUTO(context_free) struct context *c = NULL;
	struct one_reader r = {.vars = &vars, .notes = notes};
	int rc = shellvars_parse(text, len, &vars, notes, e);

	if (rc < 0)
		return rc;
	rc = context_new(&c, e);
	if (rc < 0)
		return rc;
	r.c = c;
	if (fill(&r, source, text, len) < 0)
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}
