/* SPDX-License-Identifier: Apache-2.0 */
/* imgconv: disk images, from one format to another, looked into and changed. */
#include "imgconv/args.h"
#include "imgconv/changes.h"
#include "imgconv/commands.h"
#include "imgconv/format.h"

static const struct cli_command commands[] = {
	{
		"convert",
		"[-f FMT] -O FMT [-o KEY=VALUE,...] SRC DST",
		"writes a disk image in another format",
		"  -f, --format FMT            format of SRC; else it is recognised\n"
		"  -O, --output-format FMT     format of DST\n"
		"  -o, --options KEY=VALUE,... of DST: cluster_size, compression (none, zlib, "
		"zstd,\n"
		"                              gzip), compression_level, and what the format "
		"knows\n"
		"  -c, --compress              the same as -o compression=zlib\n" OPEN_HELP
		"      --via-qemu              have qemu-img read SRC, in a jail: VHDX, QED, ...\n"
		"      --timeout SECONDS       how long it may take; else 3600; 0: any time\n"
		"      --digest ALGORITHM      print the digest of the guest's disk: sha256, ...\n"
		"      --verify                read DST back and compare it with SRC\n"
		"      --force                 replace DST if it exists\n"
		"      --device                DST is a block device: overwrite all of it\n"
		"      --size SIZE             bytes of the raw disk that comes through a pipe\n"
		"      --max-output SIZE       give up at more data than this; else at 200 times "
		"SRC\n"
		"  -j, --threads N             threads; else one a processor\n"
		"and, to change the guest's files on the way:\n" CHANGE_HELP,
		cmd_convert,
	},
	{
		"info",
		"[-f FMT] [-o text|json] IMAGE...",
		"shows format, sizes, partitions, file systems and what boots of a disk image",
		"  -f, --format FMT            format of IMAGE; else it is recognised\n"
		"  -o, --output text|json      how to show it\n"
		"      --deep                  read the guest's initrd to its end\n",
		cmd_info,
	},
	{
		"check",
		"[-f FMT] [-o text|json] IMAGE...",
		"looks for damage in the structure of disk images; exit status 3: there is some",
		"  -f, --format FMT            format of IMAGE; else it is recognised\n"
		"  -o, --output text|json      how to show what was found\n"
		"      --allow-extents         look at VMDK extents below IMAGE's own folder, "
		"too\n",
		cmd_check,
	},
	{
		"compare",
		"[-f FMT] [-F FMT] [-o text|json] IMAGE IMAGE",
		"compares what the guests of two disk images see; exit status 3: they differ",
		"  -f, --format FMT            format of the first image; else it is recognised\n"
		"  -F, --second-format FMT     format of the second image\n"
		"  -o, --output text|json      how to show what came out\n"
		"  -s, --strict                disks of different sizes differ\n" OPEN_HELP,
		cmd_compare,
	},
	{
		"map",
		"[-f FMT] [-o text|json] [--scan] IMAGE",
		"shows where the guest's disk has data, zeros and holes",
		"  -f, --format FMT            format of IMAGE; else it is recognised\n"
		"  -o, --output text|json      how to show it\n"
		"  -s, --scan                  read data, too, to find zeros in them\n" OPEN_HELP,
		cmd_map,
	},
	{
		"measure",
		"[-f FMT] -O FMT [-o KEY=VALUE,...] [--output text|json] (IMAGE | --size SIZE)",
		"tells how much space an image would need in another format",
		"  -f, --format FMT            format of IMAGE; else it is recognised\n"
		"  -O, --output-format FMT     format of the image to be\n"
		"  -o, --options KEY=VALUE,... of it, as for convert\n"
		"  -c, --compress              the same as -o compression=zlib\n"
		"  -s, --scan                  read data, too: zeros in them take no space\n"
		"      --size SIZE             of an empty disk\n"
		"      --output text|json      how to show it\n" OPEN_HELP,
		cmd_measure,
	},
	{
		"create",
		"-O FMT [-o KEY=VALUE,...] [--force] IMAGE SIZE",
		"makes an image of an empty disk",
		"  -O, --output-format FMT     format of IMAGE\n"
		"  -o, --options KEY=VALUE,... of it, as for convert\n"
		"      --force                 replace IMAGE if it exists\n",
		cmd_create,
	},
	{
		"resize",
		"[-f FMT] IMAGE [+|-]SIZE",
		"makes the disk of an image larger, or smaller where nothing is lost",
		"  -f, --format FMT            format of IMAGE; else it is recognised\n",
		cmd_resize,
	},
	{
		"bootable",
		"[-f FMT] [-O FMT] [--firmware bios|uefi|both] SRC DST | --direct-kernel DIR SRC",
		"makes the image of a bare partition a disk that boots by itself",
		"  -f, --format FMT            format of SRC; else it is recognised\n"
		"  -O, --output-format FMT     format of DST; else that of SRC\n"
		"      --options KEY=VALUE,... of DST, as for convert\n"
		"  -c, --compress              the same as --options compression=zlib\n"
		"  -o, --output text|json      how to show kernel, command line and disk bus\n"
		"      --firmware bios|uefi|both\n"
		"                              what starts the disk; else bios\n"
		"      --direct-kernel DIR     make no disk: put kernel, initrd and boot.json into "
		"DIR\n"
		"      --kernel PATH           kernel in the image; else it is found\n"
		"      --initrd PATH           its initrd\n"
		"      --append WORDS          added to the kernel's command line\n"
		"      --dry-run               only show what would be booted; DST is not needed\n"
		"      --force                 replace what exists\n" OPEN_HELP,
		cmd_bootable,
	},
	{
		"inject",
		"[-f FMT] [-o text|json] [CHANGE...] [--partition N] [--volume NAME] [--dry-run] "
		"IMAGE",
		"puts files into the file system inside a disk image, in place; shows what is "
		"there",
		"  -f, --format FMT            format of IMAGE; else it is recognised\n"
		"  -o, --output text|json      how to show what was changed, or "
		"--list\n" CHANGE_HELP "      --dry-run               try it all, write nothing\n"
		"      --list PATH             show a folder of the guest\n"
		"      --cat PATH              write a file of the guest to standard output\n",
		cmd_inject,
	},
	{
		"ls",
		"[-f FMT] [-o text|json] [-R] [--partition N] [--volume NAME] IMAGE [PATH]",
		"shows a folder of the guest inside an image",
		"  -f, --format FMT            format of IMAGE; else it is recognised\n"
		"  -o, --output text|json      how to show it\n"
		"  -R, --recursive             and all folders below it\n"
		"      --partition N           the file system; else the root is found\n"
		"      --volume NAME           a logical volume, or a subvolume of "
		"Btrfs\n" OPEN_HELP,
		cmd_ls,
	},
	{
		"cat",
		"[-f FMT] [--partition N] [--volume NAME] IMAGE PATH",
		"writes a file of the guest inside an image to standard output",
		"  -f, --format FMT            format of IMAGE; else it is recognised\n"
		"      --partition N           the file system; else the root is found\n"
		"      --volume NAME           a logical volume, or a subvolume of "
		"Btrfs\n" OPEN_HELP,
		cmd_cat,
	},
	{NULL, NULL, NULL, NULL, NULL},
};

