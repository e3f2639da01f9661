/* SPDX-License-Identifier: GPL-2.0-or-later
 * libsigrok's context, scan, options and session. Capture thread only.
 * One sr_context per process: libsigrok's drivers are process-global, and a second context would replace the first one's
 * device lists and crash at its end. This is the one place of the drivers with process-wide state, under a lock.
 * The context lives until the process ends: sr_exit and sr_dev_clear of 0.5.2 close every device once more, and a TCP
 * device's close(2) hits the old descriptor number again, which by then is somebody else's file (src/std.c
 * std_dev_clear_with_callback, src/scpi/scpi_tcp.c scpi_tcp_close; seen with a thread sanitizer). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/power/sigrok/sk.h"

#define MAX_DRIVERS 8

static struct {
    pthread_mutex_t lock;
    struct sr_context *ctx;
    const struct sr_dev_driver *ready[MAX_DRIVERS]; /* sr_driver_init was called: a second call would lose its devices */
} lib = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int lib_take(const char *name, struct sr_dev_driver **ret_driver, struct err *reterr) {
    int r = 0;
    (void)pthread_mutex_lock(&lib.lock);
    if (!lib.ctx) {
        (void)sr_log_loglevel_set(SR_LOG_NONE);
        r = sr_init(&lib.ctx) == SR_OK ? 0 : err_set(reterr, JF_E_INSTRUMENT, "libsigrok does not start");
    }
    struct sr_dev_driver *found = NULL;
    struct sr_dev_driver **all = r < 0 ? NULL : sr_driver_list(lib.ctx);
    for (size_t i = 0; all && all[i]; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            found = all[i];
        }
    }
    if (r == 0 && !found) {
        r = err_set_at(reterr, JF_E_NOT_FOUND, "sigrok_driver", "this libsigrok has no driver '%s'", name);
    }
    size_t slot = 0;
    while (slot < MAX_DRIVERS && lib.ready[slot] && lib.ready[slot] != found) {
        slot++;
    }
    if (r == 0 && slot == MAX_DRIVERS) {
        r = err_set(reterr, JF_E_FULL, "more than %d libsigrok drivers in one process", MAX_DRIVERS);
    } else if (r == 0 && !lib.ready[slot]) {
        r = sr_driver_init(lib.ctx, found) == SR_OK ? 0 : err_set(reterr, JF_E_INSTRUMENT, "libsigrok's driver '%s' does not start", name);
        lib.ready[slot] = r == 0 ? found : NULL;
    }
    if (r == 0) {
        *ret_driver = found;
    }
    (void)pthread_mutex_unlock(&lib.lock);
    return r;
}

/* A JSON value as the variant that this configuration key wants; NULL: it does not fit. */
static GVariant *variant(const struct sr_key_info *key, const json_t *value) {
    switch (key->datatype) {
    case SR_T_UINT64:
        return json_is_number(value) && json_number_value(value) >= 0 ? g_variant_new_uint64((guint64)json_number_value(value)) : NULL;
    case SR_T_INT32:
        return json_is_integer(value) ? g_variant_new_int32((gint32)json_integer_value(value)) : NULL;
    case SR_T_FLOAT:
        return json_is_number(value) ? g_variant_new_double(json_number_value(value)) : NULL;
    case SR_T_BOOL:
        return json_is_boolean(value) ? g_variant_new_boolean(json_is_true(value)) : NULL;
    case SR_T_STRING:
        return json_is_string(value) ? g_variant_new_string(json_string_value(value)) : NULL;
    default:
        return NULL;
    }
}

static int scan_option(GSList **list, const char *name, const json_t *value, struct err *reterr) {
    const struct sr_key_info *key = sr_key_info_name_get(SR_KEY_CONFIG, name);
    GVariant *v = key ? variant(key, value) : NULL;
    if (!v) {
        return err_set_at(reterr, JF_E_INVAL, "scan", "'%s' is not a libsigrok option with a value of that type", name);
    }
    struct sr_config *c = g_malloc0(sizeof *c);
    c->key = key->key;
    c->data = g_variant_ref_sink(v);
    *list = g_slist_append(*list, c);
    return 0;
}

