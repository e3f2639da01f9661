/* SPDX-License-Identifier: GPL-2.0-or-later
 * The attempt as a machine of stages, and its messages (bench/attempt.h).
 *
 *             done          done        done        done            done          done            done
 *   prepare -------> flash ------> arm ------> run ------> analyse ------> store ------> release ------> ended
 *      |               |            |           |             |              |             |  ^            ^
 *      +---------------+------------+---- fail or cancel -----+--------------+-------------+--+            |
 *                                                                                          +----- fail ----+
 * release is entered on every path and cannot be canceled. */
#include "bench/attempt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const stage_names[] = {"prepare", "flash", "arm", "run", "analyse", "store", "release", "ended"};
static const char *const event_names[] = {"done", "fail", "cancel"};
static const struct sm_row rows[] = {
    {STAGE_PREPARE, EVENT_DONE, STAGE_FLASH},     {STAGE_FLASH, EVENT_DONE, STAGE_ARM},
    {STAGE_ARM, EVENT_DONE, STAGE_RUN},           {STAGE_RUN, EVENT_DONE, STAGE_ANALYSE},
    {STAGE_ANALYSE, EVENT_DONE, STAGE_STORE},     {STAGE_STORE, EVENT_DONE, STAGE_RELEASE},
    {STAGE_PREPARE, EVENT_FAIL, STAGE_RELEASE},   {STAGE_FLASH, EVENT_FAIL, STAGE_RELEASE},
    {STAGE_ARM, EVENT_FAIL, STAGE_RELEASE},       {STAGE_RUN, EVENT_FAIL, STAGE_RELEASE},
    {STAGE_ANALYSE, EVENT_FAIL, STAGE_RELEASE},   {STAGE_STORE, EVENT_FAIL, STAGE_RELEASE},
    {STAGE_PREPARE, EVENT_CANCEL, STAGE_RELEASE}, {STAGE_FLASH, EVENT_CANCEL, STAGE_RELEASE},
    {STAGE_ARM, EVENT_CANCEL, STAGE_RELEASE},     {STAGE_RUN, EVENT_CANCEL, STAGE_RELEASE},
    {STAGE_ANALYSE, EVENT_CANCEL, STAGE_RELEASE}, {STAGE_STORE, EVENT_CANCEL, STAGE_RELEASE},
    {STAGE_RELEASE, EVENT_DONE, STAGE_ENDED},     {STAGE_RELEASE, EVENT_FAIL, STAGE_ENDED},
};

const struct sm_table *attempt_table(void) {
    static const struct sm_table t = {
        "attempt", stage_names, event_names, STAGE_COUNT, EVENT_COUNT, rows, sizeof rows / sizeof rows[0]};
    return &t;
}

/* What each stage may take; run is bounded by the windows asked for, see stage_limit. */
static const int stage_limit_s[STAGE_COUNT] = {60, 240, 60, 0, 120, 90, 60, 0};

static int64_t stage_limit(const struct attempt *a, int stage) {
    if (stage != STAGE_RUN) {
        return stage_limit_s[stage] * CLOCK_NS_PER_S;
    }
    double each = job_window_s(&a->job) * 3 + 60; /* a window may run long when one inference does */
    double limit = 180 + a->job.windows * each;
    return (int64_t)(limit * 1e9);
}

json_t *attempt_message(const struct attempt *a, const char *type) {
    return json_pack("{s:s, s:s, s:I}", "type", type, "attempt", a->id, "epoch", (json_int_t)a->epoch);
}

void attempt_log(struct attempt *a, const char *stream, const char *fmt, ...) {
    char text[1500];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    spool_log(&a->spool, stream, text);
    for (char *p = text; *p; p++) { /* the wire carries JSON: plain ASCII is always valid */
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e) {
            *p = '?';
        }
    }
    json_t *m = attempt_message(a, "log");
    if (m && json_object_set_new(m, "stream", json_string(stream)) == 0 &&
        json_object_set_new(m, "text", json_string(text)) == 0) {
        msg_offer(&a->w->link, m);
    } else {
        json_decref(m);
    }
}

void attempt_progress(struct attempt *a, double fraction, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_t *m = attempt_message(a, "progress");
    if (!m) {
        return;
    }
    (void)json_object_set_new(m, "stage", json_string(sm_state_name(attempt_table(), a->stage)));
    (void)json_object_set_new(m, "fraction", fraction >= 0 ? json_real(fraction) : json_null());
    (void)json_object_set_new(m, "text", json_string(text));
    msg_offer(&a->w->link, m);
    if (a->w->on_text) {
        a->w->on_text(a->w->user, text);
    }
}

int attempt_blame(struct attempt *a, const char *part, int code) {
    if (code < 0 && !a->part && code != JF_E_CANCELED && code != JF_E_GONE) {
        a->part = part;
    }
    return code;
}

