/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether damage to QCOW2 images is found: by hand, each with what it is called, and by chance,
 * against the verdict of qemu-img check; of some of them, but in test_qcow2_check_slow.
 */
#include "tests/unit/imgconv/helper.h"

#ifndef THOROUGH
#define THOROUGH false
#endif
/* So many times less is asked of qemu-img. */
#define SPARING (THOROUGH ? 1 : 8)

#define COPIED (1ull << 63)
#define COMPRESSED (1ull << 62)

enum verdict {
	SOUND,
	LEAKS,
	ERRORS,
};

static const char *verdict_names[] = {"sound", "leaks", "errors"};

/* test_path's are valid for a while only. */
static char base[300], path[300], json_path[300];

static int make_paths(void **state)
{
	int rc = make_test_dir(state);

	snprintf(base, sizeof(base), "%s/base.qcow2", test_dir);
	snprintf(path, sizeof(path), "%s/damaged.qcow2", test_dir);
	snprintf(json_path, sizeof(json_path), "%s/qemu.json", test_dir);
	return rc;
}

/* ---- the two sides --------------------------------------------------------------------------- */

/* What imgconv finds; a file that it does not open has errors. text gets what it says first. */
static enum verdict our_verdict(struct buf *text, uint64_t *ret_leaked)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_INSPECT};
	AUTO(image_check_release) struct image_check c = {0};
	struct image *im = NULL;
	struct err e = {0};

	*ret_leaked = 0;
	buf_clear(text);
	if (image_open(path, &o, &im, &e) < 0) {
		buf_adds(text, e.msg);
		return ERRORS;
	}
	if (image_check_read(im, &c, NULL, &e) < 0)
		buf_adds(text, e.msg);
	for (size_t i = 0; i < c.n_findings; i++)
		buf_addf(text, "%s%s", i ? "; " : "", c.findings[i].text);
	image_close(im);
	*ret_leaked = c.leaked;
	if (e.code || c.n_errors)
		return ERRORS;
	return c.n_leaks ? LEAKS : SOUND;
}

static enum verdict qemu_verdict(uint64_t *ret_leaks)
{
	const char *const argv[] = {"timeout", "600", "qemu-img", "check", "-f",
				    "qcow2",   path,  "--output", "json",  NULL};
	struct proc_opts o = PROC_OPTS_INIT;
	AUTO_FD int out = open(json_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	AUTO_FD int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	AUTO_BUF json = BUF_INIT;
	const char *leaks;
	pid_t pid;
	int status;

	o.stdout_fd = out;
	o.stderr_fd = null;
	assert_ok(proc_start(argv, &o, &pid, e));
	status = proc_wait(pid, NULL);
	assert_true(status == 0 || status == 1 || status == 2 || status == 3);
	assert_ok(fs_read_file(json_path, MIB, &json, e));
	leaks = strstr(buf_str(&json), "\"leaks\": ");
	*ret_leaks = leaks ? strtoull(leaks + 9, NULL, 10) : 0;
	return status == 0 ? SOUND : status == 3 ? LEAKS : ERRORS;
}

static void poke(uint64_t off, const void *data, size_t len)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(fs_pwrite(fd, data, len, off, e));
	close(fd);
}

static void poke_u64(uint64_t off, uint64_t value)
{
	uint8_t bytes[8];

	be64_put(bytes, value);
	poke(off, bytes, sizeof(bytes));
}

/* ---- by hand --------------------------------------------------------------------------------- */

/* Where QEMU puts things in an image with clusters of 64 KiB, written to at 0 and 64 KiB. */
#define C UINT64_C(65536)
#define REFTABLE C
#define REFBLOCK (2 * C)
#define L1 (3 * C)
#define L2 (4 * C)
#define DATA (5 * C)
#define COMPRESSED_AT(off) (COMPRESSED | (off))

struct damage {
	uint64_t off;
	unsigned bytes;
	uint64_t value;
	enum verdict verdict;
	const char *says;
	bool stricter; /* than QEMU */
};

static void put_value(const struct damage *d)
{
	uint8_t bytes[8];

	be64_put(bytes, d->value);
	poke(d->off, bytes + 8 - d->bytes, d->bytes);
}

