/* SPDX-License-Identifier: GPL-2.0-or-later
 * The operators of a .tflite file (compiler/tflite_scan.h). Slots and codes: tensorflow/lite/schema/schema.fbs. */
#include "compiler/tflite_scan.h"

#include <stdio.h>
#include <string.h>

#include "compiler/flatbuf.h"

#define CUSTOM 32
#define MAX_NODES 100000u

static void builtin_name(int64_t code, char *dst, size_t size) {
    static const struct {
        int code;
        const char *name;
    } names[] = {{0, "ADD"}, {1, "AVERAGE_POOL_2D"}, {2, "CONCATENATION"}, {3, "CONV_2D"}, {4, "DEPTHWISE_CONV_2D"}, {6, "DEQUANTIZE"}, {9, "FULLY_CONNECTED"}, {14, "LOGISTIC"}, {17, "MAX_POOL_2D"},
                 {18, "MUL"}, {19, "RELU"}, {21, "RELU6"}, {22, "RESHAPE"}, {23, "RESIZE_BILINEAR"}, {25, "SOFTMAX"}, {28, "TANH"}, {34, "PAD"}, {39, "TRANSPOSE"}, {40, "MEAN"}, {41, "SUB"},
                 {43, "SQUEEZE"}, {45, "STRIDED_SLICE"}, {49, "SPLIT"}, {70, "EXPAND_DIMS"}, {97, "RESIZE_NEAREST_NEIGHBOR"}, {98, "LEAKY_RELU"}, {114, "QUANTIZE"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].code == code) {
            (void)snprintf(dst, size, "%s", names[i].name);
            return;
        }
    }
    (void)snprintf(dst, size, "operator %lld", (long long)code);
}

static int name_of(struct fb_file *f, const struct fb_vec *codes, int64_t index, char *dst, size_t size, bool *ret_custom) {
    struct fb_table c;
    struct fb_vec text = {0, 0};
    int64_t old = 0, fresh = 0;
    if (index < 0 || index >= codes->n) {
        return err_set(f->e, JF_E_PARSE, "operator code %lld does not exist", (long long)index);
    }
    int r = fb_element(f, codes, (uint32_t)index, &c);
    r = r < 0 ? r : fb_scalar(f, &c, 0, 1, 0, &old);
    r = r < 0 ? r : fb_scalar(f, &c, 3, 4, 0, &fresh);
    r = r < 0 ? r : fb_vector(f, &c, 1, 1, &text);
    if (r < 0) {
        return r;
    }
    int64_t code = old > fresh ? old : fresh;
    *ret_custom = code == CUSTOM;
    if (*ret_custom) {
        (void)snprintf(dst, size, "%.*s", (int)(text.n < size ? text.n : size - 1), text.n ? (const char *)f->p + text.at : "");
        for (char *p = dst; *p; p++) {
            *p = *p < 33 || *p > 126 || *p == '"' ? '?' : *p;
        }
    } else {
        builtin_name(code, dst, size);
    }
    return 0;
}

static int add(struct fb_file *f, struct tflite_scan *s, const char *name, bool custom) {
    int i = 0;
    while (i < s->n && (strcmp(s->ops[i].name, name) != 0 || s->ops[i].custom != custom)) {
        i++;
    }
    if (i == TFLITE_SCAN_MAX) {
        return err_set(f->e, JF_E_UNSUPPORTED, "more than %d kinds of operators", TFLITE_SCAN_MAX);
    }
    if (i == s->n) {
        (void)snprintf(s->ops[i].name, sizeof s->ops[i].name, "%s", name);
        s->ops[i].custom = custom;
        s->n++;
    }
    s->ops[i].count++;
    s->accelerator += custom;
    s->cpu += !custom;
    return 0;
}

int tflite_scan(const uint8_t *bytes, size_t n, struct tflite_scan *ret_s, struct err *reterr) {
    struct err local = {0};
    struct fb_file f = {bytes, n, reterr ? reterr : &local};
    struct fb_table root, graph, node;
    struct fb_vec codes = {0, 0}, graphs = {0, 0}, ops = {0, 0};
    size_t to = 0;
    memset(ret_s, 0, sizeof *ret_s);
    if (n < 8 || memcmp(bytes + 4, "TFL3", 4) != 0) {
        return err_set(reterr, JF_E_PARSE, "this is not a .tflite file");
    }
    int r = fb_follow(&f, 0, &to);
    r = r < 0 ? r : fb_open(&f, to, &root);
    r = r < 0 ? r : fb_vector(&f, &root, 1, 4, &codes);
    r = r < 0 ? r : fb_vector(&f, &root, 2, 4, &graphs);
    if (r < 0 || graphs.n == 0) {
        return r < 0 ? r : err_set(reterr, JF_E_PARSE, "the file holds no graph");
    }
    r = fb_element(&f, &graphs, 0, &graph);
    r = r < 0 ? r : fb_vector(&f, &graph, 3, 4, &ops);
    if (r == 0 && ops.n > MAX_NODES) {
        r = err_set(reterr, JF_E_UNSUPPORTED, "%u nodes; at most %u are read", ops.n, MAX_NODES);
    }
    for (uint32_t i = 0; i < ops.n && r == 0; i++) {
        char name[40];
        int64_t index = 0;
        bool custom = false;
        r = fb_element(&f, &ops, i, &node);
        r = r < 0 ? r : fb_scalar(&f, &node, 0, 4, 0, &index);
        r = r < 0 ? r : name_of(&f, &codes, index, name, sizeof name, &custom);
        r = r < 0 ? r : add(&f, ret_s, name, custom);
    }
    return r;
}
