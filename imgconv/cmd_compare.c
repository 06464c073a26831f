/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv compare: whether the guests of two images see the same disk. */
#include <stdio.h>

#include "imgconv/commands.h"
#include "imgconv/imgconv.h"
#include "lib/log.h"

static int compare(const char *const paths[2], const struct image_open_opts o[2], bool strict,
		   struct err *e)
{
	AUTO(image_close) struct image *a = NULL;
	AUTO(image_close) struct image *b = NULL;
	struct progress *p;
	uint64_t where;
	int rc = image_open(paths[0], &o[0], &a, e);

	if (rc == 0)
		rc = image_open(paths[1], &o[1], &b, e);
	if (rc)
		return rc;
	if (image_size(a) != image_size(b)) {
		if (strict) {
			printf("sizes differ: %llu and %llu bytes\n",
			       (unsigned long long)image_size(a),
			       (unsigned long long)image_size(b));
			return 1;
		}
		log_warn("sizes differ: %llu and %llu bytes; what is missing counts as zeros",
			 (unsigned long long)image_size(a), (unsigned long long)image_size(b));
	}
	p = progress_start("comparing", MAX(image_size(a), image_size(b)));
	rc = image_compare(a, b, &where, p, e);
	progress_end(p, rc >= 0);
	if (rc > 0)
		printf("first difference at byte %llu\n", (unsigned long long)where);
	return rc;
}

int cmd_compare(const struct cli_command *self, int argc, char **argv)
{
	static const struct option longopts[] = {
		{"format", required_argument, NULL, 'f'},
		{"second-format", required_argument, NULL, 'F'},
		{"strict", no_argument, NULL, 's'},
		{"allow-backing", no_argument, NULL, 'b'},
		{NULL, 0, NULL, 0},
	};
	struct image_open_opts o[2] = {{0}};
	bool strict = false;
	struct err e;
	int opt, rc;

	while ((opt = cli_getopt(self, argc, argv, "f:F:s", longopts)) != -1) {
		switch (opt) {
		case 'f':
			o[0].format = optarg;
			break;
		case 'F':
			o[1].format = optarg;
			break;
		case 's':
			strict = true;
			break;
		case 'b':
			o[0].flags = o[1].flags = IMAGE_ALLOW_BACKING;
			break;
		}
	}
	if (argc - optind != 2)
		return cli_usage(self, "give two images");
	rc = compare((const char *[]){argv[optind], argv[optind + 1]}, o, strict, &e);
	if (rc < 0)
		return cli_fail(&e);
	return cli_finish(rc > 0 ? EXIT_FOUND : EXIT_OK);
}
