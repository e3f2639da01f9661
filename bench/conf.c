/* SPDX-License-Identifier: GPL-2.0-or-later
 * Reading bench and job (bench/conf.h). The daemon has checked both; this repeats what the worker relies on. */
#include "bench/conf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const json_t *need(const json_t *obj, const char *key, json_type type, struct err *reterr) {
    const json_t *v = json_object_get(obj, key);
    if (!v || json_typeof(v) != type) {
        (void)err_set_at(reterr, JF_E_INVAL, key, "%s is missing or has the wrong type", key);
        return NULL;
    }
    return v;
}

static const char *text_or(const json_t *obj, const char *key, const char *fallback) {
    const char *s = json_string_value(json_object_get(obj, key));
    return s ? s : fallback;
}

static double number_or(const json_t *obj, const char *key, double fallback) {
    const json_t *v = json_object_get(obj, key);
    double d = json_is_number(v) ? json_number_value(v) : fallback;
    return d;
}

static int parse_supply(const json_t *root, struct bench_conf *c, struct err *reterr) {
    const json_t *s = need(root, "supply", JSON_OBJECT, reterr);
    if (!s) {
        return JF_E_INVAL;
    }
    const char *by = text_or(s, "by", "none");
    if (strcmp(by, "analyzer") != 0 && strcmp(by, "board") != 0 && strcmp(by, "none") != 0) {
        return err_set_at(reterr, JF_E_INVAL, "supply.by", "supply.by must be analyzer, board or none");
    }
    c->supply = by[0] == 'a' ? CONF_SUPPLY_ANALYZER : by[0] == 'b' ? CONF_SUPPLY_BOARD : CONF_SUPPLY_NONE;
    struct measure_supply *m = &c->measure_supply;
    m->voltage_v = number_or(s, "voltage_v", (double)NAN);
    m->tolerance_v = number_or(s, "tolerance_v", (double)NAN);
    if (!(m->voltage_v > 0.5 && m->voltage_v < 30)) {
        return err_set_at(reterr, JF_E_INVAL, "supply.voltage_v", "supply.voltage_v must be from 0.5 to 30");
    }
    if (measure_plane_parse(text_or(s, "plane", "board-pin"), &m->plane) < 0) {
        return err_set_at(reterr, JF_E_INVAL, "supply.plane", "supply.plane is not known");
    }
    const json_t *limits = json_object_get(root, "limits");
    m->v_min = number_or(limits, "v_min", (double)NAN);
    m->v_max = number_or(limits, "v_max", (double)NAN);
    double cap = number_or(c->board, "capacitance_f", (double)NAN);
    double cap_max = number_or(c->board, "capacitance_max_f", (double)NAN);
    m->capacitance = isfinite(cap) ? MEASURE_C_DECLARED : isfinite(cap_max) ? MEASURE_C_MAX : MEASURE_C_UNKNOWN;
    m->capacitance_f = isfinite(cap) ? cap : isfinite(cap_max) ? cap_max : 0.0;
    m->capacitance_tol_rel = number_or(c->board, "capacitance_tolerance", 0.0);
    m->provenance = MEASURE_VOLTAGE_STATED;
    return 0;
}

static int parse_type(struct bench_conf *c, struct err *reterr) {
    const json_t *t = c->board_type;
    const char *start = text_or(t, "start", "probe_reset");
    c->start = strcmp(start, "power_cycle") == 0 ? CONF_START_POWER_CYCLE : CONF_START_PROBE_RESET;
    if (c->start == CONF_START_PROBE_RESET && strcmp(start, "probe_reset") != 0) {
        return err_set_at(reterr, JF_E_INVAL, "board_type.start", "start must be power_cycle or probe_reset");
    }
    if (c->supply != CONF_SUPPLY_ANALYZER) {
        c->start = CONF_START_PROBE_RESET; /* nothing here can switch the supply */
    }
    const json_t *markers = json_object_get(t, "markers");
    const char *scheme = json_is_string(markers) ? json_string_value(markers) : text_or(markers, "scheme", "mlperf");
    scheme = text_or(c->board, "markers", scheme); /* how this unit is wired */
    if (measure_scheme_parse(scheme, &c->scheme) < 0) {
        return err_set_at(reterr, JF_E_INVAL, "board_type.markers", "marker scheme \"%.20s\" is not known", scheme);
    }
    const json_t *clock = json_object_get(t, "clock");
    c->clock_tol_rel = number_or(clock, "tolerance", number_or(t, "clock_tolerance", 0.03));
    c->boot_s = number_or(t, "boot_s", 30.0);
    c->off_current_a = number_or(t, "off_current_a", 500e-6);
    c->idle = text_or(t, "idle", NULL);
    return 0;
}

