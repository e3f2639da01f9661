/* SPDX-License-Identifier: GPL-2.0-or-later
 * Stages analyse and store: the capture's description completed, trace closed and analysed by its thread, result file
 * with provenance written and offered to the daemon. */
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/attempt.h"
#include "bench/calibration.h"
#include "measure/trace/result_json.h"

#define ANALYSE_MS 100000
#define ACK_MS 60000

static void put(json_t *obj, const char *key, json_t *value) {
    (void)json_object_set_new(obj, key, value ? value : json_null());
}

static void put_text(json_t *obj, const char *key, const char *s) {
    put(obj, key, s && s[0] ? json_string(s) : json_null());
}

static void put_real(json_t *obj, const char *key, double v) {
    put(obj, key, isfinite(v) ? json_real(v) : json_null());
}

static void put_time(json_t *obj, const char *key, int64_t wall_ns) {
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(wall_ns, text);
    put_text(obj, key, text);
}

static void copy_text(char *dst, size_t size, const char *src) { (void)snprintf(dst, size, "%s", src ? src : ""); }

void attempt_instrument(const struct power_info *p, struct measure_instrument *m) {
    copy_text(m->driver, sizeof m->driver, p->driver);
    copy_text(m->model, sizeof m->model, p->model);
    copy_text(m->serial, sizeof m->serial, p->serial);
    copy_text(m->firmware, sizeof m->firmware, p->firmware);
    m->block = p->shape == POWER_BLOCK;
    m->period_s = p->rate_hz > 0 ? 1.0 / p->rate_hz : 0.0;
    m->marker_phase = p->marker_phase;
    m->n_markers = p->n_markers;
    m->n_ranges = p->n_ranges;
    for (int i = 0; i < p->n_ranges && i < MEASURE_MAX_RANGES; i++) {
        const struct power_range *r = &p->ranges[i];
        m->ranges[i] = (struct measure_range){.from_a = r->from_a,
                                              .to_a = r->to_a,
                                              .gain_rel = r->gain_rel,
                                              .offset_a = r->offset_a,
                                              .resolution_a = r->resolution_a,
                                              .shunt_ohm = r->shunt_ohm,
                                              .gain_corr_rel = r->gain_corr_rel,
                                              .offset_corr_a = r->offset_corr_a,
                                              .kind = (enum measure_spec)r->kind};
    }
    m->shared_reference = p->range_shared_reference;
    m->voltage_gain_rel = p->voltage_gain_rel;
    m->voltage_offset_v = p->voltage_offset_v;
    m->voltage_kind = (enum measure_spec)p->voltage_kind;
    m->clock_ppm = p->clock_ppm;
    copy_text(m->spec_source, sizeof m->spec_source, p->spec_source);
}

static int fill_capture(struct attempt *a, struct err *reterr) {
    const struct bench_conf *c = &a->w->conf;
    attempt_instrument(&a->info, &a->cap->instrument);
    if (a->second) {
        a->cap->instrument.n_markers = a->second_info.n_markers; /* who delivers the markers decides */
    }
    struct capture_view v = {0};
    capture_get_view(a->capture, &v);
    if (v.period_s > 0) {
        a->cap->instrument.period_s = v.period_s; /* as the blocks say */
    }
    int r = calibration_apply(c->analyzer, clock_wall_ns(a->w->clock), &a->cap->instrument, reterr);
    if (r < 0) {
        return attempt_blame(a, "analyzer", r);
    }
    a->cap->supply = c->measure_supply;
    a->cap->supply.voltage_v = a->supply_v;
    a->cap->supply.provenance = a->info.caps & POWER_CAP_VOLTAGE    ? MEASURE_VOLTAGE_MEASURED
                                : c->supply == CONF_SUPPLY_ANALYZER ? MEASURE_VOLTAGE_SET
                                                                    : MEASURE_VOLTAGE_STATED;
    a->cap->scheme = c->scheme;
    a->cap->method = a->job.method;
    a->cap->clock_tol_rel = c->clock_tol_rel;
    a->cap->temperature_c = c->temperature_c;
    if (c->unit_serial[0]) {
        (void)snprintf(a->cap->device.unit, sizeof a->cap->device.unit, "%s %s", c->type_name, c->unit_serial);
    }
    a->cfg.min_windows = 0;
    return 0;
}

/* A PPK2 goes on streaming until told: the stop is part of the analysis' time, not of the capture's. */
static int stop_capture(struct attempt *a, struct err *reterr) {
    if (!a->streaming_started) {
        return second_stop(a, reterr);
    }
    struct capture_request q = {.op = CAPTURE_STOP};
    struct capture_reply rep;
    int r = attempt_capture(a, &q, 10000, &rep, reterr);
    a->streaming_started = false;
    return r < 0 ? r : second_stop(a, reterr);
}

