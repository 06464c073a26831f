/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzzer over its corpus, tests/fuzz/corpus/NAME/, as an ordinary test with TAP output. */
#include <dirent.h>
#include <stdio.h>

#include "lib/fs.h"

#define INPUT_LIMIT (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	AUTO_BUF input = BUF_INIT;
	struct err e;
	AUTO_FREE uint8_t *exact = NULL;

	if (fs_read_file(path, INPUT_LIMIT, &input, &e) < 0) {
		printf("# %s\n", e.msg);
		return -1;
	}
	/* An allocation of the exact size, so that a read past the end is seen. */
	exact = malloc(input.len ? input.len : 1);
	if (!exact)
		return -1;
	if (input.len)
		memcpy(exact, input.data, input.len);
	return LLVMFuzzerTestOneInput(exact, input.len) == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	const char *name = base ? base + 1 : argv[0];
	char dir[512];
	struct dirent **list = NULL;
	int n, bad = 0, ran = 0;

	(void)argc;
	if (!strncmp(name, "fuzz_", 5))
		name += 5;
	snprintf(dir, sizeof(dir), "tests/fuzz/corpus/%s", name);
	n = scandir(dir, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		AUTO_FREE char *path = NULL;

		if (list[i]->d_name[0] != '.' && (path = path_join(dir, list[i]->d_name))) {
			int rc = replay(path);

			printf("%s %d - %s\n", rc ? "not ok" : "ok", ++ran, list[i]->d_name);
			bad |= rc != 0;
		}
		free(list[i]);
	}
	free(list);
	if (!ran) {
		printf("not ok 1 - %s has no corpus\n", dir);
		ran = bad = 1;
	}
	printf("1..%d\n", ran);
	return bad;
}
