/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's command line, from that of the guest to that of the new machine. */
#include "imgconv/disk/cmdline.h"

#include "lib/str.h"

/* Words that make sense under Xen alone. */
static bool is_xen_word(const char *w)
{
	static const char *const prefixes[] = {"console=hvc", "console=xvc",
					       "xencons=", "earlyprintk=xen", "xen_"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (str_has_prefix(w, prefixes[i]))
			return true;
	}
	return false;
}

/*
 * Takes the next word as the kernel does: spaces part words, but not within double quotes. The
 * quotes go; GRUB sets them again around a word with spaces.
 */
int kernel_next_word(const char **s, struct buf *word, struct err *e)
{
	bool quoted = false;

	buf_clear(word);
	while (**s == ' ' || **s == '\t')
		(*s)++;
	for (; **s && (quoted || (**s != ' ' && **s != '\t')); (*s)++) {
		unsigned char c = (unsigned char)**s;

		if (c == '"') {
			quoted = !quoted;
			continue;
		}
		if (c < 0x20 || c >= 0x7f || c == '\'' || c == '\\')
			return err_set(e, ENOTSUP,
				       "the kernel's command line has a character (0x%02x) that "
				       "GRUB cannot pass on",
				       c);
		if (buf_addc(word, (char)c) < 0)
			return err_nomem(e);
	}
	if (quoted)
		return err_set(e, EBADMSG, "the kernel's command line has an open quote");
	return word->len > 0;
}

static int add_word(struct buf *line, const char *word, struct err *e)
{
	const char *quote = strpbrk(word, " \t") ? "\"" : "";

	if (buf_addf(line, "%s%s%s%s", line->len ? " " : "", quote, word, quote) < 0)
		return err_nomem(e);
	return 0;
}

int kernel_cmdline(const char *guest_cmdline, const char *root, const char *console,
		   const char *append, char **ret, struct err *e)
{
	AUTO_BUF line = BUF_INIT;
	AUTO_BUF word = BUF_INIT;
	bool tty = false, serial = false;
	const char *s = guest_cmdline;
	size_t name_len = strcspn(console, ",");
	int rc;

	if (buf_addf(&line, "root=%s", root) < 0)
		return err_nomem(e);
	while ((rc = kernel_next_word(&s, &word, e)) > 0) {
		if (str_has_prefix(word.data, "root=") || is_xen_word(word.data))
			continue;
		tty |= str_has_prefix(word.data, "console=tty0");
		serial |= str_has_prefix(word.data, "console=") &&
			  strncmp(word.data + 8, console, name_len) == 0;
		rc = add_word(&line, word.data, e);
		if (rc < 0)
			return rc;
	}
	if (rc >= 0 && !serial && !tty)
		rc = add_word(&line, "console=tty0", e);
	if (rc >= 0 && !serial)
		rc = buf_addf(&line, " console=%s", console) < 0 ? err_nomem(e) : 0;
	for (s = append ? append : ""; rc >= 0 && (rc = kernel_next_word(&s, &word, e)) > 0;)
		rc = add_word(&line, word.data, e);
	if (rc < 0)
		return rc;
	*ret = buf_detach(&line);
	return *ret ? 0 : err_nomem(e);
}
