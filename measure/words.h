/* SPDX-License-Identifier: GPL-2.0-or-later
 * The words of every enumeration of measure/, NULL-terminated, index = value. */
#ifndef MEASURE_WORDS_H
#define MEASURE_WORDS_H

extern const char *const measure_scheme_words[], *const measure_method_words[], *const measure_spec_words[];
extern const char *const measure_provenance_words[], *const measure_plane_words[], *const measure_capacitance_words[];
extern const char *const measure_rule_words[], *const measure_tri_words[];

const char *measure_word(const char *const *words, int value); /* "?" when there is none */
int measure_word_find(const char *const *words, const char *s); /* index, or -1 */

#endif
