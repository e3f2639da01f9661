/* SPDX-License-Identifier: GPL-2.0-or-later
 * Commands about results that exist: analyse one again, compare some. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/opts.h"
#include "cli/show.h"

#define OPT_END {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}
#define COMPARE_MAX 8

/* ---- reanalyze ---------------------------------------------------------------------------------------------------- */
/* "key=value" into obj: a number where it is one, else text (the daemon names what it does not know). */
static int add_set(json_t *obj, const char *text, struct err *reterr) {
    char key[64];
    const char *eq = strchr(text, '=');
    if (!eq || eq == text || (size_t)(eq - text) >= sizeof key) {
        return err_set(reterr, JF_E_INVAL, "--set wants KEY=VALUE, not \"%.80s\"", text);
    }
    (void)snprintf(key, sizeof key, "%.*s", (int)(eq - text), text);
    json_t *value = json_loads(eq + 1, JSON_DECODE_ANY, NULL);
    (void)json_object_set_new(obj, key, value ? value : json_string(eq + 1));
    return 0;
}

/* The end of an analysis that the daemon did not wait for: its event. Bounded by the daemon's own deadline; asks twice a
 * second. */
static int await(struct client *c, json_t **doc, struct err *reterr) {
    char id[CMD_ID], path[160];
    long long after = json_integer_value(json_object_get(*doc, "after"));
    const struct timespec pause = {0, 500000000};
    (void)snprintf(id, sizeof id, "%s", show_text(*doc, "id"));
    for (int i = 0; i < 2 * 3700; i++) {
        json_t *page = NULL, *e;
        size_t k;
        bool made = false;
        (void)snprintf(path, sizeof path, "/events?after=%lld&limit=500", after);
        int r = client_json(c, "GET", path, NULL, &page, reterr);
        json_array_foreach(json_object_get(page, "items"), k, e) {
            after = json_integer_value(json_object_get(e, "seq"));
            if (strcmp(show_text(e, "result"), id) == 0) {
                made = strcmp(show_text(e, "type"), "result.created") == 0;
                r = made ? 0 : err_set(reterr, JF_E_UNSUPPORTED, "%s", show_text(e, "text"));
                break;
            }
        }
        json_decref(page);
        if (r < 0) {
            return r;
        }
        if (made) {
            (void)snprintf(path, sizeof path, "/results/%s", id);
            json_decref(*doc);
            *doc = NULL;
            return client_json(c, "GET", path, NULL, doc, reterr);
        }
        (void)nanosleep(&pause, NULL);
    }
    return err_set(reterr, JF_E_TIMEOUT, "the analysis does not end; its result would be %s", id);
}

static int reanalyze(struct client *c, const char *word, const json_t *body, bool json) {
    char id[CMD_ID], path[160];
    struct err e = {0};
    json_t *doc = NULL;
    int r = cmd_resolve(c, "/results", word, id, &e);
    (void)snprintf(path, sizeof path, "/results/%s/reanalyze", r < 0 ? "" : id);
    r = r < 0 ? r : client_json(c, "POST", path, body, &doc, &e);
    if (r == 0 && strcmp(show_text(doc, "state"), "analysing") == 0) {
        r = await(c, &doc, &e);
    }
    if (r < 0) {
        json_decref(doc);
        return cmd_fail(&e);
    }
    if (json) {
        show_json(doc);
    } else {
        cmd_result_print(doc);
    }
    json_decref(doc);
    return EXIT_OK;
}