static void free_option(gpointer data) {
    struct sr_config *c = data;
    g_variant_unref(c->data);
    g_free(c);
}

static int scan_options(const struct sk_conf *conf, GSList **ret_list, struct err *reterr) {
    GSList *list = NULL;
    int r = 0;
    const struct {
        const char *key, *value;
    } texts[] = {{"conn", conf->conn}, {"serialcomm", conf->serialcomm}};
    for (size_t i = 0; i < 2 && r == 0; i++) {
        json_t *v = texts[i].value[0] ? json_string(texts[i].value) : NULL;
        r = v ? scan_option(&list, texts[i].key, v, reterr) : 0;
        json_decref(v);
    }
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(conf->json, "scan"), name, value) {
        r = r < 0 ? r : scan_option(&list, name, value, reterr);
    }
    if (r < 0) {
        g_slist_free_full(list, free_option);
        return r;
    }
    *ret_list = list;
    return 0;
}

/* "key" or "group:key" */
static int set_option(struct sk *s, const char *name, const json_t *value, struct err *reterr) {
    const char *colon = strchr(name, ':');
    struct sr_channel_group *group = NULL;
    for (GSList *l = colon ? sr_dev_inst_channel_groups_get(s->sdi) : NULL; l; l = l->next) {
        struct sr_channel_group *g = l->data;
        if (strlen(g->name) == (size_t)(colon - name) && strncmp(g->name, name, (size_t)(colon - name)) == 0) {
            group = g;
        }
    }
    const struct sr_key_info *key = sr_key_info_name_get(SR_KEY_CONFIG, colon ? colon + 1 : name);
    GVariant *v = key && (!colon || group) ? variant(key, value) : NULL;
    if (!v) {
        return err_set_at(reterr, JF_E_INVAL, "options", "'%s' is not an option of this device with a value of that type", name);
    }
    int sr = sr_config_set(s->sdi, group, key->key, v);
    return sr == SR_OK ? 0 : err_set_at(reterr, JF_E_INSTRUMENT, "options", "the instrument refuses '%s': %s", name, sr_strerror(sr));
}

static struct sr_channel *channel_by_name(struct sk *s, const char *name, int type, int *ret_rank) {
    int rank = 0;
    for (GSList *l = sr_dev_inst_channels_get(s->sdi); l; l = l->next) {
        struct sr_channel *ch = l->data;
        if (ch->type != type) {
            continue;
        }
        if (strcmp(ch->name, name) == 0) {
            *ret_rank = rank;
            return ch;
        }
        rank++;
    }
    return NULL;
}

static int map_channels(struct sk *s, struct err *reterr) {
    struct sk_feeds *f = &s->feeds;
    const struct sk_conf *c = &s->conf;
    int rank = 0;
    f->has_current = c->current.used;
    f->current_ch = c->current.used ? channel_by_name(s, c->current.name, SR_CHANNEL_ANALOG, &rank) : NULL;
    f->voltage_ch = c->voltage.used ? channel_by_name(s, c->voltage.name, SR_CHANNEL_ANALOG, &rank) : NULL;
    if ((c->current.used && !f->current_ch) || (c->voltage.used && !f->voltage_ch)) {
        return err_set_at(reterr, JF_E_INVAL, "mapping", "the instrument has no analog channel '%s'",
                          c->current.used && !f->current_ch ? c->current.name : c->voltage.name);
    }
    if (f->current_ch && f->current_ch == f->voltage_ch) {
        return err_set_at(reterr, JF_E_INVAL, "mapping", "current and voltage cannot be the same channel");
    }
    f->has_voltage = c->voltage.used;
    f->scale_given = c->current.scale_given;
    f->current_scale = c->current.scale;
    f->current_offset = c->current.offset;
    f->voltage_scale = c->voltage.scale;
    f->voltage_offset = c->voltage.offset;
    f->n_markers = c->n_markers;
    for (int i = 0; i < c->n_markers; i++) {
        if (!channel_by_name(s, c->markers[i], SR_CHANNEL_LOGIC, &f->marker_bit[i])) {
            return err_set_at(reterr, JF_E_INVAL, "mapping.markers", "the instrument has no logic channel '%s'", c->markers[i]);
        }
    }
    return 0;
}

