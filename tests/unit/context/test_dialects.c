/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each dialect against its own account of itself: what it says that it has room for comes back as it
 * was, whatever else is there; what it does not say does not come back.
 */
#include <stdio.h>

#include "context/dialects.h"
#include "lib/fs.h"
#include "lib/str.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/context/full.h"

static const struct context_dialect *const *dialects(void)
{
	return context_dialects;
}

static struct context *through(const struct context_dialect *d, const struct context *c)
{
	AUTO(tree_free) struct tree *docs = NULL;
	struct context *back = NULL;
	struct strlist notes = {0};
	struct err e = {0};

	if (dialect_write(d, c, &docs, &e) || dialect_read(d, docs, d->name, &notes, &back, &e))
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < notes.n; i++)
		fail_msg("%s: %s", d->name, notes.v[i]);
	strlist_release(&notes);
	return back;
}

/* ---- random contexts: the full one with parts left out --------------------------------------- */

static uint64_t state_of_random = 1;

static unsigned random_below(unsigned n)
{
	state_of_random = state_of_random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state_of_random >> 33) % n;
}

/* By these the rest is found again; a VLAN has its name and parent. */
static bool is_needed(const struct context_field *table, const struct context_field *f,
		      const char *object)
{
	if (table == nic_fields && ((const struct nic *)object)->vlan_id)
		return !strcmp(f->name, "name") || str_has_prefix(f->name, "vlan-");
	if (table == file_fields && !strcmp(f->name, "name"))
		return true;
	return !strcmp(f->name, "instance-id") || !strcmp(f->name, "mac");
}

static void thin_out(const struct context_field *table, char *object, unsigned keep)
{
	for (const struct context_field *f = table; f->name; f++) {
		const struct context_field only[2] = {*f, {0}};
		char *const *v = (char *const *)(object + f->offset);

		if (f->required || is_needed(table, f, object))
			continue;
		if (random_below(8) >= keep) {
			if (f->kind == CTX_METHOD)
				*(enum nic_method *)(object + f->offset) =
					random_below(2) ? NIC_DHCP : NIC_STATIC;
			else
				context_fields_release(only, object);
			continue;
		}
		if (f->kind == CTX_STRUCT)
			thin_out(f->fields, object + f->offset, keep);
		for (size_t i = 0;
		     f->kind == CTX_STRUCTS && i < *(const size_t *)(object + f->offset_n); i++)
			thin_out(f->fields, *v + i * f->size, keep);
	}
}

static void drop(struct nic *n, const char *row)
{
	const struct context_field only[2] = {*context_field(nic_fields, row), {0}};

	context_fields_release(only, n);
}

/* A password is for use unless it is said; a label is that of a file system that is made. */
static void tidy_rest(struct context *c)
{
	struct user *u = &c->default_user;

	if (u->lock_password == CHOICE_OPEN && (u->password || u->password_hash))
		u->lock_password = CHOICE_NO;
	for (size_t i = 0; i < c->n_users; i++)
		if (c->users[i].lock_password == CHOICE_OPEN &&
		    (c->users[i].password || c->users[i].password_hash))
			c->users[i].lock_password = CHOICE_NO;
	for (size_t i = 0; i < c->n_mounts; i++)
		if (c->mounts[i].format != CHOICE_YES)
			context_set(&c->mounts[i].format_label, NULL);
}

/* Of a family that is not set up nothing is said. */
static void tidy(struct context *c, bool lease_is_all)
{
	for (size_t i = 0; i < c->n_nics; i++) {
		struct nic *n = &c->nics[i];
		bool dhcp = n->method == NIC_DHCP || n->method6 == NIC_DHCP;
		bool v4 = nic_effective_method(n, false) != NIC_SKIP;
		bool v6 = nic_effective_method(n, true) != NIC_SKIP;

		if (lease_is_all && dhcp) {
			drop(n, "addresses");
			drop(n, "gateway");
			drop(n, "gateway6");
		}
		if (!n->public_ipv4)
			drop(n, "external-addresses");
		if (!v4)
			drop(n, "gateway");
		if (!v6)
			drop(n, "gateway6");
		if (!v4 || !v6)
			drop(n, "routes");
		if (v4 || v6)
			continue;
		drop(n, "dns");
		drop(n, "search");
		drop(n, "network-id");
	}
}

/* ---- the checks ------------------------------------------------------------------------------ */

struct differences {
	const struct context_dialect *d;
	struct buf lost;
};

static int is_declared(void *arg, const char *path, enum field_difference how)
{
	struct differences *x = arg;

	if (dialect_keeps(x->d, path))
		fail_msg("%s: %s is said to be kept, and is %s", x->d->name, path,
			 how == DIFF_MISSING ? "lost"
			 : how == DIFF_ADDED ? "made up"
					     : "changed");
	return buf_addf(&x->lost, "%s\n", path);
}

static void what_is_said_to_be_kept_is(void **state)
{
	(void)state;
	for (size_t i = 0; dialects()[i]; i++) {
		for (unsigned round = 0; round < 60; round++) {
			AUTO(instance_free) struct instance *in = full_instance();
			AUTO(context_free) struct context *back = NULL;
			struct differences x = {.d = dialects()[i]};

			if (round)
				thin_out(context_fields, (char *)in->context, 1 + round % 7);
			tidy_rest(in->context);
			tidy(in->context, !strcmp(dialects()[i]->name, "opennebula"));
			if (context_validate(in->context, NULL))
				continue;
			back = through(dialects()[i], in->context);
			assert_int_equal(context_compare(in->context, back, is_declared, &x), 0);
			buf_release(&x.lost);
		}
	}
}

