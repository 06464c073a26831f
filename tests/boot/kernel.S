/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest kernel that boot loaders and QEMU take for Linux: a bzImage of protocol 2.06 (Linux
 * Documentation/arch/x86/boot.rst) that says on the serial port what it was given, command line
 * and first line of the initrd, and switches the machine off.
 *
 *	as --32 -o kernel.o kernel.S && objcopy -O binary -j .text kernel.o kernel
 */
	.text
	.code32
	.org 0x1f1
	.byte 1			/* setup_sects: the setup is 1 KiB with the boot sector */
	.org 0x1fe
	.word 0xaa55
	.byte 0xeb, 0x66	/* a jump over the header */
	.ascii "HdrS"
	.word 0x0206
	.org 0x211
	.byte 1			/* loadflags: loaded high */
	.org 0x214
	.long 0x100000		/* code32_start */
	.org 0x22c
	.long 0x37ffffff	/* initrd_addr_max */
	.org 0x238
	.long 2047		/* cmdline_size */

	.org 0x268
	/* Real-mode entry, for QEMU's -kernel: the boot parameters are this very header. */
	.code16
	cli
	xorl %eax, %eax
	movw %ds, %ax
	shll $4, %eax
	movl %eax, %esi
	addl $gdt, %eax
	movl %eax, gdt_at
	lgdtl gdt_limit
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	movw $0x18, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	ljmpl $0x10, $0x100000
	.balign 8
gdt:	.quad 0, 0
	.quad 0x00cf9b000000ffff	/* 0x10: code, 4 GiB */
	.quad 0x00cf93000000ffff	/* 0x18: data, 4 GiB */
gdt_limit: .word 31
gdt_at:	.long 0
	.code32

	.org 0x400
	/* 32-bit entry: %esi points to the boot parameters. */
	cld
	movl %esi, %ebp
	lea 0x110000, %esp
	call 1f
1:	popl %ebx
	lea hello-1b(%ebx), %esi
	call text
	movl 0x228(%ebp), %esi	/* cmd_line_ptr */
	call text
	lea initrd-1b(%ebx), %esi
	call text
	movl 0x21c(%ebp), %ecx	/* ramdisk_size */
	jecxz 3f
	movl 0x218(%ebp), %esi	/* ramdisk_image */
2:	lodsb
	cmpb $10, %al
	je 3f
	call byte
	loop 2b
3:	lea bye-1b(%ebx), %esi
	call text
	movw $0x604, %dx	/* ACPI's control register in QEMU's PIIX4 and ICH9: sleep, S5 */
	movw $0x2000, %ax
	outw %ax, %dx
4:	hlt
	jmp 4b

text:	lodsb
	testb %al, %al
	jz 5f
	call byte
	jmp text
5:	ret

byte:	movb %al, %ah
	movw $0x3fd, %dx
6:	inb %dx, %al
	testb $0x20, %al
	jz 6b
	movb %ah, %al
	movw $0x3f8, %dx
	outb %al, %dx
	ret

hello:	.asciz "\r\nKERNEL cmdline<"
initrd:	.asciz ">\r\nKERNEL initrd<"
bye:	.asciz ">\r\nKERNEL bye\r\n"
	.org 0x2000
