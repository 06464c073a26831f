/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on stderr: see lib/log.h. */
#include "lib/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/progress.h"
#include "lib/str.h"

#define LINE_LIMIT 4096

static const char *log_name = "acclimate";
static enum log_level log_level = LOG_LEVEL_INFO;
static bool log_journal;

void log_init(const char *name)
{
	log_name = name;
	log_journal = getenv("JOURNAL_STREAM") != NULL && !isatty(STDERR_FILENO);
}

void log_set_level(enum log_level level)
{
	log_level = level;
}

enum log_level log_get_level(void)
{
	return log_level;
}

static void PRINTF_LIKE(2, 0) log_line(enum log_level level, const char *fmt, va_list ap)
{
	static const char *const words[] = {
		[LOG_LEVEL_ERR] = "",
		[LOG_LEVEL_WARN] = "warning: ",
		[LOG_LEVEL_INFO] = "",
		[LOG_LEVEL_DEBUG] = "debug: ",
	};
	char text[LINE_LIMIT];
	AUTO_BUF line = BUF_INIT;
	int n;

	if (level > log_level)
		return;
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0)
		return;
	if (log_journal)
		buf_addf(&line, "<%d>", (int)level);
	else
		buf_addf(&line, "%s: ", log_name);
	buf_adds(&line, words[level]);
	/* Errors have been made printable where they were set: their backslashes stay single. */
	str_escape_shown(text, strlen(text), LINE_LIMIT, &line);
	if (buf_addc(&line, '\n') < 0)
		return;
	progress_clear_line();
	/* One write a line, so that lines of several threads and processes do not mix. */
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		return; /* there is nowhere left to say so */
}

#define DEFINE_LOG(name, level)                                                                    \
	void name(const char *fmt, ...)                                                            \
	{                                                                                          \
		va_list ap;                                                                        \
		va_start(ap, fmt);                                                                 \
		log_line(level, fmt, ap);                                                          \
		va_end(ap);                                                                        \
	}                                                                                          \
	struct name##_needs_semicolon_

DEFINE_LOG(log_err, LOG_LEVEL_ERR);
DEFINE_LOG(log_warn, LOG_LEVEL_WARN);
DEFINE_LOG(log_info, LOG_LEVEL_INFO);
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG);
