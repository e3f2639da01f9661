/* SPDX-License-Identifier: MIT
 * The harness against the MLPerf Tiny device protocol: every command, every reply, every error line, in both modes. The expected strings are the wire
 * format as published (mlcommons/tiny, benchmark/api), not the harness's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/firmware/fake_device.h"

static int setup(void **state) {
    static struct fake_device d;
    assert_true(fake_boot(&d, "kws01", JF_MODE_ENERGY));
    *state = &d;
    return 0;
}

static void boot_energy(void **state) {
    struct fake_device *d = *state;
    assert_string_equal(d->text, "m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\n");
    int falling = 0;
    uint32_t level = 1; /* idle high before boot */
    for (size_t i = 0; i < d->events; i++) {
        if (d->event[i].kind == FAKE_MARKERS && (d->event[i].mask & 1)) {
            falling += level == 1 && (d->event[i].levels & 1) == 0;
            level = d->event[i].levels & 1;
        }
    }
    assert_int_equal(falling, 1); /* one pulse at boot */
    assert_int_equal(level, 1);
}

static void boot_performance(void **state) {
    (void)state;
    static struct fake_device d;
    assert_true(fake_boot(&d, "kws01", JF_MODE_PERFORMANCE));
    unsigned long us = 0;
    int end = -1;
    assert_int_equal(sscanf(d.text, "m-timestamp-mode-performance\r\nm-lap-us-%lu%n", &us, &end), 1);
    assert_true(end > 0);
    assert_string_equal(d.text + end, "\r\nm-init-done\r\nm-ready\r\n");
    assert_int_equal(d.lines, 1);
    for (size_t i = 0; i < d.events; i++) {
        assert_false(d.event[i].kind == FAKE_MARKERS && (d.event[i].levels & 1) == 0); /* no pulse in this mode */
    }
}

