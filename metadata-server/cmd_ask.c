/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the running server is asked by its Unix socket, and what needs no more: metadata-server guest,
 * status, reload.
 */
#include <stdio.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/log.h"
#include "metadata-server/commands.h"
#include "metadata-server/control.h"

enum {
	OPT_CONTROL = 256,
};

int cmd_ask(const char *socket_path, const char *method, const char *target, const char *body)
{
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF answer = BUF_INIT;
	struct err e = {0};
	const struct value *why;
	int status;

	if (control_ask(socket_path, method, target, body, &status, &answer, &e))
		return cli_fail(&e);
	if (status == 200) {
		fwrite(buf_str(&answer), 1, answer.len, stdout);
		return cli_finish(EXIT_OK);
	}
	if (json_parse("answer", buf_str(&answer), answer.len, NULL, &root, NULL))
		root = NULL;
	why = value_get(root, "error");
	if (!why || !why->text) {
		log_err("the server answers with %d", status);
		return EXIT_FAILED;
	}
	for (const char *p = why->text; *p;) { /* faults: a line each */
		size_t len = strcspn(p, "\n");

		log_err("%.*s", (int)len, p);
		p += len + (p[len] == '\n');
	}
	return EXIT_FAILED;
}

/* Any byte but letters, digits, '-', '.' and those in keep is escaped. */
static int add_escaped(struct buf *out, const char *s, const char *keep)
{
	int rc = 0;

	for (const char *p = s; *p && !rc; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    c == '-' || c == '.' || strchr(keep, c))
			rc = buf_addc(out, *p);
		else
			rc = buf_addf(out, "%%%02x", c);
	}
	return rc;
}

int cmd_instance_target(const char *name, const char *what, const char *part, struct buf *out,
			struct err *e)
{
	int rc = buf_adds(out, "/v1/instances/");

	/* The server knows its instances by their names alone, whatever files they are in. */
	if (!name_is_plain(name))
		return err_set(e, EINVAL, "instance '%s': is not a name", name);
	/* A path without its end means all, and what is empty was hardly meant so. */
	if (part && !part[strspn(part, "/")])
		return err_set(e, EINVAL, "'%s' is nothing that could be cleared", part);
	rc = rc ? rc : add_escaped(out, name, "");
	rc = rc ? rc : buf_addf(out, "/%s%s", what, part ? "/" : "");
	if (!rc && part)
		rc = add_escaped(out, part, "/");
	return rc ? err_nomem(e) : 0;
}

static const struct option options[] = {
	{"control", required_argument, NULL, OPT_CONTROL},
	{0},
};

/* ---- what a guest says ----------------------------------------------------------------------- */

static int run_guest(const struct cli_command *self, int argc, char **argv)
{
	const char *control = CONTROL_SOCKET;
	AUTO_BUF target = BUF_INIT;
	struct err e = {0};
	bool clear;

	while (cli_getopt(self, argc, argv, "", options) != -1)
		control = optarg;
	argc -= optind;
	argv += optind;
	if (!argc)
		return cli_usage(self, "give an INSTANCE");
	clear = argc > 1 && !strcmp(argv[1], "clear");
	if (argc > 3 || (argc > 1 && !clear))
		return cli_usage(self, "give an INSTANCE, and clear [KEY] or nothing");
	if (cmd_instance_target(argv[0], "guest", argc > 2 ? argv[2] : NULL, &target, &e))
		return cli_fail(&e);
	return cmd_ask(control, clear ? "DELETE" : "GET", target.data, NULL);
}

const struct cli_command guest_command = {
	.name = "guest",
	.args = "INSTANCE [clear [KEY]]",
	.summary = "show or clear what a guest says of itself",
	.help = "      --control SOCKET        of the server (" CONTROL_SOCKET ")\n",
	.run = run_guest,
};

/* ---- the server ------------------------------------------------------------------------------ */

static int run_simple(const struct cli_command *self, int argc, char **argv, const char *method,
		      const char *target)
{
	const char *control = CONTROL_SOCKET;

	while (cli_getopt(self, argc, argv, "", options) != -1)
		control = optarg;
	if (optind != argc)
		return cli_usage(self, "too many arguments");
	return cmd_ask(control, method, target, NULL);
}

static int run_status(const struct cli_command *self, int argc, char **argv)
{
	return run_simple(self, argc, argv, "GET", "/v1/status");
}

static int run_reload(const struct cli_command *self, int argc, char **argv)
{
	return run_simple(self, argc, argv, "POST", "/v1/reload");
}

const struct cli_command status_command = {
	.name = "status",
	.args = "[--control SOCKET]",
	.summary = "show how the running server does, as JSON",
	.help = "      --control SOCKET        of the server (" CONTROL_SOCKET ")\n",
	.run = run_status,
};

const struct cli_command reload_command = {
	.name = "reload",
	.args = "[--control SOCKET]",
	.summary = "have the running server read all definitions again",
	.help = "      --control SOCKET        of the server (" CONTROL_SOCKET ")\n",
	.run = run_reload,
};
