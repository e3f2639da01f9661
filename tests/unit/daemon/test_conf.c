/* SPDX-License-Identifier: GPL-2.0-or-later
 * The configuration checker: what a person writes wrong is named with line, column and field; nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/conf_check.h"

static char *slurp(const char *path) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 16);
    assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
    (void)fclose(f);
    return text;
}

/* Loads config/demo.yaml with one piece replaced; answers the mistakes. */
static int load_changed(const char *what, const char *by, struct conf_mistakes *m, int *ret_line) {
    char *text = slurp("config/demo.yaml"), *at = what ? strstr(text, what) : text;
    char path[] = "/tmp/jf-conf-XXXXXX";
    struct conf *c = NULL;
    struct err e = {0};
    assert_non_null(at);
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "wb");
    (void)fwrite(text, 1, (size_t)(at - text), f);
    (void)fprintf(f, "%s%s", by, at + (what ? strlen(what) : strlen(text)));
    (void)fclose(f);
    *ret_line = 1;
    for (const char *p = text; p < at; p++) {
        *ret_line += *p == '\n';
    }
    int r = conf_load(path, &c, m, &e);
    conf_free(c);
    (void)unlink(path);
    free(text);
    return r;
}

static void test_good(void **state) {
    (void)state;
    static const char *const files[] = {"config/demo.yaml", "config/nucleo-ppk2.yaml", "config/nucleo-ppk2-logic.yaml"};
    for (int i = 0; i < 3; i++) {
        struct conf *c = NULL;
        struct conf_mistakes m = {0};
        struct err e = {0};
        assert_int_equal(conf_load(files[i], &c, &m, &e), 0);
        assert_int_equal(m.n, 0);
        assert_int_equal(c->n_benches, i == 0 ? 3 : 1);
        const struct conf_bench *b = conf_bench_find(c, "ppk2-c");
        assert_non_null(b);
        assert_string_equal(b->board_type, "nucleo-h7a3zi-q");
        assert_int_equal(b->caps, CONF_CAP_STAGES | CONF_CAP_STREAMING | CONF_CAP_SUPPLY);
        assert_true(b->rate_hz == 100000.0);
        assert_true(json_integer_value(json_object_get(json_object_get(b->doc, "uart"), "baud")) == 115200);
        assert_string_equal(json_string_value(json_object_get(json_object_get(b->doc, "board_type"), "name")),
                            "nucleo-h7a3zi-q");
        assert_int_equal(b->is_virtual, i == 0);
        conf_free(c);
    }
}

#define LOGIC(more, markers)                                                                                           \
    "    logic: {driver: sigrok, sigrok_driver: beaglelogic, conn: tcp-raw/127.0.0.1/9, " more                        \
    "mapping: {markers: [" markers "]}}\n"
#define PPK2                                                                                                           \
    "      mode: source                              # the PPK2 feeds the board\n"                                           \
    "      mapping:\n"

