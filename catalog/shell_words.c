/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines for who splits them as a shell does: see catalog/run.h. */
#include "catalog/run.h"
#include "lib/fs.h"

int shell_word(struct buf *out, const char *s, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-/=:,+@";
	int rc;

	if (*s && strspn(s, plain) == strlen(s))
		return buf_adds(out, s) < 0 ? err_nomem(e) : 0;
	rc = buf_addc(out, '\'');
	for (; rc == 0 && *s; s++)
		rc = *s == '\'' ? buf_adds(out, "'\\''") : buf_addc(out, *s);
	return rc < 0 || buf_addc(out, '\'') < 0 ? err_nomem(e) : 0;
}

int shell_metadata(const char *instance, const char *key, char **ret, struct err *e)
{
	AUTO_FREE char *server = NULL;
	AUTO_BUF cmd = BUF_INIT;
	int rc = fs_sibling_program("metadata-server", &server, e);

	if (rc == 0)
		rc = shell_word(&cmd, server, e);
	if (rc == 0 && buf_adds(&cmd, " serve --stdio ") < 0)
		rc = err_nomem(e);
	if (rc == 0)
		rc = shell_word(&cmd, instance, e);
	if (rc == 0 && key && buf_adds(&cmd, " --token-key ") < 0)
		rc = err_nomem(e);
	if (rc == 0 && key)
		rc = shell_word(&cmd, key, e);
	if (rc < 0)
		return rc;
	*ret = buf_detach(&cmd);
	return *ret ? 0 : err_nomem(e);
}
