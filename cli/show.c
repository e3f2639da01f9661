/* SPDX-License-Identifier: GPL-2.0-or-later
 * Formatting for people (cli/show.h). */
#include "cli/show.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct show_table {
    size_t n, rows, cap;
    char (*cells)[SHOW_CELL]; /* rows * n, the headings first */
    bool right[SHOW_COLS];
};

const char *show_si(double value, const char *unit, char dst[SHOW_CELL]) {
    static const struct {
        double scale;
        const char *prefix;
    } steps[] = {{1e6, "M"}, {1e3, "k"}, {1, ""}, {1e-3, "m"}, {1e-6, "u"}, {1e-9, "n"}, {1e-12, "p"}};
    if (!isfinite(value)) {
        (void)snprintf(dst, SHOW_CELL, "-");
        return dst;
    }
    size_t i = 0, last = sizeof steps / sizeof steps[0] - 1;
    while (i < last && fabs(value) < steps[i].scale * 0.99995) {
        i++;
    }
    if (fabs(value) < 1e-15) { /* what is smaller is left over from rounding */
        (void)snprintf(dst, SHOW_CELL, "0 %s", unit);
        return dst;
    }
    (void)snprintf(dst, SHOW_CELL, "%#.4g %s%s", value / steps[i].scale, steps[i].prefix, unit);
    return dst;
}

static const json_t *walk(const json_t *doc, const char *path) {
    char key[64];
    while (doc && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof key) {
            return NULL;
        }
        (void)snprintf(key, sizeof key, "%.*s", (int)n, path);
        doc = json_object_get(doc, key);
        path += n;
        if (*path == '.') {
            path++;
        }
    }
    return doc;
}

double show_number(const json_t *doc, const char *path) {
    const json_t *v = walk(doc, path);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

const char *show_text(const json_t *doc, const char *path) {
    const char *s = json_string_value(walk(doc, path));
    return s && s[0] ? s : "-";
}

char *show_clean(char *s) {
    for (unsigned char *p = (unsigned char *)s; *p; p++) {
        if (*p == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0) { /* U+0080..U+009F in UTF-8: 8-bit control sequences */
            *p++ = ' ';
            *p = ' ';
        } else if (*p < 32 || *p == 127) {
            *p = ' ';
        }
    }
    return s;
}

struct show_table *show_table_new(const char *const *headings, size_t n) {
    struct show_table *t = n > 0 && n <= SHOW_COLS ? calloc(1, sizeof *t) : NULL;
    const char *plain[SHOW_COLS];
    if (!t) {
        return NULL;
    }
    t->n = n;
    for (size_t i = 0; i < n; i++) {
        t->right[i] = headings[i][0] == '>';
        plain[i] = headings[i] + (t->right[i] ? 1 : 0);
    }
    show_table_row(t, plain);
    return t;
}

void show_table_row(struct show_table *t, const char *const *cells) {
    if (!t) {
        return;
    }
    if (t->rows == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        void *p = realloc(t->cells, cap * t->n * SHOW_CELL);
        if (!p) {
            return; /* a shorter table is better than none */
        }
        t->cells = p;
        t->cap = cap;
    }
    for (size_t i = 0; i < t->n; i++) {
        char *cell = t->cells[t->rows * t->n + i];
        if (snprintf(cell, SHOW_CELL, "%s", cells[i] ? cells[i] : "-") >= SHOW_CELL) {
            memcpy(cell + SHOW_CELL - 4, "...", 4);
        }
        (void)show_clean(cell);
    }
    t->rows++;
}

int show_columns(void) {
    struct winsize w;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

/* The last cell of a row, cut to the room that a terminal leaves. */
static void print_last(const char *cell, int room) {
    if (room >= 8 && (int)strlen(cell) > room) {
        printf("%.*s...\n", room - 3, cell);
    } else {
        printf("%s\n", cell);
    }
}

void show_table_print(const struct show_table *t) {
    int width[SHOW_COLS] = {0}, used = 0;
    if (!t) {
        return;
    }
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t i = 0; i < t->n; i++) {
            int w = (int)strlen(t->cells[r * t->n + i]);
            width[i] = w > width[i] ? w : width[i];
        }
    }
    for (size_t i = 0; i + 1 < t->n; i++) {
        used += width[i] + 2;
    }
    int columns = show_columns();
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t i = 0; i < t->n; i++) {
            bool last = i + 1 == t->n;
            const char *cell = t->cells[r * t->n + i];
            if (t->right[i]) {
                printf("%*s%s", width[i], cell, last ? "\n" : "  ");
            } else if (last) {
                print_last(cell, columns > 0 ? columns - used : 0);
            } else {
                printf("%-*s  ", width[i], cell);
            }
        }
    }
}

void show_table_free(struct show_table *t) {
    if (t) {
        free(t->cells);
        free(t);
    }
}

void show_json(const json_t *doc) {
    json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
}

void show_reasons(const json_t *result) {
    static const char *const lists[] = {"reasons", "notes"};
    for (size_t k = 0; k < 2; k++) {
        size_t i;
        const json_t *x;
        json_array_foreach(json_object_get(result, lists[k]), i, x) {
            const char *code = json_is_string(x) ? json_string_value(x) : show_text(x, "code");
            char text[512];
            (void)snprintf(text, sizeof text, "%-9s %s: %s", k == 0 ? "reason" : "note", code, json_is_string(x) ? "" : show_text(x, "text"));
            printf("%s\n", show_clean(text));
        }
    }
}
