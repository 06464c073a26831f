/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of struct context and of the structs in it: see context/fields.h. */
#include "context/fields.h"

#include "context/rules.h"

#define TEXT(name, type, member, rule)                                                             \
	{                                                                                          \
		name, CTX_TEXT, offsetof(type, member), .check = rule                              \
	}
#define PLAIN(name, kind, type, member)                                                            \
	{                                                                                          \
		name, kind, offsetof(type, member)                                                 \
	}
#define NUMBER(name, type, member, least, most)                                                    \
	{                                                                                          \
		name, CTX_U32, offsetof(type, member), .min = least, .max = most                   \
	}
#define BYTES(name, type, member, given)                                                           \
	{                                                                                          \
		name, CTX_BYTES, offsetof(type, member), given, .name_base64 = name "-base64",     \
								.name_file = name "-file"          \
	}
#define LIST(name, type, member, rule)                                                             \
	{                                                                                          \
		name, CTX_LIST, offsetof(type, member), .check = rule                              \
	}
#define PAIRS(name, type, member, rule_key, rule)                                                  \
	{                                                                                          \
		name, CTX_PAIRS, offsetof(type, member), offsetof(type, n_##member),               \
			.check_key = rule_key, .check = rule                                       \
	}
#define STRUCT(name, type, member, rows)                                                           \
	{                                                                                          \
		name, CTX_STRUCT, offsetof(type, member), .fields = rows,                          \
							  .size = sizeof(((type *)0)->member)      \
	}
#define STRUCTS(name, type, member, rows)                                                          \
	{                                                                                          \
		name, CTX_STRUCTS, offsetof(type, member), offsetof(type, n_##member),             \
			.fields = rows, .size = sizeof(*((type *)0)->member)                       \
	}

const struct context_field nic_fields[] = {
	PLAIN("mac", CTX_MAC, struct nic, mac),
	TEXT("name", struct nic, name, context_check_interface),
	PLAIN("method", CTX_METHOD, struct nic, method),
	PLAIN("method6", CTX_METHOD, struct nic, method6),
	LIST("addresses", struct nic, addresses, context_check_cidr),
	TEXT("gateway", struct nic, gateway, context_check_ipv4),
	TEXT("gateway6", struct nic, gateway6, context_check_ipv6),
	LIST("dns", struct nic, dns, context_check_ip),
	LIST("search", struct nic, search, context_check_hostname),
	LIST("routes", struct nic, routes, context_check_route),
	NUMBER("mtu", struct nic, mtu, 68, 65535),
	NUMBER("metric", struct nic, metric, 1, UINT32_MAX),
	NUMBER("metric6", struct nic, metric6, 1, UINT32_MAX),
	NUMBER("vlan-id", struct nic, vlan_id, 1, 4094),
	TEXT("vlan-parent", struct nic, vlan_parent, context_check_token),
	TEXT("pci-address", struct nic, pci_address, context_check_pci_address),
	TEXT("public-ipv4", struct nic, public_ipv4, context_check_ipv4),
	LIST("external-addresses", struct nic, external, context_check_ip),
	TEXT("interface-id", struct nic, interface_id, context_check_token),
	TEXT("network-id", struct nic, network_id, context_check_token),
	TEXT("subnet-id", struct nic, subnet_id, context_check_token),
	TEXT("vpc-id", struct nic, vpc_id, context_check_token),
	NUMBER("device-number", struct nic, device_number, 1, 1023),
	NUMBER("network-card", struct nic, network_card, 1, 1023),
	TEXT("owner-id", struct nic, owner_id, context_check_token),
	TEXT("local-hostname", struct nic, local_hostname, context_check_hostname),
	TEXT("public-hostname", struct nic, public_hostname, context_check_hostname),
	LIST("security-groups", struct nic, security_groups, context_check_token),
	LIST("security-group-ids", struct nic, security_group_ids, context_check_token),
	LIST("subnet-blocks", struct nic, subnet_blocks, context_check_cidr),
	LIST("vpc-blocks", struct nic, vpc_blocks, context_check_cidr),
	{0},
};

const struct context_field user_fields[] = {
	{"name", CTX_TEXT, offsetof(struct user, name), .check = context_check_user_name,
	 .required = true},
	TEXT("gecos", struct user, gecos, context_check_passwd_field),
	TEXT("home", struct user, home, context_check_path),
	TEXT("shell", struct user, shell, context_check_path),
	NUMBER("uid", struct user, uid, 1, UINT32_MAX - 1),
	TEXT("primary-group", struct user, primary_group, context_check_user_name),
	LIST("groups", struct user, groups, context_check_user_name),
	TEXT("sudo", struct user, sudo, context_check_sudo),
	LIST("ssh-keys", struct user, ssh_keys, context_check_ssh_key),
	{"password", CTX_TEXT, offsetof(struct user, password), .check = context_check_password,
	 .secret = true},
	{"password-hash", CTX_TEXT, offsetof(struct user, password_hash),
	 .check = context_check_passwd_field, .secret = true},
	PLAIN("lock-password", CTX_CHOICE, struct user, lock_password),
	PLAIN("system", CTX_CHOICE, struct user, system),
	{0},
};

/* Of the default user nothing is required, and its keys are the context's. */
static const struct context_field default_user_fields[] = {
	TEXT("name", struct user, name, context_check_user_name),
	TEXT("gecos", struct user, gecos, context_check_passwd_field),
	TEXT("home", struct user, home, context_check_path),
	TEXT("shell", struct user, shell, context_check_path),
	TEXT("primary-group", struct user, primary_group, context_check_user_name),
	LIST("groups", struct user, groups, context_check_user_name),
	TEXT("sudo", struct user, sudo, context_check_sudo),
	{"password", CTX_TEXT, offsetof(struct user, password), .check = context_check_password,
	 .secret = true},
	{"password-hash", CTX_TEXT, offsetof(struct user, password_hash),
	 .check = context_check_passwd_field, .secret = true},
	PLAIN("lock-password", CTX_CHOICE, struct user, lock_password),
	{0},
};

static const struct context_field mount_fields[] = {
	{"source", CTX_TEXT, offsetof(struct context_mount, source),
	 .check = context_check_fstab_field, .required = true},
	TEXT("target", struct context_mount, target, context_check_path),
	TEXT("type", struct context_mount, type, context_check_fstab_field),
	TEXT("options", struct context_mount, options, context_check_fstab_field),
	PLAIN("format", CTX_CHOICE, struct context_mount, format),
	TEXT("format-label", struct context_mount, format_label, context_check_fstab_field),
	{0},
};

const struct context_field file_fields[] = {
	TEXT("name", struct context_file, name, context_check_file_name),
	TEXT("path", struct context_file, path, context_check_path),
	{"mode", CTX_MODE, offsetof(struct context_file, mode), .min = 1, .max = 07777},
	TEXT("owner", struct context_file, owner, context_check_owner),
	PLAIN("append", CTX_CHOICE, struct context_file, append),
	BYTES("content", struct context_file, content, 0),
	{0},
};

static const struct context_field script_fields[] = {
	{"name", CTX_TEXT, offsetof(struct context_script, name), .check = context_check_file_name,
	 .required = true},
	BYTES("content", struct context_script, content, 0),
	{0},
};

static const struct context_field ready_fields[] = {
	PLAIN("report", CTX_CHOICE, struct context_ready, report),
	TEXT("endpoint", struct context_ready, endpoint, context_check_url),
	{"token", CTX_TEXT, offsetof(struct context_ready, token), .check = context_check_secret,
	 .secret = true},
	TEXT("vm-id", struct context_ready, vm_id, context_check_token),
	TEXT("url", struct context_ready, url, context_check_url),
	BYTES("script", struct context_ready, script, 0),
	NUMBER("retries", struct context_ready, retries, 1, 10000),
	NUMBER("retry-wait", struct context_ready, retry_wait, 1, 86400),
	{0},
};

static const struct context_field cluster_fields[] = {
	TEXT("name", struct context_cluster, name, context_check_tag_key),
	LIST("roles", struct context_cluster, roles, context_check_tag_key),
	PAIRS("wants", struct context_cluster, wants, context_check_tag_key, context_check_count),
	PAIRS("data", struct context_cluster, data, context_check_tag_key, context_check_text),
	{0},
};

static const struct context_field role_fields[] = {
	TEXT("name", struct context_role, name, context_check_tag_key),
	TEXT("profile-arn", struct context_role, profile_arn, context_check_token),
	TEXT("profile-id", struct context_role, profile_id, context_check_token),
	TEXT("access-key-id", struct context_role, access_key_id, context_check_token),
	{"secret-access-key", CTX_TEXT, offsetof(struct context_role, secret_access_key),
	 .check = context_check_secret, .secret = true},
	{"session-token", CTX_TEXT, offsetof(struct context_role, session_token),
	 .check = context_check_secret, .secret = true},
	PLAIN("expiration", CTX_TIME, struct context_role, expiration),
	PLAIN("last-updated", CTX_TIME, struct context_role, last_updated),
	TEXT("credential-process", struct context_role, credential_process, context_check_secret),
	{0},
};

static const struct context_field spot_fields[] = {
	TEXT("action", struct context_spot, action, context_check_spot_action),
	PLAIN("time", CTX_TIME, struct context_spot, time),
	{0},
};

static const struct context_field maintenance_fields[] = {
	TEXT("id", struct context_maintenance, id, context_check_token),
	TEXT("code", struct context_maintenance, code, context_check_token),
	TEXT("description", struct context_maintenance, description, context_check_text),
	TEXT("state", struct context_maintenance, state, context_check_maintenance_state),
	PLAIN("not-before", CTX_TIME, struct context_maintenance, not_before),
	PLAIN("not-after", CTX_TIME, struct context_maintenance, not_after),
	PLAIN("not-before-deadline", CTX_TIME, struct context_maintenance, not_before_deadline),
	{0},
};

const struct context_field context_fields[] = {
	TEXT("instance-id", struct context, instance_id, context_check_instance_id),
	TEXT("hostname", struct context, hostname, context_check_hostname),
	TEXT("public-hostname", struct context, public_hostname, context_check_hostname),
	TEXT("ami-id", struct context, ami_id, context_check_token),
	TEXT("instance-type", struct context, instance_type, context_check_token),
	TEXT("architecture", struct context, architecture, context_check_token),
	TEXT("region", struct context, region, context_check_token),
	TEXT("availability-zone", struct context, availability_zone, context_check_token),
	TEXT("availability-zone-id", struct context, availability_zone_id, context_check_token),
	TEXT("placement-group", struct context, placement_group, context_check_token),
	TEXT("host-id", struct context, host_id, context_check_token),
	NUMBER("partition-number", struct context, partition_number, 1, UINT32_MAX),
	TEXT("reservation-id", struct context, reservation_id, context_check_token),
	TEXT("account-id", struct context, account_id, context_check_token),
	TEXT("kernel-id", struct context, kernel_id, context_check_token),
	TEXT("ramdisk-id", struct context, ramdisk_id, context_check_token),
	LIST("ancestor-ami-ids", struct context, ancestor_ami_ids, context_check_token),
	LIST("product-codes", struct context, product_codes, context_check_token),
	TEXT("services-domain", struct context, services_domain, context_check_hostname),
	TEXT("services-partition", struct context, services_partition, context_check_token),
	TEXT("system", struct context, system, context_check_token),
	TEXT("life-cycle", struct context, life_cycle, context_check_token),
	TEXT("target-lifecycle-state", struct context, target_lifecycle_state, context_check_token),
	PLAIN("monitoring", CTX_CHOICE, struct context, monitoring),
	NUMBER("launch-index", struct context, launch_index, 0, UINT32_MAX),
	PLAIN("launch-time", CTX_TIME, struct context, launch_time),
	LIST("security-groups", struct context, security_groups, context_check_token),
	LIST("ssh-keys", struct context, ssh_keys, context_check_ssh_key),
	STRUCT("default-user", struct context, default_user, default_user_fields),
	STRUCTS("users", struct context, users, user_fields),
	PLAIN("ssh-password-login", CTX_CHOICE, struct context, ssh_password_login),
	TEXT("time-zone", struct context, time_zone, context_check_time_zone),
	TEXT("locale", struct context, locale, context_check_locale),
	LIST("ntp-servers", struct context, ntp_servers, context_check_host),
	STRUCTS("nics", struct context, nics, nic_fields),
	PLAIN("grow-root", CTX_CHOICE, struct context, grow_root),
	LIST("grow-fs", struct context, grow_fs, context_check_path),
	PLAIN("swap-devices", CTX_CHOICE, struct context, swap_devices),
	TEXT("swap-file", struct context, swap_file, context_check_path),
	{"swap-size", CTX_SIZE, offsetof(struct context, swap_size), .min = 1, .max = INT64_MAX},
	STRUCTS("mounts", struct context, mounts, mount_fields),
	BYTES("user-data", struct context, user_data, offsetof(struct context, has_user_data)),
	BYTES("vendor-data", struct context, vendor_data,
	      offsetof(struct context, has_vendor_data)),
	BYTES("random-seed", struct context, random_seed, 0),
	STRUCTS("files", struct context, files, file_fields),
	STRUCTS("scripts", struct context, scripts, script_fields),
	STRUCT("ready", struct context, ready, ready_fields),
	STRUCT("cluster", struct context, cluster, cluster_fields),
	STRUCT("iam-role", struct context, iam_role, role_fields),
	STRUCT("spot", struct context, spot, spot_fields),
	PLAIN("rebalance-time", CTX_TIME, struct context, rebalance_time),
	STRUCTS("maintenance", struct context, maintenance, maintenance_fields),
	PAIRS("tags", struct context, tags, context_check_token, context_check_text),
	PAIRS("block-devices", struct context, block_devices, context_check_tag_key,
	      context_check_token),
	PAIRS("extra", struct context, extra, context_check_token, context_check_utf8),
	{0},
};

const struct context_field *context_field(const struct context_field *table, const char *name)
{
	for (const struct context_field *f = table; f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}
