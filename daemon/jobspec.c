/* SPDX-License-Identifier: GPL-2.0-or-later
 * The job's fields as a table. What is not in the table is an error that names it. */
#include "daemon/jobspec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/blob.h"

enum kind { K_HASH, K_NAME, K_WORD, K_WHOLE, K_NUMBER, K_BOOL, K_HASHES, K_EXPECT, K_REQUIRES, K_LABELS };
struct field {
    const char *key;
    enum kind kind;
    bool nullable;
    double min, max;
    const char *words;    /* " a b " */
    const char *fallback; /* JSON text; NULL: left out */
};
static const struct field fields[] = {
    {"firmware", K_HASH, true, 0, 0, NULL, "null"},
    {"model", K_HASH, true, 0, 0, NULL, "null"},
    {"numerics", K_WORD, true, 0, 0, " tflm litert ", "null"},
    {"board_type", K_NAME, true, 0, 0, NULL, NULL},
    {"bench", K_NAME, true, 0, 0, NULL, "null"},
    {"requires", K_REQUIRES, false, 0, 0, NULL, "{}"},
    {"method", K_WORD, false, 0, 0, " mlperf-tiny quick ", "\"quick\""},
    {"windows", K_WHOLE, false, 1, 64, NULL, "5"},
    {"window_s", K_NUMBER, true, 0.001, 3600, NULL, "null"},
    {"inferences", K_WHOLE, true, 1, 1e8, NULL, "null"},
    {"warmup", K_WHOLE, false, 0, 1e6, NULL, "10"},
    {"inputs", K_HASHES, true, 0, 0, NULL, "null"},
    {"expect_output", K_EXPECT, true, 0, 0, NULL, "null"},
    {"supply_v", K_NUMBER, true, 0.5, 30, NULL, "null"},
    {"rate_hz", K_NUMBER, true, 1, 1e9, NULL, "null"},
    {"priority", K_WHOLE, false, 0, 100, NULL, "50"},
    {"timeout_s", K_NUMBER, false, 1, 86400, NULL, "900"},
    {"retries", K_WHOLE, false, 0, 10, NULL, "1"},
    {"labels", K_LABELS, false, 0, 0, NULL, "{}"},
};
static const struct field require_fields[] = {
    {"min_rate_hz", K_NUMBER, true, 1, 1e9, NULL, NULL}, {"stages", K_BOOL, false, 0, 0, NULL, NULL},
    {"voltage", K_BOOL, false, 0, 0, NULL, NULL},        {"streaming", K_BOOL, false, 0, 0, NULL, NULL},
    {"supply", K_BOOL, false, 0, 0, NULL, NULL},
};
static const struct {
    const char *key;
    int64_t cap;
} demands[] = {{"stages", CONF_CAP_STAGES},
               {"voltage", CONF_CAP_VOLTAGE},
               {"streaming", CONF_CAP_STREAMING},
               {"supply", CONF_CAP_SUPPLY}};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A key as a piece of a JSON pointer (RFC 6901), cut to what fits an error. */
static void pointer(char *out, size_t size, const char *base, const char *key) {
    size_t n = (size_t)snprintf(out, size, "%s/", base);
    for (size_t i = 0; i < 60 && key[i] && n + 3 < size; i++) {
        unsigned char ch = (unsigned char)key[i];
        if (ch == '~' || ch == '/') {
            out[n++] = '~';
            out[n++] = ch == '~' ? '0' : '1';
        } else {
            out[n++] = key[i];
        }
    }
    out[n < size ? n : size - 1] = '\0';
}

/* Finds a number that fits no 64-bit integer. Depth is bounded: deeper trees are refused by their field anyway. */
static bool find_huge(const json_t *v, char *at, size_t size, int depth) {
    const char *key;
    json_t *x;
    size_t i, n = strlen(at);
    if (json_is_real(v)) {
        return fabs(json_real_value(v)) >= 9223372036854775808.0;
    }
    if (depth > 4) {
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, x) {
        char sub[128];
        pointer(sub, sizeof sub, at, key);
        if (find_huge(x, sub, sizeof sub, depth + 1)) {
            (void)snprintf(at, size, "%s", sub);
            return true;
        }
    }
    json_array_foreach(v, i, x) {
        (void)snprintf(at + n, size - n, "/%zu", i);
        if (find_huge(x, at, size, depth + 1)) {
            return true;
        }
        at[n] = '\0';
    }
    return false;
}

