/* SPDX-License-Identifier: GPL-2.0-or-later
 * Loading: the checked document, the catalogue, and the checks that span fields. Start-up only, one thread. */
#include "daemon/conf.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/conf_check.h"

static const char *text_of(const json_t *obj, const char *key) {
    const char *s = json_string_value(json_object_get(obj, key));
    return s ? s : "";
}
static double number_of(const json_t *obj, const char *key, double fallback) {
    const json_t *v = json_object_get(obj, key);
    return json_is_number(v) ? json_number_value(v) : fallback;
}
static int64_t whole_of(const json_t *obj, const char *key) { return json_integer_value(json_object_get(obj, key)); }

/* ---- the catalogue
 * ---------------------------------------------------------------------------------------------------- */
static void load_board(const char *path, json_t *types, struct conf_mistakes *m) {
    json_t *doc = NULL, *positions = json_object();
    int before = m->n;
    conf_check_file(path, conf_board_table, &doc, positions, m);
    const char *name = text_of(doc, "name");
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t n = strlen(name);
    if (doc && n > 0 && (strncmp(base, name, n) != 0 || strcmp(base + n, ".yaml") != 0)) {
        conf_mistake_at(m, path, positions, "name", "must be the file's name without .yaml");
    }
    size_t i;
    const json_t *region;
    json_array_foreach(json_object_get(doc, "regions"), i, region) {
        if (whole_of(region, "start") + whole_of(region, "size") > INT64_C(0x100000000)) {
            char field[64];
            (void)snprintf(field, sizeof field, "regions[%zu].size", i);
            conf_mistake_at(m, path, positions, field, "goes beyond the address space");
        }
    }
    if (doc && m->n == before) {
        (void)json_object_set(types, name, doc);
    }
    json_decref(doc);
    json_decref(positions);
}

static int yaml_only(const struct dirent *d) {
    size_t n = strlen(d->d_name);
    return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".yaml") == 0;
}

static void load_catalogue(struct conf *c, const char *file, const json_t *positions, struct conf_mistakes *m) {
    struct dirent **list = NULL;
    int n = scandir(c->boards_dir, &list, yaml_only, alphasort);
    if (n <= 0) {
        conf_mistake_at(m, file, positions, "daemon.boards_dir", "%s: no board type (*.yaml) there", c->boards_dir);
    }
    for (int i = 0; i < n; i++) {
        char path[CONF_PATH + 300];
        (void)snprintf(path, sizeof path, "%s/%s", c->boards_dir, list[i]->d_name);
        load_board(path, c->board_types, m);
        free(list[i]);
    }
    free(list);
}

/* ---- benches
 * ------------------------------------------------------------------------------------------------------------- */
struct loading {
    struct conf *c;
    const char *file;
    const json_t *positions;
    struct conf_mistakes *m;
    json_t *used; /* "uart /dev/x" -> field that uses it */
};

static void use_once(struct loading *l, const char *what, const char *value, const char *field) {
    if (!value[0]) {
        return;
    }
    char key[700];
    (void)snprintf(key, sizeof key, "%s %s", what, value);
    const char *other = json_string_value(json_object_get(l->used, key));
    if (other) {
        conf_mistake_at(l->m, l->file, l->positions, field, "\"%.80s\" is used by %s already", value, other);
    } else {
        (void)json_object_set_new(l->used, key, json_string(field));
    }
}

static const char *scheme_of(const struct conf *c, const json_t *b) {
    const json_t *board = json_object_get(b, "board");
    const char *scheme = text_of(board, "markers");
    return scheme[0] ? scheme : text_of(json_object_get(c->board_types, text_of(board, "type")), "markers");
}

/* Marker lines that the analyzer itself delivers. */
static size_t analyzer_lines(const json_t *analyzer) {
    const json_t *list = json_object_get(json_object_get(analyzer, "mapping"), "markers");
    return list ? json_array_size(list) : strcmp(text_of(analyzer, "driver"), "ppk2") == 0 ? 8 : 0;
}

/* A second instrument for the markers: both must see line 0. */
static void check_logic(struct loading *l, int i, const json_t *b) {
    const json_t *logic = json_object_get(b, "logic"), *analyzer = json_object_get(b, "analyzer");
    if (!logic) {
        return;
    }
    char f[96];
    (void)snprintf(f, sizeof f, "benches[%d].logic.conn", i);
    use_once(l, "analyzer", text_of(logic, "conn"), f);
    (void)snprintf(f, sizeof f, "benches[%d].logic.sync_line", i);
    if (json_object_get(analyzer, "driver") && (size_t)whole_of(logic, "sync_line") >= analyzer_lines(analyzer)) {
        conf_mistake_at(l->m, l->file, l->positions, f,
                        "the analyzer itself must see line 0, as one of the lines of its own mapping.markers (it has %zu)",
                        analyzer_lines(analyzer));
    }
    (void)snprintf(f, sizeof f, "benches[%d].logic.mapping.markers", i);
    size_t lines = json_array_size(json_object_get(json_object_get(logic, "mapping"), "markers"));
    if (strcmp(scheme_of(l->c, b), "phases") == 0 && lines > 0 && lines < 5) {
        conf_mistake_at(l->m, l->file, l->positions, f, "the marker scheme phases needs five lines, line 0 first");
    }
}

