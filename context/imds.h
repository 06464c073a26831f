/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata service that a guest finds at 169.254.169.254: one instance, rendered once into an
 * immutable tree, and the rules by which a request is answered from it. Used by metadata-server
 * outside the guest and by ctxd inside; both bring their own sockets (lib/httpd.h).
 *
 *	instance_new(&in, "web1", &context, &e);       takes the context over
 *	in->imds.tokens = IMDS_TOKENS_REQUIRED;
 *	instance_render(in, &e);                       after this it is only read
 *	...
 *	imds_answer(request, in, &env, &response, &why, &e);
 */
#ifndef CONTEXT_IMDS_H
#define CONTEXT_IMDS_H

#include "context/context.h"
#include "lib/http_parse.h"
#include "lib/http_response.h"

/* ---- tree: paths to bytes, for dialects that are read path by path ------------------------ */

struct tree; /* immutable once sealed */

int tree_new(struct tree **ret, struct err *e);
void tree_free(struct tree *t);
DEFINE_AUTO(struct tree *, tree_free);
/* A version is a date as 20180324, and what the host of the service can make beside it. */
#define TREE_DATE 0x07ffffffu
#define TREE_NEEDS_SIGNER 0x08000000u  /* shown where identity documents can be signed */
#define TREE_NEEDS_PROCESS 0x10000000u /* where a credential process can be run */
#define TREE_NEEDS (TREE_NEEDS_SIGNER | TREE_NEEDS_PROCESS)
#define TREE_MADE 0x20000000u /* the value is made when it is asked for; what is here is a note */

/*
 * Adds a leaf. path: components joined by '/', none empty ("meta-data/placement/region"), or,
 * ending in '/', the text that lists a directory where that is not simply its children. since: the
 * first version that shows it, 0 for always, and what it needs. Copies. Errors: ENOMEM; EFBIG past
 * 4 GiB in all.
 */
int tree_add(struct tree *t, unsigned since, const char *path, const void *value, size_t len,
	     struct err *e);
int tree_adds(struct tree *t, unsigned since, const char *path, const char *value, struct err *e);
/* Sorts. Errors: EEXIST if a path was added twice, or is both a leaf and a directory. */
int tree_seal(struct tree *t, struct err *e);

enum tree_kind {
	TREE_NONE,
	TREE_LEAF,
	TREE_DIRECTORY,
	TREE_MADE_LEAF,
};
/*
 * Looks path up as version sees it. path has neither a leading nor a trailing '/'; "" is the root.
 * A leaf's bytes are pointed to by *ret; a directory's listing is appended to `listing`: its
 * children's names in byte order, joined by LF, directories with a final '/', no final LF.
 * Returns an enum tree_kind, or -ENOMEM.
 */
int tree_lookup(const struct tree *t, unsigned version, const char *path, struct http_slice *ret,
		struct buf *listing);

/* Calls fn for every leaf, in order of path; stops when fn returns non-zero, and returns that. */
int tree_walk(const struct tree *t, unsigned version,
	      int (*fn)(void *arg, const char *path, struct http_slice value), void *arg);

/*
 * The EC2 dialect: the whole tree below a version ("meta-data/...", "dynamic/...", "user-data") of
 * what this context can serve, and nothing else, sealed. with_tags: meta-data/tags is served.
 */
int ec2_render(const struct context *c, bool with_tags, struct tree **ret, struct err *e);
/*
 * The credentials of c's role by value, as the guest gets them, appended to out: valid for another
 * six hours from now (Unix seconds) where the definition does not say. Errors: ENOMEM.
 */
int ec2_credentials(const struct context *c, uint64_t now, struct buf *out, struct err *e);
/* The leaf iam/info. Errors: ENOMEM. */
int ec2_iam_info(const struct context *c, uint64_t now, struct buf *out, struct err *e);
/* The version that a path begins with, for tree_lookup; false if EC2 never had it. */
bool ec2_version(const char *name, size_t len, unsigned *ret);
/* All versions, one a line, "latest" last; without a final newline. 0 or -ENOMEM. */
int ec2_list_versions(struct buf *out);

/* ---- instance ----------------------------------------------------------------------------- */

/* What can be asked for by HTTP. */
enum instance_dialect {
	DIALECT_EC2 = 1,
	DIALECT_OPENSTACK = 2,
	DIALECT_NOCLOUD = 4,
	DIALECT_CLOUDSTACK = 8,
	DIALECT_GCE = 16,
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
	bool instance_tags; /* meta-data/tags is served */
};
#define IMDS_POLICY_DEFAULT                                                                        \
	((struct imds_policy){.enabled = true,                                                     \
			      .tokens = IMDS_TOKENS_OPTIONAL,                                      \
			      .hop_limit = 1,                                                      \
			      .instance_tags = true})

