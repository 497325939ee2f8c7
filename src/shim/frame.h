/* SPDX-License-Identifier: MIT */
/* The frame that the trampoline finds on the program's stack, for C (struct frame in dispatch.c) and assembly. */
#pragma once

#define FRAME_R8 0
#define FRAME_R9 8
#define FRAME_R10 16
#define FRAME_R12 24
#define FRAME_R13 32
#define FRAME_R14 40
#define FRAME_R15 48
#define FRAME_RDI 56
#define FRAME_RSI 64
#define FRAME_RBP 72
#define FRAME_RBX 80
#define FRAME_RDX 88
#define FRAME_RSP 96
#define FRAME_RIP 104
#define FRAME_FLAGS 112
#define FRAME_RESULT 120