static void test_logic(void **state) {
    (void)state;
    struct conf_mistakes m = {0};
    int line;
    assert_int_equal(load_changed(PPK2 "        markers: [D0, D1, D2, D3, D4]\n", PPK2 "        markers: [D0]\n" LOGIC("", "a, b, c, d, e"), &m, &line), 0);
    conf_mistakes_done(&m);
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *what, *by, *field, *text;
    } cases[] = {
        {"port: ${JF_PORT:-8480}", "port: 99999", "daemon.port", "out of range"},
        {"port: ${JF_PORT:-8480}", "port: ${JF_SURELY_NOT_SET}", "daemon.port", "JF_SURELY_NOT_SET is not set"},
        {"port: ${JF_PORT:-8480}", "port: ${JF PORT}", "daemon.port", "${NAME}"},
        {"listen: 127.0.0.1", "listen: 0.0.0.0", "daemon.listen", "not one of"},
        {"baud: 115200", "bauds: 115200", "benches[0].uart.bauds", "is not known here"},
        {"virtual: true", "virtual: maybe", "benches[0].virtual", "neither true nor false"},
        {"driver: sigrok", "driver: sigrock", "benches[0].analyzer.driver", "not one of"},
        {"driver: sigrok\n", "driver: sigrok\n      trust_port: true\n", "benches[0].analyzer.trust_port",
         "is not known here"},
        {"name: scope-a", "name: scope a", "benches[0].name", "is no name"},
        {"type: nucleo-h7a3zi-q", "type: abacus", "benches[0].board.type", "no board type"},
        {"channel: CH1,", "", "benches[0].analyzer.mapping.current.channel", "is missing"},
        {"by: board ", "by: analyzer ", "benches[0].supply.by", "cannot feed"},
        {"voltage_v: 3.3", "voltage_v: .nan", "benches[0].supply.voltage_v", "is no number"},
        {"voltage_v: 3.3", "voltage_v: [3.3]", "benches[0].supply.voltage_v", "single value"},
        {"    uart:\n", "    uart: 7\n    uarts:\n", "benches[0].uart", "must be a mapping"},
        {"      serial: VB-A", "      serial: VB-A\n      serial: VB-A", "benches[0].board.serial", "appears twice"},
        {"VBOARD000000000000000002", "VBOARD000000000000000001", "benches[1].probe.serial",
         "used by benches[0].probe.serial"},
        {"    supply:\n", LOGIC("sync_line: 6, ", "a, b, c, d, e") "    supply:\n", "benches[0].logic.sync_line",
         "must see line 0"},
        {PPK2 "        markers: [D0, D1, D2, D3, D4]\n", PPK2 "        markers: [D0]\n" LOGIC("sync_line: 1, ", "a, b, c, d, e"), "benches[2].logic.sync_line",
         "must see line 0"},
        {PPK2 "        markers: [D0, D1, D2, D3, D4]\n", PPK2 "        markers: [D0]\n" LOGIC("", "a, b"), "benches[2].logic.mapping.markers", "five lines"},
        {PPK2 "        markers: [D0, D1, D2, D3, D4]\n", PPK2 "        markers: [D0]\n" LOGIC("voltage_v: 3, ", "a, b, c, d, e"), "benches[2].logic.voltage_v",
         "is not known here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf_mistakes m = {0};
        int line;
        assert_int_equal(load_changed(cases[i].what, cases[i].by, &m, &line), JF_E_INVAL);
        int found = 0;
        for (int k = 0; k < m.n; k++) {
            found += strcmp(m.items[k].field, cases[i].field) == 0 && strstr(m.items[k].text, cases[i].text) &&
                     abs(m.items[k].line - line) <= 3 && m.items[k].column > 1;
        }
        if (found != 1) {
            conf_mistakes_print(&m, stderr);
            fail_msg("%s -> %s", cases[i].what, cases[i].by);
        }
        conf_mistakes_done(&m);
    }
}

static void test_not_yaml(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{", "\t- x", "a: &x [*x]", "", "- 1", "&a [*a, *a]", "daemon: *nobody", "%YAML 9.9\n---\n", "\xff\xfe\x00"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct conf_mistakes m = {0};
        int line;
        assert_int_equal(load_changed(NULL, texts[i], &m, &line), JF_E_INVAL);
        assert_true(m.n >= 1 && m.items[0].line >= 1);
        conf_mistakes_done(&m);
    }
}

static void test_expand(void **state) {
    (void)state;
    char out[32];
    struct err e = {0};
    assert_int_equal(setenv("JF_TEST_X", "value", 1), 0);
    assert_int_equal(conf_expand("a${JF_TEST_X}b${JF_TEST_NONE:-dflt}", out, sizeof out, &e), 0);
    assert_string_equal(out, "avaluebdflt");
    assert_int_equal(conf_expand("$x {} $", out, sizeof out, &e), 0);
    assert_string_equal(out, "$x {} $");
    assert_int_equal(conf_expand("${JF_TEST_NONE:-}", out, sizeof out, &e), 0);
    assert_string_equal(out, "");
    assert_int_equal(conf_expand("${", out, sizeof out, &e), JF_E_INVAL);
    assert_int_equal(conf_expand("${JF_TEST_X}", out, 5, &e), JF_E_TOO_LARGE);
    assert_int_equal(conf_expand("${JF_TEST_X}", out, 6, &e), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_logic), cmocka_unit_test(test_mistakes),
                                       cmocka_unit_test(test_not_yaml), cmocka_unit_test(test_expand)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
