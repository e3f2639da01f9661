/* SPDX-License-Identifier: GPL-2.0-or-later
 * Typed reads of a configuration object. Owns nothing. */
#include "drivers/power/conf.h"

#include <math.h>
#include <string.h>

int power_conf_string(const json_t *conf, const char *key, const char *def, const char **ret_s, struct err *reterr) {
    const json_t *v = json_object_get(conf, key);
    if (!v || json_is_null(v)) {
        *ret_s = def;
        return 0;
    }
    if (!json_is_string(v)) {
        return err_set_at(reterr, JF_E_INVAL, key, "must be a text");
    }
    *ret_s = json_string_value(v);
    return 0;
}

int power_conf_bool(const json_t *conf, const char *key, bool def, bool *ret_v, struct err *reterr) {
    const json_t *v = json_object_get(conf, key);
    if (v && !json_is_null(v) && !json_is_boolean(v)) {
        return err_set_at(reterr, JF_E_INVAL, key, "must be true or false");
    }
    *ret_v = v && !json_is_null(v) ? json_is_true(v) : def;
    return 0;
}

int power_conf_number(const json_t *conf, const char *key, double def, double min, double max, double *ret_v, struct err *reterr) {
    const json_t *v = json_object_get(conf, key);
    if (!v || json_is_null(v)) {
        if (isnan(def)) {
            return err_set_at(reterr, JF_E_INVAL, key, "is required");
        }
        *ret_v = def;
        return 0;
    }
    double x = json_number_value(v);
    if (!json_is_number(v) || !isfinite(x) || x < min || x > max) {
        return err_set_at(reterr, JF_E_INVAL, key, "must be a number between %g and %g", min, max);
    }
    *ret_v = x;
    return 0;
}

/* [-below, +*above]: the middle is a correction, half the width stays. */
static void one_sided(double below, double *above, double *ret_corr) {
    *ret_corr = (*above - below) / 2;
    *above = (*above + below) / 2;
}

int power_conf_accuracy(const json_t *conf, struct power_accuracy *ret_acc, struct err *reterr) {
    struct power_accuracy a = {.kind = POWER_SPEC_UNKNOWN};
    const json_t *o = json_object_get(conf, "accuracy");
    if (!o || json_is_null(o)) {
        *ret_acc = a;
        return 0;
    }
    if (!json_is_object(o)) {
        return err_set_at(reterr, JF_E_INVAL, "accuracy", "must be an object");
    }
    const char *kind = NULL;
    double gain_below = 0, offset_below = 0;
    int r = power_conf_number(o, "current_gain", NAN, 0, 1, &a.current_gain, reterr);
    r = r < 0 ? r : power_conf_number(o, "current_offset_a", 0, 0, 10, &a.current_offset_a, reterr);
    r = r < 0 ? r : power_conf_number(o, "current_gain_below", a.current_gain, 0, 1, &gain_below, reterr);
    r = r < 0 ? r : power_conf_number(o, "current_offset_below_a", a.current_offset_a, 0, 10, &offset_below, reterr);
    r = r < 0 ? r : power_conf_number(o, "voltage_gain", 0, 0, 1, &a.voltage_gain, reterr);
    r = r < 0 ? r : power_conf_number(o, "voltage_offset_v", 0, 0, 100, &a.voltage_offset_v, reterr);
    r = r < 0 ? r : power_conf_string(o, "source", NULL, &a.source, reterr);
    r = r < 0 ? r : power_conf_string(o, "kind", NULL, &kind, reterr);
    if (r < 0) {
        return r;
    }
    if (kind && strcmp(kind, "limit") == 0) {
        a.kind = POWER_SPEC_LIMIT;
    } else if (kind && strcmp(kind, "k2") == 0) {
        a.kind = POWER_SPEC_K2;
    } else if (kind && strcmp(kind, "typical") == 0) {
        a.kind = POWER_SPEC_TYPICAL;
    } else {
        return err_set_at(reterr, JF_E_INVAL, "accuracy.kind", "must be one of limit, k2, typical");
    }
    one_sided(gain_below, &a.current_gain, &a.current_gain_corr);
    one_sided(offset_below, &a.current_offset_a, &a.current_offset_corr_a);
    a.given = true;
    a.voltage_given = json_object_get(o, "voltage_gain") != NULL;
    *ret_acc = a;
    return 0;
}

int power_conf_markers(const json_t *conf, const char *ret_names[POWER_MAX_MARKERS], int *ret_n, struct err *reterr) {
    const json_t *list = json_object_get(json_object_get(conf, "mapping"), "markers");
    for (int i = 0; i < POWER_MAX_MARKERS; i++) {
        ret_names[i] = NULL;
    }
    if (!list || json_is_null(list)) {
        *ret_n = -1;
        return 0;
    }
    if (!json_is_array(list) || json_array_size(list) > POWER_MAX_MARKERS) {
        return err_set_at(reterr, JF_E_INVAL, "mapping.markers", "must be a list of at most %d channel names", POWER_MAX_MARKERS);
    }
    int n = (int)json_array_size(list);
    for (int i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, (size_t)i));
        for (int k = 0; name && k < i; k++) {
            if (strcmp(name, ret_names[k]) == 0) {
                return err_set_at(reterr, JF_E_INVAL, "mapping.markers", "'%s' is named twice", name);
            }
        }
        if (!name || !*name) {
            return err_set_at(reterr, JF_E_INVAL, "mapping.markers", "must be a list of channel names");
        }
        ret_names[i] = name;
    }
    *ret_n = n;
    return 0;
}

int power_conf_d_line(const char *name, int max) {
    if (!name || name[0] != 'D' || name[1] < '0' || name[1] > '9') {
        return -1;
    }
    int v = name[1] - '0';
    if (name[2] != '\0') {
        if (v == 0 || name[2] < '0' || name[2] > '9' || name[3] != '\0') {
            return -1;
        }
        v = v * 10 + (name[2] - '0');
    }
    return v <= max ? v : -1;
}
