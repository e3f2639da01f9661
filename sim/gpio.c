/* SPDX-License-Identifier: GPL-2.0-or-later
 * GPIO: see sim/gpio.h. Offsets: RM0455, 11.4. */
#include "sim/gpio.h"

enum { MODER = 0x00, OTYPER = 0x04, OSPEEDR = 0x08, PUPDR = 0x0C, IDR = 0x10, ODR = 0x14, BSRR = 0x18, LCKR = 0x1C, AFRL = 0x20, AFRH = 0x24 };

void gpio_reset(struct gpio *g) {
    for (unsigned i = 0; i < GPIO_PORTS; i++) {
        struct gpio_port *p = &g->port[i];
        *p = (struct gpio_port){.moder = 0xFFFFFFFFu, .external = p->external, .external_strong = p->external_strong};
    }
    g->port[0].moder = 0xABFFFFFFu; /* the debug pins */
    g->port[0].ospeedr = 0x0C000000u;
    g->port[0].pupdr = 0x64000000u;
    g->port[1].moder = 0xFFFFFEBFu;
    g->port[1].ospeedr = 0x000000C0u;
    g->port[1].pupdr = 0x00000100u;
}

uint16_t gpio_levels(const struct gpio *g, unsigned port) {
    const struct gpio_port *p = &g->port[port];
    uint32_t v = 0;
    for (unsigned i = 0; i < 16; i++) {
        uint32_t bit = 1u << i;
        uint32_t pull = p->pupdr >> 2 * i & 3u;
        uint32_t idle = pull == 0 || p->external_strong & bit ? p->external & bit : pull == 1 ? bit : 0;
        bool output = (p->moder >> 2 * i & 3u) == 1;
        bool drives = output && !(p->otyper & bit && p->odr & bit);
        v |= drives ? p->odr & bit : idle;
    }
    return (uint16_t)v;
}

int gpio_af(const struct gpio *g, unsigned port, unsigned pin) {
    const struct gpio_port *p = &g->port[port];
    return (p->moder >> 2 * pin & 3u) == 2 ? (int)(p->afr[pin / 8] >> 4 * (pin % 8) & 0xFu) : -1;
}

uint32_t gpio_read(const struct gpio *g, unsigned port, uint32_t off) {
    const struct gpio_port *p = &g->port[port];
    switch (off) {
    case MODER:
        return p->moder;
    case OTYPER:
        return p->otyper;
    case OSPEEDR:
        return p->ospeedr;
    case PUPDR:
        return p->pupdr;
    case IDR:
        return gpio_levels(g, port);
    case ODR:
        return p->odr;
    case LCKR:
        return p->lckr;
    case AFRL:
    case AFRH:
        return p->afr[(off - AFRL) / 4];
    default:
        return 0;
    }
}

void gpio_write(struct gpio *g, unsigned port, uint32_t off, uint32_t value) {
    struct gpio_port *p = &g->port[port];
    switch (off) {
    case MODER:
        p->moder = value;
        break;
    case OTYPER:
        p->otyper = value & 0xFFFFu;
        break;
    case OSPEEDR:
        p->ospeedr = value;
        break;
    case PUPDR:
        p->pupdr = value;
        break;
    case ODR:
        p->odr = value & 0xFFFFu;
        break;
    case BSRR: /* set wins over reset */
        p->odr = (p->odr & ~(value >> 16)) | (value & 0xFFFFu);
        break;
    case LCKR:
        p->lckr = value & 0x1FFFFu;
        break;
    case AFRL:
    case AFRH:
        p->afr[(off - AFRL) / 4] = value;
        break;
    default:
        break;
    }
}
