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
DEFINE_AUTO_STRUCT(struct strlist, strlist_release);

enum nic_method {
	NIC_STATIC,
	NIC_DHCP,
	NIC_AUTO, /* IPv6 alone: router advertisements */
	NIC_SKIP, /* leave it alone */
};

struct nic {
	char mac[18];           /* "aa:bb:cc:dd:ee:ff", lower case; "" unknown */
	enum nic_method method; /* IPv4 */
	enum nic_method method6;
	/* "192.168.0.5/24", "2001:db8::5/64": always with a prefix length */
	struct strlist addresses;
	char *gateway, *gateway6; /* numeric; NULL: none */
	struct strlist dns;       /* numeric */
	struct strlist search;    /* domains */
	struct strlist routes;    /* "10.0.0.0/8 via 192.168.0.254" */
	unsigned mtu;             /* 0: not given */
	unsigned metric;          /* 0: not given */
	char *public_ipv4;        /* that others reach it by, translated; NULL: none */
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
	char *availability_zone_id, *kernel_id, *ramdisk_id, *public_hostname;
	uint32_t launch_index;
	uint64_t launch_time; /* Unix seconds; 0: not given */
	struct strlist security_groups;
	struct strlist ssh_keys; /* one authorized_keys line each */
	struct nic *nics;        /* n_nics; the first is the primary one */
	size_t n_nics;
	struct buf user_data; /* as given, any bytes */
	bool has_user_data;
	struct context_pair *tags; /* n_tags */
	size_t n_tags;
	struct context_pair *block_devices; /* n_block_devices: role (ami, root, ebs1 ...), name */
	size_t n_block_devices;
	struct context_pair *extra; /* n_extra: what has no field of its own, by its own name */
	size_t n_extra;
};

int context_new(struct context **ret, struct err *e);
void context_free(struct context *c);
DEFINE_AUTO(struct context *, context_free);

/* Appends a NIC of zeros; NULL when memory is out. Earlier pointers to NICs become invalid. */
struct nic *context_add_nic(struct context *c);
/* Append a copy; 0 or -ENOMEM. */
int context_add_tag(struct context *c, const char *key, const char *value);
int context_add_block_device(struct context *c, const char *role, const char *name);
int context_add_extra(struct context *c, const char *key, const char *value);

/*
 * The value of an entry of extra with that name (the last one), NULL if there is none.
 */
const char *context_extra(const struct context *c, const char *key);

/*
 * Checks what a reader took over: instance id, host name, MACs, addresses, keys are well-formed
 * and carry no control characters. Errors: EBADMSG naming field and rule.
 */
int context_validate(const struct context *c, struct err *e);

/* ---- the rules, each alone: for readers that can name the place --------------------------- */

/*
 * All return 0 or -EBADMSG; the message is the rule that is broken and does not repeat the text
 * ("is not an IP address"), so that the caller can put the place before it.
 */
int context_check_instance_id(const char *s, struct err *e); /* 1..128 of [A-Za-z0-9._:-] */
int context_check_hostname(const char *s, struct err *e);    /* RFC 1123, at most 253 bytes */
int context_check_ssh_key(const char *s, struct err *e);     /* one authorized_keys line */
int context_check_token(const char *s, struct err *e); /* one line of 1..255 printable bytes */
int context_check_tag_key(const char *s, struct err *e);
/* No control character but the ones that text has (tab, newline), valid UTF-8. */
int context_check_text(const char *s, struct err *e);

/*
 * "aa:bb:cc:dd:ee:ff" in either case, also with '-', to the form of struct nic; multicast and
 * all-zero addresses are refused.
 */
int context_parse_mac(const char *s, char out[18], struct err *e);

/* A numeric address, with or without a prefix. */
struct ip_prefix {
	int family;          /* AF_INET or AF_INET6 */
	unsigned char b[16]; /* network order; IPv4 in the first four */
	unsigned prefix;     /* 0..32 or 0..128; the full length where none was written */
	bool has_prefix;
};
int context_parse_ip(const char *s, struct ip_prefix *ret, struct err *e);
/* The text of the address, without its prefix (out has room for 46). */
void context_format_ip(const struct ip_prefix *ip, char out[46]);
/* The network it lies in: "192.168.0.0/24" (out has room for 50). */
void context_format_network(const struct ip_prefix *ip, char out[50]);
/* "2024-04-11T06:00:00Z" (RFC 3339, UTC, whole seconds), 1970 to 9999, to Unix seconds and back. */
#define CONTEXT_TIME_SIZE 21
int context_parse_time(const char *s, uint64_t *ret, struct err *e);
void context_format_time(uint64_t unix_seconds, char out[CONTEXT_TIME_SIZE]);

/* "DST/LEN via GW" or "default via GW": one family, both numeric. gw may be NULL. */
int context_parse_route(const char *s, struct ip_prefix *dst, struct ip_prefix *gw, struct err *e);

#endif
