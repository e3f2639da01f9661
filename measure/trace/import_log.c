/* SPDX-License-Identifier: GPL-2.0-or-later
 * log.txt of the foreign runners, as far as it can contradict the windows: how often the board ran, how many inferences. */
#include <stdlib.h>
#include <string.h>

#include "measure/trace/import_inner.h"

struct runs {
    struct import_session *s;
    const char *(*count)(const char *line);
    const char *source;
    int n; /* runs the log tells of */
};

static int log_line(void *user, const char *line, int number, struct err *reterr) {
    struct runs *r = user;
    const char *at = r->count(line);
    (void)reterr;
    if (!at)
        return 0;
    long long count = strtoll(at, NULL, 10);
    if (r->n < r->s->n_windows && count != r->s->windows[r->n].inferences)
        import_differ(r->s, "log.txt line %d: %lld inferences, %s says %lld", number, count, r->source,
                      (long long)r->s->windows[r->n].inferences);
    r->n++;
    return 0;
}

int import_check_log(struct import_source *src, struct import_session *s, const char *(*count)(const char *line), const char *source,
                     const char *noun, struct err *reterr) {
    struct import_file f = {0};
    struct runs r = {.s = s, .count = count, .source = source};
    int rc = import_file_read(src, IMPORT_N_LOG, IMPORT_MAX_TEXT, &f, reterr);
    if (rc < 0)
        return rc;
    rc = import_lines(&f, "log.txt", log_line, &r, reterr);
    import_file_done(&f);
    if (rc == 0 && r.n > 0 && r.n != s->n_windows + s->trailing)
        import_differ(s, "log.txt: %d runs, %s has %d%s", r.n, source, s->n_windows, noun);
    return rc;
}