int attempt_barrier(struct attempt *a, const char *name, struct err *reterr) {
    const struct worker *w = a->w;
    if (!w->barrier || !w->barrier_file || strcmp(w->barrier, name) != 0) {
        return 0;
    }
    int fd = open(w->barrier_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return 0; /* it was held here before */
    }
    (void)close(fd);
    attempt_log(a, "worker", "barrier %s: holding", name);
    int64_t until = clock_mono_ns(w->clock) + 60 * CLOCK_NS_PER_S;
    while (access(w->barrier_file, F_OK) == 0 && clock_mono_ns(w->clock) < until) {
        int r = attempt_wait(a, until, reterr);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int take_inputs(struct attempt *a, struct err *reterr) {
    const json_t *list = json_object_get(a->request, "inputs");
    size_t n = json_array_size(list);
    if (n > JOB_MAX_INPUTS) {
        return err_set_at(reterr, JF_E_INVAL, "inputs", "at most %d inputs", JOB_MAX_INPUTS);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *in = json_array_get(list, i);
        const char *id = json_string_value(json_object_get(in, "id"));
        const char *path = json_string_value(json_object_get(in, "path"));
        if (!id || !path || strlen(id) >= sizeof a->inputs[i].id) {
            return err_set_at(reterr, JF_E_PROTOCOL, "inputs", "input %zu has no id or path", i);
        }
        FILE *f = fopen(path, "rbe");
        if (!f) {
            return err_set(reterr, JF_E_IO, "the input %s cannot be read", id);
        }
        uint8_t *data = malloc(JOB_INPUT_BYTES_MAX + 1);
        size_t size = data ? fread(data, 1, JOB_INPUT_BYTES_MAX + 1, f) : 0;
        (void)fclose(f);
        a->inputs[i].data = data;
        a->inputs[i].size = size;
        (void)snprintf(a->inputs[i].id, sizeof a->inputs[i].id, "%s", id);
        a->n_inputs++;
        if (!data) {
            return err_set(reterr, JF_E_NOMEM, "no memory for an input");
        }
        if (size == 0 || size > JOB_INPUT_BYTES_MAX) {
            return err_set(reterr, JF_E_INVAL, "the input %s must have 1 to %d bytes", id, JOB_INPUT_BYTES_MAX);
        }
    }
    return 0;
}

/* Reads the run message. */
static int take_request(struct attempt *a, struct err *reterr) {
    const json_t *q = a->request;
    const char *id = json_string_value(json_object_get(q, "attempt"));
    const json_t *epoch = json_object_get(q, "epoch"), *job = json_object_get(q, "job");
    const json_t *fw = json_object_get(q, "firmware");
    if (!id || strlen(id) >= sizeof a->id || !json_is_integer(epoch) || !json_is_object(job) || !json_is_object(fw)) {
        return err_set(reterr, JF_E_PROTOCOL, "the run message lacks attempt, epoch, job or firmware");
    }
    (void)snprintf(a->id, sizeof a->id, "%s", id);
    a->epoch = (int64_t)json_integer_value(epoch);
    a->firmware_path = json_string_value(json_object_get(fw, "path"));
    a->firmware_id = json_string_value(json_object_get(fw, "id"));
    a->build_id = json_string_value(json_object_get(fw, "build_id"));
    int r = spool_open(&a->spool, a->w->spool_root, a->id, a->w->clock, reterr);
    if (r < 0) {
        return r;
    }
    if (!a->firmware_path || !a->firmware_id) {
        return err_set(reterr, JF_E_PROTOCOL, "the run message lacks the firmware's path or id");
    }
    const json_t *limit = json_object_get(q, "deadline_s");
    double deadline_s = json_is_number(limit) ? json_number_value(limit) : 3600;
    deadline_s = deadline_s > 0 && deadline_s < 86400 ? deadline_s : 86400;
    a->deadline_ns = clock_mono_ns(a->w->clock) + (int64_t)(deadline_s * 1e9);
    r = job_conf_parse(job, &a->job, reterr);
    return r < 0 ? r : take_inputs(a, reterr);
}

static void send_last(struct attempt *a, json_t *m) {
    struct err e = {0};
    if (msg_send(&a->w->link, m, MSG_WAIT_MS, &e) < 0) {
        spool_log(&a->spool, "worker", e.text);
    }
}

static void enter_stage(struct attempt *a, int stage) {
    a->stage = stage;
    a->stage_deadline_ns = clock_mono_ns(a->w->clock) + stage_limit(a, stage);
    a->unwinding = stage == STAGE_RELEASE;
    attempt_log(a, "worker", "stage %s", sm_state_name(attempt_table(), stage));
    json_t *m = attempt_message(a, "stage");
    if (m) {
        (void)json_object_set_new(m, "stage", json_string(sm_state_name(attempt_table(), stage)));
    }
    send_last(a, m);
}

static int do_stage(struct attempt *a, struct err *reterr) {
    int r = attempt_barrier(a, sm_state_name(attempt_table(), a->stage), reterr);
    if (r < 0) {
        return r;
    }
    switch (a->stage) {
    case STAGE_PREPARE:
        return stage_prepare(a, reterr);
    case STAGE_FLASH:
        return stage_flash(a, reterr);
    case STAGE_ARM:
        return stage_arm(a, reterr);
    case STAGE_RUN:
        return stage_run(a, reterr);
    case STAGE_ANALYSE:
        return stage_analyse(a, reterr);
    case STAGE_STORE:
        return stage_store(a, reterr);
    default:
        return err_set(reterr, JF_E_BUG, "stage %d", a->stage);
    }
}

void attempt_send_fault(struct attempt *a, const struct err *err, int stage) {
    if (a->fault_sent || a->result_sent) {
        return;
    }
    a->fault_sent = true;
    json_t *m = attempt_message(a, "fault");
    if (m) {
        (void)json_object_set_new(m, "code", json_string(err_word(err->code)));
        (void)json_object_set_new(m, "cause", json_string(err_cause_name(err_cause_of(err->code))));
        json_t *text = json_string(err->text);
        (void)json_object_set_new(m, "text", text ? text : json_string(err_sentence(err->code)));
        (void)json_object_set_new(m, "stage", json_string(sm_state_name(attempt_table(), stage)));
        if (a->part) {
            (void)json_object_set_new(m, "part", json_string(a->part));
        }
    }
    send_last(a, m);
}

void attempt_send_released(struct attempt *a, bool safe, const char *text) {
    json_t *m = attempt_message(a, "released");
    if (m) {
        (void)json_object_set_new(m, "safe", json_boolean(safe));
        (void)json_object_set_new(m, "text", json_string(text));
    }
    send_last(a, m);
}

static void step(struct attempt *a, int event) {
    struct err e = {0};
    int next = sm_next(attempt_table(), a->stage, event, &e);
    enter_stage(a, next >= 0 ? next : STAGE_RELEASE);
}

/* prepare ... store, until release. */
static void drive(struct attempt *a) {
    enter_stage(a, STAGE_PREPARE);
    while (a->stage != STAGE_RELEASE) {
        struct err e = {0};
        int r = do_stage(a, &e);
        if (r >= 0) {
            step(a, EVENT_DONE);
            continue;
        }
        if (e.code == 0) {
            (void)err_set(&e, r, "%s", err_sentence(r));
        }
        a->err = e;
        a->err.code = r;
        a->err_stage = a->stage;
        attempt_log(a, "worker", "failed in %s: %s: %s", sm_state_name(attempt_table(), a->stage), err_word(r), e.text);
        step(a, r == JF_E_CANCELED ? EVENT_CANCEL : EVENT_FAIL);
    }
}

static void attempt_free(struct attempt *a) {
    for (int i = 0; i < a->n_inputs; i++) {
        free(a->inputs[i].data);
    }
    spool_close(&a->spool);
    json_decref(a->request);
    json_decref(a->result);
    free(a->cap);
    free(a);
}

/* Before stage prepare there is nothing to release. */
static void refuse(struct attempt *a, const struct err *e) {
    a->err = *e;
    a->err_stage = STAGE_PREPARE;
    attempt_send_fault(a, e, STAGE_PREPARE);
    attempt_send_released(a, true, "nothing was touched");
}

int attempt_run(struct worker *w, json_t *request, json_t **ret_result, struct err *reterr) {
    struct attempt *a = calloc(1, sizeof *a);
    struct measure_capture *cap = calloc(1, sizeof *cap);
    if (!a || !cap) {
        free(a);
        free(cap);
        return err_set(reterr, JF_E_NOMEM, "no memory for an attempt");
    }
    a->w = w;
    a->request = json_incref(request);
    a->cap = cap;
    a->spool.log_fd = -1;
    a->loaded_input = -1;
    a->started_wall_ns = clock_wall_ns(w->clock);
    measure_capture_init(cap);
    measure_config_init(&a->cfg);
    struct err e = {0};
    int r = take_request(a, &e);
    if (r < 0) {
        refuse(a, &e);
    } else {
        drive(a);
        char text[256] = "";
        if (a->err.code != 0) {
            attempt_send_fault(a, &a->err, a->err_stage);
        }
        bool safe = stage_release(a, text, sizeof text);
        attempt_log(a, "worker", "released: %s", text);
        a->stage = STAGE_ENDED;
        attempt_send_released(a, safe, text);
        r = a->result_stored ? 0 : a->err.code;
        e = a->err;
    }
    if (ret_result) {
        *ret_result = a->result ? json_incref(a->result) : NULL;
    }
    if (r < 0 && reterr) {
        *reterr = e;
    }
    attempt_free(a);
    return r;
}