/* Commands and their whole replies; state carries over from row to row. */
static const struct {
    const char *command, *reply;
} energy_dialogue[] = {
    {"name%", "m-name-dut-[acme]\r\nm-ready\r\n"},
    {"profile%", "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[kws01]\r\nm-ready\r\n"},
    {"timestamp%", "m-ready\r\n"},
    {"results%", "m-results-[0.000,0.000,0.000]\r\nm-ready\r\n"},
    {"db%", "e-[Command 'db' requires a subcommand]\r\nm-ready\r\n"},
    {"db load%", "e-[Command 'db load' requires the # of bytes]\r\nm-ready\r\n"},
    {"db load 0%", "e-[Command 'db load' must be >0 bytes]\r\nm-ready\r\n"},
    {"db load x%", "e-[Command 'db load' must be >0 bytes]\r\nm-ready\r\n"},
    {"db load 27649%", "Supplied buffer size 27649 exceeds maximum of 27648\r\nm-ready\r\n"},
    {"db load -1%", "Supplied buffer size -1 exceeds maximum of 27648\r\nm-ready\r\n"},
    {"db load 27648%", "m-[Expecting 27648 bytes]\r\nm-ready\r\n"},
    {"db load 10%", "m-[Expecting 10 bytes]\r\nm-ready\r\n"},
    {"db 0%", "e-[Insufficent number of hex digits]\r\nm-ready\r\n"},
    {"db 0g%", "e-[Invalid hex digit '0g']\r\nm-ready\r\n"},
    {"db g0%", "e-[Invalid hex digit 'g0']\r\nm-ready\r\n"},
    {"db 00112233%", "m-ready\r\n"},
    {"db aAbBcCdDeE%", "m-ready\r\n"},
    {"db FF00%", "m-load-done\r\nm-ready\r\n"}, /* the tenth byte; the surplus is ignored */
    {"db 77%", "m-ready\r\n"},
    {"db print%", "m-buffer-00-11-22-33-aa-bb-cc-dd\r\nm-buffer-ee-ff\r\n\r\nm-ready\r\n"},
    {"db print 3 1%", "m-buffer-00-11-22-33-aa-bb-cc-dd\r\nm-buffer-ee-ff\r\n\r\nm-ready\r\n"},
    {"db load 8%", "m-[Expecting 8 bytes]\r\nm-ready\r\n"},
    {"db 0102030405060708%", "m-load-done\r\nm-ready\r\n"},
    {"db print%", "m-buffer-01-02-03-04-05-06-07-08\r\nm-ready\r\n"},
    {"infer 1 0%", "e-[Input has 8 bytes, expected 4]\r\nm-ready\r\n"},
    {"db load 4%", "m-[Expecting 4 bytes]\r\nm-ready\r\n"},
    {"db 807f%", "m-ready\r\n"},
    {"infer 1 0%", "e-[Input has 2 bytes, expected 4]\r\nm-ready\r\n"},
    {"db 0000%", "m-load-done\r\nm-ready\r\n"},
    {"db 55%", "m-ready\r\n"}, /* surplus: the input stays as it was */
    {"infer 0%", "e-[Inference iterations must be >0]\r\nm-ready\r\n"},
    {"infer -3%", "e-[Inference iterations must be >0]\r\nm-ready\r\n"},
    {"infer 5 -1%", "e-[Inference warmup must be >=0]\r\nm-ready\r\n"},
    {"infer 2 0%", "m-warmup-start-0\r\nm-warmup-done\r\nm-infer-start-2\r\nm-infer-done\r\nm-results-[0.000,0.996,0.500]\r\nm-ready\r\n"},
    {"infer%", "m-warmup-start-10\r\nm-warmup-done\r\nm-infer-start-1\r\nm-infer-done\r\nm-results-[0.000,0.996,0.500]\r\nm-ready\r\n"},
    {"infer 3%", "m-warmup-start-10\r\nm-warmup-done\r\nm-infer-start-3\r\nm-infer-done\r\nm-results-[0.000,0.996,0.500]\r\nm-ready\r\n"},
    {"results%", "m-results-[0.000,0.996,0.500]\r\nm-ready\r\n"},
    {"  name  %", "m-name-dut-[acme]\r\nm-ready\r\n"},
    {"name extra%", "m-name-dut-[acme]\r\nm-ready\r\n"},
    {"\r\nname%", "e-[Unknown command: \r\nname]\r\nm-ready\r\n"}, /* CR and LF are part of a command */
    {"NAME%", "e-[Unknown command: NAME]\r\nm-ready\r\n"},
    {"namex%", "e-[Unknown command: namex]\r\nm-ready\r\n"},
    {"%", "e-[Unknown command: ]\r\nm-ready\r\n"},
    {"jf%", "e-[Unknown command: jf]\r\nm-ready\r\n"},
    {"jf markers phases%", "e-[Unknown command: jf]\r\nm-ready\r\n"},
    {"db load 0%", "e-[Command 'db load' must be >0 bytes]\r\nm-ready\r\n"},
    {"infer 1 0%", "e-[Input has 0 bytes, expected 4]\r\nm-ready\r\n"}, /* a failed load leaves no input, not the embedded one */
};

static void dialogue(void **state) {
    struct fake_device *d = *state;
    for (size_t i = 0; i < sizeof energy_dialogue / sizeof energy_dialogue[0]; i++) {
        assert_string_equal(fake_say(d, energy_dialogue[i].command), energy_dialogue[i].reply);
    }
}

static void help_lists_all(void **state) {
    struct fake_device *d = *state;
    const char *said = fake_say(d, "help%");
    static const char *const words[] = {"help", "name", "profile", "timestamp", "db load", "db print", "infer", "results"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_non_null(strstr(said, words[i]));
    }
    assert_string_equal(said + strlen(said) - 11, "\r\nm-ready\r\n");
}

