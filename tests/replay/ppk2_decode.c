/* SPDX-License-Identifier: GPL-2.0-or-later
 * Decodes a recorded PPK2 byte stream from stdin with nominal calibration and prints one line per run: "hole N", or
 * "samples FIRST COUNT SUM_A CLIPPED". For the replay tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/power/ppk2/ppk2_proto.h"

int main(void) {
    static uint8_t in[1u << 20];
    static struct ppk2_batch batch;
    struct ppk2_cal cal = {.vdd_v = 3.0};
    static const double nominal[PPK2_RANGES] = {1031.64, 101.65, 10.15, 0.94, 0.043};
    for (int r = 0; r < PPK2_RANGES; r++) {
        cal.mod[PPK2_R][r] = nominal[r];
        cal.mod[PPK2_GS][r] = cal.mod[PPK2_GI][r] = cal.mod[PPK2_UG][r] = 1;
    }
    struct ppk2_stream s;
    ppk2_stream_init(&s, &cal);
    size_t n = fread(in, 1, sizeof in, stdin), at = 0;
    long long cell = 0;
    for (;;) {
        size_t used = 0;
        int r = ppk2_stream_next(&s, in + at, n - at, &used, &batch, NULL);
        at += used;
        if (r < 0) {
            printf("error %d\n", r);
            return 1;
        }
        if (r == PPK2_NEED_MORE) {
            printf("left %zu\n", n - at);
            return 0;
        }
        if (r == PPK2_HOLE) {
            printf("hole %u\n", batch.count);
        } else {
            double sum = 0;
            int clipped = 0;
            for (uint32_t i = 0; i < batch.count; i++) {
                sum += (double)batch.current_a[i];
                clipped += batch.saturated_at[i];
            }
            printf("samples %lld %u %.12g %d\n", cell, batch.count, sum, clipped);
        }
        cell += batch.count;
    }
}