int stage_analyse(struct attempt *a, struct err *reterr) {
    attempt_progress(a, -1, "analysing");
    int r = stop_capture(a, reterr);
    if (r < 0) {
        return r;
    }
    r = fill_capture(a, reterr);
    if (r < 0) {
        return r;
    }
    tracer_finish(a->tracer, a->cap, &a->cfg);
    ring_close(a->ring);
    int64_t until = clock_mono_ns(a->w->clock) + ANALYSE_MS * CLOCK_NS_PER_MS;
    while (!tracer_ended(a->tracer)) {
        if (clock_mono_ns(a->w->clock) >= until) {
            return attempt_blame(a, "host", err_set(reterr, JF_E_TIMEOUT, "the analysis did not end"));
        }
        r = attempt_wait(a, until, reterr);
        if (r < 0) {
            return r;
        }
    }
    const struct measure_result *res;
    r = tracer_result(a->tracer, &a->trace, &res, reterr);
    if (r < 0) {
        return attempt_blame(a, r == JF_E_STALLED ? "analyzer" : "host", r);
    }
    a->has_trace = true;
    attempt_log(a, "worker", "verdict %s, %d of %d windows usable, %.6g J per inference, %.6g s",
                measure_verdict_name(res->verdict), res->n_usable, res->n_windows, res->energy.median,
                res->latency.median);
    return 0;
}

static json_t *board_json(const struct attempt *a) {
    const struct dut_about *b = &a->dut.about;
    json_t *o = json_object();
    put_text(o, "type", a->w->conf.type_name);
    put_text(o, "serial", a->w->conf.unit_serial);
    char id[16];
    (void)snprintf(id, sizeof id, "0x%08x", a->identity.chip_id);
    put_text(o, "chip_id", a->identified ? id : NULL);
    put_text(o, "probe_serial", a->identity.probe_serial);
    put_text(o, "name", b->name);
    put_text(o, "model_id", b->model);
    put_real(o, "core_hz", b->core_hz > 0 ? b->core_hz : (double)NAN);
    put_text(o, "idle_state", b->idle);
    put_text(o, "reset_cause", b->reset_cause);
    put_real(o, "target_v", a->identified ? a->identity.target_v : (double)NAN);
    put(o, "virtual", json_boolean(a->w->conf.is_virtual));
    return o;
}

static json_t *analyzer_json(const struct attempt *a) {
    const struct power_info *p = &a->info;
    json_t *o = json_object();
    put_text(o, "driver", p->driver);
    put_text(o, "model", p->model);
    put_text(o, "serial", p->serial);
    put_text(o, "firmware", p->firmware);
    put_text(o, "maturity", power_maturity_name(p->maturity));
    put_text(o, "shape", p->shape == POWER_BLOCK ? "block" : "streaming");
    put_real(o, "rate_asked_hz", a->job.rate_hz > 0 ? a->job.rate_hz : (double)NAN);
    put_real(o, "rate_hz", p->rate_hz);
    put_text(o, "spec_source", a->cap->instrument.spec_source);
    put_text(o, "calibration", a->cap->instrument.calibration);
    put(o, "calibration_expired", json_boolean(a->cap->instrument.calibration_expired));
    return o;
}

static json_t *sha256_of_json(const json_t *j) {
    char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text) {
        return NULL;
    }
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof digest + 1];
    (void)crypto_hash_sha256(digest, (const unsigned char *)text, strlen(text));
    (void)sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    free(text);
    return json_string(hex);
}

