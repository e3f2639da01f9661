/* SPDX-License-Identifier: GPL-2.0-or-later
 * The analyzer's configuration object as a struct (keys: sigrok.h). Copies what outlives opening. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drivers/power/sigrok/sk.h"

static int copy_text(const json_t *json, const char *key, char *dst, size_t cap, bool required, struct err *reterr) {
    const char *s = NULL;
    int r = power_conf_string(json, key, "", &s, reterr);
    if (r < 0) {
        return r;
    }
    if (required && !*s) {
        return err_set_at(reterr, JF_E_INVAL, key, "is required");
    }
    int n = snprintf(dst, cap, "%s", s);
    return n >= 0 && (size_t)n < cap ? 0 : err_set_at(reterr, JF_E_INVAL, key, "is longer than %zu characters", cap - 1);
}

static int read_channel(const json_t *mapping, const char *key, struct sk_channel *ret_c, struct err *reterr) {
    struct sk_channel c = {.scale = 1};
    const json_t *o = json_object_get(mapping, key);
    if (!o || json_is_null(o)) {
        *ret_c = c;
        return 0;
    }
    if (!json_is_object(o)) {
        return err_set_at(reterr, JF_E_INVAL, "mapping", "'%s' must be an object with channel, scale, offset", key);
    }
    int r = copy_text(o, "channel", c.name, sizeof c.name, true, reterr);
    r = r < 0 ? r : power_conf_number(o, "scale", 1, -1e12, 1e12, &c.scale, reterr);
    r = r < 0 ? r : power_conf_number(o, "offset", 0, -1e6, 1e6, &c.offset, reterr);
    if (r < 0) {
        return r;
    }
    if (fabs(c.scale) <= 0) {
        return err_set_at(reterr, JF_E_INVAL, "mapping", "a scale of 0 for '%s' makes no sense", key);
    }
    c.used = true;
    c.scale_given = json_object_get(o, "scale") != NULL;
    *ret_c = c;
    return 0;
}

static int read_markers(struct sk_conf *c, struct err *reterr) {
    const char *names[POWER_MAX_MARKERS];
    int r = power_conf_markers(c->json, names, &c->n_markers, reterr);
    if (r < 0) {
        return r;
    }
    c->n_markers = c->n_markers < 0 ? 0 : c->n_markers;
    for (int i = 0; i < c->n_markers; i++) {
        if (strlen(names[i]) >= SK_NAME) {
            return err_set_at(reterr, JF_E_INVAL, "mapping.markers", "'%s' is too long for a channel name", names[i]);
        }
        (void)snprintf(c->markers[i], SK_NAME, "%s", names[i]);
    }
    return 0;
}

int sk_conf_read(const json_t *json, struct sk_conf *ret_c, struct err *reterr) {
    struct sk_conf c = {.json = json};
    const json_t *mapping = json_object_get(json, "mapping");
    char arm[16];
    double stall_ms = 0, trigger_ms = 0;
    int r = copy_text(json, "sigrok_driver", c.driver, sizeof c.driver, true, reterr);
    r = r < 0 ? r : copy_text(json, "conn", c.conn, sizeof c.conn, false, reterr);
    r = r < 0 ? r : copy_text(json, "serialcomm", c.serialcomm, sizeof c.serialcomm, false, reterr);
    r = r < 0 ? r : copy_text(json, "serial", c.serial, sizeof c.serial, false, reterr);
    r = r < 0 ? r : copy_text(json, "arm", arm, sizeof arm, false, reterr);
    r = r < 0 ? r : read_channel(mapping, "current", &c.current, reterr);
    r = r < 0 ? r : read_channel(mapping, "voltage", &c.voltage, reterr);
    r = r < 0 ? r : read_markers(&c, reterr);
    r = r < 0 ? r : power_conf_accuracy(json, &c.acc, reterr);
    r = r < 0 ? r : power_conf_number(json, "current_range_a", 0, 0, 1e4, &c.current_range_a, reterr);
    r = r < 0 ? r : power_conf_number(json, "resolution_a", 0, 0, 1e3, &c.resolution_a, reterr);
    r = r < 0 ? r : power_conf_number(json, "shunt_ohm", 0, 0, 1e6, &c.shunt_ohm, reterr);
    r = r < 0 ? r : power_conf_number(json, "clock_ppm", 50, 0, 1e5, &c.clock_ppm, reterr);
    r = r < 0 ? r : power_conf_number(json, "marker_phase", -1, -1, 1, &c.marker_phase, reterr);
    r = r < 0 ? r : power_conf_number(json, "stall_ms", 2000, 100, 60000, &stall_ms, reterr);
    r = r < 0 ? r : power_conf_number(json, "trigger_timeout_ms", 0, 0, 1e8, &trigger_ms, reterr);
    if (r < 0) {
        return r;
    }
    c.arm_scpi = strcmp(arm, "scpi") == 0;
    if (arm[0] && !c.arm_scpi) {
        return err_set_at(reterr, JF_E_INVAL, "arm", "must be scpi, or left out for an instrument that streams");
    }
    c.markers_only = !c.current.used && !c.voltage.used && c.n_markers > 0 && !c.arm_scpi;
    if (!c.current.used && !c.markers_only) {
        return err_set_at(reterr, JF_E_INVAL, "mapping.current",
                          "is required: which channel carries the current; only a logic analyzer that streams does without it, with mapping.markers alone");
    }
    r = c.arm_scpi ? scpi_conn(c.conn, &c.scpi, reterr) : 0;
    if (!c.arm_scpi && strncmp(c.conn, "tcp-raw/", 8) == 0) {
        r = scpi_conn(c.conn, &c.scpi, reterr);
    }
    if (r < 0) {
        return r;
    }
    (void)snprintf(c.acc_source, sizeof c.acc_source, "%s", c.acc.source ? c.acc.source : "the bench's configuration");
    c.acc.source = NULL;
    c.stall_ms = (int)stall_ms;
    c.trigger_timeout_ms = (int)trigger_ms;
    *ret_c = c;
    return 0;
}
