/* SPDX-License-Identifier: GPL-2.0-or-later
 * Words of the enumerations. Owns constant tables only. */
#include "measure/words.h"

#include <string.h>

#include "measure/measure.h"

const char *const measure_scheme_words[] = {"mlperf", "phases", NULL};
const char *const measure_method_words[] = {"quick", "mlperf-tiny", NULL};
const char *const measure_spec_words[] = {"limit", "k2", "typical", "unknown", NULL};
const char *const measure_provenance_words[] = {"measured", "set", "stated", NULL};
const char *const measure_plane_words[] = {"analyzer-out", "board-pin", "core-rail", NULL};
const char *const measure_capacitance_words[] = {"unknown", "declared", "max", NULL};
const char *const measure_rule_words[] = {"edge", "eembc", "mlcommons", NULL};
const char *const measure_tri_words[] = {"unchecked", "good", "bad", NULL};

const char *measure_word(const char *const *words, int value) {
    for (int i = 0; words[i]; i++)
        if (i == value)
            return words[i];
    return "?";
}

int measure_word_find(const char *const *words, const char *s) {
    for (int i = 0; s && words[i]; i++)
        if (strcmp(words[i], s) == 0)
            return i;
    return -1;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): type stands in a declaration */
#define WORDS(noun, type)                                                 \
    const char *measure_##noun##_name(type v) {                           \
        return measure_word(measure_##noun##_words, (int)v);              \
    }                                                                     \
    int measure_##noun##_parse(const char *s, type *ret) {                \
        int v = measure_word_find(measure_##noun##_words, s);             \
        if (v < 0)                                                        \
            return JF_E_INVAL;                                            \
        *ret = (type)v;                                                   \
        return 0;                                                         \
    }
/* NOLINTEND(bugprone-macro-parentheses) */
WORDS(scheme, enum measure_scheme)
WORDS(method, enum measure_method)
WORDS(spec, enum measure_spec)
WORDS(provenance, enum measure_provenance)
WORDS(plane, enum measure_plane)
WORDS(capacitance, enum measure_capacitance)
WORDS(rule, enum measure_rule)

static const struct {
    const char *word;
    enum measure_grade grade;
    enum measure_figure figure;
    const char *sentence;
} codes[MEASURE_N_CODES] = {
#define X(sym, word, grade, figure, text) {word, MEASURE_GRADE_##grade, MEASURE_FIGURE_##figure, text},
#include "measure/reasons.def"
#undef X
};

const char *measure_code_word(enum measure_code c) {
    return (unsigned)c < MEASURE_N_CODES ? codes[c].word : "?";
}

enum measure_grade measure_code_grade(enum measure_code c) {
    return (unsigned)c < MEASURE_N_CODES ? codes[c].grade : MEASURE_GRADE_INVALID;
}

enum measure_figure measure_code_figure(enum measure_code c) {
    return (unsigned)c < MEASURE_N_CODES ? codes[c].figure : MEASURE_FIGURE_ALL;
}

const char *measure_code_sentence(enum measure_code c) {
    return (unsigned)c < MEASURE_N_CODES ? codes[c].sentence : "?";
}

const char *measure_verdict_name(enum measure_verdict v) {
    static const char *const words[] = {"valid", "suspect", "invalid", NULL};
    return measure_word(words, (int)v);
}
