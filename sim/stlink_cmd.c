/* SPDX-License-Identifier: GPL-2.0-or-later
 * ST-LINK commands: see sim/stlink_cmd.h. Command and status numbers as in OpenOCD 0.12's src/jtag/drivers/stlink_usb.c,
 * the only public description. */
#include "sim/stlink_cmd.h"

#include <string.h>

enum {
    CMD_VERSION = 0xF1,
    CMD_DEBUG = 0xF2,
    CMD_DFU = 0xF3,
    CMD_MODE = 0xF5,
    CMD_VOLTAGE = 0xF7,
    DBG_READ32 = 0x07,
    DBG_WRITE32 = 0x08,
    DBG_READ8 = 0x0C,
    DBG_WRITE8 = 0x0D,
    DBG_EXIT = 0x21,
    DBG_ENTER = 0x30,
    DBG_IDCODES = 0x31,
    DBG_RESET_SYS = 0x32,
    DBG_READ_REG = 0x33,
    DBG_NRST = 0x3C,
    DBG_LAST_STATUS2 = 0x3E,
    DBG_SWD_FREQ = 0x43,
    DBG_DAP_READ = 0x45,
    DBG_DAP_WRITE = 0x46,
    DBG_READ16 = 0x47,
    DBG_WRITE16 = 0x48,
    DBG_AP_INIT = 0x4B,
    DBG_AP_CLOSE = 0x4C,
    DBG_READ32_FIX = 0x54,
    DBG_WRITE32_FIX = 0x50,
    DBG_BATCH_OUT = 0x51,
    DBG_BATCH_IN = 0x52
};
enum { ST_OK = 0x80, ST_FAULT = 0x81, ST_NO_TARGET = 0x09, ST_AP_FAULT = 0x11, ST_DP_ERROR = 0x16 };
enum { MODE_MASS_STORAGE = 1, MODE_DEBUG = 2 };
enum { BATCH_ADDRESS = 1, BATCH_WRITE = 2, BATCH_READ = 3, BATCH_AP = 5 };

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16; }
static void put32(uint8_t *p, uint32_t n_in, uint32_t at, uint32_t v) {
    for (unsigned i = 0; i < 4 && at + i < n_in; i++) {
        p[at + i] = (uint8_t)(v >> 8 * i);
    }
}
static void put8(uint8_t *p, uint32_t n_in, uint32_t at, unsigned v) {
    if (at < n_in) {
        p[at] = (uint8_t)v;
    }
}

static uint8_t status_of(enum dap_ack ack) { return ack == DAP_OK ? ST_OK : ack == DAP_FAULT ? ST_AP_FAULT : ST_DP_ERROR; }

void stlink_cmd_init(struct stlink_cmd *s, struct board *board, struct faults *faults) {
    *s = (struct stlink_cmd){.last_status = ST_OK};
    dap_init(&s->dap, board, faults);
}

static void version(uint8_t *in, uint32_t n_in) {
    unsigned word = 2u << 12 | 37u << 6 | 27u; /* V2J37M27, big-endian; then vendor and product of a V2-1 */
    put8(in, n_in, 0, word >> 8);
    put8(in, n_in, 1, word & 0xFFu);
    put8(in, n_in, 2, 0x83);
    put8(in, n_in, 3, 0x04);
    put8(in, n_in, 4, 0x4B);
    put8(in, n_in, 5, 0x37);
}

static void voltage(const struct stlink_cmd *s, uint8_t *in, uint32_t n_in) {
    double v = board_supply_v(s->dap.board);
    put32(in, n_in, 0, 1200); /* the reference; volts = 2.4 * second / first */
    put32(in, n_in, 4, (uint32_t)(v * 500.0 + 0.5));
}

static unsigned unit_of(unsigned cmd) {
    switch (cmd) {
    case DBG_READ8:
    case DBG_WRITE8:
        return 1;
    case DBG_READ16:
    case DBG_WRITE16:
        return 2;
    default:
        return 4;
    }
}

static void memory(struct stlink_cmd *s, const uint8_t *cmd, const uint8_t *out, uint32_t n_out, uint8_t *in, uint32_t n_in) {
    unsigned what = cmd[1];
    unsigned size = unit_of(what);
    uint32_t addr = get32(cmd + 2);
    uint32_t n = get16(cmd + 6);
    bool fixed = what == DBG_READ32_FIX || what == DBG_WRITE32_FIX;
    bool write = what == DBG_WRITE32 || what == DBG_WRITE16 || what == DBG_WRITE8 || what == DBG_WRITE32_FIX;
    n = write ? (n < n_out ? n : n_out) : (n < n_in ? n : n_in);
    enum dap_ack ack = DAP_OK;
    for (uint32_t i = 0; i < n && ack == DAP_OK; i += fixed ? size : n) {
        uint32_t part = fixed ? size : n;
        ack = write ? dap_mem_write(&s->dap, cmd[8], addr, size, out + i, part) : dap_mem_read(&s->dap, cmd[8], addr, size, in + i, part);
    }
    s->last_status = status_of(ack);
}

