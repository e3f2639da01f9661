/* SPDX-License-Identifier: GPL-2.0-or-later
 * What instructions cost: class, cycles and charge of a decoded basic block (Thumb-2 encodings: ARM DDI 0403E, A5).
 * One cycle each; the wait states of flash and peripherals are added in sim/cpu_exec.c. Charges are ours: chosen so
 * that a mix runs at about 12 mA at 64 MHz and 3.3 V from the LDO (the order of DS13195, run mode with code in flash), and
 * so that kernels of different mix differ by some per cent, as on silicon. */
#include "sim/cpu_impl.h"

enum insn_class { I_ALU, I_MAC, I_DIV, I_LOAD, I_STORE, I_BRANCH, I_FP, I_CLASSES };

/* Charge of one instruction (of one register for load and store multiple) in CPU_CHARGE_C = 10 fC:
 * 100 pC at 64 MHz, one per cycle, are 6.4 mA. */
static const uint16_t charge_of[I_CLASSES] = {
    [I_ALU] = 10200, /* one operation in the integer pipeline: 102 pC */
    [I_MAC] = 14300, /* multiplier array and accumulator */
    [I_DIV] = 12200, /* iterative, little of it switches per cycle */
    [I_LOAD] = 15700, /* address, memory array read, write-back */
    [I_STORE] = 17200, /* address, store buffer, memory array write */
    [I_BRANCH] = 11400, /* fetch redirected */
    [I_FP] = 15000, /* floating point data path */
};

static unsigned bits(uint32_t v) { return (unsigned)__builtin_popcount(v); }

static enum insn_class narrow(uint16_t h, unsigned *ret_n) {
    *ret_n = 1;
    if (h >= 0x4800 && h < 0x5000) {
        return I_LOAD;
    }
    if (h >= 0x5000 && h < 0x6000) {
        return ((h >> 9) & 7) >= 3 ? I_LOAD : I_STORE;
    }
    if (h >= 0x6000 && h < 0xA000) {
        return h & 0x0800 ? I_LOAD : I_STORE;
    }
    if ((h & 0xFE00) == 0xB400 || (h & 0xFE00) == 0xBC00) {
        *ret_n = bits(h & 0x1FF);
        return h & 0x0800 ? I_LOAD : I_STORE;
    }
    if ((h & 0xF000) == 0xC000) {
        *ret_n = bits(h & 0xFF);
        return h & 0x0800 ? I_LOAD : I_STORE;
    }
    if ((h & 0xF000) == 0xD000 || (h & 0xF800) == 0xE000 || (h & 0xFF00) == 0x4700 || (h & 0xF500) == 0xB100) {
        return I_BRANCH;
    }
    return (h & 0xFFC0) == 0x4340 ? I_MAC : I_ALU;
}

static enum insn_class wide(uint16_t a, uint16_t b, unsigned *ret_n, bool *ret_fpu) {
    *ret_n = 1;
    if ((a & 0xFE00) == 0xE800) {
        if ((a & 0xFFF0) == 0xE8D0 && (b & 0xFFE0) == 0xF000) {
            return I_BRANCH; /* TBB, TBH */
        }
        *ret_n = a & 0x0040 ? 2 : bits(b);
        return a & 0x0010 ? I_LOAD : I_STORE;
    }
    if ((a & 0xEC00) == 0xEC00) {
        *ret_fpu = (b & 0x0E00) == 0x0A00;
        if ((a & 0x0200) == 0 && (a & 0x0FE0) != 0x0C40) { /* VLDR, VSTR, VLDM, VSTM */
            *ret_n = a & 0x0100 ? 1 : b & 0xFF;
            return a & 0x0010 ? I_LOAD : I_STORE;
        }
        return I_FP;
    }
    if ((a & 0xF800) == 0xF000) {
        return b & 0x8000 ? I_BRANCH : I_ALU;
    }
    if ((a & 0xFE00) == 0xF800) {
        return a & 0x0010 ? I_LOAD : I_STORE;
    }
    if ((a & 0xFF00) == 0xFB00) {
        return (a & 0x00D0) == 0x0090 && (b & 0x00F0) == 0x00F0 ? I_DIV : I_MAC;
    }
    return I_ALU;
}

void cm7_block_decode(const uint8_t *code, uint32_t size, struct cm7_block *ret_b) {
    uint32_t charge = 0;
    unsigned n = 0;
    bool fpu = false;
    for (uint32_t at = 0; at + 2 <= size;) {
        uint16_t h = (uint16_t)(code[at] | code[at + 1] << 8);
        unsigned times = 1;
        enum insn_class k;
        if (h >= 0xE800 && at + 4 <= size) {
            k = wide(h, (uint16_t)(code[at + 2] | code[at + 3] << 8), &times, &fpu);
            at += 4;
        } else {
            k = narrow(h, &times);
            at += 2;
        }
        charge += charge_of[k] * (times > 0 ? times : 1);
        n++;
    }
    ret_b->instructions = (uint16_t)n;
    ret_b->cycles = (uint16_t)n;
    ret_b->charge = charge;
    ret_b->fpu = fpu;
}
