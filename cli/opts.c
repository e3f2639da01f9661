/* SPDX-License-Identifier: GPL-2.0-or-later
 * The option parser of cli/opts.h. Pure but for opts_print. */
#include "cli/opts.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt_row *find(const struct opt_row *rows, const char *name, size_t n) {
    for (; rows->name[0]; rows++) {
        if (strlen(rows->name) == n && strncmp(rows->name, name, n) == 0) {
            return rows;
        }
    }
    return NULL;
}

static int store(const struct opt_row *row, const char *value, struct err *reterr) {
    char *end;
    errno = 0;
    if (row->kind == OPT_FLAG) {
        *(bool *)row->dst = true;
        return 0;
    }
    assert(value);
    switch (row->kind) {
    case OPT_FLAG:
        break;
    case OPT_TEXT:
        *(const char **)row->dst = value;
        return 0;
    case OPT_LIST: {
        struct opt_list *l = row->dst;
        if (l->n == OPT_LIST_MAX) {
            return err_set(reterr, JF_E_INVAL, "--%s is given more than %d times", row->name, OPT_LIST_MAX);
        }
        l->items[l->n++] = value;
        return 0;
    }
    case OPT_INT: {
        long long v = strtoll(value, &end, 0);
        if (end == value || *end || errno || (double)v < row->min || (double)v > row->max) {
            return err_set(reterr, JF_E_INVAL, "--%s wants a whole number from %.0f to %.0f, not \"%s\"", row->name, row->min, row->max, value);
        }
        *(long long *)row->dst = v;
        return 0;
    }
    case OPT_REAL: {
        double v = strtod(value, &end);
        if (end == value || *end || errno || !isfinite(v) || v < row->min || v > row->max) {
            return err_set(reterr, JF_E_INVAL, "--%s wants a number from %g to %g, not \"%s\"", row->name, row->min, row->max, value);
        }
        *(double *)row->dst = v;
        return 0;
    }
    }
    return err_set(reterr, JF_E_BUG, "--%s has no kind", row->name);
}

int opts_parse(int argc, char **argv, const struct opt_row *rows, const char **ret_words, size_t max_words, size_t *ret_n,
               struct err *reterr) {
    bool only_words = false;
    *ret_n = 0;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (only_words || a[0] != '-' || a[1] == '\0') {
            if (*ret_n == max_words) {
                return err_set(reterr, JF_E_INVAL, "\"%s\" is one argument too many", a);
            }
            ret_words[(*ret_n)++] = a;
            continue;
        }
        if (strcmp(a, "--") == 0) {
            only_words = true;
            continue;
        }
        const char *name = a + (a[1] == '-' ? 2 : 1);
        const char *eq = strchr(name, '=');
        const struct opt_row *row = find(rows, name, eq ? (size_t)(eq - name) : strlen(name));
        if (!row) {
            return err_set(reterr, JF_E_INVAL, "there is no option %s here", a);
        }
        const char *value = eq ? eq + 1 : NULL;
        if (row->kind == OPT_FLAG && value) {
            return err_set(reterr, JF_E_INVAL, "--%s takes no value", row->name);
        }
        if (row->kind != OPT_FLAG && !value) {
            if (i + 1 >= argc) {
                return err_set(reterr, JF_E_INVAL, "--%s wants a value", row->name);
            }
            value = argv[++i];
        }
        int r = store(row, value, reterr);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

void opts_print(const struct opt_row *rows) {
    for (; rows->name[0]; rows++) {
        char left[48];
        (void)snprintf(left, sizeof left, "--%s%s%s", rows->name, rows->value ? " " : "", rows->value ? rows->value : "");
        printf("  %-26s %s\n", left, rows->help);
    }
}
