/* SPDX-License-Identifier: GPL-2.0-or-later
 * The board's buses: which peripheral answers at an address (RM0455 section 2.3), and the debugger's access port.
 * A peripheral without clock reads 0 and ignores writes; an address that no bus slave owns is a bus error; a
 * peripheral of the chip that is not modelled reads 0. */
#include <string.h>

#include "sim/board_impl.h"

/* Address windows with slaves behind them. */
static const struct {
    uint32_t from, to;
} windows[] = {
    {0x40000000u, 0x4000D800u}, {0x40010000u, 0x40018000u}, {0x40020000u, 0x40080000u}, {0x48020000u, 0x48023000u},
    {0x50000000u, 0x50004000u}, {0x51000000u, 0x51010000u}, {0x52000000u, 0x5200C000u}, {0x58000000u, 0x58028000u},
    {0x5C000000u, 0x5C002000u},
};

static bool has_slave(uint32_t addr) {
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        if (addr >= windows[i].from && addr < windows[i].to) {
            return true;
        }
    }
    return false;
}

static bool in(uint32_t addr, uint32_t base, uint32_t size) { return addr - base < size; }

static int timer_at(const struct board *b, uint32_t addr) {
    uint32_t i = (addr - 0x40000000u) / 0x400u;
    return addr >= 0x40000000u && i < BOARD_TIMERS && rcc_apb1l_on(&b->rcc, i) ? (int)i : -1;
}

static uint32_t word_read(struct board *b, uint32_t addr) {
    if (timer_at(b, addr) >= 0) {
        return timer_read(&b->tim[timer_at(b, addr)], addr & 0x3FCu);
    }
    if (in(addr, 0x40004800u, 0x400) && rcc_apb1l_on(&b->rcc, 18)) {
        return usart_read(&b->usart, addr & 0x3FCu);
    }
    if (in(addr, 0x58020000u, GPIO_PORTS * 0x400u) && rcc_gpio_on(&b->rcc, (addr - 0x58020000u) / 0x400u)) {
        return gpio_read(&b->gpio, (addr - 0x58020000u) / 0x400u, addr & 0x3FCu);
    }
    if (in(addr, 0x58024400u, 0x400)) {
        return rcc_read(&b->rcc, addr & 0x3FCu);
    }
    if (in(addr, 0x58024800u, 0x400)) {
        return rcc_pwr_read(&b->rcc, addr & 0x3FCu);
    }
    if (in(addr, 0x52002000u, 0x400)) {
        return flash_read(&b->flash, addr & 0x3FCu);
    }
    return in(addr, 0x5C001000u, 0x400) ? board_dbgmcu_read(b, addr & 0x3FCu) : 0;
}

static void word_write(struct board *b, uint32_t addr, uint32_t value) {
    if (timer_at(b, addr) >= 0) {
        timer_write(&b->tim[timer_at(b, addr)], addr & 0x3FCu, value);
    } else if (in(addr, 0x40004800u, 0x400) && rcc_apb1l_on(&b->rcc, 18)) {
        usart_write(&b->usart, addr & 0x3FCu, value);
    } else if (in(addr, 0x58020000u, GPIO_PORTS * 0x400u) && rcc_gpio_on(&b->rcc, (addr - 0x58020000u) / 0x400u)) {
        gpio_write(&b->gpio, (addr - 0x58020000u) / 0x400u, addr & 0x3FCu, value);
        board_markers_update(b);
    } else if (in(addr, 0x58024400u, 0x400)) {
        rcc_write(&b->rcc, addr & 0x3FCu, value);
    } else if (in(addr, 0x58024800u, 0x400)) {
        rcc_pwr_write(&b->rcc, addr & 0x3FCu, value);
    } else if (in(addr, 0x52002000u, 0x400)) {
        flash_write(&b->flash, addr & 0x3FCu, value);
        cm7_set_fetch_wait(b->cpu, b->flash.acr & 0xFu);
    } else if (in(addr, 0x5C001000u, 0x400)) {
        board_dbgmcu_write(b, addr & 0x3FCu, value);
    }
}