static void check_bench(struct loading *l, int i, const json_t *b) {
    const json_t *analyzer = json_object_get(b, "analyzer"), *probe = json_object_get(b, "probe"),
                 *supply = json_object_get(b, "supply");
    char f[96], port[24] = "";
    const char *driver = text_of(analyzer, "driver");
    (void)snprintf(f, sizeof f, "benches[%d].name", i);
    use_once(l, "bench", text_of(b, "name"), f);
    (void)snprintf(f, sizeof f, "benches[%d].uart.path", i);
    use_once(l, "port", text_of(json_object_get(b, "uart"), "path"), f);
    (void)snprintf(f, sizeof f, "benches[%d].probe.serial", i);
    use_once(l, "probe", text_of(probe, "serial"), f);
    if (json_object_get(probe, "tcp_port")) {
        (void)snprintf(port, sizeof port, "%lld", (long long)whole_of(probe, "tcp_port"));
    }
    (void)snprintf(f, sizeof f, "benches[%d].probe.tcp_port", i);
    use_once(l, "tcp", port, f);
    (void)snprintf(f, sizeof f, "benches[%d].analyzer.conn", i);
    use_once(l, strcmp(driver, "ppk2") == 0 ? "port" : "analyzer", text_of(analyzer, "conn"), f);
    if (strcmp(driver, "ppk2") == 0 && !json_object_get(analyzer, "conn") && !json_object_get(analyzer, "serial")) {
        conf_mistake_at(l->m, l->file, l->positions, f,
                        "is missing: a ppk2 needs conn (its port) or serial (its USB serial number)");
    }
    const char *type = text_of(json_object_get(b, "board"), "type");
    (void)snprintf(f, sizeof f, "benches[%d].board.type", i);
    if (type[0] && !json_object_get(l->c->board_types, type)) {
        conf_mistake_at(l->m, l->file, l->positions, f, "there is no board type \"%.60s\" in %.200s", type,
                        l->c->boards_dir);
    }
    (void)snprintf(f, sizeof f, "benches[%d].supply.by", i);
    if (strcmp(text_of(supply, "by"), "analyzer") == 0 &&
        (strcmp(driver, "ppk2") != 0 || strcmp(text_of(analyzer, "mode"), "source") != 0)) {
        conf_mistake_at(l->m, l->file, l->positions, f, "this analyzer cannot feed the board");
    }
    const json_t *board = json_object_get(b, "board");
    (void)snprintf(f, sizeof f, "benches[%d].board.capacitance_max_f", i);
    if (json_object_get(board, "capacitance_f") && json_object_get(board, "capacitance_max_f")) {
        conf_mistake_at(l->m, l->file, l->positions, f, "either the capacitance or its bound, not both");
    }
    const json_t *limits = json_object_get(b, "limits");
    (void)snprintf(f, sizeof f, "benches[%d].limits.v_min", i);
    if (number_of(limits, "v_min", 0) > number_of(limits, "v_max", HUGE_VAL)) {
        conf_mistake_at(l->m, l->file, l->positions, f, "is above v_max");
    }
    check_logic(l, i, b);
}

static int64_t caps_of(const struct conf *c, const json_t *b) {
    const json_t *analyzer = json_object_get(b, "analyzer"), *mapping = json_object_get(analyzer, "mapping");
    const json_t *logic = json_object_get(b, "logic");
    const char *scheme = scheme_of(c, b);
    size_t lines = logic ? json_array_size(json_object_get(json_object_get(logic, "mapping"), "markers")) : analyzer_lines(analyzer);
    int64_t caps = 0;
    caps |= strcmp(scheme, "phases") == 0 && lines >= 5 ? CONF_CAP_STAGES : 0;
    caps |= json_object_get(mapping, "voltage") ? CONF_CAP_VOLTAGE : 0;
    caps |= !json_object_get(analyzer, "arm") ? CONF_CAP_STREAMING : 0;
    caps |= strcmp(text_of(json_object_get(b, "supply"), "by"), "analyzer") == 0 ? CONF_CAP_SUPPLY : 0;
    return caps;
}