/* What EC2 fills in where it was not said, or says with something else alone. */
static bool is_conditional(const struct context_dialect *d, const char *path)
{
	static const char *const rows[] = {"region", "life-cycle", "spot.action", "spot.time"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(path, rows[i]))
			return !strcmp(d->name, "ec2");
	return false;
}

/* Is a row named by a line of lost, or one that is inside of it or around it? */
static void count_rows(const struct context_dialect *d, const struct context_field *table,
		       const char *prefix, const char *lost)
{
	for (const struct context_field *f = table; f->name; f++) {
		AUTO_FREE char *path = str_format("%s%s", prefix, f->name);
		AUTO_FREE char *below = str_format("%s%s.", prefix, f->name);

		if (f->fields)
			count_rows(d, f->fields, below, lost);
		else if (!is_conditional(d, path) && !dialect_keeps(d, path) &&
			 !strstr(lost, path) && f->kind != CTX_METHOD)
			fail_msg("%s: %s is kept, and nobody says so", d->name, path);
	}
}

/* "nics[0].mtu" to "nics.mtu", in all lines. */
static void strip_numbers(char *s)
{
	char *to = s;

	for (bool inside = false; *s; s++) {
		inside |= *s == '[';
		if (!inside)
			*to++ = *s;
		inside &= *s != ']';
	}
	*to = '\0';
}

/* A list that is lost as a whole counts for all rows in it. */
static int each_row(void *arg, const char *path, enum field_difference how)
{
	struct differences *x = arg;
	const char *bracket = strrchr(path, ']');

	(void)how;
	if (bracket && !bracket[1]) {
		AUTO_FREE char *name = strndup(path, strcspn(path, "["));
		const struct context_field *f = context_field(context_fields, name);

		for (const struct context_field *g = f->fields; g->name; g++)
			buf_addf(&x->lost, "%s.%s\n", name, g->name);
	}
	return buf_addf(&x->lost, "%s\n", path);
}

static void what_is_not_said_to_be_kept_is_lost(void **state)
{
	(void)state;
	for (size_t i = 0; dialects()[i]; i++) {
		AUTO(instance_free) struct instance *in = full_instance();
		AUTO(context_free) struct context *back = through(dialects()[i], in->context);
		struct differences x = {.d = dialects()[i]};

		assert_int_equal(context_compare(in->context, back, each_row, &x), 0);
		if (x.lost.len)
			strip_numbers(x.lost.data);
		count_rows(x.d, context_fields, "", buf_str(&x.lost));
		buf_release(&x.lost);
	}
}

static void every_field_that_is_named_exists(void **state)
{
	(void)state;
	for (size_t i = 0; dialects()[i]; i++) {
		for (const char *const *p = dialects()[i]->fields; *p; p++) {
			AUTO_FREE char *top = strndup(*p, strcspn(*p, "."));
			const struct context_field *f = context_field(context_fields, top);
			const char *dot = strchr(*p, '.');

			if (!**p)
				continue; /* everything */
			if (!f || (dot && !context_field(f->fields, dot + 1)))
				fail_msg("%s: no row '%s'", dialects()[i]->name, *p);
		}
	}
}

/* ---- the table of the documentation ----------------------------------------------------------- */

static void add_row(struct buf *out, const char *path)
{
	buf_addf(out, "| `%s` |", path);
	for (size_t i = 0; dialects()[i]; i++)
		buf_adds(out, dialect_keeps(dialects()[i], path) ? " x |" : " |");
	buf_addc(out, '\n');
}

/* A struct is one row if no dialect keeps a part of it alone. */
static bool is_one(const struct context_field *f)
{
	for (size_t i = 0; dialects()[i]; i++) {
		size_t kept = 0, n = 0;

		for (const struct context_field *g = f->fields; g->name; g++, n++) {
			AUTO_FREE char *path = str_format("%s.%s", f->name, g->name);

			kept += dialect_keeps(dialects()[i], path);
		}
		if (kept && kept < n)
			return false;
	}
	return true;
}

static void make_table(struct buf *out)
{
	buf_adds(out, "| |");
	for (size_t i = 0; dialects()[i]; i++)
		buf_addf(out, " %s |", dialects()[i]->name);
	buf_adds(out, "\n|---|");
	for (size_t i = 0; dialects()[i]; i++)
		buf_adds(out, "---|");
	buf_addc(out, '\n');
	for (const struct context_field *f = context_fields; f->name; f++) {
		if (!f->fields || is_one(f)) {
			add_row(out, f->name);
			continue;
		}
		for (const struct context_field *g = f->fields; g->name; g++) {
			AUTO_FREE char *path = str_format("%s.%s", f->name, g->name);

			add_row(out, path);
		}
	}
}

static void the_table_in_the_documentation_is_true(void **state)
{
	AUTO_BUF table = BUF_INIT, text = BUF_INIT;
	struct err e = {0};

	(void)state;
	make_table(&table);
	if (fs_read_file("docs/dialects.md", MIB, &text, &e))
		fail_msg("%s", e.msg);
	if (strstr(text.data, table.data))
		return;
	fputs(table.data, stdout);
	fail_msg("docs/dialects.md should have this table");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_to_be_kept_is),
		cmocka_unit_test(what_is_not_said_to_be_kept_is_lost),
		cmocka_unit_test(every_field_that_is_named_exists),
		cmocka_unit_test(the_table_in_the_documentation_is_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
