/* SPDX-License-Identifier: GPL-2.0-or-later
 * The electrical rig; see rig.h. Owns model, faults, truth, instrument and control socket, opens and closes them in
 * order, and carries out the control socket's commands. One thread. */
#include "sim/rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/control.h"
#include "sim/hmo.h"
#include "sim/logic.h"
#include "sim/ppk2.h"
#include "sim/truth.h"

#define PPK2_LATENCY_NS INT64_C(40000000) /* above the lag that virtual time shows on a busy machine with two cores (3 to 32 ms seen) */

struct rig {
    struct rig_conf conf;
    struct faults *faults;
    struct elec *elec;
    struct truth *truth;
    struct hmo *hmo;
    struct ppk2 *ppk2;
    struct logic *logic;
    struct control *control;
    int64_t lag_ps, slips;
    bool quit;
    void (*status_fn)(void *ctx, json_t *status);
    void *status_ctx;
};

/* --- options --------------------------------------------------------------------------------------------------------- */
void rig_conf_init(struct rig_conf *ret_conf) {
    *ret_conf = (struct rig_conf){.analyzer = RIG_NONE, .scheme = TRUTH_PHASES, .seed = 1, .supply_v = 3.3};
}

enum option_kind { OPT_ANALYZER, OPT_SCHEME, OPT_PATH, OPT_NUMBER, OPT_PORT, OPT_LOGIC_PORT, OPT_SEED };

static const struct option {
    const char *name;
    enum option_kind kind;
    size_t at;
    double min, max;
} options[] = {
    {"--analyzer", OPT_ANALYZER, 0, 0, 0},
    {"--scheme", OPT_SCHEME, 0, 0, 0},
    {"--scope-port", OPT_PORT, 0, 0, 65535},
    {"--logic-port", OPT_LOGIC_PORT, 0, 0, 65535},
    {"--seed", OPT_SEED, 0, 0, 0},
    {"--ppk2-path", OPT_PATH, offsetof(struct rig_conf, ppk2_path), 0, 0},
    {"--truth", OPT_PATH, offsetof(struct rig_conf, truth_path), 0, 0},
    {"--control", OPT_PATH, offsetof(struct rig_conf, control_path), 0, 0},
    {"--supply-v", OPT_NUMBER, offsetof(struct rig_conf, supply_v), 0.5, 5.5},
    {"--shunt-ohm", OPT_NUMBER, offsetof(struct rig_conf, shunt_ohm), 0, 1e4},
    {"--capacitance-f", OPT_NUMBER, offsetof(struct rig_conf, capacitance_f), 0, 1},
};

const char *rig_usage(void) {
    return "  --scope | --ppk2            the instrument (also --analyzer scope|ppk2|none)\n"
           "  --scope-port N              oscilloscope on 127.0.0.1:N, 0: any free port\n"
           "  --ppk2-path PATH            PPK2 on a pty, PATH becomes a symlink to it\n"
           "  --logic                     with a logic analyzer (BeagleLogic over TCP) on the marker lines beside it\n"
           "  --logic-port N              its port on 127.0.0.1, 0: any free port\n"
           "  --truth FILE                write the exact energies as JSON lines\n"
           "  --scheme phases|mlperf      how the truth reads the marker lines (phases)\n"
           "  --control PATH              unix socket: faults, status, profile, truth, quit\n"
           "  --seed N                    of every random draw (1)\n"
           "  --realistic                 instrument errors drawn from their declared distributions\n"
           "  --supply-v V                bench supply of a scope bench (3.3)\n"
           "  --shunt-ohm R               series resistance (0)\n"
           "  --capacitance-f C           capacitance on the DUT side of it (0)\n";
}

static int option_number(const struct option *o, const char *value, double *ret_v, struct err *reterr) {
    char *end;
    double v = strtod(value, &end);
    if (end == value || *end != '\0' || !(v >= o->min && v <= o->max)) {
        return err_set_at(reterr, JF_E_INVAL, o->name, "'%.60s' is not a number between %g and %g", value, o->min, o->max);
    }
    *ret_v = v;
    return 0;
}

static int option_word(const struct option *o, const char *value, const char *const *words, int *ret_k, struct err *reterr) {
    for (int k = 0; words[k]; k++) {
        if (strcmp(words[k], value) == 0) {
            *ret_k = k;
            return 0;
        }
    }
    return err_set_at(reterr, JF_E_INVAL, o->name, "'%.60s' is not one of its words", value);
}