int sk_lib_channels(struct sk *s, struct err *reterr) {
    for (GSList *l = sr_dev_inst_channels_get(s->sdi); l; l = l->next) {
        struct sr_channel *ch = l->data;
        bool want = ch->type == SR_CHANNEL_ANALOG && (ch == s->feeds.current_ch || ch == s->feeds.voltage_ch);
        for (int i = 0; i < s->conf.n_markers; i++) {
            want = want || (ch->type == SR_CHANNEL_LOGIC && strcmp(ch->name, s->conf.markers[i]) == 0);
        }
        if (sr_dev_channel_enable(ch, want) != SR_OK) {
            return err_set(reterr, JF_E_INSTRUMENT, "the instrument's channel '%s' cannot be switched %s", ch->name, want ? "on" : "off");
        }
    }
    return 0;
}

static int scan(struct sk *s, struct sr_dev_driver *driver, struct err *reterr) {
    GSList *options = NULL;
    int r = scan_options(&s->conf, &options, reterr);
    r = r < 0 ? r : sk_watch_begin(&s->watch, &s->conf, s->clock, s->cancel_fd, reterr);
    if (r < 0) {
        g_slist_free_full(options, free_option);
        return r;
    }
    GSList *found = sr_driver_scan(driver, options);
    enum sk_verdict v = sk_watch_end(&s->watch);
    g_slist_free_full(options, free_option);
    for (GSList *l = found; l; l = l->next) {
        struct sr_dev_inst *sdi = l->data;
        const char *serial = sr_dev_inst_sernum_get(sdi);
        if (!s->sdi && (!s->conf.serial[0] || (serial && strcmp(serial, s->conf.serial) == 0))) {
            s->sdi = sdi;
        }
    }
    bool any = found != NULL;
    g_slist_free(found); /* the list is ours, the devices stay the driver's */
    if (v != SK_FINE || !any) {
        return sk_verdict_error(v, s->conf.stall_ms, JF_E_NOT_FOUND, "libsigrok finds no such instrument", reterr);
    }
    return s->sdi ? 0 : err_set_at(reterr, JF_E_IDENTITY, "serial", "no instrument with serial number %s is there", s->conf.serial);
}

int sk_lib_open(struct sk *s, struct err *reterr) {
    struct sr_dev_driver *driver = NULL;
    int r = lib_take(s->conf.driver, &driver, reterr);
    if (r < 0) {
        return r;
    }
    r = scan(s, driver, reterr);
    r = r < 0 ? r : map_channels(s, reterr);
    if (r == 0 && !s->conf.arm_scpi) {
        s->dev_open = sr_dev_open(s->sdi) == SR_OK;
        r = s->dev_open ? 0 : err_set(reterr, JF_E_INSTRUMENT, "libsigrok cannot open the instrument");
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(s->conf.json, "options"), name, value) {
            r = r < 0 ? r : set_option(s, name, value, reterr);
        }
    }
    if (r < 0) {
        sk_lib_close(s);
    }
    return r;
}

void sk_lib_close(struct sk *s) {
    sk_lib_session_end(s);
    if (s->dev_open) {
        (void)sr_dev_close(s->sdi);
        s->dev_open = false;
    }
    s->sdi = NULL; /* the driver's */
}

