/* SPDX-License-Identifier: GPL-2.0-or-later
 * The flash controller: see sim/flash.h. Offsets and bits: RM0455, 4.9. */
#include "sim/flash.h"

#include <string.h>

enum { ACR = 0x00, KEYR = 0x04, OPTKEYR = 0x08, CR = 0x0C, SR = 0x10, CCR = 0x14, OPTCR = 0x18, OPTSR_CUR = 0x1C, OPTSR_PRG = 0x20, WPSN_CUR = 0x38, WPSN_PRG = 0x3C };
#define CR_LOCK 1u
#define CR_PG 2u
#define CR_SER 4u
#define CR_BER 8u
#define CR_FW 0x10u
#define CR_START 0x20u
#define CR_WRITABLE 0x0FFF9FCEu
#define SR_BSY 1u
#define SR_WBNE 2u
#define SR_QW 4u
#define SR_EOP (1u << 16)
#define SR_WRPERR (1u << 17)
#define SR_PGSERR (1u << 18)
#define SR_STRBERR (1u << 19)
#define SR_INCERR (1u << 21)
#define SR_ERRORS (SR_WRPERR | SR_PGSERR | SR_STRBERR | SR_INCERR)
#define OPTSR_RESET 0x1006AAF0u /* factory: RDP level 0, BOR off */

void flash_reset(struct flash *f) {
    f->acr = 0x13u;
    f->optcr = 1u;
    f->opt_key = 0;
    for (unsigned i = 0; i < 2; i++) {
        f->bank[i] = (struct flash_bank){.cr = CR_LOCK, .prg_wpsn = UINT32_MAX, .done_ps = PERIPH_NEVER};
    }
}

static uint8_t *bank_mem(struct flash *f, const struct flash_bank *b) { return f->mem + (size_t)(b - f->bank) * FLASH_BANK_SIZE; }
static uint32_t bank_addr(const struct flash *f, const struct flash_bank *b) { return FLASH_BASE + (uint32_t)(b - f->bank) * FLASH_BANK_SIZE; }

static void update_irq(struct flash *f) {
    bool on = false;
    for (unsigned i = 0; i < 2; i++) {
        on |= (f->bank[i].sr & f->bank[i].cr & 0x0FFF0000u) != 0; /* enables stand at their flags' places */
    }
    f->host->irq(f->host->ctx, f->irq, on);
}

static void work_begin(struct flash *f, struct flash_bank *b, enum flash_work work, int64_t duration_ps) {
    f->host->changed(f->host->ctx);
    b->sr |= SR_BSY | SR_QW;
    b->work = work;
    b->done_ps = f->host->now_ps(f->host->ctx) + duration_ps;
    f->host->changed(f->host->ctx);
}

static void work_end(struct flash *f, struct flash_bank *b) {
    f->host->changed(f->host->ctx);
    b->sr &= ~(SR_BSY | SR_QW);
    b->sr |= SR_EOP;
    b->cr &= ~CR_START;
    b->work = FLASH_IDLE;
    b->done_ps = PERIPH_NEVER;
    f->host->changed(f->host->ctx);
    update_irq(f);
}

void flash_service(struct flash *f) {
    int64_t now = f->host->now_ps(f->host->ctx);
    for (unsigned i = 0; i < 2; i++) {
        if (f->bank[i].done_ps <= now) {
            work_end(f, &f->bank[i]);
        }
    }
}

int64_t flash_next_ps(const struct flash *f) {
    return f->bank[0].done_ps < f->bank[1].done_ps ? f->bank[0].done_ps : f->bank[1].done_ps;
}

enum flash_work flash_working(const struct flash *f) {
    return f->bank[0].work == FLASH_ERASES || f->bank[1].work == FLASH_ERASES ? FLASH_ERASES
           : f->bank[0].work != f->bank[1].work                               ? FLASH_PROGRAMS
                                                                               : f->bank[0].work;
}

/* The write buffer goes into the array: bits can only be cleared. */
static void program(struct flash *f, struct flash_bank *b) {
    uint8_t *p = bank_mem(f, b) + b->word;
    for (unsigned i = 0; i < FLASH_WORD; i++) {
        if (b->filled & 1u << i) {
            p[i] &= b->buffer[i];
        }
    }
    if (f->faults && fault_fires(f->faults, FAULT_VERIFY_MISMATCH)) {
        p[0] ^= 1u;
    }
    b->filled = 0;
    b->sr &= ~SR_WBNE;
    f->touched(f->host->ctx, bank_addr(f, b) + b->word, FLASH_WORD);
    work_begin(f, b, FLASH_PROGRAMS, FLASH_PROGRAM_PS);
    if (f->faults && fault_fires(f->faults, FAULT_FLASH_ERROR)) {
        b->sr |= SR_PGSERR;
    }
}

