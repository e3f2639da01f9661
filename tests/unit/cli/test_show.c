/* SPDX-License-Identifier: GPL-2.0-or-later
 * How figures look to people. The expected texts were written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/show.h"

static void si_prefixes(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *unit, *text;
    } rows[] = {{0.018060968939555652, "J", "18.06 mJ"}, {0.00571, "J", "5.710 mJ"}, {0.0003585, "J", "358.5 uJ"},
                {8.490950180102048e-08, "J", "84.91 nJ"}, {3.3, "V", "3.300 V"},     {200000, "Hz", "200.0 kHz"},
                {64e6, "Hz", "64.00 MHz"},                {-6.7488e-9, "A", "-6.749 nA"}, {0, "A", "0 A"},
                {1, "s", "1.000 s"},                      {0.99994, "s", "999.9 ms"},     {0.99999, "s", "1.000 s"},
                {999.94, "s", "999.9 s"},                 {999.99, "s", "1.000 ks"},      {5e-12, "C", "5.000 pC"},
                {-8.7e-19, "J", "0 J"},                   {NAN, "J", "-"},                          {INFINITY, "J", "-"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[SHOW_CELL];
        assert_string_equal(show_si(rows[i].value, rows[i].unit, text), rows[i].text);
    }
}

static void dotted_paths(void **state) {
    (void)state;
    json_t *doc = json_loads("{\"a\":{\"b\":1.5,\"t\":\"x\",\"e\":\"\",\"n\":null},\"i\":3}", 0, NULL);
    assert_non_null(doc);
    assert_true(show_number(doc, "a.b") == 1.5 && show_number(doc, "i") == 3);
    assert_true(isnan(show_number(doc, "a.t")) && isnan(show_number(doc, "a.n")) && isnan(show_number(doc, "a.b.c")) && isnan(show_number(doc, "z")));
    assert_string_equal(show_text(doc, "a.t"), "x");
    assert_string_equal(show_text(doc, "a.e"), "-");
    assert_string_equal(show_text(doc, "i"), "-");
    assert_string_equal(show_text(NULL, "i"), "-");
    json_decref(doc);
}

static void control_characters_go(void **state) {
    (void)state;
    char esc[] = "a\x1b[2Jb\n\x7f", c1[] = "x\xc2\x9b" "31my", letters[] = "\xc2\xb5J \xc3\xa9"; /* CSI as U+009B; "µJ é" */
    assert_string_equal(show_clean(esc), "a [2Jb  ");
    assert_string_equal(show_clean(c1), "x  31my");
    assert_string_equal(show_clean(letters), "\xc2\xb5J \xc3\xa9");
}

/* What show_table_print wrote, through a file in place of stdout. */
static void table_looks(void **state) {
    (void)state;
    static const char *const head[] = {"name", ">value", "rest"};
    const char *const rows[][3] = {{"a", "1.5", "x"}, {"longer", "22.25", NULL}, {"esc", "3", "\x1b[1m"}};
    char wide[SHOW_CELL + 20], got[1024] = "";
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    struct show_table *t = show_table_new(head, 3);
    assert_non_null(t);
    for (size_t i = 0; i < 3; i++) {
        show_table_row(t, rows[i]);
    }
    const char *const cut[] = {"cut", "4", wide};
    show_table_row(t, cut);
    FILE *f = tmpfile();
    assert_non_null(f);
    (void)fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_true(saved >= 0 && dup2(fileno(f), STDOUT_FILENO) >= 0);
    show_table_print(t);
    (void)fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    (void)close(saved);
    show_table_free(t);
    rewind(f);
    got[fread(got, 1, sizeof got - 1, f)] = '\0';
    (void)fclose(f);
    static const char expected[] = "name    value  rest\n"
                                   "a         1.5  x\n"
                                   "longer  22.25  -\n"
                                   "esc         3   [1m\n"
                                   "cut         4  www";
    assert_memory_equal(got, expected, sizeof expected - 1);
    assert_string_equal(got + strlen(got) - 5, "w...\n");
    assert_null(show_table_new(head, SHOW_COLS + 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(si_prefixes), cmocka_unit_test(dotted_paths), cmocka_unit_test(control_characters_go), cmocka_unit_test(table_looks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
