/* SPDX-License-Identifier: GPL-2.0-or-later
 * Fuzz target: the TensorFlow Lite reader, the passes, lowering and (for small models) one run on the host. */
#include "compiler/tflite.h"
#include "tests/fuzz/fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ir_model m;
    struct err e = {0};
    if (tflite_read(data, size, &m, &e) < 0) {
        if (!e.text[0]) {
            abort(); /* a refusal without a sentence */
        }
        return 0;
    }
    fuzz_model(&m, size);
    return 0;
}
