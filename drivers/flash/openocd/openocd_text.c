/* SPDX-License-Identifier: GPL-2.0-or-later
 * What OpenOCD's output means. Pure. Success never rests on text or on the exit code alone: both are required.
 * Texts of OpenOCD 0.12.0 (src/target/target.c, src/flash/nor/tcl.c, src/jtag/drivers/stlink_usb.c). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/flash/openocd/openocd.h"

void openocd_text_init(struct openocd_text *ret_t) {
    memset(ret_t, 0, sizeof *ret_t);
    ret_t->target_v = (double)NAN;
}

static bool starts(const char *line, const char *with) { return strncmp(line, with, strlen(with)) == 0; }

/* "wrote 263000 bytes from file ..." and "verified 263000 bytes in ...": the number behind the verb, 0 if none. */
static unsigned long counted(const char *line, const char *verb) {
    return starts(line, verb) ? strtoul(line + strlen(verb), NULL, 10) : 0;
}

void openocd_text_line(struct openocd_text *t, const char *line) {
    if (starts(line, "Open On-Chip Debugger ")) {
        (void)snprintf(t->version, sizeof t->version, "%.63s", line + strlen("Open On-Chip Debugger "));
    } else if (starts(line, "Error: ")) {
        if (!t->first_error[0]) {
            (void)snprintf(t->first_error, sizeof t->first_error, "%.255s", line + 7);
        }
        (void)snprintf(t->last_error, sizeof t->last_error, "%.255s", line + 7);
    } else if (starts(line, "Info : Target voltage: ")) {
        t->target_v = strtod(line + strlen("Info : Target voltage: "), NULL);
    } else if (starts(line, "JF-ID 0x")) {
        char *end;
        unsigned long id = strtoul(line + 6, &end, 16);
        if (end != line + 6 && id <= UINT32_MAX) {
            t->id = (uint32_t)id;
            t->have_id = true;
        }
    } else if (starts(line, "JF-DIFFERS")) {
        t->differs = true;
    } else if (starts(line, "JF-ALIVE")) {
        t->alive = true;
    } else if (starts(line, "JF-RESET")) {
        t->reset_done = true;
    } else if (counted(line, "verified ") > 0) {
        t->verified = true;
    } else if (counted(line, "wrote ") > 0) {
        t->wrote = true;
    }
}

static const char *why(const struct openocd_text *t) {
    return t->first_error[0] ? t->first_error : "openocd gave no reason";
}

static int judge_identity(const struct openocd_text *t, const struct openocd_conf *conf, struct err *reterr) {
    if (!t->have_id) {
        return err_set(reterr, JF_E_PROBE, "the chip's identity could not be read: %s", why(t));
    }
    if ((t->id & conf->id_mask) != (conf->id_value & conf->id_mask)) {
        return err_set(reterr, JF_E_IDENTITY, "the chip says 0x%08x at 0x%08x, the board profile wants 0x%08x (mask 0x%08x)", t->id,
                       conf->id_address, conf->id_value, conf->id_mask);
    }
    return 0;
}

int openocd_text_judge(const struct openocd_text *t, const struct openocd_conf *conf, enum flash_op op, int exit_code,
                       bool *ret_equal, struct err *reterr) {
    int r = judge_identity(t, conf, reterr);
    *ret_equal = false;
    if (r < 0) {
        return r;
    }
    switch (op) {
    case FLASH_COMPARE:
        if (exit_code != 0 || !t->alive || t->verified == t->differs) {
            return err_set(reterr, JF_E_PROBE, "flash could not be compared (exit %d): %s", exit_code, why(t));
        }
        *ret_equal = t->verified;
        return 0;
    case FLASH_WRITE:
        if (exit_code != 0 || !t->wrote) {
            return err_set(reterr, JF_E_PROBE, "flash could not be written (exit %d): %s", exit_code, why(t));
        }
        return 0;
    case FLASH_VERIFY:
        if (exit_code != 0 || !t->verified) {
            return err_set(reterr, JF_E_VERIFY, "flash does not hold the image (exit %d): %s", exit_code, why(t));
        }
        return 0;
    case FLASH_RESET_RUN:
    case FLASH_RESET_HALT:
        if (exit_code != 0 || !t->reset_done) {
            return err_set(reterr, JF_E_PROBE, "the board could not be reset (exit %d): %s", exit_code, why(t));
        }
        return 0;
    case FLASH_IDENTIFY:
        break;
    }
    return exit_code == 0 ? 0 : err_set(reterr, JF_E_PROBE, "openocd ended with status %d: %s", exit_code, why(t));
}