/* The driver `beaglelogic` of 0.5.2 answers the end of its connection with a loop that reads until nothing is readable any more
 * (src/hardware/beaglelogic/beaglelogic_tcp.c, beaglelogic_tcp_drain), and a closed socket is readable for ever. Before that loop it hands out a packet
 * without a sample; at that moment a descriptor on which nothing ever comes takes the socket's number. libsigrok closes it in its own time. */
static void blind(struct sk *s) {
    for (int i = 0; i < s->n_sockets && s->blind_fd >= 0; i++) {
        (void)dup2(s->blind_fd, s->socket[i]);
    }
    s->n_sockets = 0;
}

static void on_packet(const struct sr_dev_inst *sdi, const struct sr_datafeed_packet *packet, void *user) {
    struct sk *s = user;
    (void)sdi;
    sk_feeds_take(&s->feeds, packet, s->clock);
    if (s->feeds.closed) {
        blind(s);
    }
}

static void on_stopped(void *user) { (void)user; /* without a callback the library complains about us */ }

int sk_lib_session(struct sk *s, struct err *reterr) {
    sk_feeds_clear(&s->feeds);
    s->feeds.last_ns = clock_mono_ns(s->clock);
    s->n_sockets = sk_watch_sockets(&s->conf, s->socket, SK_SOCKETS);
    s->loop = g_main_context_new();
    if (sr_session_new(lib.ctx, &s->session) != SR_OK) {
        s->session = NULL;
        sk_lib_session_end(s);
        return err_set(reterr, JF_E_NOMEM, "libsigrok gives no session");
    }
    /* The session takes the event loop that is this thread's default while it starts; pump turns it later. */
    g_main_context_push_thread_default(s->loop);
    int sr = sr_session_datafeed_callback_add(s->session, on_packet, s);
    sr = sr == SR_OK ? sr_session_stopped_callback_set(s->session, on_stopped, NULL) : sr;
    sr = sr == SR_OK ? sr_session_dev_add(s->session, s->sdi) : sr;
    sr = sr == SR_OK ? sr_session_start(s->session) : sr;
    g_main_context_pop_thread_default(s->loop);
    if (sr != SR_OK) {
        sk_lib_session_end(s);
        return err_set(reterr, JF_E_INSTRUMENT, "libsigrok cannot start the acquisition: %s", sr_strerror(sr));
    }
    return 0;
}

bool sk_lib_running(const struct sk *s) { return s->session && sr_session_is_running(s->session) > 0; }

static gboolean on_timeout(gpointer user) {
    bool *over = user;
    *over = true;
    return G_SOURCE_REMOVE;
}

int sk_lib_turn(struct sk *s, int ms) {
    bool over = false;
    GSource *timer = g_timeout_source_new(ms > 0 ? (guint)ms : 0);
    g_source_set_callback(timer, on_timeout, &over, NULL);
    (void)g_source_attach(timer, s->loop);
    size_t before = sk_feeds_held(&s->feeds);
    while (!over && sk_lib_running(s) && s->feeds.error == 0 && sk_feeds_held(&s->feeds) == before) {
        (void)g_main_context_iteration(s->loop, TRUE);
    }
    g_source_destroy(timer);
    g_source_unref(timer);
    return s->feeds.error;
}

#define STOP_TURNS 60 /* of 50 ms: a closed connection costs the library one second a read */

void sk_lib_session_end(struct sk *s) {
    if (s->session) {
        (void)sr_session_stop(s->session);
        for (int i = 0; i < STOP_TURNS && sk_lib_running(s); i++) {
            bool over = false;
            GSource *timer = g_timeout_source_new(50);
            g_source_set_callback(timer, on_timeout, &over, NULL);
            (void)g_source_attach(timer, s->loop);
            while (!over && sk_lib_running(s)) {
                (void)g_main_context_iteration(s->loop, TRUE);
            }
            g_source_destroy(timer);
            g_source_unref(timer);
        }
        (void)sr_session_destroy(s->session);
        s->session = NULL;
    }
    if (s->loop) {
        g_main_context_unref(s->loop);
        s->loop = NULL;
    }
}
