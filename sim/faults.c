/* SPDX-License-Identifier: GPL-2.0-or-later
 * The fault registry; see faults.h and faults.def (the table). Owns switches, parameters and counters; knows nothing
 * of effects. One thread. */
#include "sim/faults.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 4

struct param_def {
    enum fault_id id;
    const char *name;
    double def, min, max;
};
static const struct param_def param_defs[] = {
#define P(sym, name, def, min, max) {sym, name, def, min, max},
#include "sim/faults.def"
};
#define N_PARAM_DEFS (sizeof param_defs / sizeof param_defs[0])

static const double default_count[FAULT_IDS] = {
#define C(sym, count) [sym] = (count),
#include "sim/faults.def"
};

static const struct {
    const char *name, *who, *text;
} fault_defs[FAULT_IDS] = {
#define X(sym, name, who, text) [sym] = {name, who, text},
#include "sim/faults.def"
};

struct fault {
    bool on;
    double after, count; /* as set; count 0: unbounded */
    double passed, done; /* since set */
    uint64_t opportunities, effects; /* since start */
    double value[PARAMS_MAX];
};

struct faults {
    struct fault fault[FAULT_IDS];
};

/* The k-th parameter of a fault, NULL after the last. */
static const struct param_def *param_nth(enum fault_id id, int k) {
    for (size_t n = 0; n < N_PARAM_DEFS; n++) {
        if (param_defs[n].id == id && k-- == 0) {
            return &param_defs[n];
        }
    }
    return NULL;
}

static void params_default(struct fault *x, enum fault_id id) {
    const struct param_def *d;
    x->count = default_count[id];
    for (int k = 0; k < PARAMS_MAX && (d = param_nth(id, k)); k++) {
        x->value[k] = d->def;
    }
}

int faults_new(struct faults **ret_faults, struct err *reterr) {
    struct faults *f = calloc(1, sizeof *f);
    if (!f) {
        return err_set(reterr, JF_E_NOMEM, "fault registry");
    }
    for (int id = 0; id < FAULT_IDS; id++) {
        params_default(&f->fault[id], (enum fault_id)id);
    }
    *ret_faults = f;
    return 0;
}

void faults_free(struct faults *f) { free(f); }

const char *fault_name(enum fault_id id) { return fault_defs[id].name; }

bool fault_on(const struct faults *f, enum fault_id id) {
    const struct fault *x = &f->fault[id];
    return x->on && x->passed >= x->after;
}

bool fault_fires(struct faults *f, enum fault_id id) {
    struct fault *x = &f->fault[id];
    if (!x->on) {
        return false;
    }
    x->opportunities++;
    if (x->passed < x->after) {
        x->passed += 1.0;
        return false;
    }
    x->effects++;
    x->done += 1.0;
    if (x->count > 0.0 && x->done >= x->count) {
        x->on = false;
    }
    return true;
}

double fault_param(const struct faults *f, enum fault_id id, const char *name) {
    const struct param_def *d = NULL;
    for (int k = 0; k < PARAMS_MAX && (d = param_nth(id, k)); k++) {
        if (strcmp(d->name, name) == 0) {
            return f->fault[id].value[k];
        }
    }
    abort(); /* a programmer's error: no such parameter */
}

/* Finds where the number called name of fault id is stored, with its bounds; NULL: no such parameter. *ret_scale: what
 * the number is to be multiplied with (a duration given in milliseconds). */
static double *param_slot(struct fault *x, enum fault_id id, const char *name, double *ret_min, double *ret_max, double *ret_scale) {
    *ret_scale = strcmp(name, "ms") == 0 ? 1e-3 : 1.0;
    name = strcmp(name, "ms") == 0 ? "s" : name;
    if (strcmp(name, "after") == 0 || strcmp(name, "count") == 0) {
        *ret_min = 0.0;
        *ret_max = 1e15;
        return name[0] == 'a' ? &x->after : &x->count;
    }
    const struct param_def *d;
    for (int k = 0; k < PARAMS_MAX && (d = param_nth(id, k)); k++) {
        if (strcmp(d->name, name) == 0) {
            *ret_min = d->min;
            *ret_max = d->max;
            return &x->value[k];
        }
    }
    return NULL;
}

int faults_set(struct faults *f, const char *name, bool on, const json_t *params, struct err *reterr) {
    int id = 0;
    while (id < FAULT_IDS && strcmp(fault_defs[id].name, name) != 0) {
        id++;
    }
    if (id == FAULT_IDS) {
        return err_set_at(reterr, JF_E_INVAL, "name", "there is no fault '%.60s'", name);
    }
    if (params && !json_is_object(params)) {
        return err_set_at(reterr, JF_E_INVAL, "params", "must be an object");
    }
    struct fault next = {.on = on, .opportunities = f->fault[id].opportunities, .effects = f->fault[id].effects};
    params_default(&next, (enum fault_id)id);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)params, key, value) {
        char where[96];
        snprintf(where, sizeof where, "params.%.80s", key);
        double min = 0.0;
        double max = 0.0;
        double scale = 1.0;
        double *slot = param_slot(&next, (enum fault_id)id, key, &min, &max, &scale);
        if (!slot) {
            return err_set_at(reterr, JF_E_INVAL, where, "fault %s has no such parameter", name);
        }
        if (!json_is_number(value)) {
            return err_set_at(reterr, JF_E_INVAL, where, "must be a number");
        }
        double v = json_number_value(value) * scale;
        if (!(v >= min && v <= max)) {
            return err_set_at(reterr, JF_E_INVAL, where, "must be between %g and %g", min, max);
        }
        *slot = v;
    }
    f->fault[id] = next;
    return 0;
}

static json_t *fault_json(const struct fault *x, enum fault_id id) {
    json_t *params = json_pack("{s:f, s:f}", "after", x->after, "count", x->count);
    const struct param_def *d;
    for (int k = 0; params && k < PARAMS_MAX && (d = param_nth(id, k)); k++) {
        json_object_set_new(params, d->name, json_real(x->value[k]));
    }
    return json_pack("{s:s, s:b, s:s, s:s, s:o, s:I, s:I}", "name", fault_defs[id].name, "on", x->on, "who",
                     fault_defs[id].who, "text", fault_defs[id].text, "params", params, "opportunities",
                     (json_int_t)x->opportunities, "effects", (json_int_t)x->effects);
}

json_t *faults_list(const struct faults *f) {
    json_t *list = json_array();
    for (int id = 0; list && id < FAULT_IDS; id++) {
        json_t *one = fault_json(&f->fault[id], (enum fault_id)id);
        if (!one || json_array_append_new(list, one) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