void flash_store(struct flash *f, uint32_t addr, unsigned size, uint64_t value) {
    uint32_t off = addr - FLASH_BASE;
    flash_service(f);
    if (off >= FLASH_SIZE) {
        return;
    }
    struct flash_bank *b = &f->bank[off / FLASH_BANK_SIZE];
    off %= FLASH_BANK_SIZE;
    if (!(b->cr & CR_PG) || b->cr & CR_LOCK || b->sr & (SR_ERRORS)) {
        b->sr |= SR_PGSERR;
        update_irq(f);
        return;
    }
    if (b->done_ps != PERIPH_NEVER) { /* the bus stalls until the array is free */
        work_end(f, b);
    }
    if (b->filled && b->word != (off & ~(FLASH_WORD - 1))) {
        b->sr |= SR_INCERR;
        update_irq(f);
        return;
    }
    if (b->filled == 0) {
        memset(b->buffer, 0xFF, sizeof b->buffer);
        b->word = off & ~(FLASH_WORD - 1);
    }
    for (unsigned i = 0; i < size && off % FLASH_WORD + i < FLASH_WORD; i++) {
        uint16_t bit = (uint16_t)(1u << (off % FLASH_WORD + i));
        b->sr |= b->filled & bit ? SR_STRBERR : 0;
        b->buffer[off % FLASH_WORD + i] = (uint8_t)(value >> 8 * i);
        b->filled |= bit;
    }
    b->sr |= SR_WBNE;
    if (b->filled == 0xFFFFu) {
        program(f, b);
    }
}

static void erase(struct flash *f, struct flash_bank *b) {
    uint32_t first = b->cr & CR_BER ? 0 : (b->cr >> 6 & 0x7Fu) * FLASH_SECTOR;
    uint32_t n = b->cr & CR_BER ? FLASH_BANK_SIZE : FLASH_SECTOR;
    memset(bank_mem(f, b) + first, 0xFF, n);
    f->touched(f->host->ctx, bank_addr(f, b) + first, n);
    work_begin(f, b, FLASH_ERASES, b->cr & CR_BER ? FLASH_ERASE_BANK_PS : FLASH_ERASE_SECTOR_PS);
}

static void cr_write(struct flash *f, struct flash_bank *b, uint32_t v) {
    if (b->cr & CR_LOCK) {
        return; /* writes to a locked CR are ignored */
    }
    if (v & CR_LOCK) {
        b->cr |= CR_LOCK;
        b->key = 0;
        return;
    }
    if (b->sr & SR_BSY) {
        return;
    }
    b->cr = v & CR_WRITABLE;
    if (v & CR_FW && b->filled) {
        b->filled = 0xFFFFu; /* the rest of the buffer is all ones */
        program(f, b);
    }
    if (v & CR_START && v & (CR_SER | CR_BER)) {
        if (b->sr & SR_ERRORS || v & CR_PG) {
            b->sr |= SR_PGSERR;
        } else {
            b->cr |= CR_START;
            erase(f, b);
        }
    }
    update_irq(f);
}

static void key_write(struct flash_bank *b, uint32_t v) {
    static const uint32_t keys[] = {0x45670123u, 0xCDEF89ABu};
    if (b->blocked || !(b->cr & CR_LOCK)) {
        return;
    }
    if (v != keys[b->key]) {
        b->blocked = true;
        return;
    }
    b->key++;
    if (b->key == 2) {
        b->cr &= ~CR_LOCK;
        b->key = 0;
    }
}

uint32_t flash_read(struct flash *f, uint32_t off) {
    flash_service(f);
    struct flash_bank *b = &f->bank[off >= 0x100];
    switch (off & 0xFFu) {
    case ACR:
        return f->acr;
    case CR:
        return b->cr;
    case SR:
        return b->sr;
    case OPTCR:
        return f->optcr;
    case OPTSR_CUR:
    case OPTSR_PRG:
        return OPTSR_RESET;
    case WPSN_CUR:
        return UINT32_MAX; /* no sector is protected */
    case WPSN_PRG:
        return b->prg_wpsn;
    default:
        return 0;
    }
}

void flash_write(struct flash *f, uint32_t off, uint32_t value) {
    static const uint32_t opt_keys[] = {0x08192A3Bu, 0x4C5D6E7Fu};
    flash_service(f);
    struct flash_bank *b = &f->bank[off >= 0x100];
    switch (off & 0xFFu) {
    case ACR:
        f->acr = value & 0x3Fu;
        f->host->changed(f->host->ctx);
        break;
    case KEYR:
        key_write(b, value);
        break;
    case OPTKEYR:
        f->opt_key = value == opt_keys[f->opt_key] ? f->opt_key + 1 : 0;
        if (f->opt_key == 2) {
            f->optcr &= ~1u;
            f->opt_key = 0;
        }
        break;
    case CR:
        cr_write(f, b, value);
        break;
    case CCR:
        b->sr &= ~(value & 0x0FFF0000u);
        update_irq(f);
        break;
    case OPTCR:
        f->optcr = value & 1u; /* option bytes themselves cannot be changed here */
        break;
    case WPSN_PRG:
        b->prg_wpsn = value;
        break;
    default:
        break;
    }
}
