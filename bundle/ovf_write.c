/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes OVF 1.1 descriptors (DMTF DSP0243) in the layout that VMware and VirtualBox write and
 * import: one machine, its disks on an LSI Logic SCSI controller, one network card.
 */
#include <inttypes.h>

#include "bundle/ovf.h"
#include "lib/xml.h"

/* Appends; an error is kept, and found at the end. */
struct text {
	struct buf *out;
	int rc;
};

static void put(struct text *t, const char *s)
{
	if (t->rc == 0)
		t->rc = buf_adds(t->out, s);
}

static void put_escaped(struct text *t, const char *s)
{
	if (t->rc == 0)
		t->rc = xml_escape(s, t->out);
}

static void put_u64(struct text *t, uint64_t v)
{
	if (t->rc == 0)
		t->rc = buf_addf(t->out, "%" PRIu64, v);
}

/* before value after */
static void put_between(struct text *t, const char *before, const char *value, const char *after)
{
	put(t, before);
	put_escaped(t, value);
	put(t, after);
}

static void put_number(struct text *t, const char *before, uint64_t v, const char *after)
{
	put(t, before);
	put_u64(t, v);
	put(t, after);
}

static void put_files(struct text *t, const struct ovf *o)
{
	put(t, "  <References>\n");
	for (size_t i = 0; i < o->n_files; i++) {
		put_between(t, "    <File ovf:href=\"", o->files[i].href, "\" ovf:id=\"");
		put_escaped(t, o->files[i].id);
		put_number(t, "\" ovf:size=\"", o->files[i].size, "\"/>\n");
	}
	put(t, "  </References>\n");
}

static void put_disks(struct text *t, const struct ovf *o)
{
	put(t, "  <DiskSection>\n    <Info>Virtual disks</Info>\n");
	for (size_t i = 0; i < o->n_disks; i++) {
		const struct ovf_disk *d = &o->disks[i];

		put_number(t, "    <Disk ovf:capacity=\"", d->capacity,
			   "\" ovf:capacityAllocationUnits=\"byte\" ovf:diskId=\"");
		put_escaped(t, d->id);
		if (d->file)
			put_between(t, "\" ovf:fileRef=\"", d->file->id, "");
		put_between(t, "\" ovf:format=\"", d->format, "\"/>\n");
	}
	put(t, "  </DiskSection>\n"
	       "  <NetworkSection>\n    <Info>Networks</Info>\n"
	       "    <Network ovf:name=\"VM Network\">\n"
	       "      <Description>The network of the machine</Description>\n"
	       "    </Network>\n  </NetworkSection>\n");
}

/* An Item of the hardware; what is NULL is left out. The schema wants the children by name. */
struct item {
	const char *address, *address_on_parent;
	const char *units, *connection;
	const char *element_name, *host_resource;
	const char *sub_type;
	unsigned id, parent, type;
	uint64_t quantity;
	bool automatic;
};

static void put_child(struct text *t, const char *name, const char *value)
{
	if (!value)
		return;
	put_between(t, "        <rasd:", name, ">");
	put_escaped(t, value);
	put_between(t, "</rasd:", name, ">\n");
}

static void put_child_number(struct text *t, const char *name, uint64_t v)
{
	put_between(t, "        <rasd:", name, ">");
	put_u64(t, v);
	put_between(t, "</rasd:", name, ">\n");
}

static void put_item(struct text *t, const struct item *i)
{
	put(t, "      <Item>\n");
	put_child(t, "Address", i->address);
	put_child(t, "AddressOnParent", i->address_on_parent);
	put_child(t, "AllocationUnits", i->units);
	if (i->automatic)
		put_child(t, "AutomaticAllocation", "true");
	put_child(t, "Connection", i->connection);
	put_child(t, "ElementName", i->element_name);
	put_child(t, "HostResource", i->host_resource);
	put_child_number(t, "InstanceID", i->id);
	if (i->parent)
		put_child_number(t, "Parent", i->parent);
	put_child(t, "ResourceSubType", i->sub_type);
	put_child_number(t, "ResourceType", i->type);
	if (i->quantity)
		put_child_number(t, "VirtualQuantity", i->quantity);
	put(t, "      </Item>\n");
}

