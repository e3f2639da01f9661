/* SPDX-License-Identifier: GPL-2.0-or-later
 * Bodies that strangers POST: a job's JSON through parse, check and placement; an image through the ELF reader.
 * Invariants: no crash, an error always has a code and a sentence, an accepted job checks again to the same document.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/elf.h"
#include "daemon/jobspec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good) {
    if (!good) {
        abort();
    }
}

static struct conf *make_conf(void) {
    struct conf *c = calloc(1, sizeof *c);
    must(c != NULL);
    c->board_types = json_pack("{s:{s:s}}", "nucleo-h7a3zi-q", "name", "nucleo-h7a3zi-q");
    c->benches[0] = (struct conf_bench){.name = "scope-a",
                                        .board_type = "nucleo-h7a3zi-q",
                                        .board_serial = "1",
                                        .rate_hz = 1e5,
                                        .caps = CONF_CAP_STAGES};
    c->n_benches = 1;
    return c;
}

static void one_elf(const uint8_t *data, size_t size) {
    struct elf_facts *f = calloc(1, sizeof *f);
    struct err e = {0};
    must(f != NULL);
    int r = elf_read(data, size, f, &e);
    must(r == 0 || (r < 0 && e.code == r && e.text[0]));
    must(r < 0 || (f->n_segments > 0 && f->n_segments <= ELF_MAX_SEGMENTS && f->flash_bytes > 0));
    json_t *segments = r == 0 ? elf_segments_json(f) : NULL;
    json_decref(segments);
    free(f);
}

static void one_job(const struct conf *conf, const uint8_t *data, size_t size) {
    json_t *obj = NULL, *spec = NULL, *again = NULL;
    struct store_job j;
    struct err e = {0};
    int r = jobspec_json(data, size, &obj, &e);
    must(r == 0 || (e.code == r && e.text[0]));
    r = r < 0 ? r : jobspec_check(obj, &spec, &e);
    must(r == 0 || (e.code == r && e.text[0]));
    if (r == 0) {
        must(jobspec_check(spec, &again, &e) == 0 && json_equal(spec, again));
        r = jobspec_place(spec, conf, &j, &e);
        must(r == 0 || (e.code == r && e.text[0] && e.where[0] == '/'));
    }
    json_decref(again);
    json_decref(spec);
    json_decref(obj);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct conf *conf = make_conf();
    if (size > 0 && data[0] == 0x7f) {
        one_elf(data, size);
    } else {
        one_job(conf, data, size);
    }
    json_decref(conf->board_types);
    free(conf);
    return 0;
}
