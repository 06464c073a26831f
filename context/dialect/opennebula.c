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
 *	EC2_INSTANCE_ID EC2_AMI_ID ...      our own, see one_texts[]
 *	what context/dialect/opennebula_guest.c says
 *	everything else                     extra
 *
 * As cloud-init's data source reads them: empty counts as absent, MASK is 255.255.255.0 if absent,
 * IP6_PREFIX_LENGTH (64) holds for IP6_ULA too, a NIC's own name servers come before the common
 * ones. Unlike there, METHOD, ALIAS, IP6_METHOD and METRIC count, and a NIC without IP gets none.
 */
#include "context/dialect/opennebula.h"

#include "lib/str.h"

#define LINES_MAX 4096 /* of tags, of block devices */
#define SAME(variable, member, rule)                                                               \
	{                                                                                          \
		variable, offsetof(struct context, member), rule                                   \
	}

/* What OpenNebula has no variable for. */
const struct one_variable one_texts[] = {
	SAME("EC2_INSTANCE_ID", instance_id, context_check_instance_id),
	SAME("EC2_PUBLIC_HOSTNAME", public_hostname, context_check_hostname),
	SAME("EC2_AMI_ID", ami_id, context_check_token),
	SAME("EC2_INSTANCE_TYPE", instance_type, context_check_token),
	SAME("EC2_AVAILABILITY_ZONE", availability_zone, context_check_token),
	SAME("EC2_AVAILABILITY_ZONE_ID", availability_zone_id, context_check_token),
	SAME("EC2_REGION", region, context_check_token),
	SAME("EC2_PLACEMENT_GROUP", placement_group, context_check_token),
	SAME("EC2_HOST_ID", host_id, context_check_token),
	SAME("EC2_RESERVATION_ID", reservation_id, context_check_token),
	SAME("EC2_ACCOUNT_ID", account_id, context_check_token),
	SAME("EC2_ARCHITECTURE", architecture, context_check_token),
	SAME("EC2_KERNEL_ID", kernel_id, context_check_token),
	SAME("EC2_RAMDISK_ID", ramdisk_id, context_check_token),
	SAME("EC2_SERVICES_DOMAIN", services_domain, context_check_hostname),
	SAME("EC2_SERVICES_PARTITION", services_partition, context_check_token),
	SAME("EC2_SYSTEM", system, context_check_token),
	SAME("EC2_LIFE_CYCLE", life_cycle, context_check_token),
	SAME("EC2_TARGET_LIFECYCLE_STATE", target_lifecycle_state, context_check_token),
	{0},
};

const struct one_variable one_lists[] = {
	SAME("EC2_SECURITY_GROUPS", security_groups, context_check_token),
	SAME("EC2_ANCESTOR_AMI_IDS", ancestor_ami_ids, context_check_token),
	SAME("EC2_PRODUCT_CODES", product_codes, context_check_token),
	{0},
};

/* Variables that are read into members; the others go to extra. */
static const char *const known[] = {
	"SET_HOSTNAME",
	"HOSTNAME",
	"SSH_PUBLIC_KEY",
	"EC2_PUBLIC_KEY",
	"SSH_KEY",
	"USER_DATA",
	"USERDATA",
	"USER_DATA_ENCODING",
	"USERDATA_ENCODING",
	"DNS",
	"SEARCH_DOMAIN",
	"EC2_AMI_LAUNCH_INDEX",
	"EC2_LAUNCH_TIME",
	"EC2_TAGS",
	"EC2_BLOCK_DEVICES",
	"INIT_SCRIPTS",
	"TOKEN",
};

const char *one_get(const struct one_reader *o, const char *name)
{
	const char *v = shellvars_get(o->vars, name);

	return v && *v ? v : NULL;
}