int bench_conf_parse(const json_t *root, struct bench_conf *ret_c, struct err *reterr) {
    struct bench_conf c = {0};
    const json_t *name = need(root, "name", JSON_STRING, reterr);
    c.board = need(root, "board", JSON_OBJECT, reterr);
    c.board_type = need(root, "board_type", JSON_OBJECT, reterr);
    c.probe = need(root, "probe", JSON_OBJECT, reterr);
    c.analyzer = need(root, "analyzer", JSON_OBJECT, reterr);
    const json_t *uart = need(root, "uart", JSON_OBJECT, reterr);
    if (!name || !c.board || !c.board_type || !c.probe || !c.analyzer || !uart) {
        return JF_E_INVAL;
    }
    c.flash = json_object_get(c.board_type, "flash");
    if (!json_is_object(c.flash)) {
        return err_set_at(reterr, JF_E_INVAL, "board_type.flash", "the board type says nothing about its flash");
    }
    c.name = json_string_value(name);
    c.temperature_c = number_or(root, "temperature_c", (double)NAN);
    c.is_virtual = json_is_true(json_object_get(root, "virtual"));
    c.type_name = text_or(c.board, "type", text_or(c.board_type, "name", "?"));
    c.unit_serial = text_or(c.board, "serial", "");
    c.runner = text_or(c.probe, "runner", "openocd");
    c.driver = text_or(c.analyzer, "driver", "");
    c.logic = json_object_get(root, "logic");
    if (c.logic && !json_is_object(c.logic)) {
        return err_set_at(reterr, JF_E_INVAL, "logic", "logic must be an object");
    }
    c.logic_driver = text_or(c.logic, "driver", "");
    c.sync_line = (int)number_or(c.logic, "sync_line", 0);
    if (c.sync_line < 0 || c.sync_line > 7) {
        return err_set_at(reterr, JF_E_INVAL, "logic.sync_line", "logic.sync_line must be from 0 to 7");
    }
    c.uart_path = text_or(uart, "path", NULL);
    c.uart_backend = text_or(uart, "backend", "auto");
    c.uart_baud = (int)number_or(uart, "baud", 115200);
    c.via_interface = json_is_true(json_object_get(uart, "via_interface"));
    if (!c.uart_path || c.uart_baud < 300 || c.uart_baud > 4000000) {
        return err_set_at(reterr, JF_E_INVAL, "uart", "uart needs a path and a baud rate from 300 to 4000000");
    }
    int r = parse_supply(root, &c, reterr);
    r = r < 0 ? r : parse_type(&c, reterr);
    if (r == 0) {
        *ret_c = c;
    }
    return r;
}

static int parse_values(const json_t *values, struct job_expect *x, struct err *reterr) {
    size_t n = json_array_size(values);
    if (!json_is_array(values) || n == 0 || n > JOB_MAX_VALUES) {
        return err_set_at(reterr, JF_E_INVAL, "expect_output.values", "1 to %d values", JOB_MAX_VALUES);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(values, i);
        if (!json_is_number(v)) {
            return err_set_at(reterr, JF_E_INVAL, "expect_output.values", "value %zu is no number", i);
        }
        x->values[i] = json_number_value(v);
    }
    x->n_values = (int)n;
    x->has_values = true;
    return 0;
}

