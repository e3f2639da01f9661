/* SPDX-License-Identifier: GPL-2.0-or-later
 * Files by content: <data_dir>/blobs/<kind>/<hex>, written to a temporary name, fsync, rename. Any thread. */
#ifndef DAEMON_BLOB_H
#define DAEMON_BLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define BLOB_ID_SIZE 80
#define BLOB_PATH_SIZE 1024

void blob_id(const void *data, size_t size, char ret_id[BLOB_ID_SIZE]); /* "sha256:<hex>" */
bool blob_id_valid(const char *id);
/* Durable when it returns 0. Existing content is kept. */
int blob_put(const char *data_dir, const char *kind, const char *id, const void *data, size_t size,
             struct err *reterr) JF_MUST_CHECK;
int blob_path(const char *data_dir, const char *kind, const char *id, char out[BLOB_PATH_SIZE]) JF_MUST_CHECK;
/* Whole file of at most max bytes; *ret_data has a NUL behind it (not counted), free(). */
int blob_read_file(const char *path, size_t max, void **ret_data, size_t *ret_size, struct err *reterr) JF_MUST_CHECK;
int blob_write_file(const char *path, const void *data, size_t size,
                    struct err *reterr) JF_MUST_CHECK;                  /* temporary name, fsync, rename */
int blob_sync_dir(const char *path);                                    /* fsync of the directory that holds path */
int blob_make_dirs(const char *path, struct err *reterr) JF_MUST_CHECK; /* 0700, with parents */

#endif
