/* SPDX-License-Identifier: GPL-2.0-or-later
 * Everything the analysis is told about one capture, apart from the samples: filled in by the worker while it runs the
 * attempt, stored in the trace file (measure/trace), read back for re-analysis. Plain data, no pointers: may be copied.
 * Zero-initialise with measure_capture_init; unknown doubles are NAN. Host times are CLOCK_MONOTONIC_RAW nanoseconds
 * (0: not known), on the same clock as measure_block.host_raw_ns. */
#ifndef MEASURE_CAPTURE_H
#define MEASURE_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#define MEASURE_MAX_WINDOWS 64
#define MEASURE_MAX_STRETCHES (2 * MEASURE_MAX_WINDOWS + 2)
#define MEASURE_MAX_RANGES 8

enum measure_tri { MEASURE_UNCHECKED, MEASURE_GOOD, MEASURE_BAD };
enum measure_scheme { MEASURE_SCHEME_MLPERF, MEASURE_SCHEME_PHASES };
enum measure_method { MEASURE_METHOD_QUICK, MEASURE_METHOD_MLPERF_TINY };
/* In the order of enum power_spec_kind. limit: rectangular half width; k2: two sigma; typical: as limit, with a note. */
enum measure_spec { MEASURE_SPEC_LIMIT, MEASURE_SPEC_K2, MEASURE_SPEC_TYPICAL, MEASURE_SPEC_UNKNOWN };
enum measure_provenance { MEASURE_VOLTAGE_MEASURED, MEASURE_VOLTAGE_SET, MEASURE_VOLTAGE_STATED };
enum measure_plane { MEASURE_PLANE_ANALYZER_OUT, MEASURE_PLANE_BOARD_PIN, MEASURE_PLANE_CORE_RAIL };
enum measure_capacitance { MEASURE_C_UNKNOWN, MEASURE_C_DECLARED, MEASURE_C_MAX };

struct measure_range { /* as power_range */
    double from_a, to_a; /* usable span; to_a <= 0: no upper bound known */
    double gain_rel, offset_a; /* accuracy as `kind` says, 1 and A */
    double resolution_a; /* quantization step, A; 0: negligible */
    double shunt_ohm; /* 0: unknown or none */
    /* What is known of the error: true = reported * (1 + gain_corr_rel) + offset_corr_a; the accuracy holds behind it. From a
     * calibration, or from limits that are not symmetric (measure_asymmetric). */
    double gain_corr_rel, offset_corr_a;
    enum measure_spec kind;
};

struct measure_instrument { /* as power_info */
    char driver[32], model[64], serial[64], firmware[64];
    bool block; /* segmented acquisitions instead of a stream */
    double period_s; /* dt, s */
    double marker_phase; /* phi, 0..1; < 0: unknown, taken as 1/2 +- dt/2 */
    int n_markers; /* lines delivered */
    struct measure_range ranges[MEASURE_MAX_RANGES];
    int n_ranges; /* 0: accuracy unknown */
    bool shared_reference; /* the ranges' gain errors are fully correlated */
    double voltage_gain_rel, voltage_offset_v; /* accuracy of the measured or set voltage */
    double voltage_gain_corr_rel, voltage_offset_corr_v; /* as for a range */
    enum measure_spec voltage_kind;
    double clock_ppm; /* limit of the time base; < 0: unknown */
    char spec_source[128]; /* datasheet with revision, or calibration record */
    char calibration[64]; /* number of the unit's calibration record, which superseded the table; "" none */
    bool calibration_expired;
    double calibration_c; /* temperature at calibration, degC; NAN unknown */
};

struct measure_supply {
    double voltage_v; /* constant used where no voltage channel exists, V */
    enum measure_provenance provenance;
    double tolerance_v; /* of a stated voltage, or of a set one whose source has no specification: rectangular half width, V; NAN: none given */
    enum measure_plane plane;
    enum measure_capacitance capacitance;
    double capacitance_f; /* F, behind the shunt, as `capacitance` says */
    double capacitance_tol_rel; /* of a declared capacitance, rectangular half width; 0: exact */
    double v_min, v_max; /* limits of the board, V; NAN: none */
};

