/* SPDX-License-Identifier: GPL-2.0-or-later
 * Small typed reads of an analyzer's configuration object, shared by the drivers: a missing key is the default, a
 * wrong type or a value out of bounds is JF_E_INVAL naming the key. Pure; any thread. Strings are borrowed. */
#ifndef DRIVERS_POWER_CONF_H
#define DRIVERS_POWER_CONF_H

#include "drivers/power/power.h"

int power_conf_string(const json_t *conf, const char *key, const char *def, const char **ret_s, struct err *reterr) JF_MUST_CHECK;
int power_conf_bool(const json_t *conf, const char *key, bool def, bool *ret_v, struct err *reterr) JF_MUST_CHECK;
/* NaN as def: the key must be present. */
int power_conf_number(const json_t *conf, const char *key, double def, double min, double max, double *ret_v, struct err *reterr) JF_MUST_CHECK;

struct power_accuracy {
    bool given; /* the configuration has an `accuracy` object */
    bool voltage_given;
    double current_gain_corr, current_offset_corr_a; /* middle of limits that are not symmetric, else 0 */
    double current_gain, current_offset_a, voltage_gain, voltage_offset_v;
    enum power_spec_kind kind;
    const char *source; /* borrowed from conf; NULL: not stated */
};
int power_conf_accuracy(const json_t *conf, struct power_accuracy *ret_acc, struct err *reterr) JF_MUST_CHECK;

/* mapping.markers as names, NULL-padded; *ret_n is -1 when the key is absent. */
int power_conf_markers(const json_t *conf, const char *ret_names[POWER_MAX_MARKERS], int *ret_n, struct err *reterr) JF_MUST_CHECK;

/* "D0".."D<max>" as its number, or -1. */
int power_conf_d_line(const char *name, int max);

#endif
