/* SPDX-License-Identifier: Apache-2.0 */
/* Responses: header lines, error pages, status texts, dates. */
#include "lib/http_response.h"

#include <stdio.h>

int http_response_header(struct http_response *r, const char *name, const char *value)
{
	for (const char *p = name; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f || *p == ':')
			return -EINVAL;
	for (const char *p = value; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return -EINVAL;
	return *name ? buf_addf(&r->headers, "%s: %s\r\n", name, value) : -EINVAL;
}

void http_response_clear(struct http_response *r)
{
	r->status = 0;
	buf_clear(&r->headers);
	buf_clear(&r->body);
	r->close = false;
	r->hop_limit = 0;
	r->wait_ms = 0;
	r->wait_key = 0;
}

void http_response_release(struct http_response *r)
{
	buf_release(&r->headers);
	buf_release(&r->body);
	*r = HTTP_RESPONSE_INIT;
}

int http_response_error(struct http_response *r, int status)
{
	const char *text = http_status_text(status);

	http_response_clear(r);
	r->status = status;
	if (http_response_header(r, "Content-Type", "text/html"))
		return -ENOMEM;
	return buf_addf(&r->body,
			"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n"
			"<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n"
			"\t\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"
			"<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" "
			"lang=\"en\">\n"
			" <head>\n  <title>%d - %s</title>\n </head>\n"
			" <body>\n  <h1>%d - %s</h1>\n </body>\n</html>\n",
			status, text, status, text);
}

static const struct {
	int status;
	const char *text;
} statuses[] = {
	{100, "Continue"},
	{200, "OK"},
	{204, "No Content"},
	{301, "Moved Permanently"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{503, "Service Unavailable"},
	{505, "HTTP Version Not Supported"},
};

const char *http_status_text(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "Unknown";
}

/*
 * Year, month (1..12) and day of a day since 1970-01-01 in the Gregorian calendar. By hand, since
 * gmtime_r reads the time zone's file, which a confined or early process cannot. Years begin in
 * March here, so that the leap day is a year's last; 146097 days are 400 years.
 */
static void civil_from_days(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t z = days + 719468; /* since 0000-03-01 */
	unsigned of_era = (unsigned)(z % 146097);
	unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned from_march = (5 * of_year + 2) / 153;

	*day = of_year - (153 * from_march + 2) / 5 + 1;
	*month = from_march < 10 ? from_march + 3 : from_march - 9;
	*year = year_of_era + (unsigned)(z / 146097) * 400 + (*month <= 2);
}

void http_date(uint64_t unix_seconds, char out[HTTP_DATE_SIZE])
{
	static const char days[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	/* 31 Dec 9999 23:59:59, the last moment that has four digits in its year */
	uint64_t t = MIN(unix_seconds, UINT64_C(253402300799));
	unsigned of_day = (unsigned)(t % 86400);
	unsigned year, month, day;

	civil_from_days(t / 86400, &year, &month, &day);
	snprintf(out, HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[t / 86400 % 7],
		 day % 100, months[(month - 1) % 12], year % 10000, of_day / 3600, of_day / 60 % 60,
		 of_day % 60);
}
