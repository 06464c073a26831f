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

/* What may be left open: then the guest's own default holds. */
enum context_choice {
	CHOICE_OPEN,
	CHOICE_NO,
	CHOICE_YES,
};

enum nic_method {
	NIC_STATIC,
	NIC_DHCP,
	NIC_AUTO, /* IPv6 alone: router advertisements */
	NIC_SKIP, /* leave it alone */
};

struct context_pair {
	char *key, *value;
};

/* Times are Unix seconds, 0: not given. Texts may be NULL, numbers 0, lists empty: not given. */

/*
 * A NIC, or a VLAN on one (vlan_id is not 0). A guest knows a NIC by its MAC; a VLAN has one only
 * if it is not its parent's.
 */
struct nic {
	char mac[18];           /* "aa:bb:cc:dd:ee:ff", lower case; "" unknown */
	char *name;             /* that it is to have in the guest: "eth0" */
	enum nic_method method; /* IPv4 */
	enum nic_method method6;
	/* "192.168.0.5/24", "2001:db8::5/64": always with a prefix length */
	struct strlist addresses;
	char *gateway, *gateway6; /* numeric; NULL: none */
	struct strlist dns;       /* numeric */
	struct strlist search;    /* domains */
	struct strlist routes;    /* "10.0.0.0/8 via 192.168.0.254[ metric 100]" */
	uint32_t mtu;             /* 0: not given */
	uint32_t metric;          /* of the IPv4 default route or lease; 0: not given */
	uint32_t metric6;         /* the same of IPv6; 0: as metric */
	uint32_t vlan_id;         /* 1..4094; 0: no VLAN */
	char *vlan_parent;        /* MAC or name of another NIC of the context */
	char *pci_address;        /* "0000:01:00.0": of a device that is passed through */
	char *public_ipv4;        /* that others reach it by, translated; NULL: none */
	struct strlist external;  /* more of those, IPv4 and IPv6: never set in the guest */
	/* what EC2 and OpenStack say about it */
	char *interface_id, *network_id; /* network_id: EC2 has the two below */
	char *subnet_id, *vpc_id;
	uint32_t device_number; /* 0: its place in the list */
	uint32_t network_card;
	char *owner_id, *local_hostname, *public_hostname;
	struct strlist security_groups, security_group_ids;
	struct strlist subnet_blocks, vpc_blocks; /* "10.0.0.0/16", both families */
};

/* Somebody who can log in. For the default user, see struct context. */
struct user {
	char *name;
	char *gecos, *home, *shell;
	uint32_t uid;          /* 0: any */
	char *primary_group;   /* NULL: the guest's habit */
	struct strlist groups; /* further ones */
	/* What stands behind the name in sudoers; "": nothing, and what the image has is removed. */
	char *sudo;
	struct strlist ssh_keys;
	char *password;      /* in clear */
	char *password_hash; /* crypt(3); preferred to password */
	enum context_choice lock_password;
	enum context_choice system; /* no home, low uid */
};

/* A mount; or, with format, a file system that is made first where the device has none. */
struct context_mount {
	char *source;  /* "/dev/vdb", "LABEL=data", "UUID=...", a virtiofs tag */
	char *target;  /* absolute */
	char *type;    /* "ext4", "virtiofs"; NULL: found out */
	char *options; /* as in fstab; NULL: defaults */
	char *format_label;
	enum context_choice format;
};

/* A file for the guest. One without path lies on the medium alone (OpenNebula's FILES). */
struct context_file {
	char *name;    /* on a medium, without folders; NULL: made from path */
	char *path;    /* absolute, in the guest */
	uint32_t mode; /* 0..07777; 0: the guest's default */
	char *owner;   /* "user:group" or "user" */
	struct buf content;
	enum context_choice append;
};

/* A program text that is run in the guest once for every change of the context. */
struct context_script {
	char *name; /* of its file */
	struct buf content;
};

/* How a guest says that it is ready, if it is to. */
struct context_ready {
	enum context_choice report;
	char *endpoint, *token, *vm_id; /* OneGate's */
	char *url;                      /* that is posted to (cloud-init's phone_home) */
	struct buf script;              /* must succeed before */
	uint32_t retries, retry_wait;   /* seconds */
};

/* Credentials of a role: by value, or from a command of the host, which no guest ever sees. */
struct context_role {
	char *name;
	char *profile_arn, *profile_id;
	char *access_key_id, *secret_access_key, *session_token;
	uint64_t expiration, last_updated;
	char *credential_process;
};

/* What is going to happen to the machine. */
struct context_spot {
	char *action; /* stop, hibernate, terminate */
	uint64_t time;
};

struct context_maintenance {
	char *id, *code, *description;
	char *state; /* active, completed, canceled */
	uint64_t not_before, not_after, not_before_deadline;
};