static void try_damage(const struct damage *d, const struct buf *image, bool ask_qemu)
{
	AUTO_BUF text = BUF_INIT;
	uint64_t leaked, leaks;
	enum verdict ours, qemus;

	write_file(path, image->data, image->len);
	put_value(d);
	ours = our_verdict(&text, &leaked);
	if (ours != d->verdict || !strstr(buf_str(&text), d->says))
		fail_msg("0x%llx at 0x%llx: %s, '%s', not %s, '%s'", (unsigned long long)d->value,
			 (unsigned long long)d->off, verdict_names[ours], buf_str(&text),
			 verdict_names[d->verdict], d->says);
	if (!ask_qemu)
		return;
	qemus = qemu_verdict(&leaks);
	if (d->stricter ? qemus >= ours : qemus != ours)
		fail_msg("0x%llx at 0x%llx: %s, but by qemu-img %s", (unsigned long long)d->value,
			 (unsigned long long)d->off, verdict_names[ours], verdict_names[qemus]);
}

static void try_all(const struct damage *damage, size_t n)
{
	AUTO_BUF image = BUF_INIT;

	assert_ok(fs_read_file(base, 64 * MIB, &image, e));
	for (size_t i = 0; i < n; i++)
		try_damage(&damage[i], &image, i % SPARING == 0);
}

static void finds_damage_to_a_plain_image(void **state)
{
	static const struct damage damage[] = {
		{REFBLOCK + 2 * 7, 2, 1, SOUND, "", false}, /* behind the end of the file */
		{REFBLOCK + 2 * 6, 2, 0, ERRORS, "the cluster has refcount 0, but 1 use", false},
		{REFBLOCK + 2 * 6, 2, 2, ERRORS, "copied flag is set, but refcount 2", false},
		{REFBLOCK + 2 * 4, 2, 0, ERRORS, "L1 entry", false},
		{REFBLOCK + 2 * 2, 2, 3, LEAKS, "refcount 3, but 1 use", false},
		{REFBLOCK, 2, 0, ERRORS, "the cluster has refcount 0", false},
		{L1, 8, 0, LEAKS, "3 clusters have refcount 1, but nothing uses them", false},
		{L1, 8, L2, ERRORS, "copied flag is not set, but refcount 1", false},
		{L1, 8, L2 | COPIED | 1, ERRORS, "reserved bits", false},
		{L1, 8, COPIED, ERRORS, "flags, but no L2 table", false},
		{L1, 8, (L2 + 512) | COPIED, ERRORS, "not aligned", false},
		{L1, 8, (1ull << 40) | COPIED, ERRORS, "past the end", false},
		{L1, 8, L1 | COPIED, ERRORS, "in use as a table too", false},
		{L1, 8, REFBLOCK | COPIED, ERRORS, "in use as a table too", false},
		{L1, 8, DATA | COPIED, ERRORS, "reserved bits", false},
		{L2, 8, 0, LEAKS, "the cluster has refcount 1, but nothing uses it", false},
		{L2, 8, DATA, ERRORS, "copied flag is not set", false},
		{L2, 8, DATA | COPIED | 2, ERRORS, "reserved bits", false},
		{L2, 8, (DATA + 1024) | COPIED, ERRORS, "not aligned", false},
		{L2, 8, (1ull << 45) | COPIED, ERRORS, "past the end", false},
		{L2, 8, L2 | COPIED, ERRORS, "in use as an L2 table too", false},
		{L2, 8, (DATA + C) | COPIED, ERRORS, "in use as data too", false},
		{L2, 8, DATA | COPIED | 1, SOUND, "", false}, /* zeros that keep their cluster */
		{L2, 8, 1, LEAKS, "nothing uses it", false},
		{L2, 8, COMPRESSED_AT(DATA) | COPIED, ERRORS, "has the copied flag", false},
		{L2, 8, COMPRESSED_AT(DATA), SOUND, "", false},
		{L2, 8, COMPRESSED_AT(1ull << 40), ERRORS, "past the end", false},
		{L2, 8, COMPRESSED_AT(DATA + C + 9), ERRORS, "in use as compressed data too",
		 false},
		{REFTABLE, 8, REFBLOCK + 512, ERRORS, "not aligned", false},
		{REFTABLE, 8, REFBLOCK | 8, ERRORS, "reserved bits", false},
		{REFTABLE, 8, 1ull << 40, ERRORS, "past the end", false},
		{REFTABLE, 8, 0, ERRORS, "2 clusters have refcount 0, but 1 use", false},
		{REFTABLE, 8, L1, ERRORS, "L1 table at 0x30000 is in use as a table too", false},
		{REFTABLE + 8, 8, REFBLOCK, ERRORS, "refcount block", false},
		/* The header. */
		{72, 8, 1, ERRORS, "marked as dirty", true},
		{72, 8, 2, ERRORS, "marked as corrupt", true},
		{72, 8, 8, ERRORS, "compression type and its feature bit disagree", false},
		{72, 8, 1ull << 40, ERRORS, "incompatible feature bit 40", false},
		{88, 8, 2, ERRORS, "raw data file is promised", false},
		{40, 8, 1ull << 40, ERRORS, "past the end", false},
		{56, 4, 0, ERRORS, "no refcount table", false},
		/* Without refcount errors, but read by nobody who checks. */
		{L2 + 2 * 8, 8, DATA | COPIED, ERRORS, "in use as data too", false},
	};

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", base, "1M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", base);
	try_all(damage, ARRAY_SIZE(damage));
}

