/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads OVF descriptors after DMTF DSP0243 1.1.1, as VMware, VirtualBox, oVirt and their like write
 * them:
 *
 *   Envelope
 *     References/File*             id href size? compression? chunkSize?
 *     DiskSection/Disk*            diskId fileRef? capacity capacityAllocationUnits? format parentRef?
 *     VirtualSystem                id (or VirtualSystemCollection/VirtualSystem)
 *       Name? AnnotationSection? OperatingSystemSection/Description
 *       VirtualHardwareSection     System/VirtualSystemType, Item*: ResourceType 3 CPUs, 4 memory
 *       ProductSection*            Product Vendor Version, Property*: key type value
 *
 * Names are local names: producers differ in their namespaces' prefixes. Not supported: a capacity
 * that is a property, files in chunks, disks with a parent, several machines (the first is told of).
 */
#include <ctype.h>
#include <inttypes.h>

#include "bundle/ovf.h"
#include "lib/fs.h"
#include "lib/str.h"
#include "lib/xml.h"

#define FILES_MAX 4096
#define STRING_MAX 65536 /* bytes; user-data may be in a property */
/* Bytes of each of the three that a property's whole key is made of: two stand there once for all
 * properties of a section. */
#define KEY_MAX 255

static int copy(const struct xml_node *n, const char *s, char **ret, struct err *e)
{
	if (!s)
		return 0;
	if (strlen(s) > STRING_MAX)
		return xml_err(n, e, EFBIG, "has a text of more than %d bytes", STRING_MAX);
	free(*ret);
	*ret = strdup(s);
	return *ret ? 0 : err_nomem(e);
}

static int copy_child(const struct xml_node *n, const char *name, char **ret, struct err *e)
{
	const struct xml_node *c = xml_child(n, name);

	return c && *c->text ? copy(c, c->text, ret, e) : 0;
}

static int number(const struct xml_node *n, const char *text, uint64_t *ret, struct err *e)
{
	if (str_to_u64(text, 0, INT64_MAX, ret, NULL) < 0)
		return xml_err(n, e, EBADMSG, "'%s' is no number of bytes or units", text);
	return 0;
}

/* "byte * 2^20", "MegaBytes", "byte"; nothing is a byte. */
static int units(const struct xml_node *n, const char *text, unsigned *ret_shift, struct err *e)
{
	static const struct {
		const char *name;
		unsigned shift;
	} words[] = {{"byte", 0},       {"bytes", 0},      {"kilobytes", 10},
		     {"megabytes", 20}, {"gigabytes", 30}, {"terabytes", 40},
		     {"kb", 10},        {"mb", 20},        {"gb", 30}};
	char plain[32];
	size_t len = 0;
	uint64_t power;

	*ret_shift = 0;
	for (; text && *text && len < sizeof(plain) - 1; text++) {
		if (!isspace((unsigned char)*text))
			plain[len++] = (char)tolower((unsigned char)*text);
	}
	plain[len] = '\0';
	if (!len)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(plain, words[i].name)) {
			*ret_shift = words[i].shift;
			return 0;
		}
	}
	if (str_has_prefix(plain, "byte*2^") && str_to_u64(plain + 7, 0, 62, &power, NULL) == 0) {
		*ret_shift = (unsigned)power;
		return 0;
	}
	return xml_err(n, e, ENOTSUP, "unit '%s' is not known", plain);
}

static int in_bytes(const struct xml_node *n, const char *text, const char *unit, uint64_t *ret,
		    struct err *e)
{
	unsigned shift = 0;
	uint64_t v = 0;
	int rc = number(n, text, &v, e);

	if (rc == 0)
		rc = units(n, unit, &shift, e);
	if (rc < 0)
		return rc;
	if (v > (uint64_t)INT64_MAX >> shift)
		return xml_err(n, e, EBADMSG, "%" PRIu64 " '%s' are too many bytes", v, unit);
	*ret = v << shift;
	return 0;
}

/* ---- files and disks -------------------------------------------------------------------------- */

static int read_file(const struct xml_node *n, struct ovf_file *f, struct err *e)
{
	const char *id = NULL, *href = NULL, *size = xml_attr(n, "size");
	const char *compression = xml_attr(n, "compression");
	int rc = xml_need_attr(n, "id", &id, e);

	if (rc == 0)
		rc = xml_need_attr(n, "href", &href, e);
	if (rc == 0 && !name_is_plain(href))
		rc = xml_err(n, e, EBADMSG, "href '%s' is no plain file name", href);
	if (rc == 0)
		rc = copy(n, id, &f->id, e);
	if (rc == 0)
		rc = copy(n, href, &f->href, e);
	if (rc == 0 && size)
		rc = number(n, size, &f->size, e);
	if (rc < 0)
		return rc;
	f->in_chunks = xml_attr(n, "chunkSize") != NULL;
	f->is_gzip = compression && !strcmp(compression, "gzip");
	if (compression && *compression && !f->is_gzip && strcmp(compression, "identity") != 0)
		return xml_err(n, e, ENOTSUP, "compression '%s'", compression);
	return 0;
}

