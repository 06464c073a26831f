/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to OpenStack: a token of Keystone v3, and where a service answers.
 *
 * All comes from where OpenStack's own clients take it, the environment: OS_AUTH_URL with
 * OS_USERNAME or OS_USER_ID, OS_PASSWORD, OS_PROJECT_NAME or OS_PROJECT_ID, the domains
 * (OS_USER_DOMAIN_NAME/_ID, OS_PROJECT_DOMAIN_NAME/_ID, "Default"); or with
 * OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET. OS_TOKEN or OS_AUTH_TOKEN
 * stands in place of logging in. The service's endpoint is OS_IMAGE_URL or the like, else it is
 * taken from the catalog that comes with the token (OS_REGION_NAME, OS_INTERFACE: public). OS_CACERT is
 * the file of certificates.
 *
 * Not there: clouds.yaml, Keystone v2, federation, TOTP.
 */
#ifndef LIB_OPENSTACK_H
#define LIB_OPENSTACK_H

#include "lib/http.h"

struct openstack;
/* service: as in the catalog ("image"). Asks Keystone. Errors: EINVAL what is missing; EACCES;
 * ENOENT the catalog has no such service; those of httpc_call. */
int openstack_open(const char *service, struct openstack **ret, struct err *e);
void openstack_free(struct openstack *o);
DEFINE_AUTO(struct openstack *, openstack_free);
/* Of the service, without a slash at its end. */
const char *openstack_endpoint(const struct openstack *o);

struct openstack_request {
	enum httpc_method method;
	const char *path; /* behind the endpoint, percent-encoded: "/v2/images" */
	const char *type; /* Content-Type; NULL: none */
	const void *body;
	size_t body_len;
	bool once; /* it must not be sent again when no answer came */
};
/* Errors: ENOENT (404), EACCES (401, 403), EEXIST (409), EFBIG (413), EINVAL (other 4xx), EIO
 * (5xx), with the service's words; those of httpc_call. */
int openstack_send(struct openstack *o, const struct openstack_request *q, struct httpc_response *r,
		   struct err *e);

#endif