static int parse_expect(const json_t *e, struct job_expect *x, struct err *reterr) {
    if (!e || json_is_null(e)) {
        return 0;
    }
    const json_t *crc = json_object_get(e, "crc32"), *values = json_object_get(e, "values");
    if (json_is_integer(crc) && json_integer_value(crc) >= 0 && json_integer_value(crc) <= UINT32_MAX) {
        x->has_crc = true;
        x->crc32 = (uint32_t)json_integer_value(crc);
    } else if (json_is_string(crc)) {
        const char *s = json_string_value(crc);
        if (strlen(s) != 8 || strspn(s, "0123456789abcdefABCDEF") != 8) {
            return err_set_at(reterr, JF_E_INVAL, "expect_output.crc32", "eight hexadecimal digits");
        }
        x->has_crc = true;
        x->crc32 = (uint32_t)strtoul(s, NULL, 16);
    } else if (!values) {
        return err_set_at(reterr, JF_E_INVAL, "expect_output", "expect_output needs crc32 or values");
    }
    x->tolerance = number_or(e, "tolerance", 0.0);
    return values ? parse_values(values, x, reterr) : 0;
}

static int whole(const json_t *job, const char *key, int64_t lo, int64_t hi, int64_t fallback, int64_t *ret_v,
                 struct err *reterr) {
    const json_t *v = json_object_get(job, key);
    if (!v || json_is_null(v)) {
        *ret_v = fallback;
        return 0;
    }
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi) {
        return err_set_at(reterr, JF_E_INVAL, key, "%s must be a whole number from %lld to %lld", key, (long long)lo,
                          (long long)hi);
    }
    *ret_v = json_integer_value(v);
    return 0;
}

int job_conf_parse(const json_t *job, struct job_conf *ret_j, struct err *reterr) {
    struct job_conf j = {0};
    if (measure_method_parse(text_or(job, "method", "quick"), &j.method) < 0) {
        return err_set_at(reterr, JF_E_INVAL, "method", "method must be quick or mlperf-tiny");
    }
    int64_t windows = 0, n = 0, warmup = 0;
    int r = whole(job, "windows", 1, MEASURE_MAX_WINDOWS, 5, &windows, reterr);
    r = r < 0 ? r : whole(job, "inferences", 1, 100000000, 0, &n, reterr);
    r = r < 0 ? r : whole(job, "warmup", 0, 1000000, 10, &warmup, reterr);
    r = r < 0 ? r : parse_expect(json_object_get(job, "expect_output"), &j.expect, reterr);
    if (r < 0) {
        return r;
    }
    j.windows = (int)windows;
    j.inferences = (uint32_t)n;
    j.warmup = (uint32_t)warmup;
    j.window_s = number_or(job, "window_s", 0.0);
    j.supply_v = number_or(job, "supply_v", (double)NAN);
    j.rate_hz = number_or(job, "rate_hz", 0.0);
    j.timeout_s = number_or(job, "timeout_s", 0.0);
    if (!(j.window_s >= 0 && j.window_s <= 3600)) {
        return err_set_at(reterr, JF_E_INVAL, "window_s", "window_s must be from 0 to 3600");
    }
    *ret_j = j;
    return 0;
}

double job_window_s(const struct job_conf *j) {
    double least = j->method == MEASURE_METHOD_MLPERF_TINY ? 10.5 : 0.0;
    double asked = j->window_s > 0 ? j->window_s : j->method == MEASURE_METHOD_MLPERF_TINY ? 10.5 : 1.0;
    return asked > least ? asked : least;
}

uint32_t job_min_inferences(const struct job_conf *j) { return j->method == MEASURE_METHOD_MLPERF_TINY ? 10 : 1; }

int job_choose_n(double latency_s, double target_s, uint32_t min_n, uint32_t max_n, uint32_t *ret_n) {
    if (!(latency_s > 0) || !isfinite(latency_s) || !(target_s >= 0) || !isfinite(target_s)) {
        return JF_E_MEASUREMENT;
    }
    double n = ceil(target_s * 1.01 / latency_s); /* 1 %: the calibration may have been a little slow */
    n = n < (double)min_n ? (double)min_n : n;
    *ret_n = n > (double)max_n ? max_n : (uint32_t)n;
    return 0;
}