/* Where in its file something was said; from 1, 0 unknown. */
struct source_place {
	unsigned line, column;
};

#define IDENTIFY_VSOCK "vsock:" /* no interface has such a name */

/* By what a host knows that it is this guest that asks. */
struct instance_identify {
	bool given;
	bool trust_address; /* the address alone is proof: nothing else need match */
	char *netns;        /* network namespace that it comes in by; NULL: the server's own */
	/* That the connection comes in by; NULL: any (needs trust_address). IDENTIFY_VSOCK: the
	 * host's vsock; then address is the guest's CID. */
	char *interface;
	char *address; /* the guest's, numeric, as context_format_ip writes it; NULL: any */
	char mac[18];  /* what the host's neighbour table must say; "": not asked */
	struct source_place place;
};

struct instance {
	char *name; /* of the YAML file without its ending; ctxd: "self" */
	char *file; /* the YAML file; NULL: there is none */
	struct source_place id_place;
	struct context *context;
	struct instance_identify identify;
	struct imds_policy imds;
	unsigned dialects; /* enum instance_dialect; 0: it was not said */
	uint64_t modified; /* Unix seconds, for Last-Modified; 0: none is sent */
	struct tree *ec2;  /* by instance_render */
	/* The host's own, freed with the instance and when it is rendered again. */
	void *kept;
	void (*free_kept)(void *kept);
	struct instance
		*base; /* what it was made of by a change that can be undone; NULL: nothing */
	unsigned refs; /* how often instance_free does nothing but count */
};

/* Takes *context over (NULL afterwards, on success alone); policy is IMDS_POLICY_DEFAULT. */
int instance_new(const char *name, struct context **context, struct instance **ret, struct err *e);
void instance_free(struct instance *in);
/* One more owner, who calls instance_free too. Returns in. */
struct instance *instance_ref(struct instance *in);
DEFINE_AUTO(struct instance *, instance_free);
/* Its name in YAML, NULL at the end; and the other way, 0 or -ENOENT. */
const char *instance_dialect_name(size_t i, unsigned *bit);
int instance_dialect_bit(const char *name, unsigned *bit);
/*
 * What it speaks. Where it was not said: everything; but where tokens are required EC2 and GCE
 * alone, since the others would hand out the same to who cannot set a header.
 */
unsigned instance_dialects(const struct instance *in);
/* Makes the trees that are served; again after a change. */
int instance_render(struct instance *in, struct err *e);

/*
 * Reads an instance from YAML (metadata-server.yaml(5)), validated and rendered. path ends in
 * ".yaml"; its name without folder and ending is the instance's. A user-data-file is looked up
 * below the folder of path.
 *
 * Every fault found is reported by `report` (may be NULL) as "FILE:LINE:COL: 'key': rule"; e gets
 * the first one. Errors: EBADMSG and what else lib/yaml.h lists; errno of open.
 */
typedef void instance_report_fn(void *arg, const struct err *e);

int instance_read_yaml(const char *path, instance_report_fn *report, void *arg,
		       struct instance **ret, struct err *e);
/* The same from memory. folder: an open directory for user-data-file, or -1: it is refused. */
int instance_parse_yaml(const char *name, const char *filename, const void *data, size_t len,
			int folder, instance_report_fn *report, void *arg, struct instance **ret,
			struct err *e);
/*
 * The instance as JSON (which is YAML too): reading it back gives the same. pretty as
 * lib/json.h's jsonw_begin has it. Appended to out. Errors: ENOMEM.
 */
int instance_write_json(const struct instance *in, bool pretty, struct buf *out, struct err *e);
/* The same of a context alone. */
int context_write_json(const struct context *c, bool pretty, struct buf *out, struct err *e);
/* The same as a member of a document that is being written (lib/json.h). */
struct jsonw;
void context_put_json(struct jsonw *w, const char *key, const struct context *c);

/* ---- session tokens (IMDSv2) -------------------------------------------------------------- */

#define TOKEN_KEY_SIZE 32
#define TOKEN_MAX_TTL 21600 /* seconds */
#define TOKEN_TEXT_SIZE 57  /* a token's 56 characters and a NUL */

/*
 * A token is stateless: any process with the key can check what another issued, for the same
 * instance. See context/token.c for its layout.
 */
struct token_key {
	uint8_t bytes[TOKEN_KEY_SIZE];
};
/* A fresh key from the kernel's random generator. */
int token_key_random(struct token_key *ret, struct err *e);
/*
 * The key in a file, made (mode 0600, complete or not at all, whoever else does the same at that
 * moment) if there is none. Errors: EBADMSG not a regular file of 32 bytes; EACCES the file is
 * someone else's or others may read it; errno of open, link.
 */
