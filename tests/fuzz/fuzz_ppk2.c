/* SPDX-License-Identifier: GPL-2.0-or-later
 * Any bytes as a PPK2's metadata, and as its sample stream in pieces: no crash, no endless loop, and the codec's own
 * invariants S1 to S3 (ppk2_proto.h). */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "drivers/power/ppk2/ppk2_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok) {
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct ppk2_batch batch;
    struct ppk2_meta meta;
    char missing[32];
    if (ppk2_meta_parse((const char *)data, size, &meta, NULL) == 0) {
        (void)ppk2_meta_missing(&meta, missing, sizeof missing);
        for (int m = 0; m < PPK2_MODIFIERS; m++) {
            for (int r = 0; r < PPK2_RANGES; r++) {
                check(!meta.have[m][r] || isfinite(meta.mod[m][r]));
                check(!meta.have[PPK2_R][r] || meta.mod[PPK2_R][r] > 0);
            }
        }
    }
    (void)ppk2_meta_complete((const char *)data, size);

    struct ppk2_cal cal = {.vdd_v = 3.3};
    for (int r = 0; r < PPK2_RANGES; r++) {
        cal.mod[PPK2_R][r] = cal.mod[PPK2_GI][r] = cal.mod[PPK2_UG][r] = 1;
    }
    struct ppk2_stream s;
    ppk2_stream_init(&s, &cal);
    size_t piece = size > 0 ? 1u + data[0] * 3u : 1u; /* the first byte chooses how the rest is cut */
    for (size_t at = 0, end = 0; end < size;) {
        end = size - end < piece ? size : end + piece;
        uint64_t calls = 0;
        for (;;) {
            size_t used = 0;
            int r = ppk2_stream_next(&s, data + at, end - at, &used, &batch, NULL);
            check(used <= end - at && calls++ <= size + 1);
            at += used;
            if (r < 0) {
                return 0;
            }
            if (r == PPK2_NEED_MORE) {
                check(end - at < PPK2_LOOKAHEAD);
                break;
            }
            check(batch.count > 0 && (r == PPK2_HOLE || batch.count <= PPK2_BATCH));
            for (uint32_t i = 0; r == PPK2_SAMPLES && i < batch.count; i++) {
                check(batch.range[i] < PPK2_RANGES && isfinite(batch.current_a[i]));
            }
        }
    }
    return 0;
}