static int take_bench(struct conf *c, json_t *b) {
    struct conf_bench *x = &c->benches[c->n_benches];
    json_t *type = json_object_get(c->board_types, text_of(json_object_get(b, "board"), "type"));
    x->doc = json_deep_copy(b);
    if (!x->doc || json_object_set(x->doc, "board_type", type) < 0) {
        json_decref(x->doc);
        return JF_E_NOMEM;
    }
    const json_t *board = json_object_get(x->doc, "board"), *analyzer = json_object_get(x->doc, "analyzer");
    x->name = text_of(x->doc, "name");
    x->board_type = text_of(board, "type");
    x->board_serial = text_of(board, "serial");
    x->is_virtual = json_is_true(json_object_get(x->doc, "virtual"));
    x->rate_hz = number_of(analyzer, "rate_hz", strcmp(text_of(analyzer, "driver"), "ppk2") == 0 ? 100000.0 : 0.0);
    x->caps = caps_of(c, x->doc);
    x->supply_v = number_of(json_object_get(x->doc, "supply"), "voltage_v", 0.0);
    c->n_benches++;
    return 0;
}

static void take_daemon(struct conf *c, const json_t *d) {
    (void)snprintf(c->listen, sizeof c->listen, "%s", text_of(d, "listen"));
    (void)snprintf(c->data_dir, sizeof c->data_dir, "%s", text_of(d, "data_dir"));
    (void)snprintf(c->boards_dir, sizeof c->boards_dir, "%s", text_of(d, "boards_dir"));
    (void)snprintf(c->jf_bench, sizeof c->jf_bench, "%s", text_of(d, "jf_bench"));
    (void)snprintf(c->jf_trace, sizeof c->jf_trace, "%s", text_of(d, "jf_trace"));
    (void)snprintf(c->jf_model, sizeof c->jf_model, "%s", text_of(d, "jf_model"));
    c->tool_threads = (int)whole_of(d, "tool_threads");
    c->tool_deadline_s = number_of(d, "tool_deadline_s", 300);
    c->tool_memory_mib = whole_of(d, "tool_memory_mib");
    c->max_model_bytes = whole_of(d, "max_model_bytes");
    c->port = (int)whole_of(d, "port");
    c->http_threads = (int)whole_of(d, "http_threads");
    c->max_streams = (int)whole_of(d, "max_streams");
    c->quarantine_after = (int)whole_of(d, "quarantine_after");
    c->max_firmware_bytes = whole_of(d, "max_firmware_bytes");
    c->max_input_bytes = whole_of(d, "max_input_bytes");
    c->events_keep = whole_of(d, "events_keep");
    c->lease_s = number_of(d, "lease_s", 60);
}

static void check_paths(const struct conf *c, const char *file, const json_t *positions, struct conf_mistakes *m) {
    if (strlen(c->data_dir) > 300) {
        conf_mistake_at(m, file, positions, "daemon.data_dir", "is longer than 300 bytes");
    }
}

int conf_load(const char *path, struct conf **ret_c, struct conf_mistakes *m, struct err *reterr) {
    struct conf *c = calloc(1, sizeof *c);
    json_t *doc = NULL, *positions = json_object(), *used = json_object();
    int r = 0;
    if (!c || !positions || !used) {
        r = err_set(reterr, JF_E_NOMEM, "no memory for the configuration");
        goto out;
    }
    c->board_types = json_object();
    conf_check_file(path, conf_file_table, &doc, positions, m);
    if (doc) {
        take_daemon(c, json_object_get(doc, "daemon"));
        check_paths(c, path, positions, m);
        if (c->boards_dir[0]) {
            load_catalogue(c, path, positions, m);
        }
        struct loading l = {c, path, positions, m, used};
        size_t i;
        json_t *b;
        json_array_foreach(json_object_get(doc, "benches"), i, b) {
            check_bench(&l, (int)i, b);
            if (m->n == 0 && c->n_benches < CONF_MAX_BENCHES && take_bench(c, b) < 0) {
                r = err_set(reterr, JF_E_NOMEM, "no memory for the configuration");
                break;
            }
        }
    }
    if (r == 0 && m->n > 0) {
        r = err_set(reterr, JF_E_INVAL, "%s: %d mistake%s", path, m->n, m->n == 1 ? "" : "s");
    }
out:
    json_decref(used);
    json_decref(positions);
    json_decref(doc);
    if (r < 0) {
        conf_free(c);
        return r;
    }
    *ret_c = c;
    return 0;
}

void conf_free(struct conf *c) {
    if (!c) {
        return;
    }
    for (int i = 0; i < c->n_benches; i++) {
        json_decref(c->benches[i].doc);
    }
    json_decref(c->board_types);
    free(c);
}

const struct conf_bench *conf_bench_find(const struct conf *c, const char *name) {
    for (int i = 0; i < c->n_benches; i++) {
        if (strcmp(c->benches[i].name, name) == 0) {
            return &c->benches[i];
        }
    }
    return NULL;
}
