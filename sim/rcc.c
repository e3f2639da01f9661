/* SPDX-License-Identifier: GPL-2.0-or-later
 * RCC and PWR of the STM32H7A3: see sim/rcc.h. Offsets and bits: RM0455 Rev 6, 8.7 and 6.8. */
#include "sim/rcc.h"

#include <string.h>

enum {
    CR = 0x00,
    CFGR = 0x10,
    CDCFGR1 = 0x18,
    CDCFGR2 = 0x1C,
    PLLCKSELR = 0x28,
    PLLCFGR = 0x2C,
    PLL1DIVR = 0x30,
    PLL1FRACR = 0x34,
    CDCCIP2R = 0x54,
    BDCR = 0x70,
    CSR = 0x74,
    RSR = 0x130,
    AHB3ENR = 0x134,
    AHB4ENR = 0x140,
    APB1LENR = 0x148,
    APB4ENR = 0x154
};
#define RSR_RMVF (1u << 16)
#define PWR_CR1 0x00
#define PWR_CSR1 0x04
#define PWR_CR3 0x0C
#define PWR_SRDCR 0x18
#define CR_READY_BITS 0x2A022104u /* HSIRDY, CSIRDY, HSI48RDY, HSERDY, PLL1RDY..PLL3RDY */

static uint32_t at(const struct rcc *r, uint32_t off) { return r->reg[off / 4]; }

void rcc_reset(struct rcc *r, enum rcc_cause cause) {
    static const uint32_t flags[] = {
        [RCC_CAUSE_POWER_ON] = 0x00E80000u, /* POR, PIN, BOR, CDRST: the register's reset value */
        [RCC_CAUSE_PIN] = 0x00400000u,
        [RCC_CAUSE_BROWN_OUT] = 0x00600000u,
        [RCC_CAUSE_SOFTWARE] = 0x01400000u,
    };
    bool power_on = cause == RCC_CAUSE_POWER_ON;
    uint32_t rsr = power_on ? 0 : at(r, RSR);
    uint32_t bdcr = power_on ? 0 : at(r, BDCR);
    memset(r->reg, 0, sizeof r->reg);
    r->reg[CR / 4] = 0x25u; /* HSION, HSIRDY, HSIDIVF */
    r->reg[0x04 / 4] = 0x40000000u;
    r->reg[0x0C / 4] = 0x20000000u;
    r->reg[PLLCKSELR / 4] = 0x02020200u;
    r->reg[PLLCFGR / 4] = 0x01FF0000u;
    r->reg[0x30 / 4] = r->reg[0x38 / 4] = r->reg[0x40 / 4] = 0x01010280u;
    r->reg[BDCR / 4] = bdcr;
    r->reg[RSR / 4] = rsr | flags[cause];
    for (uint32_t off = 0x15C; off <= 0x17C; off += 4) {
        r->reg[off / 4] = UINT32_MAX; /* clocks stay on in Sleep */
    }
    if (power_on) {
        memset(r->pwr, 0, sizeof r->pwr);
        r->pwr[PWR_CR3 / 4] = 0x6u; /* LDO and SMPS on */
        r->cr3_written = false;
    }
    r->pwr[PWR_CR1 / 4] = 0xF000C000u;
    r->pwr[PWR_SRDCR / 4] = 0;
}

/* Every oscillator and PLL that is on is ready; an oscillator in use cannot be switched off. */
static uint32_t cr_with_ready(const struct rcc *r, uint32_t v) {
    static const struct {
        unsigned on, ready;
    } osc[] = {{0, 2}, {7, 8}, {12, 13}, {16, 17}, {24, 25}, {26, 27}, {28, 29}};
    uint32_t sw = at(r, CFGR) & 7u;
    v |= sw == 0 ? 1u : sw == 1 ? 1u << 7 : sw == 2 ? 1u << 16 : 1u << 24;
    v &= ~(CR_READY_BITS);
    for (unsigned i = 0; i < sizeof osc / sizeof *osc; i++) {
        v |= (v >> osc[i].on & 1u) << osc[i].ready;
    }
    return v | 1u << 5;
}

uint32_t rcc_read(const struct rcc *r, uint32_t off) {
    if (off >= sizeof r->reg) {
        return 0;
    }
    return at(r, off & ~3u);
}

void rcc_write(struct rcc *r, uint32_t off, uint32_t value) {
    if (off >= sizeof r->reg) {
        return;
    }
    r->host->changed(r->host->ctx);
    switch (off & ~3u) {
    case CR:
        r->reg[CR / 4] = cr_with_ready(r, value);
        break;
    case CFGR: {
        static const unsigned ready[] = {2, 8, 17, 25};
        uint32_t sw = value & 7u;
        uint32_t sws = sw < 4 && at(r, CR) >> ready[sw] & 1u ? sw : at(r, CFGR) >> 3 & 7u;
        r->reg[CFGR / 4] = (value & ~0x38u) | sws << 3;
        break;
    }
    case BDCR:
        r->reg[BDCR / 4] = (value & ~2u) | (value & 1u) << 1; /* LSERDY follows LSEON */
        break;
    case CSR:
        r->reg[CSR / 4] = (value & 1u) * 3u; /* LSIRDY follows LSION */
        break;
    case RSR:
        r->reg[RSR / 4] = value & RSR_RMVF ? 0 : at(r, RSR);
        break;
    default:
        r->reg[off / 4] = value;
        break;
    }
    r->host->changed(r->host->ctx);
}