void one_choice(const struct one_reader *o, const char *name, enum context_choice *at)
{
	const char *v = one_get(o, name);

	if (v && !strcasecmp(v, "YES"))
		*at = CHOICE_YES;
	if (v && !strcasecmp(v, "NO"))
		*at = CHOICE_NO;
}

static int read_hostname(struct one_reader *o)
{
	const char *given = one_get(o, "SET_HOSTNAME");

	return reading_hostname(&o->r, given ? given : one_get(o, "HOSTNAME"));
}

static int read_keys(struct one_reader *o, const char *variable)
{
	const char *lines = one_get(o, variable);

	return lines ? reading_keys(&o->r, variable, lines, strlen(lines), &o->r.c->ssh_keys) : 0;
}

static int read_user_data(struct one_reader *o)
{
	const char *data = one_get(o, "USER_DATA"), *encoding = one_get(o, "USERDATA_ENCODING");
	struct err e;

	if (!data)
		data = one_get(o, "USERDATA");
	if (!encoding)
		encoding = one_get(o, "USER_DATA_ENCODING");
	if (!data)
		return 0;
	o->r.c->has_user_data = true;
	if (!encoding || strcasecmp(encoding, "base64") != 0)
		return buf_adds(&o->r.c->user_data, data);
	if (base64_decode(data, strlen(data), &o->r.c->user_data, &e) == 0)
		return 0;
	buf_clear(&o->r.c->user_data);
	o->r.c->has_user_data = false;
	return e.code == ENOMEM ? -ENOMEM
				: reading_note(&o->r, "user data are left out: %s", e.msg);
}

/* ---- the rest --------------------------------------------------------------------------- */

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
static int read_lines(struct one_reader *o, const char *variable,
		      int (*add)(struct context *c, char *line, struct err *e))
{
	const char *text = one_get(o, variable);
	AUTO_FREE char *copy = text ? strdup(text) : NULL;
	char *save = NULL;
	unsigned number = 0;

	if (text && !copy)
		return -ENOMEM;
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct err e;
		int rc;

		if (number >= LINES_MAX)
			return reading_note(&o->r, "%s: more than %d lines", variable, LINES_MAX);
		rc = add(o->r.c, line, &e);

		number++;
		if (rc == -EBADMSG)
			rc = reading_note(&o->r, "%s: line %u %s", variable, number, e.msg);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_number(struct one_reader *o, const char *variable, uint64_t max, uint64_t *ret)
{
	const char *v = one_get(o, variable);

	if (!v || str_to_u64(v, 0, max, ret, NULL) == 0)
		return 0;
	return reading_note(&o->r, "%s '%s' is not a number up to %llu", variable, v,
			    (unsigned long long)max);
}

static int read_list(struct one_reader *o, const struct one_variable *v)
{
	const char *text = one_get(o, v->name);
	AUTO_FREE char *copy = text ? strdup(text) : NULL;
	char *save = NULL;
	int rc = 0;

	if (text && !copy)
		return -ENOMEM;
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && !rc;
	     line = strtok_r(NULL, "\n", &save))
		rc = reading_item(&o->r, v->name, line, v->check,
				  (struct strlist *)((char *)o->r.c + v->offset));
	return rc;
}

static int read_fields(struct one_reader *o)
{
	uint64_t index = 0;
	int rc = 0;

	for (const struct one_variable *v = one_texts; rc == 0 && v->name; v++)
		rc = reading_text(&o->r, v->name, one_get(o, v->name), v->check,
				  (char **)((char *)o->r.c + v->offset));
	for (const struct one_variable *v = one_lists; rc == 0 && v->name; v++)
		rc = read_list(o, v);
	if (rc == 0)
		rc = read_number(o, "EC2_AMI_LAUNCH_INDEX", UINT32_MAX, &index);
	o->r.c->launch_index = (uint32_t)index;
	if (rc == 0)
		rc = read_number(o, "EC2_LAUNCH_TIME", INT64_MAX, &o->r.c->launch_time);
	if (rc == 0)
		rc = read_lines(o, "EC2_TAGS", add_tag);
	return rc < 0 ? rc : read_lines(o, "EC2_BLOCK_DEVICES", add_block_device);
}

