/* SPDX-License-Identifier: MIT
 * See jf_task.h. Doubles here are software floating point on the board: never used inside a stage or a window. */
#include "firmware/harness/jf_task.h"

#include <stddef.h>
#include <string.h>

#include "firmware/harness/jf_net.h"

static const struct jf_task tasks[] = {
    {"ad01", JF_LOAD_F32_LE, JF_RESULT_MSE},
    {"kws01", JF_LOAD_I8, JF_RESULT_VALUES},
    {"ic01", JF_LOAD_U8, JF_RESULT_VALUES},
    {"vww01", JF_LOAD_U8, JF_RESULT_VALUES},
};
static const struct jf_task unknown_task = {"", JF_LOAD_I8, JF_RESULT_VALUES};

const struct jf_task *jf_task_find(const char *id) {
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        if (strcmp(tasks[i].id, id) == 0) {
            return &tasks[i];
        }
    }
    return &unknown_task;
}

int32_t jf_task_load_bytes(const struct jf_task *t, const struct jf_net *n) {
    return t->load == JF_LOAD_F32_LE ? 4 * n->in.n : n->in.n;
}

static double float_le(const uint8_t *s) {
    uint32_t bits = (uint32_t)s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

/* TensorFlow Lite: round(value / scale) + zero_point in binary32, clamped. */
static int8_t quantise(double value, const struct jf_tensor *t) {
    float steps = (float)value / (float)t->scale;
    if (!(steps > -1e6f && steps < 1e6f)) { /* far outside, infinite, or not a number */
        return steps > 0.0f ? 127 : steps < 0.0f ? -128 : (int8_t)t->zero_point;
    }
    int32_t whole = (int32_t)steps; /* toward zero */
    float rest = steps - (float)whole;
    whole += rest >= 0.5f ? 1 : rest <= -0.5f ? -1 : 0;
    whole += t->zero_point;
    return (int8_t)(whole > 127 ? 127 : whole < -128 ? -128 : whole);
}

void jf_task_quantise(const struct jf_task *t, const struct jf_net *n, const uint8_t *loaded, int8_t *ret_tensor) {
    for (int32_t i = 0; i < n->in.n; i++) {
        switch (t->load) {
        case JF_LOAD_I8:
            memcpy(&ret_tensor[i], &loaded[i], 1);
            break;
        case JF_LOAD_U8:
            ret_tensor[i] = (int8_t)((int32_t)loaded[i] - 128);
            break;
        case JF_LOAD_F32_LE:
            ret_tensor[i] = quantise(float_le(&loaded[4 * i]), &n->in);
            break;
        }
    }
}

int32_t jf_task_post(const struct jf_task *t, const struct jf_net *n, const int8_t *in, const int8_t *out) {
    if (t->result == JF_RESULT_MSE && n->in.n == n->out.n) {
        uint32_t sum = 0;
        for (int32_t i = 0; i < n->out.n; i++) {
            int32_t d = (out[i] - n->out.zero_point) - (in[i] - n->in.zero_point);
            sum += (uint32_t)(d * d);
        }
        return sum > INT32_MAX ? INT32_MAX : (int32_t)sum;
    }
    int32_t best = 0;
    for (int32_t i = 1; i < n->out.n; i++) {
        if (out[i] > out[best]) {
            best = i;
        }
    }
    return best;
}

double jf_task_value(const struct jf_net *n, const int8_t *out, int32_t i) {
    return (double)(out[i] - n->out.zero_point) * n->out.scale;
}

double jf_task_mse(const struct jf_net *n, const uint8_t *loaded, const int8_t *in, const int8_t *out) {
    double sum = 0.0;
    for (int32_t i = 0; i < n->in.n && i < n->out.n; i++) {
        double x = loaded ? float_le(&loaded[4 * i]) : (double)(in[i] - n->in.zero_point) * n->in.scale;
        double d = x - jf_task_value(n, out, i);
        sum += d * d;
    }
    return sum / (double)n->in.n;
}