/* "fixed|dynamic" become "subformat=fixed subformat=dynamic", "SIZE" becomes "grain_size=". */
static void add_option_values(struct buf *out, const struct image_option *o)
{
	const char *p = o->values;

	if (!strchr(p, '|')) {
		buf_addf(out, " %s=", o->key);
		return;
	}
	while (*p) {
		size_t n = strcspn(p, "|");

		buf_addf(out, " %s=%.*s", o->key, (int)n, p);
		p += n + (p[n] == '|');
	}
}

/* What -o takes, of all formats. */
static void add_options(struct buf *out)
{
	buf_adds(
		out,
		"cluster_size= compression=none compression=zlib compression=zstd compression=gzip "
		"compression_level=");
	for (size_t i = 0; image_formats[i]; i++) {
		const struct image_option *o = image_format_options(image_formats[i]->name);

		for (; o && o->key; o++)
			add_option_values(out, o);
	}
}

int main(int argc, char **argv)
{
	AUTO_BUF features = BUF_INIT;
	AUTO_BUF formats = BUF_INIT;
	AUTO_BUF options = BUF_INIT;
	AUTO_BUF digests = BUF_INIT;

	for (size_t i = 0; image_formats[i]; i++)
		buf_addf(&formats, "%s%s", i ? " " : "", image_formats[i]->name);
	buf_addf(&features, "formats: %s", buf_str(&formats));
	add_options(&options);
	for (int kind = DIGEST_MD5; kind <= DIGEST_SHA512; kind++)
		buf_addf(&digests, "%s%s", digests.len ? " " : "", digest_name(kind));

	const struct cli_value values[] = {
		{"FMT", CLI_VALUE_ONE_OF, buf_str(&formats)},
		{"KEY=VALUE,...", CLI_VALUE_LIST, buf_str(&options)},
		{"ALGORITHM", CLI_VALUE_ONE_OF, buf_str(&digests)},
		{"IMAGE", CLI_VALUE_FILE, NULL},
		{"SRC", CLI_VALUE_FILE, NULL},
		{"DST", CLI_VALUE_FILE, NULL},
		{"SRC:DST[:MODE[:UID:GID]]", CLI_VALUE_FILE, NULL},
		{"DIR|TAR", CLI_VALUE_FILE, NULL},
		{"[USER:]FILE", CLI_VALUE_FILE, NULL},
		{"FILE", CLI_VALUE_FILE, NULL},
		{0},
	};
	const struct cli_program imgconv = {
		.name = "imgconv",
		.about = "Converts disk images, looks into them and changes them.",
		.features = buf_str(&features),
		.commands = commands,
		.values = values,
	};

	return cli_main(&imgconv, argc, argv);
}
