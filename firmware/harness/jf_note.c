/* SPDX-License-Identifier: MIT
 * See jf_note.h. Layout (System V ABI, note section): name size, description size, type (3: build id), name "GNU\0", description. */
#include "firmware/harness/jf_note.h"

#include <string.h>

void jf_note_build_id(const uint8_t *note, char ret_hex[2 * JF_NOTE_ID_MAX + 1]) {
    uint32_t head[3];
    memcpy(head, note, sizeof head);
    if (head[0] != 4 || head[1] == 0 || head[1] > JF_NOTE_ID_MAX || head[2] != 3 || memcmp(note + 12, "GNU", 4) != 0) {
        memcpy(ret_hex, "none", 5);
        return;
    }
    for (uint32_t i = 0; i < head[1]; i++) {
        ret_hex[2 * i] = "0123456789abcdef"[note[16 + i] >> 4];
        ret_hex[2 * i + 1] = "0123456789abcdef"[note[16 + i] & 15];
    }
    ret_hex[2 * head[1]] = '\0';
}