/* One `infer` command. */
struct measure_request {
    uint32_t inferences; /* N */
    int64_t sent_ns, ready_ns; /* command sent .. m-ready seen: its marker edges lie between */
    int64_t start_ns, done_ns; /* lines m-infer-start, m-infer-done arrived */
    int segment; /* block instruments: ordinal of the acquisition, from 0; streaming: -1 */
    /* m-jf-window-[k,N,ticks,hz]; device_hz == 0: not reported */
    uint64_t device_ticks;
    double device_hz;
    uint32_t device_inferences;
    enum measure_tri output; /* the window's output against the expected one */
    bool reset_seen; /* a boot banner arrived during the window */
    char input[72]; /* hash of the input, "sha256:..." or "embedded" */
};

/* UART-quiet time without inference, made by the host. */
struct measure_stretch {
    int64_t from_ns, to_ns; /* host time: last UART byte before .. first byte after */
    int segment; /* block instruments: acquisition that holds it; streaming: -1 */
};

/* What the board said about itself at boot (after `jf on%`), and what the host checked. */
struct measure_device {
    enum measure_tri golden; /* golden output computed at boot */
    enum measure_tri model, firmware; /* identity against the job's */
    bool debug_reported; /* c_debugen and dbgmcu_cr are meaningful */
    bool c_debugen;
    uint32_t dbgmcu_cr;
    bool reset_cause_reported;
    bool brownout_reset; /* the reset cause names the supply */
    bool back_powered; /* seen alive while its supply was off */
    double core_hz; /* 0 unknown */
    char unit[96]; /* which board: type and serial of the unit; "" unknown */
    char idle_state[16]; /* spin | wfi | stop, "" unknown */
};

struct measure_capture {
    struct measure_instrument instrument;
    struct measure_supply supply;
    enum measure_scheme scheme;
    enum measure_method method;
    struct measure_device device;
    double clock_tol_rel; /* board's clock tolerance (crystal 2e-4, RC 0.03) */
    double temperature_c; /* NAN unknown */
    struct measure_request requests[MEASURE_MAX_WINDOWS];
    int n_requests;
    struct measure_stretch stretches[MEASURE_MAX_STRETCHES];
    int n_stretches;
};

void measure_capture_init(struct measure_capture *ret_c); /* zeros, NANs, segments -1, MEASURE_C_UNKNOWN */

/* Limits [-below, +above] of (true - reported): the correction is their middle, what remains is symmetric. */
static inline void measure_asymmetric(double below, double above, double *ret_corr, double *ret_half) {
    *ret_corr = (above - below) / 2;
    *ret_half = (above + below) / 2;
}

/* Names used in JSON and on the command line; an unknown value answers "?". *_parse: 0, or JF_E_INVAL. */
const char *measure_scheme_name(enum measure_scheme s); /* mlperf | phases */
const char *measure_method_name(enum measure_method m); /* quick | mlperf-tiny */
const char *measure_spec_name(enum measure_spec s); /* limit | k2 | typical | unknown */
const char *measure_provenance_name(enum measure_provenance p); /* measured | set | stated */
const char *measure_plane_name(enum measure_plane p); /* analyzer-out | board-pin | core-rail */
const char *measure_capacitance_name(enum measure_capacitance c); /* unknown | declared | max */
int measure_scheme_parse(const char *s, enum measure_scheme *ret);
int measure_method_parse(const char *s, enum measure_method *ret);
int measure_spec_parse(const char *s, enum measure_spec *ret);
int measure_provenance_parse(const char *s, enum measure_provenance *ret);
int measure_plane_parse(const char *s, enum measure_plane *ret);
int measure_capacitance_parse(const char *s, enum measure_capacitance *ret);

#endif
