/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners for guests: see metadata-server/listen.h. */
#include "metadata-server/listen.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
/* behind the one above, on which it depends */
#include <linux/vm_sockets.h>

#include "lib/log.h"
#include "lib/str.h"

struct where {
	char *address; /* "ADDRESS:PORT" */
	char *interface, *netns;
};

static void where_release(struct where *w)
{
	free(w->address);
	free(w->interface);
	free(w->netns);
}
DEFINE_AUTO_STRUCT(struct where, where_release);

/* ---- addresses ------------------------------------------------------------------------------- */

static int parse_where(const char *text, struct where *ret, struct err *e)
{
	size_t len = strcspn(text, ",");

	ret->address = strndup(text, len);
	if (!ret->address)
		return err_nomem(e);
	for (const char *p = text + len; *p; p += len) {
		char **at;

		p++;
		len = strcspn(p, ",");
		if (str_has_prefix(p, "interface="))
			at = &ret->interface;
		else if (str_has_prefix(p, "netns="))
			at = &ret->netns;
		else
			return err_set(e, EINVAL,
				       "'%s': behind the address there may be interface=NAME and "
				       "netns=NAME",
				       text);
		free(*at);
		*at = strndup(strchr(p, '=') + 1, len - (size_t)(strchr(p, '=') + 1 - p));
		if (!*at)
			return err_nomem(e);
		/* What is bound to no interface hears all of them. */
		if (!**at)
			return err_set(e, EINVAL, "'%s': there is no name behind a '='", text);
	}
	if (ret->interface && str_has_prefix(text, "vsock:"))
		return err_set(e, EINVAL, "'%s': vsock comes in by no interface", text);
	return 0;
}

static int parse_vsock(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
		       struct err *e)
{
	struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
	uint64_t port;

	if (str_to_u64(text + strlen("vsock:"), 0, UINT32_MAX - 1, &port, NULL))
		return err_set(e, EINVAL, "'%s': is not vsock:PORT", text);
	vm.svm_port = port ? (unsigned)port : VMADDR_PORT_ANY;
	*ret = (struct sockaddr_storage){0};
	memcpy(ret, &vm, sizeof(vm));
	*ret_len = sizeof(vm);
	return 0;
}

int parse_listen(const char *text, const char *interface, struct sockaddr_storage *ret,
		 socklen_t *ret_len, struct err *e)
{
	const char *colon = strrchr(text, ':');
	AUTO_FREE char *address = NULL;
	struct ip_prefix ip;
	uint64_t port;
	size_t len;

	if (str_has_prefix(text, "vsock:"))
		return parse_vsock(text, ret, ret_len, e);
	if (!colon || str_to_u64(colon + 1, 0, 65535, &port, NULL))
		return err_set(e, EINVAL, "'%s': is not ADDRESS:PORT", text);
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && colon[-1] == ']')
		address = strndup(text + 1, len - 2);
	else if (!memchr(text, ':', len))
		address = strndup(text, len);
	else
		return err_set(e, EINVAL, "'%s': an IPv6 address needs brackets: [ADDRESS]:PORT",
			       text);
	if (!address)
		return err_nomem(e);
	if (context_parse_ip(address, &ip, NULL) || ip.has_prefix)
		return err_set(e, EINVAL, "'%s': '%s' is not a numeric address", text, address);
	*ret = (struct sockaddr_storage){0};
	if (ip.family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		memcpy(&v4->sin_addr, ip.b, 4);
		*ret_len = sizeof(*v4);
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		memcpy(&v6->sin6_addr, ip.b, 16);
		if (interface && IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
			v6->sin6_scope_id = if_nametoindex(interface);
		*ret_len = sizeof(*v6);
	}
	return 0;
}

/* i: of httpd_local_addr. */
static int say_listening(const struct httpd *h, size_t i, const char *what, const char *netns,
			 struct err *e)
{
	const char *in = netns ? " in namespace " : "";
	struct sockaddr_storage ss;
	char ip[INET6_ADDRSTRLEN] = "";
	struct sockaddr_vm vm;
	int rc = httpd_local_addr(h, i, &ss, e);

