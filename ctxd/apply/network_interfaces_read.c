/* SPDX-License-Identifier: Apache-2.0 */
/* What interfaces(5) says: see ctxd/apply/network_interfaces.h. */
#include "ctxd/apply/network_interfaces.h"

#include "lib/str.h"

/* Does this line source that file? Relative paths are seen from /etc/network. */
static bool sources(char *line, const char *folder, const char *name)
{
	char *save = NULL, *word = strtok_r(line, " \t\r", &save), *path, *slash;
	AUTO_FREE char *full = NULL;

	if (!word || (strcmp(word, "source") != 0 && strcmp(word, "source-directory") != 0))
		return false;
	path = strtok_r(NULL, " \t\r", &save);
	if (!path)
		return false;
	full = str_format("%s%s", *path == '/' ? "" : "/etc/network/", path);
	if (!full)
		return false;
	if (strcmp(word, "source-directory") == 0) {
		if (str_has_suffix(full, "/"))
			full[strlen(full) - 1] = '\0';
		return strcmp(full, folder) == 0;
	}
	slash = strrchr(full, '/');
	*slash = '\0';
	return strcmp(full, folder) == 0 && str_glob(slash + 1, name);
}

bool interfaces_source(const char *text, const char *folder, const char *name)
{
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sources(line, folder, name))
			return true;
	}
	return false;
}

/* The next line of text, copied into *line (the caller's to free); NULL at the end. */
static const char *next_line(const char *text, char **line)
{
	size_t len = strcspn(text, "\n");

	free(*line);
	*line = *text ? strndup(text, len) : NULL;
	return *line ? text + len + (text[len] == '\n') : NULL;
}

/* Words of a line, in place; returns how many there are, at most max of them in words. */
static unsigned split_words(char *line, char **words, unsigned max)
{
	char *save = NULL;
	unsigned n = 0;

	for (char *w = strtok_r(line, " \t\r", &save); w; w = strtok_r(NULL, " \t\r", &save)) {
		if (n < max)
			words[n] = w;
		n++;
	}
	return n;
}

enum description interfaces_describe(const char *text, const char *name)
{
	enum description found = NOT_DESCRIBED;
	AUTO_FREE char *line = NULL;
	bool inside = false;

	while ((text = next_line(text, &line))) {
		char *w[4];
		unsigned n = split_words(line, w, ARRAY_SIZE(w));

		if (!n || *w[0] == '#')
			continue;
		if (strcmp(w[0], "iface") == 0) {
			inside = n >= 2 && strcmp(w[1], name) == 0;
			if (inside &&
			    (n != 4 || (strcmp(w[3], "dhcp") != 0 && strcmp(w[3], "auto") != 0 &&
					strcmp(w[3], "manual") != 0)))
				return DESCRIBED;
			if (inside)
				found = DESCRIBED_BARE;
		} else if (strcmp(w[0], "auto") == 0 || str_has_prefix(w[0], "allow-") ||
			   strcmp(w[0], "mapping") == 0 || str_has_prefix(w[0], "source")) {
			inside = false;
		} else if (inside) {
			return DESCRIBED; /* an option */
		}
	}
	return found;
}

static bool is_among(const struct strlist *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->v[i], name) == 0)
			return true;
	}
	return false;
}

/* "auto a b c" without the names. */
static int add_auto_without(struct buf *out, char *line, const struct strlist *names)
{
	char *save = NULL, *word = strtok_r(line, " \t\r", &save), *first = word;
	bool any = false;
	int rc = 0;

	while (rc == 0 && (word = strtok_r(NULL, " \t\r", &save))) {
		if (is_among(names, word))
			continue;
		rc = buf_addf(out, "%s %s", any ? "" : first, word);
		any = true;
	}
	return rc < 0 || !any ? rc : buf_addc(out, '\n');
}

int interfaces_without(const char *text, const struct strlist *names, struct buf *out)
{
	AUTO_FREE char *line = NULL;
	int rc = 0;

	while (rc == 0 && (text = next_line(text, &line))) {
		AUTO_FREE char *copy = strdup(line);
		char *w[2] = {NULL, NULL};
		unsigned n = copy ? split_words(copy, w, 2) : 0;

		if (!copy)
			return -ENOMEM;
		if (n >= 2 && strcmp(w[0], "iface") == 0 && is_among(names, w[1]))
			continue;
		if (n >= 2 && (strcmp(w[0], "auto") == 0 || str_has_prefix(w[0], "allow-")))
			rc = add_auto_without(out, line, names);
		else
			rc = buf_addf(out, "%s\n", line);
	}
	return rc;
}
