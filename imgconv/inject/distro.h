/* SPDX-License-Identifier: Apache-2.0 */
/* Which distribution a guest is, and what starts its services; by looking, nothing is run. */
#ifndef IMGCONV_INJECT_DISTRO_H
#define IMGCONV_INJECT_DISTRO_H

#include "imgconv/guestfs.h"

/* What starts services; which is not always what init is. */
enum guest_services {
	GUEST_SERVICES_UNKNOWN,
	GUEST_SYSTEMD,
	GUEST_UPSTART, /* jobs in /etc/init */
	GUEST_OPENRC,
	GUEST_SYSV,        /* scripts with LSB headers, /etc/rcS.d: Debian, and Ubuntu's old ones */
	GUEST_SYSV_SUSE,   /* the same, /etc/init.d/boot.d */
	GUEST_SYSV_REDHAT, /* /etc/rc.d, chkconfig; init may be Upstart all the same */
};

struct distro {
	char *name;       /* PRETTY_NAME, or what an older file says; "unknown" */
	const char *init; /* "systemd", "upstart", "openrc", "sysv", "unknown" */
	enum guest_services services;
};

/* Errors: ENOMEM alone; what cannot be read is unknown. */
int distro_detect(struct guest_fs *fs, struct distro *ret, struct err *e);
void distro_release(struct distro *d);
DEFINE_AUTO_STRUCT(struct distro, distro_release);

/* The value of KEY in os-release text (freedesktop os-release(5)): unquoted, the caller's; NULL. */
char *os_release_value(const char *text, const char *key);

/*
 * The machine that the guest's programs are for: ELF e_machine and class of /sbin/init, else of
 * the shell. Errors: ENOENT none of them is an ELF file.
 */
struct elf_machine {
	unsigned machine; /* e_machine: 62 x86-64, 183 AArch64, 3 i386 ... */
	unsigned bits;    /* 32, 64 */
	bool big_endian;
};
int elf_machine_of(const void *head, size_t len, struct elf_machine *ret);
int distro_machine(struct guest_fs *fs, struct elf_machine *ret, struct err *e);
/* "x86-64" and the like; "ELF machine N" otherwise. out has room for 32. */
void elf_machine_name(const struct elf_machine *m, char out[32]);

#endif