/* Each refcount fits, and yet bytes of the file mean two things. */
static void finds_what_refcounts_do_not_tell(void **state)
{
	AUTO_BUF text = BUF_INIT;
	uint8_t two[2] = {0, 2}, zero[2] = {0, 0};
	uint64_t n;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "1M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", path);
	/* Both clusters of the disk are one of the file. */
	poke_u64(L2, DATA);
	poke_u64(L2 + 8, DATA);
	poke(REFBLOCK + 2 * 5, two, 2);
	poke(REFBLOCK + 2 * 6, zero, 2);
	assert_int_equal(qemu_verdict(&n), SOUND);
	assert_int_equal(our_verdict(&text, &n), ERRORS);
	assert_string_equal(buf_str(&text), "the cluster at 0x50000 is in use as data too");

	/* A cluster of the disk is its own L2 table. */
	poke_u64(L2, L2);
	poke_u64(L2 + 8, 0);
	poke_u64(L1, L2);
	poke(REFBLOCK + 2 * 4, two, 2);
	poke(REFBLOCK + 2 * 5, zero, 2);
	assert_int_equal(qemu_verdict(&n), SOUND);
	assert_int_equal(our_verdict(&text, &n), ERRORS);
	assert_string_equal(buf_str(&text), "the cluster at 0x40000 is in use as an L2 table too");
}

static void finds_damage_to_version_2(void **state)
{
	static const struct damage damage[] = {
		{L2, 8, DATA | COPIED | 1, ERRORS, "reserved bits", true}, /* no zero clusters */
		{REFBLOCK + 2 * 6, 2, 0, ERRORS, "refcount 0", false},
		{L2 + 8, 8, 0, LEAKS, "nothing uses it", false},
	};

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=0.10", base, "1M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 128k", base);
	try_all(damage, ARRAY_SIZE(damage));
}

static void finds_damage_to_subclusters(void **state)
{
	static const struct damage damage[] = {
		{L2 + 8, 8, 1ull << 32 | 1, ERRORS, "both data and zeros", false},
		{L2 + 24, 8, 1, ERRORS, "data has no cluster", false},
		{L2, 8, COMPRESSED_AT(DATA), ERRORS, "compressed cluster has subclusters", false},
		{L2, 8, DATA | COPIED | 1, ERRORS, "reserved bits", true},
		{L2 + 8, 8, 0, SOUND, "", false}, /* a cluster without data in it */
	};

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", "extended_l2=on", base, "1M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 64k", base);
	try_all(damage, ARRAY_SIZE(damage));
}

/* Header, tables and L2 as before, a data cluster, the snapshot's L1 table, the snapshot table. */
static void finds_damage_to_snapshots(void **state)
{
	static const struct damage damage[] = {
		{60, 4, 0, LEAKS, "2 clusters have refcount 1, but nothing uses", false},
		{60, 4, 2, ERRORS, "past the end", false},
		{64, 8, 1ull << 40, ERRORS, "past the end", false},
		{7 * C, 8, 6 * C + 512, ERRORS, "not aligned", false},
		{7 * C, 8, 1ull << 40, ERRORS, "past the end", false},
		{7 * C, 8, L1, ERRORS, "overlaps the L1 table", false},
		{7 * C + 8, 4, 0x1000000, ERRORS, "over the limit", false},
		{7 * C + 12, 2, 60000, ERRORS, "past the end", true}, /* the id's length */
		{7 * C + 36, 4, 2000, ERRORS, "over the limit", false},
		{7 * C + 36, 4, 0, ERRORS, "too short", false},
		{7 * C + 48, 8, 1ull << 40, ERRORS, "the disk needs", true}, /* the disk's size */
		{6 * C, 8, 0, LEAKS, "but 1 use", false},
		{6 * C, 8, L2 | 4, ERRORS, "snapshot 1's L1 entry", false},
	};

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", base, "1M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 64k", base);
	run_ok("qemu-img", "snapshot", "-c", "one", base);
	try_all(damage, ARRAY_SIZE(damage));
}

