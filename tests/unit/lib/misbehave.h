/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and ends misbehave.py for the tests of lib/http and lib/aws. */
#ifndef TESTS_UNIT_LIB_MISBEHAVE_H
#define TESTS_UNIT_LIB_MISBEHAVE_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/fs.h"
#include "lib/proc.h"
#include "lib/str.h"

static pid_t misbehave_pid;
static int misbehave_stdin = -1;
static char misbehave_base[64]; /* "http://127.0.0.1:PORT" */
static char misbehave_tls[64];  /* "https://localhost:PORT" */
static char *misbehave_dir;     /* removed at the end */
static char *misbehave_ca;      /* the certificate that TLS is served with */

static inline int misbehave_start(void **state)
{
	const char *argv[] = {"tests/unit/lib/misbehave.py", NULL, NULL};
	struct proc_opts o = PROC_OPTS_INIT;
	int in[2], out[2];
	char line[32] = "";
	char *space;
	ssize_t n = 0, got;
	struct err e;

	(void)state;
	/* Nothing of the machine's own settings. */
	for (char **v = environ; *v;) {
		AUTO_FREE char *name = strndup(*v, strcspn(*v, "="));

		if (str_has_prefix(name, "AWS_") || str_has_suffix(name, "_proxy") ||
		    str_has_suffix(name, "_PROXY"))
			unsetenv(name);
		else
			v++;
	}
	if (fs_make_temp_dir("/tmp/acclimate-test", &misbehave_dir, NULL) < 0)
		return -1;
	misbehave_ca = path_join(misbehave_dir, "cert.pem");
	argv[1] = misbehave_ca;
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return -1;
	o.stdin_fd = in[0];
	o.stdout_fd = out[1];
	o.die_with_parent = true;
	if (proc_start(argv, &o, &misbehave_pid, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	close(in[0]);
	close(out[1]);
	misbehave_stdin = in[1];
	while (n < (ssize_t)sizeof(line) - 1 && !strchr(line, '\n') &&
	       (got = read(out[0], line + n, sizeof(line) - 1 - (size_t)n)) > 0)
		n += got;
	close(out[0]);
	line[strcspn(line, "\n")] = '\0';
	space = strchr(line, ' ');
	if (!space)
		return -1;
	*space = '\0';
	snprintf(misbehave_tls, sizeof(misbehave_tls), "https://localhost:%s", space + 1);
	snprintf(misbehave_base, sizeof(misbehave_base), "http://127.0.0.1:%s", line);
	return 0;
}

static inline int misbehave_end(void **state)
{
	(void)state;
	close(misbehave_stdin);
	proc_end(misbehave_pid, 5000);
	fs_remove_tree(misbehave_dir, NULL);
	free(misbehave_ca);
	free(misbehave_dir);
	return 0;
}

#endif