int token_key_load(const char *path, struct token_key *ret, struct err *e);

/* now: Unix seconds; ttl 1..TOKEN_MAX_TTL seconds. */
int token_issue(const struct token_key *key, const char *instance_id, uint64_t now, unsigned ttl,
		char out[TOKEN_TEXT_SIZE], struct err *e);
/* True if valid now; *ret_left (may be NULL) is the seconds that it has left, at least 1. */
bool token_check(const struct token_key *key, const char *instance_id, uint64_t now,
		 const char *text, size_t len, unsigned *ret_left);

/* By which a secret of an instance is known again without being kept. */
#define SECRET_DIGEST_SIZE 33 /* hex, and a NUL */
void secret_digest(const char *instance_id, const char *secret, char out[SECRET_DIGEST_SIZE]);

/* ---- the request rules -------------------------------------------------------------------- */

#define IMDS_SERVER "EC2ws" /* for the Server: header, httpd_opts.server */

/* What the host of the service makes for a guest when it asks for it. */
enum imds_made {
	IMDS_SIGNATURE, /* the next three: of the identity document */
	IMDS_PKCS7,
	IMDS_RSA2048,
	IMDS_CERTIFICATE, /* by which the three are verified */
	IMDS_CREDENTIALS, /* of the role, by its credential process */
};
struct imds_host {
	unsigned can; /* TREE_NEEDS_*: what it is asked for; the rest is not listed */
	void *arg;
	/*
	 * Appends the leaf to out; document: the identity document's bytes. Errors: EAGAIN it is
	 * being made, and the request is to be answered again once httpd_wake has been called with
	 * *wait_key (timed_out: nobody did); others are a 500, or a 404 for credentials.
	 */
	int (*make)(void *arg, enum imds_made what, const struct instance *in,
		    struct http_slice document, bool timed_out, struct buf *out, uint64_t *wait_key,
		    struct err *e);
};

/*
 * What a guest says of itself, kept by the host of the service: texts under keys,
 *
 *	password                    that it made for its administrator, encrypted (OpenStack)
 *	password-taken              a digest of the one that it was given once (CloudStack)
 *	guest-attributes/NS/KEY     what it likes (GCE)
 */
#define SAID_PASSWORD "password"
#define SAID_PASSWORD_TAKEN "password-taken"
#define SAID_ATTRIBUTES "guest-attributes/"

struct imds_said {
	void *arg;
	/* All of it, sorted by key; it stays until the next set. */
	const struct context_pair *(*all)(void *arg, const struct instance *in, size_t *n);
	/*
	 * value NULL: drops it. Errors: EFBIG the instance has no room for it; EAGAIN it is set too
	 * often; errno of keeping it.
	 */
	int (*set)(void *arg, const struct instance *in, const char *key, const char *value,
		   struct err *e);
};

/*
 * The wait_key of requests that wait for their instance to become another one: the host calls
 * httpd_wake with it whenever any instance may have changed.
 */
#define IMDS_CHANGED UINT64_MAX
/* How long a request waits for what the host makes. */
#define IMDS_WAIT_MS 15000

struct imds_env {
	const struct token_key *key;
	const struct imds_host *host; /* NULL: can make nothing */
	const struct imds_said *said; /* NULL: nothing can be said */
	struct http_slice body;       /* of the request */
	/*
	 * By which it may be asked (Host), beside addresses and the names that clouds have for it;
	 * NULL: by any.
	 */
	const struct strlist *names;
	bool timed_out; /* this request has waited for its host in vain */
	uint64_t now;   /* Unix seconds */
	bool trusted;   /* the administrator asks, not a guest: no token needed, never disabled */
};

/*
 * Answers one request: *ret (HTTP_RESPONSE_INIT) gets status, headers and body; hop_limit is set
 * on a token's answer, and the caller must lower the connection's IP TTL (IPV6_UNICAST_HOPS) to it
 * before that is sent. For HEAD the body is there and is left out by the sender. *why (may be
 * NULL) is a static text for the log if it was refused, else NULL.
 * Touches nothing but its arguments (and the random generator, for a token). Errors: ENOMEM; errno
 * of getrandom.
 */
int imds_answer(const struct http_request *rq, const struct instance *in,
		const struct imds_env *env, struct http_response *ret, const char **why,
		struct err *e);

/*
 * A request's target as one path: query cut, percent-decoded once, slashes collapsed, without
 * leading and trailing '/'. Appended to out. Errors: EBADMSG (bad or forbidden escape, control
 * character, "." or ".." as component), ENOMEM.
 */
int imds_path(struct http_slice target, struct buf *out, struct err *e);

#endif
