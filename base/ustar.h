/* SPDX-License-Identifier: GPL-2.0-or-later
 * Tar archives of regular files, as headers only: the caller puts header, bytes and padding behind each other, and USTAR_END zero
 * bytes at the end (IEEE Std 1003.1, pax, "ustar Interchange Format"). Pure. */
#ifndef BASE_USTAR_H
#define BASE_USTAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define USTAR_BLOCK 512
#define USTAR_END 1024
#define USTAR_NAME 100 /* bytes of a name, with its NUL */

/* The header of a file of size bytes, at most 8 GiB - 1; mode 0644, time 1970, no owner: the same files give the same archive.
 * JF_E_INVAL: the name is empty or too long. */
int ustar_header(char ret_block[USTAR_BLOCK], const char *name, uint64_t size, struct err *reterr) JF_MUST_CHECK;
size_t ustar_padding(uint64_t size); /* zero bytes behind a file */

#endif
