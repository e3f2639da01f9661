/* SPDX-License-Identifier: GPL-2.0-or-later
 * The option parser: kinds, forms, limits, and that every refusal names the option. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/opts.h"

struct values {
    bool flag;
    const char *text;
    long long whole;
    double real;
    struct opt_list list;
    const char *words[2];
    size_t n;
    struct err e;
};

#define MAX_ARGS 40
static int parse(struct values *v, const char *const *argv) {
    char *copy[MAX_ARGS];
    int argc = 0;
    for (; argv[argc]; argc++) {
        copy[argc] = (char *)(uintptr_t)argv[argc]; /* main()'s shape; nothing writes to it */
    }
    const struct opt_row rows[] = {{"flag", OPT_FLAG, &v->flag, 0, 0, NULL, ""},     {"text", OPT_TEXT, &v->text, 0, 0, "T", ""},
                                   {"whole", OPT_INT, &v->whole, -2, 10, "N", ""},   {"real", OPT_REAL, &v->real, 0.5, 6, "R", ""},
                                   {"item", OPT_LIST, &v->list, 0, 0, "I", ""},      {"", OPT_FLAG, NULL, 0, 0, NULL, NULL}};
    v->e = (struct err){0};
    return opts_parse(argc, copy, rows, v->words, 2, &v->n, &v->e);
}
#define PARSE(v, ...) parse((v), (const char *const[]){"cmd", __VA_ARGS__, NULL})

static void kinds_and_forms(void **state) {
    (void)state;
    struct values v = {0};
    assert_int_equal(PARSE(&v, "a", "--flag", "--text", "x y", "--whole=-2", "--real", "0.5", "--item=1", "--item", "2", "b"), 0);
    assert_true(v.flag);
    assert_string_equal(v.text, "x y");
    assert_true(v.whole == -2 && v.real == 0.5);
    assert_int_equal(v.list.n, 2);
    assert_string_equal(v.list.items[1], "2");
    assert_int_equal(v.n, 2);
    assert_string_equal(v.words[0], "a");
    assert_string_equal(v.words[1], "b");
    assert_int_equal(PARSE(&v, "--whole", "0x0A", "--text="), 0); /* hexadecimal, an empty text */
    assert_true(v.whole == 10);
    assert_string_equal(v.text, "");
    assert_int_equal(PARSE(&v, "-flag"), 0); /* one dash will do */
}

static void words_that_look_like_options(void **state) {
    (void)state;
    struct values v = {0};
    assert_int_equal(PARSE(&v, "--", "--flag", "-"), 0);
    assert_false(v.flag);
    assert_int_equal(v.n, 2);
    assert_string_equal(v.words[0], "--flag");
    assert_string_equal(v.words[1], "-");
    assert_int_equal(PARSE(&v, "--text", "--flag"), 0); /* a value is a value, whatever it looks like */
    assert_string_equal(v.text, "--flag");
    assert_false(v.flag);
}

static void refusals_name_the_option(void **state) {
    (void)state;
    static const struct {
        const char *argv[5];
        const char *named;
    } rows[] = {{{"cmd", "--whole", "11", NULL}, "--whole"},     {{"cmd", "--whole", "-3", NULL}, "--whole"},
                {{"cmd", "--whole", "1.5", NULL}, "--whole"},    {{"cmd", "--whole", "", NULL}, "--whole"},
                {{"cmd", "--whole", "99999999999999999999", NULL}, "--whole"},
                {{"cmd", "--real", "6.01", NULL}, "--real"},     {{"cmd", "--real", "nan", NULL}, "--real"},
                {{"cmd", "--real", "inf", NULL}, "--real"},      {{"cmd", "--real", "1V", NULL}, "--real"},
                {{"cmd", "--text", NULL}, "--text"},             {{"cmd", "--flag=yes", NULL}, "--flag"},
                {{"cmd", "--fla", NULL}, "--fla"},               {{"cmd", "--flags", NULL}, "--flags"},
                {{"cmd", "a", "b", "third", NULL}, "\"third\""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct values v = {0};
        assert_int_equal(parse(&v, rows[i].argv), JF_E_INVAL);
        assert_non_null(strstr(v.e.text, rows[i].named));
    }
}

static void lists_are_bounded(void **state) {
    (void)state;
    struct values v = {0};
    const char *argv[OPT_LIST_MAX + 3] = {"cmd"};
    for (int i = 1; i <= OPT_LIST_MAX; i++) {
        argv[i] = "--item=x";
    }
    assert_int_equal(parse(&v, argv), 0);
    assert_int_equal(v.list.n, OPT_LIST_MAX);
    argv[OPT_LIST_MAX + 1] = "--item=x";
    v.list.n = 0;
    assert_int_equal(parse(&v, argv), JF_E_INVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds_and_forms), cmocka_unit_test(words_that_look_like_options),
                                       cmocka_unit_test(refusals_name_the_option), cmocka_unit_test(lists_are_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
