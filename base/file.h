/* SPDX-License-Identifier: GPL-2.0-or-later
 * Whole files and folders: reading one that a person named, writing all bytes to a descriptor, removing a tree. Any thread. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>

#include "base/err.h"

/* Reads a regular file of 1 to max bytes; a FIFO or a device is refused, not waited for. *ret_bytes is the caller's to
 * free. The error's text does not name the path: the caller prefixes what the user called it. */
int file_read(const char *path, size_t max, void **ret_bytes, size_t *ret_n, struct err *reterr) JF_MUST_CHECK;
/* All n bytes, through EINTR and short writes. 0, or -1 with errno. */
int file_write_all(int fd, const void *bytes, size_t n) JF_MUST_CHECK;
/* Removes a folder with all that is in it, or only what is in it. Links are removed, not followed. What cannot be removed stays, the rest goes;
 * a path that does not exist is none. */
void file_tree_remove(const char *path);
void file_tree_empty(const char *path);

#endif