/* The group of machines that it is part of, and the parts that it plays there. */
struct context_cluster {
	char *name;
	struct strlist roles;       /* that this machine plays */
	struct context_pair *wants; /* n_wants: role, how many of it are waited for */
	size_t n_wants;
	struct context_pair *data; /* n_data: common to all */
	size_t n_data;
};

struct context {
	char *source;      /* which dialect, where: "opennebula /dev/sr0" */
	char *instance_id; /* NULL: unknown */
	char *hostname;    /* fully qualified if known; NULL: unknown */
	char *public_hostname;
	char *ami_id, *instance_type;
	char *availability_zone, *availability_zone_id, *region;
	char *placement_group, *host_id;
	uint32_t partition_number;
	char *reservation_id, *account_id, *architecture;
	char *kernel_id, *ramdisk_id;
	struct strlist ancestor_ami_ids, product_codes;
	char *services_domain, *services_partition;
	char *system;     /* "nitro", "xen" */
	char *life_cycle; /* "on-demand", "spot" */
	char *target_lifecycle_state;
	enum context_choice monitoring;
	uint32_t launch_index;
	uint64_t launch_time;
	struct strlist security_groups;
	struct context_pair *tags; /* n_tags */
	size_t n_tags;
	struct context_pair *block_devices; /* n_block_devices: role (ami, root, ebs1 ...), name */
	size_t n_block_devices;

	struct strlist ssh_keys; /* of the default user; one authorized_keys line each */
	/* The user that an image has for its owner; without name: whoever that is there. */
	struct user default_user; /* without keys */
	struct user *users;       /* n_users: more of them */
	size_t n_users;
	enum context_choice ssh_password_login;
	char *time_zone; /* "Europe/Zurich" */
	char *locale;    /* "de_CH.UTF-8" */
	struct strlist ntp_servers;

	struct nic *nics; /* n_nics; the first is the primary one */
	size_t n_nics;

	enum context_choice grow_root;
	struct strlist grow_fs;           /* mount points, or "/dev/..." */
	enum context_choice swap_devices; /* swap areas that are there are used */
	char *swap_file;
	uint64_t swap_size;           /* bytes */
	struct context_mount *mounts; /* n_mounts */
	size_t n_mounts;

	struct buf user_data, vendor_data; /* as given, any bytes */
	bool has_user_data, has_vendor_data;
	struct buf random_seed;
	struct context_file *files; /* n_files */
	size_t n_files;
	struct context_script *scripts; /* n_scripts, in the order in which they are run */
	size_t n_scripts;
	struct context_ready ready;
	struct context_cluster cluster;

	struct context_role iam_role;
	struct context_spot spot;
	uint64_t rebalance_time;                 /* of a recommendation; 0: none */
	struct context_maintenance *maintenance; /* n_maintenance */
	size_t n_maintenance;

	struct context_pair *extra; /* n_extra: what has no field of its own, by its own name */
	size_t n_extra;
};

int context_new(struct context **ret, struct err *e);
void context_free(struct context *c);
DEFINE_AUTO(struct context *, context_free);

/*
 * Append a member of zeros; NULL when memory is out. Earlier pointers to members become invalid.
 */
struct nic *context_add_nic(struct context *c);
struct user *context_add_user(struct context *c);
struct context_mount *context_add_mount(struct context *c);
struct context_file *context_add_file(struct context *c);
struct context_script *context_add_script(struct context *c);
struct context_maintenance *context_add_maintenance(struct context *c);
/* How the family is set up in effect: static without an address is NIC_SKIP. */
enum nic_method nic_effective_method(const struct nic *n, bool ipv6);
/* The NIC that a VLAN is on; NULL if there is none. */
const struct nic *nic_parent(const struct context *c, const struct nic *n);
/* Append a copy; 0 or -ENOMEM. */
int context_add_tag(struct context *c, const char *key, const char *value);
int context_add_block_device(struct context *c, const char *role, const char *name);
int context_add_extra(struct context *c, const char *key, const char *value);
/* The same for any list of pairs. */
int pairs_add(struct context_pair **pairs, size_t *n, const char *key, const char *value);
/* The value of the last entry with that key; NULL if there is none. */
const char *pairs_get(const struct context_pair *pairs, size_t n, const char *key);
/* *at becomes a copy of s (NULL: none); 0 or -ENOMEM. */
int context_set(char **at, const char *s);

/*
 * The value of an entry of extra with that name (the last one), NULL if there is none.
 */
const char *context_extra(const struct context *c, const char *key);

/*
 * Checks what a reader took over by the rules of context/fields.h: names, addresses, keys are
 * well-formed and carry no control characters. Errors: EBADMSG naming field and rule.
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

/*
 * "DST/LEN via GW" or "default via GW", either with " metric N" behind: one family, both numeric.
 * gw, metric (0: none is said) may be NULL.
 */
int context_parse_route(const char *s, struct ip_prefix *dst, struct ip_prefix *gw, struct err *e);
int context_parse_route_metric(const char *s, struct ip_prefix *dst, struct ip_prefix *gw,
			       uint32_t *metric, struct err *e);

#endif