static void batch_out(struct stlink_cmd *s, const uint8_t *cmd, const uint8_t *out, uint32_t n_out) {
    uint32_t n = get16(cmd + 2);
    uint32_t padded = (n + 3) & ~3u;
    unsigned ap = 0;
    uint32_t addr = 0;
    s->batch_n = 0;
    for (uint32_t i = 0; i < n && i < STLINK_BATCH && padded + 4 * i + 4 <= n_out; i++) {
        uint32_t v = get32(out + padded + 4 * i);
        uint8_t word[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
        enum dap_ack ack = DAP_OK;
        switch (out[i]) {
        case BATCH_ADDRESS:
            addr = v;
            break;
        case BATCH_WRITE:
            ack = dap_mem_write(&s->dap, ap, addr, 4, word, 4);
            break;
        case BATCH_READ:
            ack = dap_mem_read(&s->dap, ap, v, 4, word, 4);
            v = get32(word);
            break;
        case BATCH_AP:
            ap = v;
            break;
        default:
            break;
        }
        s->batch_value[i] = v;
        s->batch_status[i] = status_of(ack);
        s->batch_n = i + 1;
    }
}

static void batch_in(const struct stlink_cmd *s, uint8_t *in, uint32_t n_in) {
    for (uint32_t i = 0; i < s->batch_n; i++) {
        put32(in, n_in, 4 * i, s->batch_value[i]);
        put32(in, n_in, 4 * (s->batch_n + i), s->batch_status[i]);
    }
}

static void nrst(struct stlink_cmd *s, unsigned how) {
    struct board *b = s->dap.board;
    if (how == 1) {
        board_nrst(b, false);
    } else {
        board_nrst(b, true);
        if (how == 2) {
            board_nrst(b, false);
        }
    }
}

static void debug(struct stlink_cmd *s, const uint8_t *cmd, const uint8_t *out, uint32_t n_out, uint8_t *in, uint32_t n_in) {
    uint32_t v = 0;
    switch (cmd[1]) {
    case DBG_READ32:
    case DBG_READ16:
    case DBG_READ8:
    case DBG_WRITE32:
    case DBG_WRITE16:
    case DBG_WRITE8:
    case DBG_READ32_FIX:
    case DBG_WRITE32_FIX:
        memory(s, cmd, out, n_out, in, n_in);
        return;
    case DBG_LAST_STATUS2:
        put8(in, n_in, 0, s->last_status);
        return;
    case DBG_ENTER:
        s->debug_mode = board_powered(s->dap.board);
        put8(in, n_in, 0, s->debug_mode ? ST_OK : ST_NO_TARGET);
        return;
    case DBG_EXIT:
        s->debug_mode = false;
        return;
    case DBG_IDCODES:
        put8(in, n_in, 0, board_powered(s->dap.board) ? ST_OK : ST_NO_TARGET);
        put32(in, n_in, 4, DAP_IDCODE);
        return;
    case DBG_DAP_READ:
        put8(in, n_in, 0, status_of(dap_read(&s->dap, get16(cmd + 2), get16(cmd + 4), &v)));
        put32(in, n_in, 4, v);
        return;
    case DBG_DAP_WRITE:
        put8(in, n_in, 0, status_of(dap_write(&s->dap, get16(cmd + 2), get16(cmd + 4), get32(cmd + 6))));
        return;
    case DBG_BATCH_OUT:
        batch_out(s, cmd, out, n_out);
        return;
    case DBG_BATCH_IN:
        batch_in(s, in, n_in);
        return;
    case DBG_NRST:
        nrst(s, cmd[2]);
        put8(in, n_in, 0, ST_OK);
        return;
    case DBG_SWD_FREQ:
    case DBG_AP_INIT:
    case DBG_AP_CLOSE:
        put8(in, n_in, 0, ST_OK);
        return;
    default:
        put8(in, n_in, 0, ST_FAULT);
        return;
    }
}

void stlink_cmd_do(struct stlink_cmd *s, const uint8_t cmd[STLINK_CMD], const uint8_t *out, uint32_t n_out, uint8_t *in, uint32_t n_in) {
    memset(in, 0, n_in);
    switch (cmd[0]) {
    case CMD_VERSION:
        version(in, n_in);
        break;
    case CMD_MODE:
        put8(in, n_in, 0, s->debug_mode ? MODE_DEBUG : MODE_MASS_STORAGE);
        break;
    case CMD_VOLTAGE:
        voltage(s, in, n_in);
        break;
    case CMD_DEBUG:
        debug(s, cmd, out, n_out, in, n_in);
        break;
    default: /* CMD_DFU: leaving what it is not in */
        break;
    }
}
