/* SPDX-License-Identifier: GPL-2.0-or-later
 * Configuration and command lines of the OpenOCD runner. Pure functions. Everything that reaches OpenOCD's Tcl is
 * either built here from checked words or the fixed image name: `[`, `$`, `;` and blanks cannot get in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/flash/openocd/openocd.h"

static bool safe_word(const char *s, const char *more) {
    if (!s[0]) {
        return false;
    }
    for (; *s; s++) {
        bool alnum = (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
        if (!alnum && !strchr(more, *s)) {
            return false;
        }
    }
    return true;
}

struct word_rule {
    const char *key;
    const char *more; /* allowed beside letters and digits */
    const char *fallback; /* NULL: required */
};

static int take_word(const json_t *obj, const struct word_rule *rule, char *dst, size_t size, struct err *reterr) {
    const json_t *v = json_object_get(obj, rule->key);
    const char *s = v ? json_string_value(v) : rule->fallback;
    if (!s) {
        return err_set_at(reterr, JF_E_INVAL, rule->key, v ? "%s must be a text" : "%s is missing", rule->key);
    }
    if (s[0] == '\0' && rule->fallback && rule->fallback[0] == '\0') {
        dst[0] = '\0';
        return 0;
    }
    if (strlen(s) >= size || !safe_word(s, rule->more)) {
        return err_set_at(reterr, JF_E_INVAL, rule->key, "%s may hold only letters, digits and \"%s\" (at most %zu of them)",
                          rule->key, rule->more, size - 1);
    }
    (void)snprintf(dst, size, "%s", s);
    return 0;
}

/* A 32-bit number written as an integer or as "0x..." text. */
static int take_u32(const json_t *obj, const char *key, bool required, uint32_t fallback, uint32_t *ret_v, struct err *reterr) {
    const json_t *v = json_object_get(obj, key);
    if (!v) {
        if (required) {
            return err_set_at(reterr, JF_E_INVAL, key, "%s is missing", key);
        }
        *ret_v = fallback;
        return 0;
    }
    if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= UINT32_MAX) {
        *ret_v = (uint32_t)json_integer_value(v);
        return 0;
    }
    const char *s = json_string_value(v);
    char *end;
    unsigned long long n = 0;
    bool good = s && s[0] >= '0' && s[0] <= '9';
    if (good) {
        n = strtoull(s, &end, 0);
        good = *end == '\0' && n <= UINT32_MAX;
    }
    if (!good) {
        return err_set_at(reterr, JF_E_INVAL, key, "%s must be a number from 0 to 0xffffffff", key);
    }
    *ret_v = (uint32_t)n;
    return 0;
}

static int take_probe(const json_t *probe, struct openocd_conf *c, struct err *reterr) {
    char adapter[32];
    const struct word_rule adapter_rule = {"adapter", "-", NULL}, serial_rule = {"serial", "_.:-", NULL};
    int r = take_word(probe, &adapter_rule, adapter, sizeof adapter, reterr);
    if (r == 0) {
        r = take_word(probe, &serial_rule, c->serial, sizeof c->serial, reterr);
    }
    if (r < 0) {
        return r;
    }
    c->tcp = strcmp(adapter, "st-link-tcp") == 0;
    if (!c->tcp && strcmp(adapter, "st-link") != 0) {
        return err_set_at(reterr, JF_E_INVAL, "adapter", "adapter is \"%s\"; known are st-link and st-link-tcp", adapter);
    }
    uint32_t port = 0;
    r = take_u32(probe, "tcp_port", c->tcp, 0, &port, reterr);
    if (r < 0) {
        return r;
    }
    if (c->tcp && (port == 0 || port > 65535)) {
        return err_set_at(reterr, JF_E_INVAL, "tcp_port", "tcp_port must be from 1 to 65535");
    }
    c->tcp_port = (int)port;
    return 0;
}

/* "0483:374b": exactly four hexadecimal digits on each side. */
static bool usb_id_parse(const char *s, uint16_t *ret_vid, uint16_t *ret_pid) {
    static const char hex[] = "0123456789abcdefABCDEF";
    if (strspn(s, hex) != 4 || s[4] != ':' || strspn(s + 5, hex) != 4 || s[9] != '\0') {
        return false;
    }
    *ret_vid = (uint16_t)strtoul(s, NULL, 16);
    *ret_pid = (uint16_t)strtoul(s + 5, NULL, 16);
    return true;
}

