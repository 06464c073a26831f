/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What VMware's host says about a guest of OpenNebula's. See ctxd/detect.h.
 *
 *	guestinfo.opennebula.context    context.sh, in base64
 *	guestinfo.opennebula.file.N     a file of the context: its name, a newline, base64
 *
 * By VMware's own program, if the guest has it: the hypervisor's port, which it speaks by, answers
 * nothing that could be told from silence on another machine.
 */
#include <stdio.h>

#include "context/opennebula.h"
#include "context/shellvars.h"
#include "ctxd/detect.h"
#include "lib/fs.h"
#include "lib/proc.h"
#include "lib/str.h"

#define RPCTOOL "vmware-rpctool"
#define RPC_SECONDS 10
#define FILES_MAX 64
#define FILE_MAX MIB

/* The value of a variable; name is behind VMWARE_VARIABLE. */
static int ask(const char *name, size_t limit, struct buf *out, struct err *e)
{
	AUTO_FREE char *question = str_format("info-get " VMWARE_VARIABLE "%s", name);
	const char *const argv[] = {RPCTOOL, question, NULL};

	return question ? proc_run(argv, NULL, 0, out, limit, RPC_SECONDS, e) : err_nomem(e);
}

/* text: name, newline, base64. */
static int add_file(struct detection *d, const char *variable, char *text, struct err *e)
{
	char *body = strchr(text, '\n');
	AUTO_BUF data = BUF_INIT;
	struct err mine;

	if (!body)
		return detect_step(d, e, variable, "no name and content");
	*body++ = '\0';
	if (!name_is_plain(text) || strcmp(text, OPENNEBULA_FILE) == 0)
		return detect_step(d, e, variable, "a name that no file of a context has");
	if (base64_decode(body, strlen(body), &data, &mine) < 0)
		return detect_step(d, e, variable, "%s", mine.msg);
	return detect_add_doc(d, text, data.data, data.len, e);
}

/* They are numbered from 0 or 1 on, without gaps. */
static int add_files(struct detection *d, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < FILES_MAX; i++) {
		AUTO_BUF text = BUF_INIT;
		char name[32];

		snprintf(name, sizeof(name), "file.%u", i);
		if (ask(name, FILE_MAX, &text, NULL) < 0) {
			if (i)
				break;
			continue;
		}
		if (text.len && !memchr(text.data, '\0', text.len))
			rc = add_file(d, name, text.data, e);
	}
	return rc;
}

int detect_vmware(const struct detect_opts *o, struct detection *d, struct err *e)
{
	static const char where[] = VMWARE_VARIABLE "context";
	AUTO_BUF text = BUF_INIT, context = BUF_INIT;
	struct err mine;
	int rc;

	if (!o->g->live || !detect_dmi_is(o->g, "sys_vendor", "VMware"))
		return 0;
	rc = ask("context", 2 * SHELLVARS_FILE_MAX, &text, &mine);
	if (rc == 0)
		rc = base64_decode(buf_str(&text), text.len, &context, &mine);
	if (rc < 0)
		return detect_step(d, e, where, "%s", mine.msg);
	rc = detect_add_doc(d, OPENNEBULA_FILE, context.data, context.len, e);
	if (rc == 0)
		rc = add_files(d, e);
	if (rc == 0)
		rc = detect_step(d, e, where, "opennebula");
	return rc < 0 ? rc : detect_found(d, "opennebula", MEDIA_DOCS, where, e);
}
