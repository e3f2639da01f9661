/* SPDX-License-Identifier: GPL-2.0-or-later
 * Targets as data: ranges, the shipped files, the operators that they may name; what a limit's words mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/target.h"

static void test_ranges(void **state) {
    (void)state;
    static const struct {
        struct target_range r;
        const char *text;
        int64_t good[4], bad[4];
    } rows[] = {
        {{.has_min = true, .has_max = true, .min = 1, .max = 3}, "1 to 3", {1, 2, 3, 3}, {0, 4, -1, INT64_MAX}},
        {{.has_min = true, .has_max = true, .min = 2, .max = 2}, "2", {2, 2, 2, 2}, {1, 3, 0, -2}},
        {{.has_max = true, .max = 8}, "at most 8", {8, 0, -3, INT64_MIN}, {9, 10, 1000, INT64_MAX}},
        {{.has_min = true, .min = 5}, "at least 5", {5, 6, 7, INT64_MAX}, {4, 0, -5, INT64_MIN}},
        {{.in = {1, 3}, .n_in = 2}, "1 or 3", {1, 3, 1, 3}, {0, 2, 4, -1}},
        {{.in = {0, 1, 6}, .n_in = 3}, "0, 1 or 6", {0, 1, 6, 0}, {2, 5, 7, -1}},
        {{.multiple = 4}, "a multiple of 4", {0, 4, 8, -4}, {1, 2, 3, 6}},
        {{.has_max = true, .max = 16, .multiple = 4}, "at most 16, a multiple of 4", {4, 16, 0, 12}, {20, 2, 17, 15}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[96];
        target_range_text(&rows[i].r, text, sizeof text);
        assert_string_equal(text, rows[i].text);
        for (int k = 0; k < 4; k++) {
            assert_true(target_range_holds(&rows[i].r, rows[i].good[k]));
            assert_false(target_range_holds(&rows[i].r, rows[i].bad[k]));
        }
    }
}

/* A text of any room is cut, not overrun. */
static void test_range_text_is_cut(void **state) {
    (void)state;
    struct target_range r = {.n_in = TARGET_MAX_IN};
    for (int i = 0; i < TARGET_MAX_IN; i++) {
        r.in[i] = INT64_MAX - i;
    }
    for (size_t size = 1; size < 64; size++) {
        char *text = malloc(size);
        assert_non_null(text);
        target_range_text(&r, text, size);
        assert_true(strlen(text) < size);
        free(text);
    }
}

static void test_every_operator_can_be_named(void **state) {
    (void)state;
    for (int op = 0; op < IR_OPS; op++) {
        assert_true(target_op_known(ir_op_name((enum ir_op)op)));
    }
    assert_false(target_op_known("CONV_9D"));
}

static void test_quantities(void **state) {
    (void)state;
    for (int i = 0; quantity_at(i); i++) {
        const struct quantity *q = quantity_at(i);
        assert_ptr_equal(quantity_find(q->name), q); /* no name twice */
        assert_true(strlen(q->meaning) > 5);
        assert_true(!q->node_value == q->model);
    }
    assert_null(quantity_find("beauty"));
}

/* Every file that is installed: it is read, each limit has its source, a target with a tool can call it. */
static void test_shipped_files(void **state) {
    (void)state;
    char names[64][64];
    struct err e = {0};
    int n = target_names("compiler/targets", names, 64, &e), tools = 0;
    assert_true(n >= 14);
    for (int i = 0; i < n; i++) {
        struct target *t = NULL;
        if (target_open("compiler/targets", names[i], &t, &e) < 0) {
            fail_msg("%s", e.text);
        }
        assert_string_equal(t->name, names[i]);
        assert_true(strcmp(t->maturity, "partial") != 0 || t->n_unknown > 0);
        for (int k = 0; k < t->n_limits; k++) {
            assert_non_null(t->limits[k].source);
            assert_non_null(t->limits[k].quantity);
        }
        for (int k = 0; k < t->n_memories; k++) {
            assert_true(t->memories[k].bytes > 0 && (t->memories[k].weights || t->memories[k].activations));
            assert_true(t->memories[k].banks * t->memories[k].bank_bytes <= t->memories[k].bytes);
        }
        tools += t->has_tool;
        target_free(t);
    }
    assert_true(tools >= 7);
}

/* The sizes of the documents, multiplied out: 64 processors of 768 kernels of 9 bytes; 16 instances of 32 KiB; 60 of 4096 and 4 of 5120
 * kernels; 16 of 80 KiB. */
static void test_memories_of_the_documents(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t weights, activations;
    } rows[] = {{"max78000", INT64_C(64) * 768 * 9, 16 * 32 * 1024}, {"max78002", (INT64_C(60) * 4096 + 4 * 5120) * 9, 16 * 80 * 1024}};
    for (size_t i = 0; i < 2; i++) {
        struct target *t = NULL;
        struct err e = {0};
        int64_t weights = 0, activations = 0;
        assert_int_equal(target_open("compiler/targets", rows[i].name, &t, &e), 0);
        for (int k = 0; k < t->n_memories; k++) {
            weights += t->memories[k].weights ? t->memories[k].bytes : 0;
            activations += t->memories[k].activations ? t->memories[k].bytes : 0;
        }
        assert_int_equal(weights, rows[i].weights);
        assert_int_equal(activations, rows[i].activations);
        target_free(t);
    }
}

/* Files cut at every length: refused with file and line, or read; never a crash (a sanitizer watches). */
static void test_cut_files(void **state) {
    (void)state;
    char dir[] = "/tmp/jf-target-XXXXXX", path[64];
    static char text[65536];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/max78000.yaml", dir);
    FILE *f = fopen("compiler/targets/max78000.yaml", "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    (void)fclose(f);
    assert_true(n > 1000 && n < sizeof text);
    int refused = 0;
    for (size_t cut = 1; cut < n; cut += 37) {
        struct target *t = NULL;
        struct err e = {0};
        f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, cut, f), cut);
        (void)fclose(f);
        if (target_read(path, &t, &e) < 0) {
            refused++;
            assert_non_null(strstr(e.text, "max78000.yaml"));
        }
        target_free(t);
    }
    assert_true(refused > 50);
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),        cmocka_unit_test(test_range_text_is_cut),         cmocka_unit_test(test_every_operator_can_be_named), cmocka_unit_test(test_quantities),
        cmocka_unit_test(test_shipped_files), cmocka_unit_test(test_memories_of_the_documents), cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