static void long_command_keeps_80(void **state) {
    struct fake_device *d = *state;
    char sent[102], want[140];
    memset(sent, 'a', 100);
    sent[100] = '%';
    sent[101] = '\0';
    snprintf(want, sizeof want, "e-[Unknown command: %.80s]\r\nm-ready\r\n", sent);
    assert_string_equal(fake_say(d, sent), want);
    sent[79] = 'b'; /* the 80th character is kept, the 81st is not */
    sent[80] = 'c';
    snprintf(want, sizeof want, "e-[Unknown command: %.79sb]\r\nm-ready\r\n", sent);
    assert_string_equal(fake_say(d, sent), want);
    assert_string_equal(fake_say(d, "name%"), "m-name-dut-[acme]\r\nm-ready\r\n");
}

static void no_reply_without_end(void **state) {
    struct fake_device *d = *state;
    assert_string_equal(fake_say(d, "name"), "");
    assert_string_equal(fake_say(d, "%"), "m-name-dut-[acme]\r\nm-ready\r\n");
}

static void warmups_run(void **state) {
    struct fake_device *d = *state;
    int before = d->inferences;
    (void)fake_say(d, "infer 3 4%");
    assert_int_equal(d->inferences - before, 7);
    before = d->inferences;
    (void)fake_say(d, "infer%");
    assert_int_equal(d->inferences - before, 11); /* 1 after the protocol's default of 10 */
}

static void embedded_input_before_any_load(void **state) {
    struct fake_device *d = *state;
    /* embedded 1, 2, 3, ... -> (q + 128) / 256 */
    assert_string_equal(fake_say(d, "infer 3 1%"),
                        "m-warmup-start-1\r\nm-warmup-done\r\nm-infer-start-3\r\nm-infer-done\r\nm-results-[0.504,0.508,0.512]\r\nm-ready\r\n");
}

static void performance_laps(void **state) {
    (void)state;
    static struct fake_device d;
    assert_true(fake_boot(&d, "kws01", JF_MODE_PERFORMANCE));
    unsigned long t = 0, t0 = 0, t1 = 0;
    int end = -1;
    assert_int_equal(sscanf(fake_say(&d, "timestamp%"), "m-lap-us-%lu\r\nm-ready\r\n%n", &t, &end), 1);
    assert_int_equal(d.text[end], '\0');
    end = -1;
    assert_int_equal(sscanf(fake_say(&d, "infer 7 2%"), "m-warmup-start-2\r\nm-warmup-done\r\nm-infer-start-7\r\nm-lap-us-%lu\r\nm-lap-us-%lu\r\n%n", &t0, &t1, &end), 2);
    assert_string_equal(d.text + end, "m-infer-done\r\nm-results-[0.504,0.508,0.512]\r\nm-ready\r\n");
    assert_true(t1 - t0 >= 7000 && t1 - t0 <= 7000 + 4 * FAKE_TICK_US); /* 7 inferences of 1 ms: no printing inside */
    assert_true(t0 > t);
}

static void net_too_large(void **state) {
    (void)state;
    static struct fake_device d;
    fake_make(&d, "kws01");
    d.net.in.n = JF_NET_INPUT_MAX + 1;
    assert_false(jf_harness_boot(&d.harness, &d.port, &d.net, JF_MODE_ENERGY));
    assert_string_equal(d.text, "m-timestamp-mode-energy\r\ne-[The model does not fit the harness]\r\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(boot_energy, setup),
        cmocka_unit_test(boot_performance),
        cmocka_unit_test_setup(dialogue, setup),
        cmocka_unit_test_setup(help_lists_all, setup),
        cmocka_unit_test_setup(long_command_keeps_80, setup),
        cmocka_unit_test_setup(no_reply_without_end, setup),
        cmocka_unit_test_setup(warmups_run, setup),
        cmocka_unit_test_setup(embedded_input_before_any_load, setup),
        cmocka_unit_test(performance_laps),
        cmocka_unit_test(net_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