/* jansson refuses integers beyond 64 bits while it reads; the field is found by reading them as reals. */
static int name_huge(const void *text, size_t size, const json_error_t *e, struct err *reterr) {
    char at[128] = "";
    json_t *obj = json_error_code(e) == json_error_numeric_overflow
                      ? json_loadb(text, size, JSON_DECODE_INT_AS_REAL, NULL)
                      : NULL;
    bool found = obj && find_huge(obj, at, sizeof at, 0);
    json_decref(obj);
    return found ? err_set_at(reterr, JF_E_INVAL, at, "is far out of range")
                 : err_set(reterr, JF_E_PARSE, "not JSON at line %d, column %d: %s", e->line, e->column, e->text);
}

int jobspec_json(const void *text, size_t size, json_t **ret_obj, struct err *reterr) {
    json_error_t e;
    json_t *obj = size > 0 ? json_loadb(text, size, JSON_REJECT_DUPLICATES, &e) : NULL;
    if (!obj && size > 0) {
        return name_huge(text, size, &e, reterr);
    }
    if (!obj) {
        return err_set(reterr, JF_E_PARSE, "the body is empty; a JSON object is expected");
    }
    if (!json_is_object(obj)) {
        json_decref(obj);
        return err_set(reterr, JF_E_PARSE, "a JSON object is expected");
    }
    *ret_obj = obj;
    return 0;
}

#define WRONG(at, ...) err_set_at(reterr, JF_E_INVAL, (at), __VA_ARGS__)

static int check_range(const struct field *f, const json_t *v, const char *at, struct err *reterr) {
    if (f->kind == K_WHOLE ? !json_is_integer(v) : !json_is_number(v)) {
        return WRONG(at, "must be a %snumber", f->kind == K_WHOLE ? "whole " : "");
    }
    double d = json_number_value(v);
    return d >= f->min && d <= f->max ? 0 : WRONG(at, "must be from %.15g to %.15g", f->min, f->max);
}

static int check_hashes(const json_t *v, const char *at, struct err *reterr) {
    if (!json_is_array(v) || json_array_size(v) < 1 || json_array_size(v) > 64) {
        return WRONG(at, "must be a list of 1 to 64 input ids");
    }
    size_t i;
    const json_t *x;
    json_array_foreach(v, i, x) {
        if (!json_is_string(x) || !blob_id_valid(json_string_value(x))) {
            char item[192];
            (void)snprintf(item, sizeof item, "%s/%zu", at, i);
            return WRONG(item, "must be \"sha256:\" and 64 lower-case hexadecimal digits");
        }
    }
    return 0;
}

static int check_crc(const json_t *v, const char *at, struct err *reterr) {
    if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= UINT32_MAX) {
        return 0;
    }
    const char *s = json_string_value(v);
    size_t n = s ? strspn(s, "0123456789abcdefABCDEF") : 0;
    return s && n >= 1 && n <= 8 && s[n] == '\0'
               ? 0
               : WRONG(at, "must be a 32-bit number, or up to eight hexadecimal digits as text");
}

static int check_values(const json_t *v, const char *at, struct err *reterr) {
    if (!json_is_array(v) || json_array_size(v) < 1 || json_array_size(v) > 64) {
        return WRONG(at, "must be a list of 1 to 64 numbers");
    }
    size_t i;
    const json_t *x;
    json_array_foreach(v, i, x) {
        if (!json_is_number(x)) {
            char item[192];
            (void)snprintf(item, sizeof item, "%s/%zu", at, i);
            return WRONG(item, "must be a number");
        }
    }
    return 0;
}

static int check_expect(const json_t *v, const char *at, struct err *reterr) {
    if (!json_is_object(v)) {
        return WRONG(at, "must be an object with crc32, or with values and tolerance");
    }
    const char *key;
    json_t *x;
    json_object_foreach((json_t *)(uintptr_t)v, key, x) {
        char sub[128];
        pointer(sub, sizeof sub, at, key);
        int r;
        if (strcmp(key, "crc32") == 0) {
            r = check_crc(x, sub, reterr);
        } else if (strcmp(key, "values") == 0) {
            r = check_values(x, sub, reterr);
        } else if (strcmp(key, "tolerance") == 0) {
            r = json_is_number(x) && json_number_value(x) >= 0 ? 0 : WRONG(sub, "must be a number of at least 0");
        } else {
            r = WRONG(sub, "\"%.60s\" is not known here; known are crc32, values, tolerance", key);
        }
        if (r < 0) {
            return r;
        }
    }
    bool crc = json_object_get(v, "crc32"), values = json_object_get(v, "values");
    return crc != values ? 0 : WRONG(at, "needs either crc32 or values");
}

