/* SPDX-License-Identifier: Apache-2.0 */
/* catalog verify: whether the store, or some images of it, are whole; exit status 3 if not. */
#include <stdio.h>

#include "catalog/commands.h"
#include "catalog/store.h"
#include "lib/str.h"

enum {
	OPT_QUICK = OPT_OTHER,
};

struct teller {
	enum cli_output output;
	struct jsonw w;
	uint64_t faults;
};

static void tell(void *ctx, bool fault, const char *image, const char *text)
{
	struct teller *t = ctx;
	AUTO_BUF shown = BUF_INIT;

	t->faults += fault;
	if (t->output == CLI_JSON) {
		jsonw_object(&t->w, NULL);
		jsonw_string(&t->w, "image", image);
		jsonw_bool(&t->w, "fault", fault);
		jsonw_string(&t->w, "text", text);
		jsonw_close(&t->w);
		return;
	}
	(void)str_escape_shown(text, strlen(text), SIZE_MAX, &shown);
	printf("%s%s%s%s\n", image ? image : "", image ? ": " : "",
	       fault ? "" : "note: ", buf_str(&shown));
}

static int verify(const char *store_dir, char **names, int n_names, bool quick, struct teller *t,
		  struct err *e)
{
	AUTO(store_free) struct store *store = NULL;
	AUTO_BUF out = BUF_INIT;
	int rc = store_open(store_dir, &store, e);

	jsonw_begin(&t->w, &out, true);
	jsonw_object(&t->w, NULL);
	jsonw_array(&t->w, "findings");
	if (rc == 0 && !n_names)
		rc = store_verify(store, NULL, quick, tell, t, e);
	for (int i = 0; rc == 0 && i < n_names; i++)
		rc = store_verify(store, names[i], quick, tell, t, e);
	if (rc < 0)
		return rc;
	jsonw_close(&t->w);
	jsonw_u64(&t->w, "faults", t->faults);
	jsonw_close(&t->w);
	rc = jsonw_end(&t->w, e);
	if (rc == 0 && t->output == CLI_JSON)
		fwrite(out.data, 1, out.len, stdout);
	else if (rc == 0 && !t->faults)
		printf("whole\n");
	return rc;
}

int cmd_verify(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		STORE_OPTION,
		{"quick", no_argument, NULL, OPT_QUICK},
		{"output", required_argument, NULL, 'o'},
		{0},
	};
	const char *store_dir = NULL;
	struct teller t = {.output = CLI_TEXT};
	bool quick = false;
	struct err e;
	int opt;

	while ((opt = cli_getopt(self, argc, argv, "o:", longopts)) >= 0) {
		if (opt == OPT_STORE)
			store_dir = optarg;
		else if (opt == OPT_QUICK)
			quick = true;
		else if (cli_output_parse(optarg, &t.output, &e) < 0)
			return cli_usage(self, "%s", e.msg);
	}
	if (verify(store_dir, argv + optind, argc - optind, quick, &t, &e) < 0)
		return cli_fail(&e);
	return cli_finish(t.faults ? EXIT_FOUND : EXIT_OK);
}