static int option_set(struct rig_conf *c, const struct option *o, const char *value, struct err *reterr) {
    static const char *const analyzers[] = {[RIG_NONE] = "none", [RIG_SCOPE] = "scope", [RIG_PPK2] = "ppk2", NULL};
    static const char *const schemes[] = {[TRUTH_PHASES] = "phases", [TRUTH_MLPERF] = "mlperf", NULL};
    int rc = 0;
    int k = 0;
    double v = 0.0;
    char *end;
    switch (o->kind) {
    case OPT_ANALYZER:
        rc = option_word(o, value, analyzers, &k, reterr);
        c->analyzer = rc < 0 ? c->analyzer : (enum rig_analyzer)k;
        return rc;
    case OPT_SCHEME:
        rc = option_word(o, value, schemes, &k, reterr);
        c->scheme = rc < 0 ? c->scheme : k;
        return rc;
    case OPT_PATH:
        if (strlen(value) >= RIG_PATH_MAX || !value[0]) {
            return err_set_at(reterr, JF_E_INVAL, o->name, "the path is empty or too long");
        }
        memcpy((char *)c + o->at, value, strlen(value) + 1);
        c->analyzer = o->at == offsetof(struct rig_conf, ppk2_path) ? RIG_PPK2 : c->analyzer;
        return 0;
    case OPT_NUMBER:
        return option_number(o, value, (double *)(void *)((char *)c + o->at), reterr);
    case OPT_PORT:
    case OPT_LOGIC_PORT:
        rc = option_number(o, value, &v, reterr);
        if (rc == 0 && v != floor(v)) {
            return err_set_at(reterr, JF_E_INVAL, o->name, "must be a whole number");
        }
        if (o->kind == OPT_LOGIC_PORT) {
            c->logic_port = rc < 0 ? c->logic_port : (int)v;
            c->logic = c->logic || rc == 0;
            return rc;
        }
        c->scope_port = rc < 0 ? c->scope_port : (int)v;
        c->analyzer = rc < 0 ? c->analyzer : RIG_SCOPE;
        return rc;
    case OPT_SEED:
        c->seed = strtoull(value, &end, 0);
        return end == value || *end ? err_set_at(reterr, JF_E_INVAL, o->name, "must be a whole number") : 0;
    }
    return JF_E_BUG;
}

int rig_conf_option(struct rig_conf *c, const char *name, const char *value, struct err *reterr) {
    if (strcmp(name, "--realistic") == 0) {
        c->realistic = true;
        return 1;
    }
    if (strcmp(name, "--logic") == 0) {
        c->logic = true;
        return 1;
    }
    if (strcmp(name, "--scope") == 0 || strcmp(name, "--ppk2") == 0) {
        c->analyzer = name[2] == 's' ? RIG_SCOPE : RIG_PPK2;
        return 1;
    }
    for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
        if (strcmp(options[k].name, name) == 0) {
            if (!value) {
                return err_set_at(reterr, JF_E_INVAL, name, "needs a value");
            }
            int rc = option_set(c, &options[k], value, reterr);
            return rc < 0 ? rc : 2;
        }
    }
    return 0;
}

/* --- control --------------------------------------------------------------------------------------------------------- */
static struct profile *profile_of(struct rig *r, enum profile_kind *ret_kind) {
    *ret_kind = r->ppk2 ? PROFILE_PPK2 : PROFILE_SCOPE;
    return r->ppk2 ? ppk2_profile(r->ppk2) : r->hmo ? hmo_profile(r->hmo) : NULL;
}

static json_t *bad(const char *where, const char *text) {
    struct err e = {0};
    err_set_at(&e, JF_E_INVAL, where, "%s", text);
    return control_error(&e);
}

static json_t *do_fault(struct rig *r, const json_t *q) {
    const char *name = json_string_value(json_object_get(q, "name"));
    const json_t *on = json_object_get(q, "on");
    struct err e = {0};
    if (!name) {
        return bad("name", "must be a string");
    }
    if (on && !json_is_boolean(on)) {
        return bad("on", "must be true or false");
    }
    if (faults_set(r->faults, name, !on || json_is_true(on), json_object_get(q, "params"), &e) < 0) {
        return control_error(&e);
    }
    return json_pack("{s:b, s:s}", "ok", 1, "name", name);
}

