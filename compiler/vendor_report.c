/* SPDX-License-Identifier: GPL-2.0-or-later
 * Numbers out of what a vendor's tool printed or wrote (compiler/vendor.h). Formats: target_report in compiler/target.h. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/vendor.h"

static const char *const field_names[VENDOR_FIELDS] = {"weight_bytes", "activation_bytes", "flash_bytes", "ram_bytes", "cycles", "macs", "npu_operators", "cpu_operators"};

const char *vendor_field_name(enum vendor_field f) { return field_names[f]; }

int vendor_field_index(const char *name) {
    for (int i = 0; i < VENDOR_FIELDS; i++) {
        if (strcmp(field_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

struct span {
    const char *p;
    size_t n;
};

/* The first line of *rest, without its end; false when there is none left. */
static bool next_line(struct span *rest, struct span *ret_line) {
    if (rest->n == 0) {
        return false;
    }
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    *ret_line = (struct span){rest->p, n > 0 && rest->p[n - 1] == '\r' ? n - 1 : n};
    rest->p += end ? n + 1 : n;
    rest->n -= end ? n + 1 : n;
    return true;
}

/* A number with optional thousands separators ("1,234.5"); false when s does not start with a digit after spaces, '=', ':' or '('. */
static bool number_at(struct span s, double *ret_v) {
    char text[48];
    size_t n = 0, i = 0;
    while (i < s.n && strchr(" \t=:(", s.p[i])) {
        i++;
    }
    for (; i < s.n && n + 1 < sizeof text; i++) {
        char c = s.p[i];
        bool separator = c == ',' && n > 0 && i + 3 < s.n && isdigit((unsigned char)s.p[i + 1]) && isdigit((unsigned char)s.p[i + 2]) && isdigit((unsigned char)s.p[i + 3]);
        if (isdigit((unsigned char)c) || (c == '.' && n > 0)) {
            text[n++] = c;
        } else if (!separator) {
            break;
        }
    }
    text[n] = '\0';
    *ret_v = strtod(text, NULL); /* the program never leaves the C locale */
    return n > 0 && isfinite(*ret_v);
}

static const char *find(struct span s, const char *key) { return s.n ? memmem(s.p, s.n, key, strlen(key)) : NULL; }

static bool from_lines(const char *text, size_t n, const char *of_line, const char *key, double *ret_v) {
    struct span rest = {text, n}, line;
    bool found = false;
    while (next_line(&rest, &line)) {
        const char *at = !of_line || find(line, of_line) ? find(line, key) : NULL;
        double v;
        if (at && number_at((struct span){at + strlen(key), line.n - (size_t)(at - line.p) - strlen(key)}, &v)) {
            *ret_v = v;
            found = true;
        }
    }
    return found;
}

/* Cell i of a line; no quoting (none of the tools quotes). */
static bool cell(struct span line, int i, struct span *ret_c) {
    for (int k = 0;; k++) {
        const char *comma = line.n ? memchr(line.p, ',', line.n) : NULL;
        size_t n = comma ? (size_t)(comma - line.p) : line.n;
        if (k == i) {
            *ret_c = (struct span){line.p, n};
            return true;
        }
        if (!comma) {
            return false;
        }
        line.p += n + 1;
        line.n -= n + 1;
    }
}

static bool from_csv(const char *text, size_t n, const char *key, double *ret_v) {
    struct span rest = {text, n}, head = {NULL, 0}, line, last = {NULL, 0}, c;
    if (!next_line(&rest, &head)) {
        return false;
    }
    while (next_line(&rest, &line)) {
        last = line.n ? line : last;
    }
    for (int i = 0; last.n && cell(head, i, &c); i++) {
        if (c.n == strlen(key) && memcmp(c.p, key, c.n) == 0) {
            return cell(last, i, &c) && number_at(c, ret_v);
        }
    }
    return false;
}

int vendor_report_read(const struct target_report *p, const char *text, size_t n, struct vendor_result *r, struct err *reterr) {
    for (int i = 0; i < p->n_fields; i++) {
        const struct target_report_field *f = &p->fields[i];
        double v = 0.0;
        bool found = p->format == TARGET_REPORT_CSV ? from_csv(text, n, f->key, &v) : from_lines(text, n, f->line, f->key, &v);
        v *= f->scale;
        int index = vendor_field_index(f->field);
        if (found && index >= 0 && v < 9e15) {
            r->has[index] = true;
            r->value[index] = (int64_t)(v + 0.5);
        } else if (f->required) {
            return err_set(reterr, JF_E_PARSE, "%s has no number for \"%s\" (%s)", p->file ? p->file : "what the tool printed", f->key, f->field);
        }
    }
    return 0;
}

int vendor_version_find(const char *text, const char *key, char *dst, size_t size) {
    const char *p = key ? strstr(text, key) : text;
    p = p && key ? p + strlen(key) : p;
    for (; p && *p; p++) {
        size_t digits = strspn(p, "0123456789");
        if (digits && p[digits] == '.' && isdigit((unsigned char)p[digits + 1])) {
            size_t n = strspn(p, "0123456789.");
            n -= p[n - 1] == '.';
            (void)snprintf(dst, size, "%.*s", (int)n, p);
            return 0;
        }
        p += digits ? digits - 1 : 0;
    }
    return -1;
}