static int read_files(const struct xml_node *root, struct ovf *o, struct err *e)
{
	const struct xml_node *list = xml_child(root, "References");
	size_t n = xml_count(list, "File");
	int rc = 0;

	if (!n)
		return 0;
	if (n > FILES_MAX)
		return xml_err(list, e, EFBIG, "names more than %d files", FILES_MAX);
	o->files = calloc(n, sizeof(*o->files));
	if (!o->files)
		return err_nomem(e);
	for (const struct xml_node *c = xml_child(list, "File"); rc == 0 && c;
	     c = xml_next(c, "File")) {
		struct ovf_file *f = &o->files[o->n_files++];

		rc = read_file(c, f, e);
		for (size_t i = 0; rc == 0 && f->id && i + 1 < o->n_files; i++) {
			if (!strcmp(o->files[i].id, f->id))
				rc = xml_err(c, e, EBADMSG, "id '%s' stands twice", f->id);
		}
	}
	return rc;
}

static struct ovf_file *find_file(const struct ovf *o, const char *id)
{
	for (size_t i = 0; i < o->n_files; i++) {
		if (!strcmp(o->files[i].id, id))
			return &o->files[i];
	}
	return NULL;
}

static int read_disk(const struct xml_node *n, struct ovf *o, struct ovf_disk *d, struct err *e)
{
	const char *id = NULL, *ref = xml_attr(n, "fileRef"), *capacity = xml_attr(n, "capacity");
	int rc = xml_need_attr(n, "diskId", &id, e);

	if (rc == 0)
		rc = copy(n, id, &d->id, e);
	if (rc == 0)
		rc = copy(n, xml_attr(n, "format"), &d->format, e);
	if (rc < 0)
		return rc;
	d->has_parent = xml_attr(n, "parentRef") != NULL;
	if (ref && *ref) {
		d->file = find_file(o, ref);
		if (!d->file)
			return xml_err(n, e, EBADMSG, "fileRef '%s' is no file of the References",
				       ref);
	}
	/* "${name}": to be asked from a user. */
	if (!capacity || *capacity == '$')
		return 0;
	return in_bytes(n, capacity, xml_attr(n, "capacityAllocationUnits"), &d->capacity, e);
}

static int read_disks(const struct xml_node *root, struct ovf *o, struct err *e)
{
	const struct xml_node *list = xml_child(root, "DiskSection");
	size_t n = xml_count(list, "Disk");
	int rc = 0;

	/* oVirt's have their sections by type alone. */
	for (const struct xml_node *s = xml_child(root, "Section"); s && !list;
	     s = xml_next(s, "Section")) {
		const char *type = xml_attr(s, "type");

		if (type && str_has_suffix(type, "DiskSection_Type")) {
			list = s;
			n = xml_count(list, "Disk");
		}
	}
	if (!n)
		return 0;
	if (n > FILES_MAX)
		return xml_err(list, e, EFBIG, "names more than %d disks", FILES_MAX);
	o->disks = calloc(n, sizeof(*o->disks));
	if (!o->disks)
		return err_nomem(e);
	for (const struct xml_node *c = xml_child(list, "Disk"); rc == 0 && c;
	     c = xml_next(c, "Disk"))
		rc = read_disk(c, o, &o->disks[o->n_disks++], e);
	return rc;
}

/* ---- the machine ------------------------------------------------------------------------------ */

/* Items that are not understood are passed over: a descriptor may be for any hypervisor. */
static int read_item(const struct xml_node *n, struct ovf *o, struct err *e)
{
	const char *type = xml_child_text(n, "ResourceType", "");
	const char *quantity = xml_child_text(n, "VirtualQuantity", NULL);
	uint64_t v = 0;
	int rc = 0;

	if (!quantity)
		return 0;
	if (!strcmp(type, "3")) {
		rc = number(n, quantity, &v, e);
		o->cpus = (unsigned)MIN(v, (uint64_t)UINT32_MAX);
	} else if (!strcmp(type, "4")) {
		const char *unit = xml_child_text(n, "AllocationUnits", "MegaBytes");

		rc = in_bytes(n, quantity, unit, &o->memory, e);
	}
	return rc;
}

static int read_hardware(const struct xml_node *n, struct ovf *o, struct err *e)
{
	int rc = copy_child(xml_child(n, "System"), "VirtualSystemType", &o->system_type, e);

	for (const struct xml_node *c = xml_child(n, "Item"); rc == 0 && c; c = xml_next(c, "Item"))
		rc = read_item(c, o, e);
	for (const struct xml_node *c = xml_child(n, "Config"); c; c = xml_next(c, "Config")) {
		const char *key = xml_attr(c, "key"), *value = xml_attr(c, "value");

		if (key && value && !strcmp(key, "firmware"))
			o->is_efi = !strcmp(value, "efi");
	}
	return rc;
}

static int read_property(const struct xml_node *section, const struct xml_node *n, struct ovf *o,
			 struct err *e)
{
	const char *class = xml_attr(section, "class"), *instance = xml_attr(section, "instance");
	const struct xml_node *value = xml_child(n, "Value");
	const char *key = NULL;
	struct ovf_property *grown;
	int rc = xml_need_attr(n, "key", &key, e);

