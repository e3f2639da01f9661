/* SPDX-License-Identifier: GPL-2.0-or-later
 * The truth file: JSON lines with the exact energy, charge and times of what the marker lines delimit, integrated by
 * the electrical model at event times. It reads elec and knows the two wiring schemes of the marker lines; it knows
 * no instrument. One thread; called from inside elec (observer). sim/README.md documents each record. */
#ifndef SIM_TRUTH_H
#define SIM_TRUTH_H

#include <stdbool.h>

#include "base/err.h"
#include "sim/elec.h"

enum truth_scheme { TRUTH_PHASES, TRUTH_MLPERF };

struct truth;

/* Observes e from now on. path NULL or "": records are counted and dropped. The file is truncated. */
int truth_open(const char *path, enum truth_scheme scheme, struct elec *e, struct truth **ret_truth, struct err *reterr) JF_MUST_CHECK;
void truth_close(struct truth *t); /* writes the last idle stretch; NULL allowed */
void truth_flush(struct truth *t); /* everything written so far is in the file */
/* Writes the idle stretch that is still going on as a record with "open": true (the later, complete record supersedes
 * it) and, when its quiet part suffices, the last window's net figure; then flushes. */
void truth_snapshot(struct truth *t);
/* Inferences are running in a window now (line 0 alone says nothing: an unpowered or reset board's pins are low). */
bool truth_window_open(const struct truth *t);
double truth_window_s(const struct truth *t); /* how long it has been open; 0: none is */
int64_t truth_windows(const struct truth *t);
int64_t truth_slips(const struct truth *t);

#endif
