/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The face of the context hub: what a guest is told about itself. Every dialect is a reader into
 * or a writer out of struct context; hosts of the hub are metadata-server (outside the guest) and
 * ctxd (inside). A context is filled by one reader, then only read.
 */
#ifndef CONTEXT_CONTEXT_H
#define CONTEXT_CONTEXT_H

#include "lib/buf.h"
#include "lib/err.h"

struct strlist {
	char **v; /* n strings */
	size_t n;
};
int strlist_add(struct strlist *l, const char *s); /* copies; 0 or -ENOMEM */
void strlist_release(struct strlist *l);

enum nic_method {
	NIC_STATIC,
	NIC_DHCP,
	NIC_AUTO, /* IPv6 alone: router advertisements */
	NIC_SKIP, /* leave it alone */
};

struct nic {
	char mac[18];             /* "aa:bb:cc:dd:ee:ff", lower case; "" unknown */
	enum nic_method method;   /* IPv4 */
	enum nic_method method6;
	struct strlist addresses; /* "192.168.0.5/24", "2001:db8::5/64": always with a prefix length */
	char *gateway, *gateway6; /* numeric; NULL: none */
	struct strlist dns;       /* numeric */
	struct strlist search;    /* domains */
	struct strlist routes;    /* "10.0.0.0/8 via 192.168.0.254" */
	unsigned mtu;             /* 0: not given */
	unsigned metric;          /* 0: not given */
};

struct context_pair {
	char *key, *value;
};

struct context {
	char *source;      /* which dialect, where: "opennebula /dev/sr0" */
	char *instance_id; /* NULL: unknown */
	char *hostname;    /* fully qualified if known; NULL: unknown */
	char *ami_id, *instance_type, *availability_zone, *region; /* NULL: not given */
	char *reservation_id, *account_id, *architecture;
	uint32_t launch_index;
	struct strlist security_groups;
	struct strlist ssh_keys; /* one authorized_keys line each */
	struct nic *nics;        /* n_nics; the first is the primary one */
	size_t n_nics;
	struct buf user_data;    /* as given, any bytes */
	bool has_user_data;
	struct context_pair *tags; /* n_tags */
	size_t n_tags;
	struct context_pair *extra; /* n_extra: what has no field of its own, by its own name */
	size_t n_extra;
};

/* How the EC2 dialect is to answer for this instance. */
enum imds_tokens {
	IMDS_TOKENS_OPTIONAL,
	IMDS_TOKENS_REQUIRED,
};
struct imds_policy {
	bool enabled;
	enum imds_tokens tokens;
	unsigned hop_limit; /* 1..64 */
};

int context_new(struct context **ret, struct err *e);
void context_free(struct context *c);
DEFINE_AUTO(struct context *, context_free);

/* Appends a NIC of zeros; NULL when memory is out. */
struct nic *context_add_nic(struct context *c);
int context_add_tag(struct context *c, const char *key, const char *value);
int context_add_extra(struct context *c, const char *key, const char *value);

/*
 * Checks what a reader took over: instance id, host name, MACs, addresses, keys are well-formed
 * and carry no control characters. Errors: EBADMSG naming field and rule.
 */
int context_validate(const struct context *c, struct err *e);

#endif
