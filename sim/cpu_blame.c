/* SPDX-License-Identifier: GPL-2.0-or-later
 * Which instruction of a block faulted: the emulator leaves PC at the block's start, but every register is as the
 * faulting instruction found it. So the first load or store of the block whose address now equals the faulting one is
 * it: an earlier one did not fault, a later one was not reached. Encodings: ARM DDI 0403E, A5. Pure but for reading. */
#include "sim/cpu_impl.h"

#define BLAME_BYTES 512u /* a block is shorter */

/* Addresses an instruction touches: n bytes from addr; n 0: no memory access. */
struct span {
    uint32_t addr, n;
};

static uint32_t reg(struct cpu *c, unsigned r) { return cm7_reg_read(c, r); }

static struct span narrow(struct cpu *c, uint32_t h) {
    uint32_t base = reg(c, h >> 3 & 7u);
    uint32_t imm5 = h >> 6 & 31u;
    uint32_t list = 4u * (uint32_t)__builtin_popcount(h & 0xFFu);
    bool store = !(h & 0x0800u);
    switch (h >> 12) {
    case 0x5:
        return (struct span){base + reg(c, h >> 6 & 7u), 4};
    case 0x6:
        return (struct span){base + imm5 * 4, 4};
    case 0x7:
        return (struct span){base + imm5, 1};
    case 0x8:
        return (struct span){base + imm5 * 2, 2};
    case 0x9:
        return (struct span){reg(c, 13) + (h & 0xFFu) * 4, 4};
    case 0xC:
        return (struct span){reg(c, h >> 8 & 7u), list};
    default:
        break;
    }
    if ((h & 0xF600u) == 0xB400u) {
        uint32_t n = list + (h >> 8 & 1u) * 4;
        return (struct span){store ? reg(c, 13) - n : reg(c, 13), n};
    }
    return (struct span){0, 0};
}

/* Rn with an immediate offset that is added or subtracted, before or after the access. */
static uint32_t indexed(uint32_t base, uint32_t imm, bool before, bool up) { return !before ? base : up ? base + imm : base - imm; }

static struct span wide(struct cpu *c, uint32_t a, uint32_t b) {
    unsigned rn = a & 15u;
    uint32_t base = rn == 15 ? 0 : reg(c, rn);
    bool before = a & 0x100u;
    bool up = a & 0x80u;
    if (rn == 15) {
        return (struct span){0, 0};
    }
    if ((a & 0xFE00u) == 0xF800u) {
        uint32_t at = up                ? base + (b & 0xFFFu)
                      : b & 0x0800u     ? indexed(base, b & 0xFFu, b & 0x400u, b & 0x200u)
                                        : base + (reg(c, b & 15u) << (b >> 4 & 3u));
        return (struct span){at, 4};
    }
    if ((a & 0xFE40u) == 0xE840u) {
        return (struct span){indexed(base, (b & 0xFFu) * 4, before, up), 8};
    }
    if ((a & 0xFE40u) == 0xE800u) {
        uint32_t n = 4u * (uint32_t)__builtin_popcount(b & 0xFFFFu);
        return (struct span){before ? base - n : base, n};
    }
    if ((a & 0xFE00u) == 0xEC00u) {
        uint32_t n = a & 0x20u || !before ? (b & 0xFFu) * 4 : 8;
        return (struct span){indexed(base, (b & 0xFFu) * 4, before, up), n};
    }
    return (struct span){0, 0};
}

uint32_t cm7_blame(struct cpu *c, uint32_t block, uint32_t fault_addr) {
    for (uint32_t at = block; at < block + BLAME_BYTES;) {
        const uint8_t *p = cm7_host(c, at, 4, NULL);
        if (!p) {
            break;
        }
        uint32_t a = (uint32_t)p[0] | (uint32_t)p[1] << 8;
        uint32_t b = (uint32_t)p[2] | (uint32_t)p[3] << 8;
        bool is_wide = a >= 0xE800u;
        struct span s = is_wide ? wide(c, a, b) : narrow(c, a);
        if (fault_addr - s.addr < s.n) {
            return at;
        }
        at += is_wide ? 4 : 2;
    }
    return block;
}