	if (rc)
		return rc;
	if (ss.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&ss;

		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		log_info("%s %s:%u%s%s", what, ip, ntohs(v4->sin_port), in, netns ? netns : "");
	} else if (ss.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&ss;

		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		log_info("%s [%s]:%u%s%s", what, ip, ntohs(v6->sin6_port), in, netns ? netns : "");
	} else if (ss.ss_family == AF_VSOCK) {
		memcpy(&vm, &ss, sizeof(vm));
		log_info("%s vsock port %u", what, vm.svm_port);
	}
	return 0;
}

static int listen_at(struct httpd *h, const char *address, const char *interface, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int rc = parse_listen(address, interface, &ss, &len, e);

	if (rc)
		return rc;
	if (ss.ss_family == AF_VSOCK)
		interface = NULL;
	return httpd_listen(h, (struct sockaddr *)&ss, len, interface, e);
}

int listen_plain(struct httpd *h, const char *where, const char *what, struct err *e)
{
	int rc = listen_at(h, where, NULL, e);

	return rc ? rc : say_listening(h, 0, what, NULL, e);
}

/* ---- namespaces ------------------------------------------------------------------------------ */

/* One more, opened in the namespace that this thread is in. */
static int add_kernel(struct listening *l, const char *netns, struct kernel **ret, struct err *e)
{
	struct kernel **v = reallocarray(l->v, l->n + 1, sizeof(struct kernel *));
	struct kernel *k;
	int rc;

	if (!v)
		return err_nomem(e);
	l->v = v;
	k = calloc(1, sizeof(*k));
	if (!k)
		return err_nomem(e);
	rc = kernel_open(k, netns, e);
	if (rc) {
		free(k);
		return rc;
	}
	l->v[l->n++] = k;
	*ret = k;
	return 0;
}

int listen_home(struct listening *l, struct kernel **ret, struct err *e)
{
	if (!l->n)
		return add_kernel(l, NULL, ret, e);
	*ret = l->v[0];
	return 0;
}

static struct kernel *find(const struct listening *l, const char *netns)
{
	for (size_t i = 1; i < l->n; i++)
		if (!strcmp(l->v[i]->netns, netns))
			return l->v[i];
	return NULL;
}

void listening_release(struct listening *l)
{
	for (size_t i = 0; i < l->n; i++) {
		kernel_close(l->v[i]);
		free(l->v[i]);
	}
	free(l->v);
	*l = (struct listening){0};
}

/* ---- face ------------------------------------------------------------------------------------ */

int listen_fd(struct listening *l, struct httpd *h, int fd, struct err *e)
{
	struct kernel *home;
	int rc = listen_home(l, &home, e);

	if (rc)
		return rc;
	httpd_set_tag(h, home);
	rc = httpd_listen_fd(h, fd, e);
	return rc ? rc : say_listening(h, l->listeners++, "listening on", NULL, e);
}

/* In the namespace where it is to be. */
static int listen_here(struct listening *l, struct httpd *h, const struct where *w,
		       const char *interface, struct err *e)
{
	struct kernel *k = w->netns ? find(l, w->netns) : l->v[0];
	int rc = k ? 0 : add_kernel(l, w->netns, &k, e);

	if (rc)
		return rc;
	httpd_set_tag(h, k);
	rc = listen_at(h, w->address, w->interface ? w->interface : interface, e);
	return rc ? rc : say_listening(h, l->listeners++, "listening on", w->netns, e);
}

int listen_guests(struct listening *l, struct httpd *h, const char *where, const char *interface,
		  struct err *e)
{
	AUTO(where_release) struct where w = {0};
	struct kernel *home;
	int back = -1;
	int rc = parse_where(where, &w, e);
	int left;

	rc = rc ? rc : listen_home(l, &home, e);
	if (!rc && w.netns)
		rc = netns_enter(w.netns, &back, e);
	if (rc)
		return rc;
	rc = listen_here(l, h, &w, interface, e);
	left = back >= 0 ? netns_leave(back, rc ? NULL : e) : 0;
	return rc ? rc : left;
}