int jobspec_labels(const json_t *v, const char *at, struct err *reterr) {
    if (!json_is_object(v) || json_object_size(v) > 16) {
        return WRONG(at, "must be an object of at most 16 texts");
    }
    const char *key;
    json_t *x;
    json_object_foreach((json_t *)(uintptr_t)v, key, x) {
        if (!json_is_string(x) || json_string_length(x) > 256 || strlen(key) > 64 || strlen(key) == 0) {
            char sub[128];
            pointer(sub, sizeof sub, at, key);
            return WRONG(sub, "a label is a text of at most 256 bytes under a name of 1 to 64");
        }
    }
    return 0;
}

static int check_fields(const json_t *obj, const struct field *table, size_t n, const char *base, struct err *reterr);

static int check_value(const struct field *f, const json_t *v, const char *at, struct err *reterr) {
    if (json_is_null(v)) {
        return f->nullable ? 0 : WRONG(at, "must not be null");
    }
    const char *s = json_string_value(v);
    switch (f->kind) {
    case K_HASH:
        return s && blob_id_valid(s) ? 0 : WRONG(at, "must be \"sha256:\" and 64 lower-case hexadecimal digits");
    case K_NAME:
        return s && s[0] && strlen(s) < STORE_NAME_SIZE
                   ? 0
                   : WRONG(at, "must be a name of 1 to %d bytes", STORE_NAME_SIZE - 1);
    case K_WORD: {
        char padded[80];
        (void)snprintf(padded, sizeof padded, " %.60s ", s ? s : "?");
        return s && !strchr(s, ' ') && strstr(f->words, padded) ? 0 : WRONG(at, "must be one of%s", f->words);
    }
    case K_WHOLE:
    case K_NUMBER:
        return check_range(f, v, at, reterr);
    case K_BOOL:
        return json_is_boolean(v) ? 0 : WRONG(at, "must be true or false");
    case K_HASHES:
        return check_hashes(v, at, reterr);
    case K_EXPECT:
        return check_expect(v, at, reterr);
    case K_REQUIRES:
        return json_is_object(v) ? check_fields(v, require_fields, COUNT(require_fields), at, reterr)
                                 : WRONG(at, "must be an object");
    case K_LABELS:
        return jobspec_labels(v, at, reterr);
    }
    return err_set(reterr, JF_E_BUG, "field of unknown kind");
}

static int check_fields(const json_t *obj, const struct field *table, size_t n, const char *base, struct err *reterr) {
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)obj, key, v) {
        char at[128];
        pointer(at, sizeof at, base, key);
        size_t i = 0;
        while (i < n && strcmp(table[i].key, key) != 0) {
            i++;
        }
        if (i == n) {
            return WRONG(at, "\"%.60s\" is not known here", key);
        }
        int r = check_value(&table[i], v, at, reterr);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Either a firmware, or a model and its numerics. */
static int check_program(json_t *spec, struct err *reterr) {
    bool firmware = json_is_string(json_object_get(spec, "firmware")), model = json_is_string(json_object_get(spec, "model"));
    if (firmware == model) {
        return WRONG(firmware ? "/model" : "/firmware",
                     firmware ? "either firmware or model, not both" : "is missing: name a firmware or a model");
    }
    if (!json_is_string(json_object_get(spec, "numerics"))) {
        return model && json_object_set_new(spec, "numerics", json_string("tflm")) < 0
                   ? err_set(reterr, JF_E_NOMEM, "no memory for the job")
                   : 0;
    }
    return model ? 0 : WRONG("/numerics", "belongs to a model; a firmware has its own");
}

static int check_together(const json_t *spec, struct err *reterr) {
    bool type = json_is_string(json_object_get(spec, "board_type")),
         bench = json_is_string(json_object_get(spec, "bench"));
    if (type == bench) {
        return WRONG(type ? "/bench" : "/board_type", type ? "either board_type or bench, not both"
                                                           : "is missing: name a board_type (any unit) or a bench");
    }
    if (strcmp(json_string_value(json_object_get(spec, "method")), "mlperf-tiny") != 0) {
        return 0;
    }
    const json_t *inputs = json_object_get(spec, "inputs"), *window_s = json_object_get(spec, "window_s");
    if (json_integer_value(json_object_get(spec, "windows")) < 5) {
        return WRONG("/windows", "the method mlperf-tiny needs at least 5");
    }
    if (json_is_number(window_s) && json_number_value(window_s) < 10) {
        return WRONG("/window_s", "the method mlperf-tiny needs at least 10 s");
    }
    if (!json_is_array(inputs)) {
        return WRONG("/inputs", "the method mlperf-tiny needs five distinct inputs (the embedded one is for quick)");
    }
    size_t distinct = 0;
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        size_t k = 0;
        while (k < i && !json_equal(json_array_get(inputs, k), json_array_get(inputs, i))) {
            k++;
        }
        distinct += k == i;
    }
    return distinct >= 5
               ? 0
               : WRONG("/inputs", "the method mlperf-tiny needs five distinct inputs, these are %zu", distinct);
}

