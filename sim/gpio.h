/* SPDX-License-Identifier: GPL-2.0-or-later
 * GPIO ports A to K (RM0455 section 11): mode, output, pulls, alternate function. Pins are read as driven; an undriven
 * pin reads its pull, else its external level (low unless given). One thread. */
#ifndef SIM_GPIO_H
#define SIM_GPIO_H

#include "sim/periph.h"

#define GPIO_PORTS 11

struct gpio_port {
    uint32_t moder, otyper, ospeedr, pupdr, odr, lckr, afr[2];
    uint16_t external; /* level of the outside where the chip does not drive */
    uint16_t external_strong; /* external pins that win against an internal pull */
};
struct gpio {
    struct gpio_port port[GPIO_PORTS];
};

void gpio_reset(struct gpio *g); /* keeps the external levels */
uint32_t gpio_read(const struct gpio *g, unsigned port, uint32_t off);
void gpio_write(struct gpio *g, unsigned port, uint32_t off, uint32_t value);
uint16_t gpio_levels(const struct gpio *g, unsigned port);
int gpio_af(const struct gpio *g, unsigned port, unsigned pin); /* alternate function number, -1: not in that mode */

#endif