static json_t *do_status(struct rig *r) {
    int64_t now = elec_now_ps(r->elec);
    int64_t from = now > ELEC_PS_PER_S / 100 ? now - ELEC_PS_PER_S / 100 : 0;
    json_t *o = json_pack("{s:b, s:f, s:f, s:I, s:b, s:f, s:i, s:i, s:f, s:I}", "ok", 1, "virtual_s",
                          (double)now / (double)ELEC_PS_PER_S, "lag_s", (double)r->lag_ps / (double)ELEC_PS_PER_S, "slips",
                          (json_int_t)r->slips, "supply_on", elec_supply_on(r->elec), "supply_v", elec_supply_v(r->elec),
                          "markers", elec_markers_true(r->elec), "wires", elec_markers_at(r->elec, now), "current_a",
                          elec_current_mean_a(r->elec, from, now), "windows", (json_int_t)truth_windows(r->truth));
    if (o) {
        json_object_set_new(o, "window_open", json_boolean(truth_window_open(r->truth)));
        json_object_set_new(o, "window_s", json_real(truth_window_s(r->truth)));
    }
    if (o && r->ppk2) {
        json_object_set_new(o, "ppk2_dropped", json_integer((json_int_t)ppk2_dropped(r->ppk2)));
        json_object_set_new(o, "ppk2_tty", json_string(ppk2_tty(r->ppk2)));
        json_object_set_new(o, "ppk2_origin_s", json_real(ppk2_origin_s(r->ppk2)));
    }
    if (o && r->logic) {
        json_object_set_new(o, "logic", logic_json(r->logic));
    }
    if (o && r->hmo) {
        json_object_set_new(o, "scope_port", json_integer(hmo_port(r->hmo)));
    }
    if (o && r->status_fn) {
        r->status_fn(r->status_ctx, o);
    }
    return o;
}

static json_t *do_profile(struct rig *r, const json_t *q) {
    enum profile_kind kind;
    struct profile *p = profile_of(r, &kind);
    const json_t *set = json_object_get(q, "set");
    const json_t *draw = json_object_get(q, "draw");
    struct err e = {0};
    if (!p) {
        return bad("cmd", "this bench has no instrument");
    }
    if (draw && (!json_is_integer(draw) || json_integer_value(draw) < 0)) {
        return bad("draw", "must be a seed: a whole number");
    }
    if (draw) {
        profile_draw(p, kind, (uint64_t)json_integer_value(draw));
    }
    if (json_is_true(json_object_get(q, "ideal"))) {
        profile_ideal(p);
    }
    if (set && profile_set(p, set, &e) < 0) {
        return control_error(&e);
    }
    return json_pack("{s:b, s:s, s:o, s:o}", "ok", 1, "instrument", kind == PROFILE_PPK2 ? "ppk2" : "scope", "profile",
                     profile_json(p), "declared", profile_spec(kind));
}

static json_t *do_logic(struct rig *r, const json_t *q) {
    const json_t *set = json_object_get(q, "set");
    struct err e = {0};
    if (!r->logic) {
        return bad("cmd", "this bench has no logic analyzer");
    }
    if (set && logic_set(r->logic, set, &e) < 0) {
        return control_error(&e);
    }
    return json_pack("{s:b, s:o}", "ok", 1, "logic", logic_json(r->logic));
}

static json_t *rig_command(void *ctx, const json_t *q) {
    struct rig *r = ctx;
    const char *cmd = json_string_value(json_object_get(q, "cmd"));
    if (!cmd) {
        return bad("cmd", "must be a string");
    }
    if (strcmp(cmd, "fault") == 0) {
        return do_fault(r, q);
    }
    if (strcmp(cmd, "faults") == 0) {
        return json_pack("{s:b, s:o}", "ok", 1, "faults", faults_list(r->faults));
    }
    if (strcmp(cmd, "status") == 0) {
        return do_status(r);
    }
    if (strcmp(cmd, "profile") == 0) {
        return do_profile(r, q);
    }
    if (strcmp(cmd, "logic") == 0) {
        return do_logic(r, q);
    }
    if (strcmp(cmd, "truth") == 0) {
        truth_snapshot(r->truth);
        return json_pack("{s:b, s:s, s:I}", "ok", 1, "path", r->conf.truth_path, "windows", (json_int_t)truth_windows(r->truth));
    }
    if (strcmp(cmd, "quit") == 0) {
        r->quit = true;
        return json_pack("{s:b}", "ok", 1);
    }
    return bad("cmd", "one of fault, faults, status, profile, logic, truth, quit");
}

