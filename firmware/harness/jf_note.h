/* SPDX-License-Identifier: MIT
 * The GNU build id out of its ELF note, as the linker laid it into the image. Pure. */
#ifndef FIRMWARE_HARNESS_JF_NOTE_H
#define FIRMWARE_HARNESS_JF_NOTE_H

#include <stdint.h>

#define JF_NOTE_ID_MAX 32u /* bytes; SHA-1, the linker's default, has 20 */

/* note: address of .note.gnu.build-id, aligned to 4. Writes hex and NUL, or "none" when there is no such note. */
void jf_note_build_id(const uint8_t *note, char ret_hex[2 * JF_NOTE_ID_MAX + 1]);

#endif