static json_t *provenance_json(const struct attempt *a) {
    const struct bench_conf *c = &a->w->conf;
    const struct dut_about *b = &a->dut.about;
    json_t *o = json_object();
    put_text(o, "firmware", a->firmware_id);
    put_text(o, "build_id", b->build_id);
    put_text(o, "model_sha256", b->model_sha256);
    put_text(o, "numerics", b->numerics);
    json_t *inputs = json_array();
    for (int i = 0; i < a->n_inputs; i++) {
        (void)json_array_append_new(inputs, json_string(a->inputs[i].id));
    }
    if (a->n_inputs == 0) {
        (void)json_array_append_new(inputs, json_string("embedded"));
    }
    put(o, "inputs", inputs);
    put(o, "configuration_sha256", sha256_of_json(a->w->root));
    put_text(o, "bench", c->name);
    put_text(o, "board_type", c->type_name);
    put_text(o, "board_serial", c->unit_serial);
    put_text(o, "marker_scheme", measure_scheme_name(c->scheme));
    put_text(o, "start",
             c->start == CONF_START_POWER_CYCLE && a->info.shape == POWER_STREAMING ? "power_cycle" : "probe_reset");
    put(o, "flash_skipped", json_boolean(a->flash_skipped));
    put(o, "inferences_per_window", json_integer(a->n));
    put(o, "warmup", json_integer(a->job.warmup));
    put_real(o, "init_s", b->init_reported ? b->init_s : (double)NAN);
    put_text(o, "init_when", b->init_when);
    put_text(o, "reference_plane", measure_plane_name(a->cap->supply.plane));
    put_text(o, "uart_backend", a->dut.port ? serial_backend_name(a->dut.port) : NULL);
    json_t *tools = version_libraries();
    if (tools) {
        put_text(tools, "jf-bench", JF_VERSION);
        put_text(tools, a->identity.runner[0] ? a->identity.runner : "openocd", a->identity.runner_version);
    }
    put(o, "tools", tools);
    put_time(o, "started", a->started_wall_ns);
    put_time(o, "run_from", a->run_from_wall_ns);
    put_time(o, "run_to", a->run_to_wall_ns);
    put_real(o, "temperature_c", c->temperature_c);
    return o;
}

static json_t *memory_json(const struct attempt *a) {
    const json_t *fw = json_object_get(a->request, "firmware");
    json_t *o = json_object();
    put(o, "flash_bytes", json_incref(json_object_get(fw, "flash_bytes")));
    put(o, "ram_bytes", json_incref(json_object_get(fw, "ram_bytes")));
    return o;
}

static json_t *result_json(const struct attempt *a, const struct measure_result *res) {
    json_t *r = measure_result_json(a->cap, res);
    json_t *windows = measure_windows_json(res);
    json_t *o = json_object();
    if (!r || !windows || !o) {
        json_decref(r);
        json_decref(windows);
        json_decref(o);
        return NULL;
    }
    put(r, "board", board_json(a));
    put(r, "analyzer", analyzer_json(a));
    put(r, "logic", second_json(a));
    put(r, "memory", memory_json(a));
    put(r, "provenance", provenance_json(a));
    put_text(o, "attempt", a->id);
    put(o, "epoch", json_integer((json_int_t)a->epoch));
    put(o, "job", json_deep_copy(json_object_get(a->request, "job")));
    put(o, "result", r);
    put(o, "windows", windows);
    char path[SPOOL_PATH_MAX];
    if (a->has_trace && spool_path(&a->spool, "trace.jft", path) == 0) {
        put(o, "trace",
            json_pack("{s:s, s:s, s:I, s:f}", "path", path, "sha256", a->trace.sha256, "size",
                      (json_int_t)a->trace.size, "duration_s", a->trace.duration_s));
    } else {
        put(o, "trace", json_null());
    }
    return o;
}

static int offer_result(struct attempt *a, size_t size, const char *sha256, struct err *reterr) {
    char path[SPOOL_PATH_MAX];
    json_t *m = attempt_message(a, "result");
    int r = spool_path(&a->spool, "result.json", path);
    if (!m || r < 0) {
        json_decref(m);
        return err_set(reterr, JF_E_NOMEM, "no memory for the result message");
    }
    put_text(m, "path", path);
    put(m, "size", json_integer((json_int_t)size));
    put_text(m, "sha256", sha256);
    r = msg_send(&a->w->link, m, MSG_WAIT_MS, reterr);
    if (r < 0) {
        return attempt_blame(a, "host", r);
    }
    a->result_sent = true;
    int64_t until = clock_mono_ns(a->w->clock) + ACK_MS * CLOCK_NS_PER_MS;
    while (a->w->link.fd >= 0 && !a->acked) {
        if (clock_mono_ns(a->w->clock) >= until) {
            /* The file is complete and will be adopted; waiting longer would only hold the bench. */
            attempt_log(a, "worker", "the daemon did not acknowledge the result within %d s", ACK_MS / 1000);
            return 0;
        }
        r = attempt_wait(a, until, reterr);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int stage_store(struct attempt *a, struct err *reterr) {
    const struct measure_result *res;
    struct trace_summary sum;
    int r = tracer_result(a->tracer, &sum, &res, reterr);
    if (r < 0) {
        return r;
    }
    a->result = result_json(a, res);
    if (!a->result) {
        return err_set(reterr, JF_E_NOMEM, "the result could not be put into words");
    }
    size_t size;
    char sha256[65];
    r = spool_write_json(&a->spool, "result.json", a->result, &size, sha256, reterr); /* A3 */
    if (r < 0) {
        return attempt_blame(a, "host", r);
    }
    a->result_stored = true;
    r = attempt_barrier(a, "stored", reterr);
    return r < 0 ? r : offer_result(a, size, sha256, reterr);
}