static int take_usb_ids(const json_t *probe, struct openocd_conf *c, struct err *reterr) {
    static const struct {
        uint16_t vid, pid;
    } known[] = {{0x0483, 0x374b}, {0x0483, 0x3752}, {0x0483, 0x374e}, {0x0483, 0x374f}, {0x0483, 0x3748}}; /* ST-LINK/V2-1, V3 */
    const json_t *list = json_object_get(probe, "usb_ids");
    if (!list) {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            c->usb_ids[i].vid = known[i].vid;
            c->usb_ids[i].pid = known[i].pid;
        }
        c->n_usb_ids = sizeof known / sizeof known[0];
        return 0;
    }
    size_t max = sizeof c->usb_ids / sizeof c->usb_ids[0];
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > max) {
        return err_set_at(reterr, JF_E_INVAL, "usb_ids", "usb_ids must be a list of 1 to %zu ids such as \"0483:374b\"", max);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s || !usb_id_parse(s, &c->usb_ids[i].vid, &c->usb_ids[i].pid)) {
            return err_set_at(reterr, JF_E_INVAL, "usb_ids", "usb_ids[%zu] must look like \"0483:374b\"", i);
        }
    }
    c->n_usb_ids = json_array_size(list);
    return 0;
}

static int take_clear(const json_t *board, struct openocd_conf *c, struct err *reterr) {
    const json_t *list = json_object_get(board, "debug_clear");
    if (!list) {
        return 0;
    }
    if (!json_is_array(list) || json_array_size(list) > OPENOCD_MAX_CLEAR) {
        return err_set_at(reterr, JF_E_INVAL, "debug_clear", "debug_clear must be a list of at most %d writes", OPENOCD_MAX_CLEAR);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        int r = take_u32(w, "address", true, 0, &c->clear[i].address, reterr);
        if (r == 0) {
            r = take_u32(w, "value", true, 0, &c->clear[i].value, reterr);
        }
        if (r < 0) {
            return r;
        }
    }
    c->n_clear = json_array_size(list);
    return 0;
}

static int take_chip_id(const json_t *board, struct openocd_conf *c, struct err *reterr) {
    const json_t *id = json_object_get(board, "chip_id");
    if (!json_is_object(id)) {
        return err_set_at(reterr, JF_E_INVAL, "chip_id", "chip_id must name address, value and mask: a board is never erased unseen");
    }
    int r = take_u32(id, "address", true, 0, &c->id_address, reterr);
    if (r == 0) {
        r = take_u32(id, "value", true, 0, &c->id_value, reterr);
    }
    if (r == 0) {
        r = take_u32(id, "mask", false, UINT32_MAX, &c->id_mask, reterr);
    }
    return r;
}

int openocd_conf_parse(const json_t *probe, const json_t *board, struct openocd_conf *ret_conf, struct err *reterr) {
    struct openocd_conf c;
    memset(&c, 0, sizeof c);
    if (!json_is_object(probe) || !json_is_object(board)) {
        return err_set(reterr, JF_E_INVAL, "probe and board must be objects");
    }
    static const struct word_rule binary = {"binary", "/._+-", "openocd"}, scripts = {"scripts_dir", "/._+-", ""},
                                  target = {"target_script", "/._-", NULL}, transport = {"transport", "_", "dapdirect_swd"},
                                  reset = {"reset_config", "_ ", "srst_only"};
    int r = take_probe(probe, &c, reterr);
    r = r < 0 ? r : take_usb_ids(probe, &c, reterr);
    r = r < 0 ? r : take_word(board, &binary, c.binary, sizeof c.binary, reterr);
    r = r < 0 ? r : take_word(board, &scripts, c.scripts_dir, sizeof c.scripts_dir, reterr);
    r = r < 0 ? r : take_word(board, &target, c.target_script, sizeof c.target_script, reterr);
    r = r < 0 ? r : take_word(board, &transport, c.transport, sizeof c.transport, reterr);
    r = r < 0 ? r : take_word(board, &reset, c.reset_config, sizeof c.reset_config, reterr);
    r = r < 0 ? r : take_chip_id(board, &c, reterr);
    r = r < 0 ? r : take_clear(board, &c, reterr);
    uint32_t delay = 0;
    r = r < 0 ? r : take_u32(board, "srst_delay_ms", false, 0, &delay, reterr);
    if (r < 0) {
        return r;
    }
    if (delay > 10000) {
        return err_set_at(reterr, JF_E_INVAL, "srst_delay_ms", "srst_delay_ms must be from 0 to 10000");
    }
    c.srst_delay_ms = (int)delay;
    *ret_conf = c;
    return 0;
}

JF_PRINTF(2, 3) static int add(struct openocd_argv *a, const char *fmt, ...) {
    if (a->n + 1 >= OPENOCD_MAX_ARGS) {
        return JF_E_TOO_LARGE;
    }
    va_list ap;
    va_start(ap, fmt);
    char *s = NULL;
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return JF_E_NOMEM;
    }
    a->owned[a->n] = s;
    a->argv[a->n] = s;
    a->n++;
    return 0;
}

#define COMMAND(a, ...) (add((a), "-c") < 0 || add((a), __VA_ARGS__) < 0)

