/* SPDX-License-Identifier: GPL-2.0-or-later
 * The debug access port: see sim/dap.h. */
#include "sim/dap.h"

#include <string.h>

#define CSW_DEFAULT 0x23000052u
#define CSW_INCREMENT 0x30u
#define STICKYERR (1u << 5)
#define AP2_DBGMCU 0xE00E1000u

void dap_init(struct dap *d, struct board *board, struct faults *faults) {
    *d = (struct dap){.board = board, .faults = faults};
    for (unsigned i = 0; i < DAP_APS; i++) {
        d->ap[i].csw = CSW_DEFAULT;
    }
}

/* --- memory --------------------------------------------------------------------------------------------------- */

/* The APB-AP: DBGMCU; the trace components answer 0. */
static void apb_read(struct dap *d, uint32_t addr, uint8_t *buf, uint32_t n) {
    for (uint32_t i = 0; i + 4 <= n; i += 4) {
        uint32_t at = addr + i;
        uint32_t v = at - AP2_DBGMCU < 0x400 ? board_dbgmcu_read(d->board, at - AP2_DBGMCU) : 0;
        memcpy(buf + i, &v, 4);
    }
}

static void apb_write(struct dap *d, uint32_t addr, const uint8_t *buf, uint32_t n) {
    for (uint32_t i = 0; i + 4 <= n; i += 4) {
        uint32_t v = 0;
        memcpy(&v, buf + i, 4);
        if (addr + i - AP2_DBGMCU < 0x400) {
            board_dbgmcu_write(d->board, addr + i - AP2_DBGMCU, v);
        }
    }
}

static enum dap_ack access_ok(struct dap *d, unsigned ap) {
    if (!board_powered(d->board)) {
        return DAP_NO_TARGET;
    }
    if (ap != 0 && ap != 2) {
        return DAP_FAULT;
    }
    return d->faults && fault_fires(d->faults, FAULT_AP_FAULT) ? DAP_FAULT : DAP_OK;
}

static enum dap_ack done(struct dap *d, bool ok) {
    d->ctrl_stat |= ok ? 0 : STICKYERR;
    return ok ? DAP_OK : DAP_FAULT;
}

enum dap_ack dap_mem_read(struct dap *d, unsigned ap, uint32_t addr, unsigned size, uint8_t *buf, uint32_t n) {
    enum dap_ack ack = access_ok(d, ap);
    memset(buf, 0, n);
    if (ack != DAP_OK) {
        return ack;
    }
    if (ap == 2) {
        apb_read(d, addr, buf, n);
        return DAP_OK;
    }
    return done(d, board_mem_read(d->board, addr, size, buf, n));
}

enum dap_ack dap_mem_write(struct dap *d, unsigned ap, uint32_t addr, unsigned size, const uint8_t *buf, uint32_t n) {
    enum dap_ack ack = access_ok(d, ap);
    if (ack != DAP_OK) {
        return ack;
    }
    if (ap == 2) {
        apb_write(d, addr, buf, n);
        return DAP_OK;
    }
    return done(d, board_mem_write(d->board, addr, size, buf, n));
}

/* --- registers ------------------------------------------------------------------------------------------------ */

static uint32_t dp_read(const struct dap *d, unsigned reg) {
    switch (reg & 0xCu) {
    case 0x0:
        return DAP_IDCODE;
    case 0x4:
        return d->select & 0xFu ? 0 : d->ctrl_stat;
    default:
        return d->rdbuff;
    }
}

static void dp_write(struct dap *d, unsigned reg, uint32_t value) {
    switch (reg & 0xCu) {
    case 0x0: /* ABORT */
        d->ctrl_stat &= value & 0x4u ? ~STICKYERR : UINT32_MAX;
        break;
    case 0x4: /* power-up acknowledges follow the requests */
        d->ctrl_stat = (value & 0x50000F01u) | (value & 0x50000000u) << 1;
        break;
    case 0x8:
        d->select = value;
        break;
    default:
        break;
    }
}

static unsigned csw_size(uint32_t csw) { return (csw & 7u) == 0 ? 1 : (csw & 7u) == 1 ? 2 : 4; }

static enum dap_ack drw(struct dap *d, unsigned ap, uint32_t addr, bool write, uint32_t *value) {
    unsigned size = csw_size(d->ap[ap].csw);
    unsigned lane = addr & 3u & ~(size - 1);
    uint8_t buf[4] = {0};
    enum dap_ack ack;
    if (write) {
        memcpy(buf, value, 4);
        ack = dap_mem_write(d, ap, addr, size, buf + lane, size);
    } else {
        ack = dap_mem_read(d, ap, addr, size, buf + lane, size);
        memcpy(value, buf, 4);
    }
    return ack;
}

static void step_tar(struct dap *d, unsigned ap) {
    if (d->ap[ap].csw & CSW_INCREMENT) { /* wraps inside 1 KiB */
        uint32_t next = d->ap[ap].tar + csw_size(d->ap[ap].csw);
        d->ap[ap].tar = (d->ap[ap].tar & ~0x3FFu) | (next & 0x3FFu);
    }
}

static enum dap_ack ap_access(struct dap *d, unsigned ap, unsigned reg, bool write, uint32_t *value) {
    static const uint32_t idr[DAP_APS] = {0x84770001u, 0x84770001u, 0x54770002u, 0};
    static const uint32_t base[DAP_APS] = {0xE00FE003u, 0x00000002u, 0xE00E0003u, 0};
    if (reg >= 0x10 && reg <= 0x1C) {
        return drw(d, ap, (d->ap[ap].tar & ~0xFu) | (reg & 0xCu), write, value);
    }
    switch (reg) {
    case 0x00:
        if (write) {
            d->ap[ap].csw = (*value & 0xFFFFFFF7u) | 0x40u;
        }
        *value = d->ap[ap].csw;
        return DAP_OK;
    case 0x04:
        if (write) {
            d->ap[ap].tar = *value;
        }
        *value = d->ap[ap].tar;
        return DAP_OK;
    case 0x0C: {
        enum dap_ack ack = drw(d, ap, d->ap[ap].tar, write, value);
        step_tar(d, ap);
        return ack;
    }
    default:
        *value = reg == 0xFC ? idr[ap] : reg == 0xF8 ? base[ap] : 0;
        return DAP_OK;
    }
}

enum dap_ack dap_read(struct dap *d, unsigned port, unsigned reg, uint32_t *ret_value) {
    *ret_value = 0;
    if (!board_powered(d->board)) {
        return DAP_NO_TARGET;
    }
    if (port == DAP_DP) {
        *ret_value = dp_read(d, reg);
        return DAP_OK;
    }
    return port < DAP_APS ? ap_access(d, port, reg & 0xFCu, false, ret_value) : DAP_OK; /* no such port reads 0 */
}

enum dap_ack dap_write(struct dap *d, unsigned port, unsigned reg, uint32_t value) {
    if (!board_powered(d->board)) {
        return DAP_NO_TARGET;
    }
    if (port == DAP_DP) {
        dp_write(d, reg, value);
        return DAP_OK;
    }
    return port < DAP_APS ? ap_access(d, port, reg & 0xFCu, true, &value) : DAP_OK;
}
