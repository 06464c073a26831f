/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a guest that a context decides about, and their order: see ctxd/apply.h. */
#include "ctxd/apply.h"

#include "lib/log.h"

static const struct part *const parts[] =
	{
		&part_hostname,  &part_settings,
		&part_users, /* before their keys, and files of theirs */
		&part_ssh,       &part_network,
		&part_cloudinit, /* after network: says whether cloud-init is to leave that alone */
		&part_grow,      &part_swap,
		&part_mounts,    &part_files, /* in what is mounted */
};

static const struct part *const final_parts[] = {
	&part_scripts, &part_ready, /* says that all else was done */
};

static int apply_all(struct apply *a, const struct part *const *list, size_t n, struct err *e)
{
	int rc = 0;

	a->has_cloud_init = apply_has_cloud_init(a->g);
	for (size_t i = 0; i < n; i++) {
		struct err mine;

		if (list[i] == &part_network && a->network_is_guests)
			continue;
		if (list[i]->apply(a, &mine) >= 0)
			continue;
		err_wrap(&mine, "%s", list[i]->name);
		if (rc == 0)
			*e = mine;
		else
			log_err("%s", mine.msg);
		rc = -e->code;
	}
	return rc;
}

int apply_context(struct apply *a, struct err *e)
{
	return apply_all(a, parts, ARRAY_SIZE(parts), e);
}

int apply_final(struct apply *a, struct err *e)
{
	return apply_all(a, final_parts, ARRAY_SIZE(final_parts), e);
}

int apply_nothing(struct guest *g, struct err *e)
{
	struct apply a = {.g = g};
	int rc = 0;

	a.has_cloud_init = apply_has_cloud_init(g);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct err mine;

		if (!parts[i]->leave || parts[i]->leave(&a, &mine) == 0)
			continue;
		err_wrap(&mine, "%s", parts[i]->name);
		if (rc == 0)
			*e = mine;
		else
			log_err("%s", mine.msg);
		rc = -e->code;
	}
	return rc;
}
