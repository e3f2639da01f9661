/* SPDX-License-Identifier: GPL-2.0-or-later
 * A file embedded at build time (daemon/embed.sh). Static, read-only; any thread. */
#ifndef BASE_ASSET_H
#define BASE_ASSET_H

struct base_asset {
    const char *path; /* relative to the tree's root; NULL ends a table */
    const unsigned char *at, *end; /* bytes; *end is NUL */
};

#endif