	if (rc < 0)
		return rc;
	if (strlen(key) > KEY_MAX || (class && strlen(class) > KEY_MAX) ||
	    (instance && strlen(instance) > KEY_MAX))
		return xml_err(n, e, EFBIG, "has a key, class or instance of more than %d bytes",
			       KEY_MAX);
	grown = reallocarray(o->properties, o->n_properties + 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	o->properties = grown;
	grown += o->n_properties++;
	*grown = (struct ovf_property){0};
	grown->key = str_format("%s%s%s%s%s", class ? class : "", class && *class ? "." : "", key,
				instance && *instance ? "." : "", instance ? instance : "");
	if (!grown->key)
		return err_nomem(e);
	rc = copy(n, xml_attr(n, "type"), &grown->type, e);
	if (rc == 0)
		rc = copy(n, xml_attr(n, "value"), &grown->value, e);
	if (rc == 0 && value)
		rc = copy(value, xml_attr(value, "value"), &grown->value, e);
	return rc < 0 ? rc : copy_child(n, "Label", &grown->label, e);
}

static int read_product(const struct xml_node *n, struct ovf *o, struct err *e)
{
	int rc = o->product ? 0 : copy_child(n, "Product", &o->product, e);

	if (rc == 0 && !o->vendor)
		rc = copy_child(n, "Vendor", &o->vendor, e);
	if (rc == 0 && !o->version)
		rc = copy_child(n, "Version", &o->version, e);
	for (const struct xml_node *c = xml_child(n, "Property"); rc == 0 && c;
	     c = xml_next(c, "Property"))
		rc = read_property(n, c, o, e);
	return rc;
}

static int read_system(const struct xml_node *n, struct ovf *o, struct err *e)
{
	const struct xml_node *os = xml_child(n, "OperatingSystemSection");
	int rc = copy(n, xml_attr(n, "id"), &o->name, e);

	if (rc == 0)
		rc = copy_child(n, "Name", &o->name, e);
	if (rc == 0)
		rc = copy_child(os, "Description", &o->os, e);
	if (rc == 0 && !o->os)
		rc = os ? copy(os, xml_attr(os, "osType"), &o->os, e) : 0;
	if (rc == 0)
		rc = copy_child(xml_child(n, "AnnotationSection"), "Annotation", &o->annotation, e);
	if (rc == 0)
		rc = read_hardware(xml_child(n, "VirtualHardwareSection"), o, e);
	for (const struct xml_node *c = xml_child(n, "ProductSection"); rc == 0 && c;
	     c = xml_next(c, "ProductSection"))
		rc = read_product(c, o, e);
	return rc;
}

/* A collection's own properties go to all of its machines. */
static int read_content(const struct xml_node *root, struct ovf *o, struct err *e)
{
	const struct xml_node *n = root;
	int rc = 0;

	for (unsigned depth = 0; depth < 8; depth++) {
		const struct xml_node *system = xml_child(n, "VirtualSystem");
		const struct xml_node *inner = xml_child(n, "VirtualSystemCollection");

		if (n != root) {
			for (const struct xml_node *c = xml_child(n, "ProductSection");
			     rc == 0 && c; c = xml_next(c, "ProductSection"))
				rc = read_product(c, o, e);
		}
		if (rc < 0)
			return rc;
		if (system)
			return read_system(system, o, e);
		if (!inner)
			return 0;
		o->is_collection = true;
		n = inner;
	}
	return 0;
}

int ovf_parse(const void *xml, size_t len, const char *origin, struct ovf *ret, struct err *e)
{
	const struct xml_limits limits = {.bytes = OVF_LIMIT};
	AUTO(xml_free) struct xml_node *root = NULL;
	AUTO(ovf_release) struct ovf o = {0};
	int rc = xml_parse(origin, xml, len, &limits, &root, e);

	if (rc < 0)
		return rc;
	if (strcmp(root->name, "Envelope") != 0)
		return xml_err(root, e, EBADMSG, "is not <Envelope>");
	rc = read_files(root, &o, e);
	if (rc == 0)
		rc = read_disks(root, &o, e);
	if (rc == 0)
		rc = read_content(root, &o, e);
	if (rc < 0)
		return rc;
	*ret = o;
	o = (struct ovf){0};
	return 0;
}

void ovf_release(struct ovf *o)
{
	for (size_t i = 0; i < o->n_files; i++) {
		free(o->files[i].id);
		free(o->files[i].href);
	}
	for (size_t i = 0; i < o->n_disks; i++) {
		free(o->disks[i].id);
		free(o->disks[i].format);
	}
	for (size_t i = 0; i < o->n_properties; i++) {
		free(o->properties[i].key);
		free(o->properties[i].type);
		free(o->properties[i].value);
		free(o->properties[i].label);
	}
	free(o->files);
	free(o->disks);
	free(o->properties);
	free(o->name);
	free(o->system_type);
	free(o->os);
	free(o->product);
	free(o->vendor);
	free(o->version);
	free(o->annotation);
	*o = (struct ovf){0};
}