static void put_disk_items(struct text *t, const struct ovf *o)
{
	for (size_t i = 0; i < o->n_disks; i++) {
		AUTO_BUF resource = BUF_INIT;
		AUTO_BUF name = BUF_INIT;
		AUTO_BUF place = BUF_INIT;

		/* 7 is the controller's own address. */
		if (buf_addf(&resource, "ovf:/disk/%s", o->disks[i].id) < 0 ||
		    buf_addf(&name, "Hard disk %zu", i + 1) < 0 ||
		    buf_addf(&place, "%zu", i < 7 ? i : i + 1) < 0) {
			t->rc = -ENOMEM;
			return;
		}
		put_item(t, &(struct item){.element_name = buf_str(&name),
					   .host_resource = buf_str(&resource),
					   .address_on_parent = buf_str(&place),
					   .id = 10 + (unsigned)i,
					   .parent = 3,
					   .type = 17});
	}
}

static void put_hardware(struct text *t, const struct ovf *o)
{
	put(t, o->n_properties
		       ? "    <VirtualHardwareSection ovf:transport=\"iso com.vmware.guestInfo\">\n"
		       : "    <VirtualHardwareSection>\n");
	put(t, "      <Info>Virtual hardware</Info>\n"
	       "      <System>\n        <vssd:ElementName>Virtual Hardware Family"
	       "</vssd:ElementName>\n        <vssd:InstanceID>0</vssd:InstanceID>\n");
	put_between(t, "        <vssd:VirtualSystemIdentifier>", o->name,
		    "</vssd:VirtualSystemIdentifier>\n");
	put_between(t, "        <vssd:VirtualSystemType>", o->system_type,
		    "</vssd:VirtualSystemType>\n      </System>\n");
	put_item(t, &(struct item){.units = "hertz * 10^6",
				   .element_name = "Processors",
				   .id = 1,
				   .type = 3,
				   .quantity = o->cpus});
	put_item(t, &(struct item){.units = "byte * 2^20",
				   .element_name = "Memory",
				   .id = 2,
				   .type = 4,
				   .quantity = o->memory / MIB});
	put_item(t, &(struct item){.address = "0",
				   .element_name = "SCSI controller",
				   .sub_type = "lsilogic",
				   .id = 3,
				   .type = 6});
	put_disk_items(t, o);
	put_item(t, &(struct item){.automatic = true,
				   .connection = "VM Network",
				   .element_name = "Network card",
				   .sub_type = "E1000",
				   .id = 9,
				   .type = 10});
	if (o->is_efi)
		put(t, "      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" "
		       "vmw:value=\"efi\"/>\n");
	put(t, "    </VirtualHardwareSection>\n");
}

static void put_properties(struct text *t, const struct ovf *o)
{
	put(t, "    <ProductSection>\n      <Info>What the guest is told</Info>\n");
	if (o->product)
		put_between(t, "      <Product>", o->product, "</Product>\n");
	for (size_t i = 0; i < o->n_properties; i++) {
		const struct ovf_property *p = &o->properties[i];

		put_between(t, "      <Property ovf:key=\"", p->key, "\" ovf:type=\"");
		put_escaped(t, p->type ? p->type : "string");
		put_between(t, "\" ovf:userConfigurable=\"true\" ovf:value=\"",
			    p->value ? p->value : "", "\"");
		if (p->label)
			put_between(t, ">\n        <Label>", p->label,
				    "</Label>\n      </Property>\n");
		else
			put(t, "/>\n");
	}
	put(t, "    </ProductSection>\n");
}

int ovf_write(const struct ovf *o, struct buf *out, struct err *e)
{
	struct text t = {.out = out};

	put(&t, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
		"    xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
		"    xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
		"CIM_ResourceAllocationSettingData\"\n"
		"    xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
		"CIM_VirtualSystemSettingData\"\n"
		"    xmlns:vmw=\"http://www.vmware.com/schema/ovf\"\n"
		"    xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n");
	put_files(&t, o);
	put_disks(&t, o);
	put_between(&t, "  <VirtualSystem ovf:id=\"", o->name, "\">\n");
	put(&t, "    <Info>A virtual machine</Info>\n");
	put_between(&t, "    <Name>", o->name, "</Name>\n");
	/* 101: 64-bit Linux, after CIM_OperatingSystem; 1: another. */
	put(&t, "    <OperatingSystemSection ovf:id=\"101\" vmw:osType=\"other3xLinux64Guest\">\n"
		"      <Info>The operating system</Info>\n");
	if (o->os)
		put_between(&t, "      <Description>", o->os, "</Description>\n");
	put(&t, "    </OperatingSystemSection>\n");
	put_hardware(&t, o);
	if (o->n_properties || o->product)
		put_properties(&t, o);
	put(&t, "  </VirtualSystem>\n</Envelope>\n");
	return t.rc < 0 ? err_nomem(e) : 0;
}
