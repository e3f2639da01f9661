/* SPDX-License-Identifier: GPL-2.0-or-later
 * Feeds files (or every file of a directory) to a fuzz target once, so that the committed seeds are a regression test
 * without a fuzzing compiler. Prints one TAP line per directory or file named. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        return -1;
    }
    static uint8_t bytes[4u << 20]; /* larger seeds are not committed */
    size_t n = fread(bytes, 1, sizeof bytes, f);
    int bad = ferror(f);
    (void)fclose(f);
    uint8_t *exact = malloc(n ? n : 1); /* the exact size, so that a sanitizer sees an overread */
    if (bad || !exact) {
        free(exact);
        return -1;
    }
    memcpy(exact, bytes, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

static int feed_dir(const char *path, int *ret_count) {
    DIR *d = opendir(path);
    if (!d) {
        return -1;
    }
    int bad = 0;
    for (struct dirent *e; (e = readdir(d));) {
        char name[4096];
        struct stat st;
        (void)snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode)) {
            bad |= feed(name);
            (*ret_count)++;
        }
    }
    (void)closedir(d);
    return bad;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        int count = 0;
        int bad = stat(argv[i], &st) != 0 ? -1 : S_ISDIR(st.st_mode) ? feed_dir(argv[i], &count) : feed(argv[i]);
        bad = bad || (S_ISDIR(st.st_mode) && count == 0);
        printf("%sok %d - %s (%d files)\n", bad ? "not " : "", i, argv[i], count);
        failed |= bad;
    }
    return failed ? 1 : 0;
}
