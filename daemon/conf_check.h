/* SPDX-License-Identifier: GPL-2.0-or-later
 * The table-driven checker: a YAML file and a table of fields give a JSON object with defaults filled in, and all
 * mistakes. */
#ifndef DAEMON_CONF_CHECK_H
#define DAEMON_CONF_CHECK_H

#include "daemon/conf.h"

enum conf_kind {
    CONF_TEXT,   /* words: NULL, or the allowed ones "a|b|c" */
    CONF_NAME,   /* [A-Za-z0-9._-]{1,63}, not starting with '.' or '-' */
    CONF_WHOLE,  /* min..max, decimal or 0x */
    CONF_NUMBER, /* min..max */
    CONF_BOOL,
    CONF_MAP,    /* sub */
    CONF_CHOICE, /* a map whose further fields depend on the word in its field `words` names; sub: common fields; choice
                  */
    CONF_TEXTS,  /* list of texts */
    CONF_MAPS,   /* list of maps, at least min, at most max */
    CONF_FREE,   /* map of scalars (or lists of them), any keys */
    CONF_WORD_OR_FREE, /* one of words, or a map of scalars */
};
struct conf_variant {
    const char *word;
    const struct conf_field *fields;
};
struct conf_field {
    const char *key; /* NULL ends a table */
    enum conf_kind kind;
    bool required;
    double min, max; /* min == max: unbounded */
    const char *words;
    const char *fallback; /* default as YAML scalar text, NULL: none */
    const struct conf_field *sub;
    const struct conf_variant *choice; /* ends with word NULL */
};

/* Reads and checks one file. *ret_doc (owned by the caller) holds what could be read even when there were mistakes;
 * NULL when the file could not be parsed at all. positions (may be NULL) receives "field" -> "line:column" for later
 * checks. */
void conf_check_file(const char *path, const struct conf_field *table, json_t **ret_doc, json_t *positions,
                     struct conf_mistakes *m);
void conf_mistake_add(struct conf_mistakes *m, const char *file, int line, int column, const char *field,
                      const char *fmt, ...) JF_PRINTF(6, 7);
/* The same at a field of the file whose positions were recorded (falls back to the nearest parent). */
void conf_mistake_at(struct conf_mistakes *m, const char *file, const json_t *positions, const char *field,
                     const char *fmt, ...) JF_PRINTF(5, 6);
/* Pure: ${NAME} and ${NAME:-text}. JF_E_INVAL names the variable; JF_E_TOO_LARGE. */
int conf_expand(const char *text, char *out, size_t size, struct err *reterr) JF_MUST_CHECK;

/* conf_tables.c */
extern const struct conf_field conf_file_table[], conf_board_table[];

#endif
