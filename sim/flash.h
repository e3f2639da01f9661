/* SPDX-License-Identifier: GPL-2.0-or-later
 * The embedded flash and its controller (RM0455 section 4): two banks of 128 sectors of 8 KiB, 16-byte flash words
 * gathered in a write buffer, lock keys, error flags, NOR behaviour (programming only clears bits), real durations.
 * One thread. */
#ifndef SIM_FLASH_H
#define SIM_FLASH_H

#include "sim/faults.h"
#include "sim/periph.h"

#define FLASH_BASE 0x08000000u
#define FLASH_BANK_SIZE 0x00100000u
#define FLASH_SIZE (2 * FLASH_BANK_SIZE)
#define FLASH_SECTOR 8192u
#define FLASH_WORD 16u

/* DS13195, embedded flash characteristics, typical values. */
#define FLASH_PROGRAM_PS INT64_C(20000000) /* 20 us per flash word */
#define FLASH_ERASE_SECTOR_PS INT64_C(2000000000) /* 2 ms per 8 KiB sector */
#define FLASH_ERASE_BANK_PS INT64_C(10000000000) /* 10 ms per bank */

enum flash_work { FLASH_IDLE, FLASH_PROGRAMS, FLASH_ERASES };

struct flash_bank {
    uint32_t cr, sr, prg_wpsn;
    unsigned key; /* unlock keys taken: 0..2 */
    bool blocked; /* wrong key: locked until reset */
    uint8_t buffer[FLASH_WORD];
    uint16_t filled; /* bit per byte of the buffer */
    uint32_t word; /* offset of the buffered flash word in the bank */
    int64_t done_ps; /* PERIPH_NEVER: idle */
    enum flash_work work;
};
struct flash {
    const struct periph_host *host;
    void (*touched)(void *ctx, uint32_t addr, uint32_t n); /* content changed */
    struct faults *faults; /* borrowed; NULL: none */
    uint8_t *mem; /* FLASH_SIZE bytes, borrowed */
    uint32_t acr, optcr;
    unsigned opt_key;
    struct flash_bank bank[2];
    unsigned irq;
};

void flash_reset(struct flash *f); /* registers; an operation under way is cut short */
uint32_t flash_read(struct flash *f, uint32_t off);
void flash_write(struct flash *f, uint32_t off, uint32_t value);
/* A store of the bus into the flash's address range; size 1..8. */
void flash_store(struct flash *f, uint32_t addr, unsigned size, uint64_t value);
void flash_service(struct flash *f);
int64_t flash_next_ps(const struct flash *f);
enum flash_work flash_working(const struct flash *f);

#endif
