/* SPDX-License-Identifier: GPL-2.0-or-later
 * The fault registry: names, bounds, "after" and "count", and that bad input changes nothing and names the field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "sim/faults.h"

static int set(struct faults *f, const char *name, bool on, const char *params, struct err *e) {
    json_t *p = params ? json_loads(params, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(!params || p);
    int rc = faults_set(f, name, on, p, e);
    json_decref(p);
    return rc;
}

static struct faults *make(void) {
    struct faults *f = NULL;
    assert_int_equal(faults_new(&f, NULL), 0);
    return f;
}

static void every_required_name(void **state) {
    (void)state;
    static const char *const names[] = {
        "probe-refuse", "probe-silent", "probe-drop", "ap-fault", "verify-mismatch", "flash-error", "chip-id", "uart-silent",
        "uart-noise", "marker-open", "marker-stuck", "marker-delay", "brown-out", "lockup", "host-stall", "scope-mute",
        "scope-short-block", "scope-close", "scope-late", "ppk2-counter-jump", "ppk2-lose-bytes", "ppk2-stall", "ppk2-saturate", "ppk2-unplug", "logic-close", "logic-mute",
        "logic-lose",
    };
    struct faults *f = make();
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        assert_int_equal(set(f, names[k], true, NULL, NULL), 0);
    }
    json_t *list = faults_list(f);
    assert_int_equal(json_array_size(list), sizeof names / sizeof names[0]);
    for (size_t k = 0; k < json_array_size(list); k++) {
        assert_true(json_is_true(json_object_get(json_array_get(list, k), "on")));
        assert_string_equal(json_string_value(json_object_get(json_array_get(list, k), "name")), fault_name((enum fault_id)k));
    }
    json_decref(list);
    faults_free(f);
}

static void after_and_count(void **state) {
    (void)state;
    struct faults *f = make();
    assert_false(fault_fires(f, FAULT_AP_FAULT));
    assert_int_equal(set(f, "ap-fault", true, "{\"after\":2,\"count\":3}", NULL), 0);
    char seen[9] = "";
    for (int k = 0; k < 8; k++) {
        strcat(seen, fault_fires(f, FAULT_AP_FAULT) ? "F" : ".");
    }
    assert_string_equal(seen, "..FFF...");
    assert_false(fault_on(f, FAULT_AP_FAULT));
    assert_int_equal(set(f, "ap-fault", true, NULL, NULL), 0); /* unbounded, and "after" is forgotten */
    for (int k = 0; k < 100; k++) {
        assert_true(fault_fires(f, FAULT_AP_FAULT));
    }
    assert_int_equal(set(f, "ap-fault", false, NULL, NULL), 0);
    assert_false(fault_fires(f, FAULT_AP_FAULT));
    faults_free(f);
}

static void parameters(void **state) {
    (void)state;
    struct faults *f = make();
    assert_int_equal(set(f, "ppk2-counter-jump", true, "{\"samples\":128}", NULL), 0);
    assert_true(fault_param(f, FAULT_PPK2_COUNTER_JUMP, "samples") == 128.0);
    assert_true(fault_fires(f, FAULT_PPK2_COUNTER_JUMP));
    assert_false(fault_fires(f, FAULT_PPK2_COUNTER_JUMP)); /* momentary: once, unless count says otherwise */
    assert_int_equal(set(f, "ppk2-counter-jump", true, NULL, NULL), 0);
    assert_true(fault_param(f, FAULT_PPK2_COUNTER_JUMP, "samples") == 100.0);
    assert_int_equal(set(f, "host-stall", true, "{\"ms\":1500}", NULL), 0);
    assert_true(fault_param(f, FAULT_HOST_STALL, "s") == 1.5);
    faults_free(f);
}

static void bad_input_names_the_field(void **state) {
    (void)state;
    static const struct {
        const char *name, *params, *where;
    } cases[] = {
        {"no-such", NULL, "name"},
        {"", NULL, "name"},
        {"marker-open", "[]", "params"},
        {"marker-open", "3", "params"},
        {"marker-open", "{\"line\":8}", "params.line"},
        {"marker-open", "{\"line\":-1}", "params.line"},
        {"marker-open", "{\"line\":\"0\"}", "params.line"},
        {"marker-open", "{\"line\":1,\"lime\":1}", "params.lime"},
        {"marker-open", "{\"ms\":1}", "params.ms"},
        {"probe-silent", "{\"count\":-1}", "params.count"},
        {"probe-silent", "{\"after\":null}", "params.after"},
        {"uart-noise", "{\"p\":1.5}", "params.p"},
    };
    struct faults *f = make();
    assert_int_equal(set(f, "marker-open", true, "{\"line\":4}", NULL), 0);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct err e = {0};
        assert_int_equal(set(f, cases[k].name, false, cases[k].params, &e), JF_E_INVAL);
        assert_string_equal(e.where, cases[k].where);
    }
    assert_true(fault_on(f, FAULT_MARKER_OPEN));
    assert_true(fault_param(f, FAULT_MARKER_OPEN, "line") == 4.0);
    faults_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_required_name),
        cmocka_unit_test(after_and_count),
        cmocka_unit_test(parameters),
        cmocka_unit_test(bad_input_names_the_field),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