/* At first empty, then stored anew: its cluster, its table and the directory come last. */
#define DIRECTORY (11 * C)
#define TABLE (10 * C)
static void finds_damage_to_bitmaps(void **state)
{
	static const struct damage damage[] = {
		{88, 8, 0, LEAKS, "nothing uses", false}, /* without the bit they are no bitmaps */
		{DIRECTORY, 8, TABLE + 8, ERRORS, "cannot lie at", false},
		{DIRECTORY + 8, 4, 0x10000, ERRORS, "not of the disk's size", false},
		{DIRECTORY + 12, 4, 0x80, ERRORS, "reserved flags", false},
		{DIRECTORY + 16, 1, 7, ERRORS, "no known type", false},
		{DIRECTORY + 17, 1, 60, ERRORS, "granularity", false},
		{DIRECTORY + 18, 2, 0, ERRORS, "name", false},
		{DIRECTORY + 18, 2, 900, ERRORS, "out of the directory", false},
		{TABLE, 8, 2, ERRORS, "reserved bits", false},
		{TABLE, 8, DATA, ERRORS, "in use as", false},
		{TABLE, 8, 1ull << 40, ERRORS, "past the end", false},
		{TABLE, 8, 0, LEAKS, "nothing uses it", false},
	};

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", base, "1M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 64k", base);
	run_ok("qemu-img", "bitmap", "--add", base, "b");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 64k 64k", base);
	try_all(damage, ARRAY_SIZE(damage));
}

/* ---- by chance ------------------------------------------------------------------------------- */

#define PLACES_MAX 4096

struct victim {
	uint8_t *data; /* of the base image */
	size_t size;
	uint64_t cluster_size;
	uint64_t places[PLACES_MAX]; /* numbers of 8 bytes that mean something */
	size_t n_places;
	uint64_t refblock;
};

static uint64_t word(const struct victim *v, uint64_t off)
{
	return off <= v->size - 8 ? be64_get(v->data + off) : 0;
}

static void add_place(struct victim *v, uint64_t off)
{
	if (off <= v->size - 8 && v->n_places < PLACES_MAX)
		v->places[v->n_places++] = off;
}

static void add_l1(struct victim *v, uint64_t l1, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t l2 = word(v, l1 + i * 8) & 0x00fffffffffffe00ull;

		add_place(v, l1 + i * 8);
		for (uint64_t at = 0; l2 && at < v->cluster_size; at += 8) {
			if (word(v, l2 + at) || rng(400) == 0)
				add_place(v, l2 + at);
		}
	}
}

static void find_places(struct victim *v)
{
	static const uint64_t header[] = {24, 40, 48, 56, 64, 72, 88};
	uint64_t snapshot = word(v, 64);

	v->cluster_size = 1ull << be32_get(v->data + 20);
	v->refblock = word(v, word(v, 48));
	for (size_t i = 0; i < ARRAY_SIZE(header); i++)
		add_place(v, header[i]);
	add_place(v, word(v, 48));
	add_l1(v, word(v, 40), be32_get(v->data + 36));
	for (uint32_t i = 0; i < be32_get(v->data + 60); i++) {
		const uint8_t *entry = v->data + snapshot;

		for (uint64_t at = 0; at < 56; at += 8)
			add_place(v, snapshot + at);
		add_l1(v, be64_get(entry), be32_get(entry + 8));
		snapshot += round_up(40ull + be32_get(entry + 36) + be16_get(entry + 12) +
					     be16_get(entry + 14),
				     8);
	}
}

static uint64_t damaged(const struct victim *v, uint64_t old)
{
	switch (rng(6)) {
	case 0:
		return 0;
	case 1:
		return old ^ 1ull << rng(64);
	case 2:
		return old ^ COPIED;
	case 3:
		return word(v, v->places[rng(v->n_places)]);
	case 4:
		return old + (rng(9) - 4) * v->cluster_size;
	default:
		return rng(v->size / v->cluster_size + 2) * v->cluster_size | rng(2) << 63;
	}
}