/* --- life ------------------------------------------------------------------------------------------------------------- */
static int open_logic(struct rig *r, struct err *reterr) {
    const struct rig_conf *c = &r->conf;
    struct logic_conf lc = {.port = c->logic_port, .seed = c->seed, .elec = r->elec, .faults = r->faults};
    return c->logic ? logic_open(&lc, &r->logic, reterr) : 0;
}

static int open_instrument(struct rig *r, struct err *reterr) {
    const struct rig_conf *c = &r->conf;
    struct profile p;
    profile_ideal(&p);
    if (c->analyzer == RIG_SCOPE) {
        if (c->realistic) {
            profile_draw(&p, PROFILE_SCOPE, c->seed);
        }
        struct hmo_conf hc = {.port = c->scope_port, .seed = c->seed, .elec = r->elec, .faults = r->faults};
        return hmo_open(&hc, &p, &r->hmo, reterr);
    }
    if (c->analyzer == RIG_PPK2) {
        if (c->realistic) {
            profile_draw(&p, PROFILE_PPK2, c->seed);
        }
        struct ppk2_conf pc = {.path = c->ppk2_path[0] ? c->ppk2_path : NULL, .seed = c->seed, .external_v = c->supply_v,
                               .burden = c->capacitance_f > 0.0, .latency_ns = PPK2_LATENCY_NS, .clock = clock_system(), .elec = r->elec, .faults = r->faults};
        return ppk2_open(&pc, &p, &r->ppk2, reterr);
    }
    return 0;
}

int rig_open(const struct rig_conf *c, struct rig **ret_rig, struct err *reterr) {
    struct rig *r = calloc(1, sizeof *r);
    if (!r) {
        return err_set(reterr, JF_E_NOMEM, "rig");
    }
    r->conf = *c;
    int rc = faults_new(&r->faults, reterr);
    if (rc == 0) {
        struct elec_conf ec = {.supply_v = c->supply_v, .supply_on = c->analyzer != RIG_PPK2, .shunt_ohm = c->shunt_ohm,
                               .capacitance_f = c->capacitance_f, .faults = r->faults};
        rc = elec_new(&ec, &r->elec, reterr);
    }
    if (rc == 0) {
        rc = truth_open(c->truth_path, (enum truth_scheme)c->scheme, r->elec, &r->truth, reterr);
    }
    if (rc == 0) {
        rc = open_instrument(r, reterr);
    }
    if (rc == 0) {
        rc = open_logic(r, reterr);
    }
    if (rc == 0 && c->control_path[0]) {
        rc = control_open(c->control_path, rig_command, r, &r->control, reterr);
    }
    if (rc < 0) {
        rig_close(r);
        return rc;
    }
    *ret_rig = r;
    return 0;
}

int rig_fronts(struct rig *r, struct front *out, int cap) {
    int n = 0;
    if (r->hmo && n < cap) {
        out[n++] = hmo_front(r->hmo);
    }
    if (r->ppk2 && n < cap) {
        out[n++] = ppk2_front(r->ppk2);
    }
    if (r->logic && n < cap) {
        out[n++] = logic_front(r->logic);
    }
    if (r->control && n < cap) {
        out[n++] = control_front(r->control);
    }
    return n;
}

void rig_close(struct rig *r) {
    if (!r) {
        return;
    }
    struct front fronts[RIG_MAX_FRONTS];
    int n = rig_fronts(r, fronts, RIG_MAX_FRONTS);
    for (int k = 0; k < n; k++) {
        fronts[k].ops->done(fronts[k].self);
    }
    truth_close(r->truth);
    elec_free(r->elec);
    faults_free(r->faults);
    free(r);
}

struct elec *rig_elec(struct rig *r) { return r->elec; }
struct faults *rig_faults(struct rig *r) { return r->faults; }
int rig_scope_port(const struct rig *r) { return r->hmo ? hmo_port(r->hmo) : 0; }
int rig_logic_port(const struct rig *r) { return r->logic ? logic_port(r->logic) : 0; }
bool rig_quit_asked(const struct rig *r) { return r->quit; }

void rig_pace(struct rig *r, int64_t lag_ps, int64_t slips) {
    if (r->ppk2 && slips != r->slips) {
        ppk2_slipped(r->ppk2);
    }
    r->lag_ps = lag_ps;
    r->slips = slips;
}

void rig_status_hook(struct rig *r, void (*fn)(void *ctx, json_t *status), void *ctx) {
    r->status_fn = fn;
    r->status_ctx = ctx;
}