static bool is_known(const char *name)
{
	unsigned n;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(name, known[i]) == 0)
			return true;
	}
	for (const struct one_variable *v = one_texts; v->name; v++)
		if (!strcmp(name, v->name))
			return true;
	for (const struct one_variable *v = one_lists; v->name; v++)
		if (!strcmp(name, v->name))
			return true;
	return one_nic_number(name, &n) || one_is_guest_variable(name);
}

static int read_extra(struct one_reader *o)
{
	for (size_t i = 0; i < o->vars->n; i++) {
		const struct context_pair *v = &o->vars->v[i];
		int rc = 0;

		if (is_known(v->key))
			continue;
		if (strlen(v->key) > 255 || !utf8_valid(v->value, strlen(v->value)))
			rc = reading_note(&o->r,
					  "%s is left out: not UTF-8, or its name is too long",
					  v->key);
		else
			rc = context_add_extra(o->r.c, v->key, v->value);
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

static int make_instance_id(struct one_reader *o, const char *text, size_t len)
{
	unsigned __int128 h = ((unsigned __int128)0x6c62272e07bb0142 << 64) | 0x62b821756295c58d;
	const char *vmid = one_get(o, "VMID"), *cloud = one_get(o, "ONEGATE_ENDPOINT");

	if (o->r.c->instance_id)
		return 0;
	if (vmid) {
		h = fnv1a(h, vmid, strlen(vmid) + 1);
		h = fnv1a(h, cloud ? cloud : "", cloud ? strlen(cloud) : 0);
	} else if (o->r.c->n_nics && *o->r.c->nics[0].mac) {
		h = fnv1a(h, o->r.c->nics[0].mac, sizeof(o->r.c->nics[0].mac));
	} else {
		h = fnv1a(h, text, len);
	}
	h ^= h >> 68; /* 17 hex digits are 68 bits */
	o->r.c->instance_id =
		str_format("i-%01x%016llx", (unsigned)(h >> 64) & 15u, (unsigned long long)h);
	return o->r.c->instance_id ? 0 : -ENOMEM;
}

static int fill(struct one_reader *o, const char *source, const char *text, size_t len)
{
	int rc = context_set(&o->r.c->source, source);

	rc = rc ? rc : read_fields(o);
	rc = rc ? rc : read_hostname(o);
	rc = rc ? rc : read_keys(o, "SSH_PUBLIC_KEY");
	rc = rc ? rc : read_keys(o, "EC2_PUBLIC_KEY");
	rc = rc ? rc : read_keys(o, "SSH_KEY");
	rc = rc ? rc : read_user_data(o);
	rc = rc ? rc : one_read_nics(o);
	rc = rc ? rc : one_read_guest(o);
	rc = rc ? rc : read_extra(o);
	return rc ? rc : make_instance_id(o, text, len);
}

int one_read(const char *text, size_t len, const struct tree *docs, const char *source,
	     struct strlist *notes, struct context **ret, struct err *e)
{
	AUTO(shellvars_release) struct shellvars vars = {0};
	AUTO(context_free) struct context *c = NULL;
	struct one_reader o = {.r = {.notes = notes}, .vars = &vars, .docs = docs};
	int rc = shellvars_parse(text, len, &vars, notes, e);

	if (rc < 0)
		return rc;
	rc = context_new(&c, e);
	if (rc < 0)
		return rc;
	o.r.c = c;
	if (fill(&o, source, text, len) < 0)
		return err_nomem(e);
	*ret = STEAL(c);
	return 0;
}

int opennebula_read(const char *text, size_t len, const char *source, struct strlist *notes,
		    struct context **ret, struct err *e)
{
	return one_read(text, len, NULL, source, notes, ret, e);
}