static int add_adapter(const struct openocd_conf *c, struct openocd_argv *a) {
    bool bad = add(a, "%s", c->binary) < 0;
    if (c->scripts_dir[0]) {
        bad = bad || add(a, "-s") < 0 || add(a, "%s", c->scripts_dir) < 0;
    }
    bad = bad || COMMAND(a, "gdb_port disabled; telnet_port disabled; tcl_port disabled");
    bad = bad || COMMAND(a, "adapter driver st-link");
    if (c->tcp) {
        bad = bad || COMMAND(a, "st-link backend tcp %d", c->tcp_port);
    }
    char ids[8 * 16] = "";
    for (size_t i = 0; i < c->n_usb_ids; i++) {
        size_t used = strlen(ids);
        (void)snprintf(ids + used, sizeof ids - used, " 0x%04x 0x%04x", c->usb_ids[i].vid, c->usb_ids[i].pid);
    }
    bad = bad || COMMAND(a, "st-link vid_pid%s", ids);
    bad = bad || COMMAND(a, "adapter serial %s", c->serial);
    bad = bad || COMMAND(a, "transport select %s", c->transport);
    bad = bad || COMMAND(a, "source [find %s]", c->target_script);
    bad = bad || COMMAND(a, "reset_config %s", c->reset_config);
    bad = bad || COMMAND(a, "adapter srst delay %d", c->srst_delay_ms);
    bad = bad || COMMAND(a, "init");
    /* In every operation, before it can do harm: `read_memory` answers a Tcl list of one number. */
    bad = bad || COMMAND(a, "echo \"JF-ID [format 0x%%08x [read_memory 0x%08x 32 1]]\"", c->id_address);
    return bad ? JF_E_NOMEM : 0;
}

/* Clears what a debugger leaves behind and resets with no further debug access. C_DEBUGEN and DBGMCU are reset by a
 * power-on only (Arm v7-M ARM C1.6.2, RM0455 DBGMCU), so they must be cleared *before* the reset, and `reset run`, which sets
 * C_DEBUGEN again, cannot be used: AIRCR.SYSRESETREQ is written directly. */
static int add_reset_run(const struct openocd_conf *c, struct openocd_argv *a) {
    bool bad = COMMAND(a, "reset halt");
    bad = bad || COMMAND(a, "poll off");
    for (size_t i = 0; i < c->n_clear; i++) {
        bad = bad || COMMAND(a, "mww 0x%08x 0x%08x", c->clear[i].address, c->clear[i].value);
    }
    bad = bad || COMMAND(a, "mww 0xE000EDFC 0x00000000"); /* DEMCR: no vector catch, no trace */
    bad = bad || COMMAND(a, "mww 0xE000EDF0 0xA05F0000"); /* DHCSR: C_DEBUGEN off */
    bad = bad || COMMAND(a, "mww 0xE000ED0C 0x05FA0004"); /* AIRCR: SYSRESETREQ */
    bad = bad || COMMAND(a, "echo JF-RESET");
    return bad ? JF_E_NOMEM : 0;
}

int openocd_argv_build(const struct openocd_conf *c, enum flash_op op, struct openocd_argv *ret_args) {
    struct openocd_argv *a = ret_args;
    memset(a, 0, sizeof *a);
    bool bad = add_adapter(c, a) < 0;
    switch (op) {
    case FLASH_IDENTIFY:
        break;
    case FLASH_COMPARE:
        bad = bad || COMMAND(a, "reset halt");
        bad = bad || COMMAND(a, "if {[catch {verify_image " OPENOCD_IMAGE "} said]} {echo JF-DIFFERS} else {echo $said}");
        bad = bad || COMMAND(a, "read_memory 0x%08x 32 1; echo JF-ALIVE", c->id_address);
        break;
    case FLASH_WRITE:
        bad = bad || COMMAND(a, "reset halt");
        bad = bad || COMMAND(a, "flash write_image erase " OPENOCD_IMAGE);
        bad = bad || COMMAND(a, "reset halt");
        break;
    case FLASH_VERIFY:
        bad = bad || COMMAND(a, "reset halt");
        bad = bad || COMMAND(a, "verify_image " OPENOCD_IMAGE);
        bad = bad || COMMAND(a, "reset halt");
        break;
    case FLASH_RESET_RUN:
        bad = bad || add_reset_run(c, a) < 0;
        break;
    case FLASH_RESET_HALT:
        bad = bad || COMMAND(a, "reset halt");
        bad = bad || COMMAND(a, "echo JF-RESET");
        break;
    }
    bad = bad || COMMAND(a, "shutdown");
    if (bad) {
        openocd_argv_done(a);
        return JF_E_NOMEM;
    }
    a->argv[a->n] = NULL;
    return 0;
}

void openocd_argv_done(struct openocd_argv *args) {
    for (size_t i = 0; i < args->n; i++) {
        free(args->owned[i]);
    }
    memset(args, 0, sizeof *args);
}