int cmd_reanalyze(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *rule = NULL, *words[1];
    struct opt_list sets = {0};
    const struct opt_row rows[] = {{"rule", OPT_TEXT, &rule, 0, 0, "RULE", "window rule: edge, eembc or mlcommons (default: as stored)"},
                                   {"set", OPT_LIST, &sets, 0, 0, "KEY=VALUE", "threshold or marker_phase instead of the stored one; repeatable"},
                                   {"json", OPT_FLAG, &json, 0, 0, NULL, "print JSON"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   OPT_END};
    struct err e = {0};
    size_t n;
    int r = opts_parse(argc, argv, rows, words, 1, &n, &e);
    if (r == 0 && help) {
        return cmd_help("reanalyze", rows);
    }
    if (r == 0 && n != 1) {
        r = err_set(&e, JF_E_INVAL, "reanalyze wants one result");
    }
    json_t *body = json_object(), *set = json_object();
    for (size_t i = 0; i < sets.n && r == 0; i++) {
        r = add_set(set, sets.items[i], &e);
    }
    if (rule) {
        (void)json_object_set_new(body, "rule", json_string(rule));
    }
    (void)json_object_set_new(body, "set", set);
    int code = EXIT_USAGE;
    if (r < 0) {
        (void)cmd_fail(&e);
    } else {
        code = reanalyze(c, words[0], body, json);
    }
    json_decref(body);
    return code;
}

/* ---- compare ------------------------------------------------------------------------------------------------------ */
static void figure_row(struct show_table *t, const char *name, const char *unit, const json_t *f, const char *why) {
    char a[SHOW_CELL], b[SHOW_CELL], d[SHOW_CELL], u[SHOW_CELL], ratio[SHOW_CELL];
    if (!json_is_object(f)) {
        const char *none[] = {name, "-", "-", "-", "-", "-", why};
        show_table_row(t, none);
        return;
    }
    double r = show_number(f, "ratio");
    (void)snprintf(ratio, sizeof ratio, isfinite(r) ? "%.4f" : "-", r);
    const char *says = !json_is_true(json_object_get(f, "u_known")) ? "uncertainty unknown"
                       : json_is_true(json_object_get(f, "differs")) ? "differs"
                                                                     : "no difference beyond U95";
    const char *cells[] = {name, show_si(show_number(f, "a"), unit, a), show_si(show_number(f, "b"), unit, b),
                           show_si(show_number(f, "difference"), unit, d), show_si(show_number(f, "u95"), unit, u), ratio, says};
    show_table_row(t, cells);
}

static void print_pair(const json_t *p) {
    static const char *const head[] = {"per inference", ">a", ">b", ">a - b", ">U95(a - b)", ">a / b", ""};
    struct show_table *t = show_table_new(head, 7);
    const json_t *u, *s;
    size_t i;
    printf("a %s   b %s\n", show_text(p, "a"), show_text(p, "b"));
    bool net_refused = json_is_true(json_object_get(p, "net_refused"));
    figure_row(t, "gross energy", "J", json_object_get(p, "gross"), "no such figure");
    figure_row(t, "net energy", "J", json_object_get(p, "net"), net_refused ? "not comparable, see below" : "no such figure");
    figure_row(t, "latency", "s", json_object_get(p, "latency"), "no such figure");
    show_table_print(t);
    show_table_free(t);
    const json_t *shared = json_object_get(json_object_get(p, "gross"), "shared");
    if (json_array_size(shared) > 0) {
        char d[SHOW_CELL];
        printf("shared    ");
        json_array_foreach(shared, i, s) { printf("%s%s", i ? ", " : "", json_string_value(s)); }
        printf(" cancel; without that U95 were %s\n", show_si(show_number(json_object_get(p, "gross"), "u95_unshared"), "J", d));
    }
    json_array_foreach(json_object_get(p, "unlike"), i, u) {
        printf("%s %s\n", json_is_true(json_object_get(u, "net_only")) ? "net only " : "unlike   ", show_text(u, "text"));
    }
}

static int compare(struct client *c, const char *const *words, size_t n, const char *allow, bool json) {
    char list[COMPARE_MAX * CMD_ID] = "", path[COMPARE_MAX * CMD_ID * 2] = "/compare", id[CMD_ID];
    struct err e = {0};
    json_t *doc = NULL, *p;
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        size_t used = strlen(list);
        r = cmd_resolve(c, "/results", words[i], id, &e);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i ? "," : "", r < 0 ? "" : id);
    }
    cmd_query(path, sizeof path, "results", list);
    cmd_query(path, sizeof path, "allow", allow);
    if (r < 0 || client_json(c, "GET", path, NULL, &doc, &e) < 0) {
        return cmd_fail(&e);
    }
    if (json) {
        show_json(doc);
    } else {
        size_t i;
        json_array_foreach(json_object_get(doc, "pairs"), i, p) {
            if (i) {
                (void)putchar('\n');
            }
            print_pair(p);
        }
    }
    json_decref(doc);
    return EXIT_OK;
}

int cmd_compare(struct client *c, int argc, char **argv) {
    bool help = false, json = false;
    const char *allow = NULL, *words[COMPARE_MAX];
    const struct opt_row rows[] = {{"allow", OPT_TEXT, &allow, 0, 0, "LIST", "differences to accept: model,voltage,plane,rule,method,inputs,core-clock,idle-state"},
                                   {"json", OPT_FLAG, &json, 0, 0, NULL, "print JSON"},
                                   {"help", OPT_FLAG, &help, 0, 0, NULL, "this text"},
                                   OPT_END};
    struct err e = {0};
    size_t n;
    int r = opts_parse(argc, argv, rows, words, COMPARE_MAX, &n, &e);
    if (r == 0 && help) {
        return cmd_help("compare", rows);
    }
    if (r == 0 && n < 2) {
        r = err_set(&e, JF_E_INVAL, "compare wants 2 to 8 results; the first is compared with each of the others");
    }
    if (r < 0) {
        (void)cmd_fail(&e);
        return EXIT_USAGE;
    }
    return compare(c, words, n, allow, json);
}
