/* SPDX-License-Identifier: GPL-2.0-or-later
 * The OpenOCD flash runner (drivers/flash/flash.h): Debian's openocd 0.12, one short-lived process per operation.
 * Facts from the OpenOCD 0.12.0 manual and sources; tried against the virtual ST-Link only (maturity: simulated).
 *
 * probe object:  {"adapter": "st-link" | "st-link-tcp", "serial": "...", "tcp_port": 7184, "usb_ids": ["0483:374b", ...]}
 * board object:  {"binary": "openocd", "scripts_dir": "...", "target_script": "target/stm32h7x_dual_bank.cfg",
 *                 "transport": "dapdirect_swd", "reset_config": "srst_only", "srst_delay_ms": 0,
 *                 "chip_id": {"address": "0x5C001000", "value": "0x10006480", "mask": "0xFFFFFFFF"},
 *                 "debug_clear": [{"address": "0x5C001004", "value": "0x0"}], "start": ...}
 * Numbers may be JSON integers or strings with 0x. Words that reach Tcl are checked against a safe alphabet here. */
#ifndef DRIVERS_FLASH_OPENOCD_H
#define DRIVERS_FLASH_OPENOCD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "drivers/flash/flash.h"

extern const struct flash_runner flash_openocd;

#define OPENOCD_IMAGE "fw.elf" /* the fixed name inside the work directory */
#define OPENOCD_MAX_ARGS 48
#define OPENOCD_MAX_CLEAR 8

struct openocd_write32 {
    uint32_t address, value;
};

/* The checked configuration. Strings are copies, bounded and of a safe alphabet. */
struct openocd_conf {
    char binary[256], scripts_dir[256], target_script[128], transport[32], reset_config[64];
    char serial[64];
    bool tcp;
    int tcp_port;
    int srst_delay_ms;
    struct {
        uint16_t vid, pid;
    } usb_ids[8];
    size_t n_usb_ids;
    uint32_t id_address, id_value, id_mask;
    struct openocd_write32 clear[OPENOCD_MAX_CLEAR];
    size_t n_clear;
};

/* Pure: both objects -> *ret_conf, or JF_E_INVAL with the field in reterr->where. */
int openocd_conf_parse(const json_t *probe, const json_t *board, struct openocd_conf *ret_conf, struct err *reterr) JF_MUST_CHECK;

/* An argument vector that owns its strings. */
struct openocd_argv {
    const char *argv[OPENOCD_MAX_ARGS];
    char *owned[OPENOCD_MAX_ARGS];
    size_t n;
};
/* Pure: the command line of one operation. */
int openocd_argv_build(const struct openocd_conf *conf, enum flash_op op, struct openocd_argv *ret_args) JF_MUST_CHECK;
void openocd_argv_done(struct openocd_argv *args);

/* What the tool's output said; filled line by line. Pure. */
struct openocd_text {
    char version[64];
    char first_error[256], last_error[256];
    double target_v; /* NaN until seen */
    bool have_id;
    uint32_t id;
    bool verified; /* "verified N bytes", N > 0 */
    bool differs; /* the comparison itself said so */
    bool alive; /* the probe still answered after the comparison */
    bool wrote; /* "wrote N bytes", N > 0 */
    bool reset_done;
};
void openocd_text_init(struct openocd_text *ret_t);
void openocd_text_line(struct openocd_text *t, const char *line);
/* The outcome of an operation from exit code and text: 0 or JF_E_* with a sentence. *ret_equal for FLASH_COMPARE. */
int openocd_text_judge(const struct openocd_text *t, const struct openocd_conf *conf, enum flash_op op, int exit_code,
                       bool *ret_equal, struct err *reterr);

#endif
