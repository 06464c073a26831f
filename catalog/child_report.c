/* SPDX-License-Identifier: Apache-2.0 */
/* Reports out of a sandbox: see catalog/child_report.h. */
#include "catalog/child_report.h"

#include <sys/mman.h>

#include "lib/fs.h"

#define REPORT_LIMIT (16u << 20)

int child_report_new(int *ret_fd, struct err *e)
{
	*ret_fd = memfd_create("report", MFD_CLOEXEC);
	return *ret_fd < 0 ? err_errno(e, errno, "making a file in memory") : 0;
}

int child_report_write(int fd, struct jsonw *w, const struct buf *text, struct err *e)
{
	int rc = jsonw_end(w, e);

	return rc < 0 ? rc : fs_write(fd, text->data, text->len, e);
}

int child_report_read(int fd, struct value **ret, struct err *e)
{
	const struct value_limits limits = {.bytes = REPORT_LIMIT};
	AUTO(value_free) struct value *root = NULL;
	AUTO_BUF text = BUF_INIT;
	int rc = lseek(fd, 0, SEEK_SET) < 0 ? err_errno(e, errno, "the report of a sandbox")
					    : fs_read_fd(fd, "the report", REPORT_LIMIT, &text, e);

	if (rc == 0)
		rc = json_parse("the report of a sandbox", text.data, text.len, &limits, &root, e);
	if (rc == 0)
		rc = value_expect(root, VALUE_MAP, e);
	if (rc == 0)
		*ret = STEAL(root);
	return rc;
}

int child_report_text(const struct value *root, const char *key, char **ret, struct err *e)
{
	const struct value *v = value_get(root, key);
	const char *text;
	int rc;

	if (!v || v->kind == VALUE_NULL)
		return 0;
	rc = value_string(v, &text, e);
	if (rc < 0)
		return rc;
	*ret = strdup(text);
	return *ret ? 0 : err_nomem(e);
}