/* Registers where a narrow write must not carry the other bits' read value. */
static bool write_only(uint32_t addr) {
    uint32_t reg = addr & 0x3FCu;
    return (in(addr, 0x58020000u, GPIO_PORTS * 0x400u) && reg == 0x18) || (in(addr, 0x40004800u, 0x400) && reg >= 0x18);
}

bool board_bus_read(void *ctx, uint32_t addr, unsigned size, uint32_t *ret_value) {
    struct board *b = ctx;
    if (!has_slave(addr)) {
        return false;
    }
    uint32_t v = word_read(b, addr & ~3u) >> 8 * (addr & 3u);
    *ret_value = size == 4 ? v : v & ((1u << 8 * size) - 1);
    return true;
}

bool board_bus_write(void *ctx, uint32_t addr, unsigned size, uint32_t value) {
    struct board *b = ctx;
    if (!has_slave(addr)) {
        return false;
    }
    if (size < 4) {
        unsigned shift = 8 * (addr & 3u);
        uint32_t mask = ((1u << 8 * size) - 1) << shift;
        value = (value << shift) & mask;
        value |= write_only(addr) ? 0 : word_read(b, addr & ~3u) & ~mask;
    }
    word_write(b, addr & ~3u, value);
    return true;
}

/* --- DBGMCU -------------------------------------------------------------------------------------------------- */

uint32_t board_dbgmcu_read(struct board *b, uint32_t off) {
    if (off == 0) {
        bool wrong = b->conf.faults && fault_fires(b->conf.faults, FAULT_CHIP_ID);
        uint32_t id = wrong ? (uint32_t)fault_param(b->conf.faults, FAULT_CHIP_ID, "id") & 0xFFFu : 0;
        return wrong ? (BOARD_IDCODE & ~0xFFFu) | id : BOARD_IDCODE;
    }
    return off / 4 < sizeof b->dbgmcu / sizeof *b->dbgmcu ? b->dbgmcu[off / 4] : 0;
}

void board_dbgmcu_write(struct board *b, uint32_t off, uint32_t value) {
    if (off != 0 && off / 4 < sizeof b->dbgmcu / sizeof *b->dbgmcu) {
        b->dbgmcu[off / 4] = value;
        board_changed(b);
    }
}

/* --- the debugger's AHB access port ---------------------------------------------------------------------------- */

static bool one_read(struct board *b, uint32_t addr, unsigned size, uint8_t *buf) {
    uint32_t v = 0;
    bool ok = (addr & ~0xFFFFFu) == 0xE0000000u ? cm7_ppb_read(b->cpu, addr, size, true, &v) : board_bus_read(b, addr, size, &v);
    memcpy(buf, &v, size);
    return ok;
}

bool board_mem_read(struct board *b, uint32_t addr, unsigned size, uint8_t *buf, uint32_t n) {
    const uint8_t *p = cm7_host(b->cpu, addr, n, NULL);
    if (p) {
        memcpy(buf, p, n);
        return true;
    }
    bool ok = true;
    for (uint32_t i = 0; i + size <= n && ok; i += size) {
        ok = one_read(b, addr + i, size, buf + i);
    }
    return ok;
}

static bool one_write(struct board *b, uint32_t addr, unsigned size, const uint8_t *buf) {
    uint32_t v = 0;
    memcpy(&v, buf, size);
    return (addr & ~0xFFFFFu) == 0xE0000000u ? cm7_ppb_write(b->cpu, addr, size, true, v) : board_bus_write(b, addr, size, v);
}

bool board_mem_write(struct board *b, uint32_t addr, unsigned size, const uint8_t *buf, uint32_t n) {
    enum cm7_mem_kind kind;
    uint8_t *p = cm7_host(b->cpu, addr, n, &kind);
    if (p && kind == CPU_MEM_RAM) {
        memcpy(p, buf, n);
        cm7_touched(b->cpu, addr, n);
        return true;
    }
    bool ok = !p || kind == CPU_MEM_FLASH;
    for (uint32_t i = 0; i + size <= n && ok; i += size) {
        if (p) {
            uint64_t v = 0;
            memcpy(&v, buf + i, size);
            flash_store(&b->flash, addr + i, size, v);
        } else {
            ok = one_write(b, addr + i, size, buf + i);
        }
    }
    board_run_until(b, board_now_ps(b)); /* a reset that was asked for happens now */
    return ok;
}