static void damage_by_chance(const char *options, unsigned snapshots, unsigned rounds)
{
	struct victim v = {0};
	AUTO_BUF bytes = BUF_INIT, text = BUF_INIT;

	run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, base, "4M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 300k", "-c", "write -z 2M 256k", "-c",
	       "write -c -P 7 3M 64k", base);
	for (unsigned i = 0; i < snapshots; i++) {
		run_ok("qemu-img", "snapshot", "-c", "s", base);
		run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 2 64k 128k", base);
	}
	assert_ok(fs_read_file(base, 64 * MIB, &bytes, e));
	v.data = (uint8_t *)bytes.data;
	v.size = bytes.len;
	find_places(&v);
	for (unsigned i = 0; i < rounds / SPARING; i++) {
		bool count = rng(4) == 0;
		uint64_t off = count ? v.refblock + rng(v.size / v.cluster_size * 2)
				     : v.places[rng(v.n_places)];
		uint64_t value = damaged(&v, word(&v, off)), leaked, leaks;
		enum verdict ours, qemus;
		uint8_t byte = (uint8_t)rng(4);

		write_file(path, bytes.data, bytes.len);
		if (count)
			poke(off, &byte, 1);
		else
			poke_u64(off, value);
		ours = our_verdict(&text, &leaked);
		qemus = qemu_verdict(&leaks);
		if (ours < qemus ||
		    (ours == LEAKS && qemus == LEAKS && leaked != leaks * v.cluster_size))
			fail_msg("%s: 0x%llx at 0x%llx: %s (%llu bytes leaked), '%s', but by "
				 "qemu-img %s (%llu clusters)",
				 options, (unsigned long long)value, (unsigned long long)off,
				 verdict_names[ours], (unsigned long long)leaked, buf_str(&text),
				 verdict_names[qemus], (unsigned long long)leaks);
	}
}

static void is_as_strict_as_qemu_img(void **state)
{
	(void)state;
	rng_state = 41;
	damage_by_chance("cluster_size=65536", 0, 30);
	damage_by_chance("cluster_size=4096", 3, 40);
	damage_by_chance("compat=0.10", 1, 15);
	damage_by_chance("extended_l2=on,cluster_size=16384", 1, 15);
	damage_by_chance("cluster_size=16384,refcount_bits=8", 1, 15);
}

/* ---- what is sound --------------------------------------------------------------------------- */

static void sound_images_of_every_kind_are_sound(void **state)
{
	static const char *const options[] = {
		"compat=0.10",
		"cluster_size=512",
		"cluster_size=2M",
		"refcount_bits=1",
		"refcount_bits=2",
		"refcount_bits=4",
		"refcount_bits=64",
		"extended_l2=on",
		"preallocation=metadata",
		"preallocation=full,cluster_size=4096",
		/* Not LUKS: on a busy machine qemu-img cannot tell how fast its processor is. */
		NULL,
	};
	AUTO_BUF text = BUF_INIT;
	uint64_t n;

	(void)state;
	for (size_t i = 0; options[i]; i++) {
		run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", options[i], path, "5M");
		if (our_verdict(&text, &n) != SOUND)
			fail_msg("%s: %s", options[i], buf_str(&text));
	}
}

static void an_empty_image_of_16_TiB_takes_no_time(void **state)
{
	AUTO_BUF text = BUF_INIT;
	uint64_t n;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", path, "16T");
	assert_int_equal(our_verdict(&text, &n), SOUND);
}

/* Of the findings the first ones are kept; all are counted, and neighbours are one. */
static void counts_all_findings(void **state)
{
	struct image_open_opts o = {.format = "qcow2", .flags = IMAGE_INSPECT};
	AUTO(image_check_release) struct image_check c = {0};
	struct image *im = NULL;

	(void)state;
	run_ok("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512", path, "2M");
	run_ok("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 2M", path);
	/* The refcount table is all zeros. */
	for (uint64_t off = 0; off < 512; off += 8)
		poke_u64(512 + off, 0);
	assert_ok(image_open(path, &o, &im, e));
	assert_ok(image_check_read(im, &c, NULL, e));
	image_close(im);
	assert_true(c.n_errors > 2 * IMAGE_FINDINGS_MAX);
	assert_int_equal(c.n_findings, IMAGE_FINDINGS_MAX);
	assert_int_equal(c.findings[0].kind, IMAGE_FINDING_ERROR);
	assert_int_equal(c.leaked, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_damage_to_a_plain_image),
		cmocka_unit_test(finds_what_refcounts_do_not_tell),
		cmocka_unit_test(finds_damage_to_version_2),
		cmocka_unit_test(finds_damage_to_subclusters),
		cmocka_unit_test(finds_damage_to_snapshots),
		cmocka_unit_test(finds_damage_to_bitmaps),
		cmocka_unit_test(is_as_strict_as_qemu_img),
		cmocka_unit_test(sound_images_of_every_kind_are_sound),
		cmocka_unit_test(an_empty_image_of_16_TiB_takes_no_time),
		cmocka_unit_test(counts_all_findings),
	};

	return cmocka_run_group_tests(tests, make_paths, remove_test_dir);
}
