/* SPDX-License-Identifier: GPL-2.0-or-later
 * Options and sentences that the commands of jf-model share (compiler/cmd.h). */
#include "compiler/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cmd_fail(const struct err *e, const char *name) {
    (void)fprintf(stderr, "jf-model: %s: %s\n", name, e->text);
    return CMD_REFUSED;
}

int cmd_misuse(const struct cmd *self, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)fprintf(stderr, "jf-model %s: ", self->name);
    (void)vfprintf(stderr, fmt, ap); /* NOLINT(clang-analyzer-valist.Uninitialized): va_start is the line above */
    (void)fprintf(stderr, " (try jf-model %s --help)\n", self->name);
    va_end(ap);
    return CMD_USAGE;
}

static void help(const struct cmd *self, const struct cmd_option *rows) {
    printf("usage: jf-model %s %s\n%s\n\n", self->name, self->synopsis, self->summary);
    for (const struct cmd_option *o = rows; o->name; o++) {
        char head[64];
        if (o > rows && strcmp(o->name, o[-1].name) == 0) {
            continue;
        }
        (void)snprintf(head, sizeof head, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-26s %s\n", head, o->help);
    }
}

static const struct cmd_option *find(const struct cmd_option *rows, const char *arg) {
    size_t n = strcspn(arg, "=");
    const struct cmd_option *last = NULL;
    for (const struct cmd_option *o = rows; o->name; o++) {
        if (strlen(o->name) == n && strncmp(o->name, arg, n) == 0 && (o->value || arg[n] == '\0')) {
            last = o;
            if (!o->value || !*o->text) {
                break;
            }
        }
    }
    return last;
}

bool cmd_parse(const struct cmd *self, int argc, char **argv, const struct cmd_option *rows, struct cmd_words *words, int *ret_code) {
    words->n = 0;
    for (int i = 1; i < argc; i++) {
        const struct cmd_option *o = find(rows, argv[i]);
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help(self, rows);
            *ret_code = CMD_DONE;
            return false;
        }
        if (o && !o->value) {
            *o->flag = true;
        } else if (o && strchr(argv[i], '=')) {
            *o->text = strchr(argv[i], '=') + 1;
        } else if (o) {
            if (i + 1 >= argc) {
                *ret_code = cmd_misuse(self, "%s wants a value", argv[i]);
                return false;
            }
            *o->text = argv[++i];
        } else if (argv[i][0] != '-' && words->n < words->max) {
            words->words[words->n++] = argv[i];
        } else {
            *ret_code = cmd_misuse(self, "\"%s\" is not understood here", argv[i]);
            return false;
        }
    }
    if (words->n < words->min) {
        *ret_code = cmd_misuse(self, "wants a %s", words->what);
        return false;
    }
    return true;
}