uint32_t rcc_pwr_read(const struct rcc *r, uint32_t off) {
    if (off >= sizeof r->pwr) {
        return 0;
    }
    uint32_t vos = r->pwr[PWR_SRDCR / 4] >> 14 & 3u;
    switch (off & ~3u) {
    case PWR_CSR1:
        return 1u << 13 | vos << 14; /* ACTVOSRDY, ACTVOS */
    case PWR_CR3:
        return r->pwr[PWR_CR3 / 4] | (uint32_t)((r->pwr[PWR_CR3 / 4] & 0xCu) != 0) << 16; /* SMPSEXTRDY */
    case PWR_SRDCR:
        return r->pwr[PWR_SRDCR / 4] | 1u << 13; /* VOSRDY */
    default:
        return r->pwr[off / 4];
    }
}

void rcc_pwr_write(struct rcc *r, uint32_t off, uint32_t value) {
    if (off >= sizeof r->pwr) {
        return;
    }
    r->host->changed(r->host->ctx);
    if ((off & ~3u) == PWR_CR3) {
        if (!r->cr3_written) {
            r->pwr[PWR_CR3 / 4] = value & 0x0000033Fu;
            r->cr3_written = true;
        }
    } else if ((off & ~3u) == PWR_SRDCR) {
        r->pwr[PWR_SRDCR / 4] = value & 0xC000u;
    } else {
        r->pwr[off / 4] = value;
    }
    r->host->changed(r->host->ctx);
}

void rcc_stop_exit(struct rcc *r) {
    r->reg[CR / 4] &= ~0x3F000000u;
    r->reg[CFGR / 4] &= ~0x3Fu;
}

/* --- clocks -------------------------------------------------------------------------------------------------- */

static uint32_t hsi_hz(const struct rcc *r) { return RCC_HSI_HZ >> (at(r, CR) >> 3 & 3u); }

static uint32_t source_hz(const struct rcc *r, uint32_t src) { return src == 0 ? hsi_hz(r) : src == 1 ? RCC_CSI_HZ : src == 2 ? RCC_HSE_HZ : 0; }

static uint32_t pll1_p_hz(const struct rcc *r) {
    uint32_t m = at(r, PLLCKSELR) >> 4 & 0x3Fu;
    uint32_t div = at(r, PLL1DIVR);
    uint64_t src = source_hz(r, at(r, PLLCKSELR) & 3u);
    if (m == 0 || !(at(r, PLLCFGR) & (1u << 16))) {
        return 0;
    }
    uint64_t n8192 = ((div & 0x1FFu) + 1) * UINT64_C(8192);
    if (at(r, PLLCFGR) & 1u) {
        n8192 += at(r, PLL1FRACR) >> 3 & 0x1FFFu;
    }
    return (uint32_t)(src * n8192 / m / 8192 / ((div >> 9 & 0x7Fu) + 1));
}

static unsigned hpre(uint32_t code) {
    static const unsigned shift[] = {1, 2, 3, 4, 6, 7, 8, 9};
    return code & 8u ? shift[code & 7u] : 0;
}
static unsigned ppre(uint32_t code) { return code & 4u ? (code & 3u) + 1 : 0; }

uint32_t rcc_cpu_hz(const struct rcc *r) {
    uint32_t sws = at(r, CFGR) >> 3 & 7u;
    uint32_t sys = sws == 3 ? pll1_p_hz(r) : source_hz(r, sws);
    uint32_t hz = sys >> hpre(at(r, CDCFGR1) >> 8 & 0xFu);
    return hz > 0 ? hz : 1000000u; /* a dead clock: slow, so that time still passes */
}
uint32_t rcc_hclk_hz(const struct rcc *r) { return rcc_cpu_hz(r) >> hpre(at(r, CDCFGR1) & 0xFu); }
uint32_t rcc_pclk1_hz(const struct rcc *r) { return rcc_hclk_hz(r) >> ppre(at(r, CDCFGR2) >> 4 & 7u); }
uint32_t rcc_tim1_hz(const struct rcc *r) {
    unsigned shift = ppre(at(r, CDCFGR2) >> 4 & 7u);
    return shift <= 1 ? rcc_hclk_hz(r) : 2 * rcc_pclk1_hz(r); /* TIMPRE 0 */
}
uint32_t rcc_usart3_hz(const struct rcc *r) {
    switch (at(r, CDCCIP2R) & 7u) {
    case 0:
        return rcc_pclk1_hz(r);
    case 3:
        return hsi_hz(r);
    case 4:
        return at(r, CR) & (1u << 8) ? RCC_CSI_HZ : 0;
    case 5:
        return at(r, BDCR) & 2u ? 32768u : 0;
    default:
        return 0; /* PLL2, PLL3: not modelled */
    }
}

bool rcc_gpio_on(const struct rcc *r, unsigned port) { return at(r, AHB4ENR) >> port & 1u; }
bool rcc_apb1l_on(const struct rcc *r, unsigned bit) { return at(r, APB1LENR) >> bit & 1u; }
unsigned rcc_gates_on(const struct rcc *r) {
    unsigned n = 0;
    for (uint32_t off = AHB3ENR; off <= APB4ENR; off += 4) {
        n += (unsigned)__builtin_popcount(at(r, off));
    }
    return n;
}
bool rcc_pll_on(const struct rcc *r) { return at(r, CR) & (1u << 24); }
bool rcc_smps(const struct rcc *r) { return (r->pwr[PWR_CR3 / 4] & 7u) == 4u; }
