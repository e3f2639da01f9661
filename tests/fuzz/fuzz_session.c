/* SPDX-License-Identifier: GPL-2.0-or-later
 * Any bytes as an archive of a foreign energy session: no crash, no unbounded memory, and what is accepted is possible: windows
 * ascend, lie in the trace, last, and hold inferences and finite energy. Seeds are whole small archives. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure/trace/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok) {
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct import_session s;
    struct err e = {0};
    if (import_session_read_memory(data, size, &s, &e) < 0) {
        check(e.code < 0 && e.text[0] != 0);
        return 0;
    }
    check(s.n_windows > 0 && s.n_windows <= IMPORT_MAX_WINDOWS && s.rate_hz > 0 && isfinite(s.per_inference_j));
    for (int k = 0; k < s.n_windows; k++) {
        const struct import_window *w = &s.windows[k];
        check(w->a >= 0 && w->b > w->a && w->b <= s.samples && w->inferences > 0);
        check(w->duration_s > 0 && isfinite(w->energy_j));
        check(k == 0 || s.format != IMPORT_EEMBC || w->a >= s.windows[k - 1].b);
    }
    json_t *j = import_session_json(&s);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    check(text != NULL);
    free(text);
    json_decref(j);
    return 0;
}
