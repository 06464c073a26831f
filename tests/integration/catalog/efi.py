#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a program for UEFI that prints a line and powers the machine off.

    efi.py x86_64|arm64 TEXT >FILE

PE32+ after Microsoft's "PE Format"; SystemTable->ConOut->OutputString and RuntimeServices->ResetSystem
after the UEFI specification 2.10, sections 4.3, 12.4, 8.5.
"""
import struct
import sys

# SystemTable: ConOut at 64, RuntimeServices at 88; there OutputString at 8, ResetSystem at 104.
ARM64 = struct.pack(
    "<13I",
    0xaa0103f3,  # mov x19, x1          SystemTable
    0xf9402260,  # ldr x0, [x19, #64]
    0xf9400402,  # ldr x2, [x0, #8]
    0x10000141,  # adr x1, text         40 bytes on
    0xd63f0040,  # blr x2
    0xf9402e60,  # ldr x0, [x19, #88]
    0xf9403404,  # ldr x4, [x0, #104]
    0xd2800040,  # mov x0, #2           EfiResetShutdown
    0xd2800001,  # mov x1, #0
    0xd2800002,  # mov x2, #0
    0xd2800003,  # mov x3, #0
    0xd63f0080,  # blr x4
    0x14000000)  # b .
X86_64 = bytes.fromhex(
    "4883ec28"        # sub rsp, 40
    "4889d3"          # mov rbx, rdx    SystemTable
    "488b4b40"        # mov rcx, [rbx + 64]
    "488d1519000000"  # lea rdx, [rip + 25]
    "ff5108"          # call [rcx + 8]
    "488b4358"        # mov rax, [rbx + 88]
    "b902000000"      # mov ecx, 2      EfiResetShutdown
    "31d2" "4d31c0" "4d31c9"
    "ff5068"          # call [rax + 104]
    "ebfe")           # jmp .


def program(machine, code):
    code = code.ljust(0x200, b"\0")
    optional = struct.pack("<HBBIIIII", 0x20b, 1, 0, len(code), 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIIIHHQQQQII", 0, 0x1000, 0x200, 0, 0, 0, 0, 0, 0, 0, 0x2000, 0x200, 0, 10, 0,
                            0x100000, 0x1000, 0x100000, 0x1000, 0, 0)
    head = b"MZ".ljust(0x3c, b"\0") + struct.pack("<I", 0x40)
    head += b"PE\0\0" + struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, len(optional), 0x22)
    head += optional
    head += struct.pack("<8sIIIIIIHHI", b".text", len(code), 0x1000, len(code), 0x200, 0, 0, 0, 0, 0x60000020)
    return head.ljust(0x200, b"\0") + code


text = (sys.argv[2] + "\r\n\0").encode("utf-16-le")
if sys.argv[1] == "arm64":
    sys.stdout.buffer.write(program(0xaa64, ARM64 + text))
else:
    assert len(X86_64) == 18 + 25, len(X86_64)
    sys.stdout.buffer.write(program(0x8664, X86_64 + text))