int jobspec_check(const json_t *obj, json_t **ret_spec, struct err *reterr) {
    int r = check_fields(obj, fields, COUNT(fields), "", reterr);
    if (r < 0) {
        return r;
    }
    json_t *spec = json_object();
    for (size_t i = 0; spec && i < COUNT(fields); i++) {
        json_t *v = json_object_get(obj, fields[i].key);
        if (v) {
            (void)json_object_set(spec, fields[i].key, v);
        } else if (fields[i].fallback) {
            (void)json_object_set_new(spec, fields[i].key, json_loads(fields[i].fallback, JSON_DECODE_ANY, NULL));
        }
    }
    r = spec ? check_program(spec, reterr) : err_set(reterr, JF_E_NOMEM, "no memory for the job");
    r = r < 0 ? r : check_together(spec, reterr);
    if (r < 0) {
        json_decref(spec);
        return r;
    }
    *ret_spec = spec;
    return 0;
}

static int64_t needs_of(const json_t *spec, double *ret_rate) {
    const json_t *rq = json_object_get(spec, "requires");
    int64_t needs = 0;
    for (size_t i = 0; i < COUNT(demands); i++) {
        needs |= json_is_true(json_object_get(rq, demands[i].key)) ? demands[i].cap : 0;
    }
    needs |= json_is_number(json_object_get(spec, "supply_v")) ? CONF_CAP_SUPPLY : 0;
    *ret_rate = json_number_value(json_object_get(rq, "min_rate_hz"));
    return needs;
}

static void take_text(const json_t *spec, const char *key, char *out, size_t size) {
    const char *s = json_string_value(json_object_get(spec, key));
    (void)snprintf(out, size, "%s", s ? s : "");
}

int jobspec_place(json_t *spec, const struct conf *conf, struct store_job *ret_j, struct err *reterr) {
    const char *type = json_string_value(json_object_get(spec, "board_type")),
               *bench = json_string_value(json_object_get(spec, "bench"));
    const struct conf_bench *b = bench ? conf_bench_find(conf, bench) : NULL;
    if (bench && !b) {
        return WRONG("/bench", "there is no bench \"%.60s\"", bench);
    }
    type = b ? b->board_type : type;
    if (!type || !json_object_get(conf->board_types, type)) {
        return WRONG("/board_type", "there is no board type \"%.60s\"", type ? type : "");
    }
    struct store_job j = {.state = STORE_JOB_QUEUED};
    j.needs = needs_of(spec, &j.min_rate_hz);
    int of_type = 0, able = 0;
    for (int i = 0; i < conf->n_benches; i++) {
        const struct conf_bench *x = &conf->benches[i];
        if (strcmp(x->board_type, type) == 0 && (!b || x == b)) {
            of_type++;
            able += (j.needs & ~x->caps) == 0 && (j.min_rate_hz <= 0 || j.min_rate_hz <= x->rate_hz);
        }
    }
    if (of_type == 0) {
        return err_set_at(reterr, JF_E_UNSUPPORTED, "/board_type", "no bench here has a %s", type);
    }
    if (able == 0) {
        return err_set_at(reterr, JF_E_UNSUPPORTED,
                          json_is_number(json_object_get(spec, "supply_v")) &&
                                  json_object_size(json_object_get(spec, "requires")) == 0
                              ? "/supply_v"
                              : "/requires",
                          "no bench with a %s can do this", type);
    }
    (void)snprintf(j.board_type, sizeof j.board_type, "%s", type);
    (void)snprintf(j.bench, sizeof j.bench, "%s", bench ? bench : "");
    take_text(spec, "firmware", j.firmware, sizeof j.firmware);
    take_text(spec, "model", j.model, sizeof j.model);
    take_text(spec, "numerics", j.numerics, sizeof j.numerics);
    j.priority = (int)json_integer_value(json_object_get(spec, "priority"));
    j.retries = (int)json_integer_value(json_object_get(spec, "retries"));
    if (json_object_set_new(spec, "board_type", json_string(type)) < 0) {
        return err_set(reterr, JF_E_NOMEM, "no memory for the job");
    }
    *ret_j = j;
    return 0;
}
