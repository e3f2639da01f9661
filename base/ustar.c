/* SPDX-License-Identifier: GPL-2.0-or-later
 * Tar headers (base/ustar.h). */
#include "base/ustar.h"

#include <stdio.h>
#include <string.h>

#define SIZE_MAX_BYTES 077777777777ull

int ustar_header(char ret_block[USTAR_BLOCK], const char *name, uint64_t size, struct err *reterr) {
    static const char magic[8] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};
    size_t n = strlen(name);
    unsigned sum = 0;
    if (n == 0 || n >= USTAR_NAME)
        return err_set(reterr, JF_E_INVAL, "a name in an archive has 1 to %d bytes: %.120s", USTAR_NAME - 1, name);
    if (size > SIZE_MAX_BYTES)
        return err_set(reterr, JF_E_TOO_LARGE, "%s is too large for a tar archive", name);
    memset(ret_block, 0, USTAR_BLOCK);
    (void)snprintf(ret_block, USTAR_NAME, "%s", name);
    (void)snprintf(ret_block + 100, 8, "0000644");
    (void)snprintf(ret_block + 108, 8, "0000000"); /* uid */
    (void)snprintf(ret_block + 116, 8, "0000000"); /* gid */
    (void)snprintf(ret_block + 124, 12, "%011llo", (unsigned long long)size);
    (void)snprintf(ret_block + 136, 12, "00000000000"); /* mtime */
    memset(ret_block + 148, ' ', 8);            /* the checksum counts as spaces */
    ret_block[156] = '0';
    memcpy(ret_block + 257, magic, sizeof magic);
    for (int i = 0; i < USTAR_BLOCK; i++)
        sum += (unsigned char)ret_block[i];
    (void)snprintf(ret_block + 148, 8, "%06o", sum);
    ret_block[155] = ' ';
    return 0;
}

size_t ustar_padding(uint64_t size) { return (size_t)(-size % USTAR_BLOCK); }
