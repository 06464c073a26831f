/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner of a socket: see ctxd/peer_uid.h. A line of /proc/net/tcp, proc(5): a number, the two
 * ends as ADDRESS:PORT, four words, and as the eighth the owner. Addresses are hexadecimal, in the
 * machine's byte order, ports are numbers.
 */
#include "ctxd/peer_uid.h"

#include "lib/fs.h"
#include "lib/str.h"

#define TABLE_MAX (4 * MIB)
#define OWNER 7

static void end_text(const struct sockaddr_in *a, char out[14])
{
	uint32_t address;
	char hex[9];
	unsigned char b[4];

	memcpy(&address, &a->sin_addr, sizeof(address));
	for (int i = 0; i < 4; i++)
		b[i] = (unsigned char)(address >> (24 - 8 * i));
	hex_encode(b, sizeof(b), hex);
	memcpy(out, hex, 8);
	out[8] = ':';
	b[0] = (unsigned char)(ntohs(a->sin_port) >> 8);
	b[1] = (unsigned char)ntohs(a->sin_port);
	hex_encode(b, 2, hex);
	memcpy(out + 9, hex, 5);
}

int peer_uid(const char *table, const struct sockaddr_in *client, const struct sockaddr_in *server,
	     unsigned *ret, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	char ours[14], theirs[14], *save = NULL;
	int rc = fs_read_file(table, TABLE_MAX, &text, e);

	if (rc < 0)
		return rc;
	end_text(client, theirs);
	end_text(server, ours);
	for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *w[OWNER + 1], *in = NULL;
		unsigned n = 0;
		uint64_t uid;

		for (char *p = strtok_r(line, " ", &in); p && n <= OWNER;
		     p = strtok_r(NULL, " ", &in))
			w[n++] = p;
		if (n > OWNER && strcasecmp(w[1], theirs) == 0 && strcasecmp(w[2], ours) == 0 &&
		    str_to_u64(w[OWNER], 0, UINT32_MAX, &uid, NULL) == 0) {
			*ret = (unsigned)uid;
			return 0;
		}
	}
	return err_set(e, ENOENT, "the client's socket is not of this machine");
}
