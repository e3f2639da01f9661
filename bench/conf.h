/* SPDX-License-Identifier: GPL-2.0-or-later
 * The bench's configuration and the job, as checked by the daemon and read again here: structs of plain values and of
 * pointers borrowed from the JSON trees they came from. Pure. */
#ifndef BENCH_CONF_H
#define BENCH_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "measure/measure.h"

enum conf_supply { CONF_SUPPLY_ANALYZER, CONF_SUPPLY_BOARD, CONF_SUPPLY_NONE };
enum conf_start { CONF_START_POWER_CYCLE, CONF_START_PROBE_RESET };

struct bench_conf {
    const char *name;
    bool is_virtual;
    const json_t *board, *board_type, *probe, *flash,
        *analyzer; /* objects; flash: what the runner is told of the board */
    const char *type_name, *unit_serial;
    const char *runner; /* flash runner's name */
    const char *driver; /* power driver's name */
    const json_t *logic; /* object: a second instrument that delivers the markers; NULL: the analyzer does */
    const char *logic_driver; /* its driver's name */
    int sync_line; /* with it: which of the analyzer's own marker lines is on the wire of line 0 */
    const char *uart_path, *uart_backend;
    int uart_baud;
    bool via_interface; /* commands go through an interface board ("dut <command>%") */
    enum conf_supply supply;
    struct measure_supply measure_supply; /* voltage, tolerance, plane, capacitance, limits; provenance still open */
    enum conf_start start;
    enum measure_scheme scheme;
    double clock_tol_rel;
    double boot_s;        /* longest time from reset to m-ready */
    double off_current_a; /* above this with the supply off: back-powered */
    double temperature_c; /* of the room, as somebody stated it; NAN: not known */
    const char *idle;     /* idle state to ask for: "spin" | "wfi", NULL: leave */
};
/* JF_E_INVAL; reterr->where names the field ("supply.voltage_v"). */
int bench_conf_parse(const json_t *root, struct bench_conf *ret_c, struct err *reterr) JF_MUST_CHECK;

#define JOB_MAX_INPUTS 64
#define JOB_MAX_VALUES 64
#define JOB_INPUT_BYTES_MAX 27648 /* the device's buffer: 96*96*3 */

struct job_expect {
    bool has_crc, has_values;
    uint32_t crc32;
    double values[JOB_MAX_VALUES], tolerance;
    int n_values;
};

struct job_conf {
    enum measure_method method;
    int windows;
    uint32_t inferences; /* 0: chosen */
    uint32_t warmup;
    double window_s;  /* length to aim at; 0: the method's */
    double supply_v;  /* NAN: the bench's */
    double rate_hz;   /* 0: the driver's best */
    double timeout_s; /* 0: none of its own */
    struct job_expect expect;
};
int job_conf_parse(const json_t *job, struct job_conf *ret_j, struct err *reterr) JF_MUST_CHECK;

/* N for one window: long enough for target_s at latency_s per inference, at least min_n, at most max_n.
 * JF_E_MEASUREMENT: no finite positive latency. */
int job_choose_n(double latency_s, double target_s, uint32_t min_n, uint32_t max_n, uint32_t *ret_n) JF_MUST_CHECK;
/* The window length and least N that a method asks for. */
double job_window_s(const struct job_conf *j);
uint32_t job_min_inferences(const struct job_conf *j);

#endif
