/* SPDX-License-Identifier: GPL-2.0-or-later
 * Private to drivers/power/sigrok: one opened libsigrok device, its configuration, its feeds. Capture thread only,
 * except sk.cancel_fd and sk_watch, which have their own rules. */
#ifndef DRIVERS_POWER_SIGROK_SK_H
#define DRIVERS_POWER_SIGROK_SK_H

#include <libsigrok/libsigrok.h>
#include <pthread.h>

#include "drivers/power/conf.h"
#include "drivers/power/power.h"
#include "drivers/power/sigrok/scpi_link.h"

#define SK_NAME 32
#define SK_SOCKETS 4

struct sk_channel {
    bool used, scale_given;
    char name[SK_NAME];
    double scale, offset;
};
struct sk_conf {
    const json_t *json; /* borrowed while opening only, then NULL */
    char driver[64], conn[256], serialcomm[64], serial[64];
    bool arm_scpi;
    bool markers_only; /* a logic analyzer: no analog channel is mapped */
    struct sk_channel current, voltage;
    int n_markers;
    char markers[POWER_MAX_MARKERS][SK_NAME];
    struct power_accuracy acc;
    char acc_source[256];
    double current_range_a, resolution_a, shunt_ohm, clock_ppm, marker_phase;
    int stall_ms, trigger_timeout_ms;
    struct scpi_conn scpi;
};
int sk_conf_read(const json_t *json, struct sk_conf *ret_c, struct err *reterr) JF_MUST_CHECK;

/* --- feeds: what libsigrok delivered and nobody took yet, per mapped channel --------------------------------- */
#define SK_FEED_MAX (1u << 26) /* samples per feed: 64 M */
struct sk_feed {
    void *data; /* owned; float, or uint8_t for markers */
    size_t each, have, cap;
};
struct sk_feeds {
    struct sk_feed current, voltage, markers;
    double current_scale, current_offset, voltage_scale, voltage_offset;
    const struct sr_channel *current_ch, *voltage_ch; /* borrowed */
    bool scale_given, has_voltage, has_current;
    int n_markers;
    int marker_bit[POWER_MAX_MARKERS]; /* bit of the logic sample */
    bool ended; /* SR_DF_END */
    int64_t last_ns; /* mono time of the last packet with samples */
    int64_t last_raw_ns; /* raw monotonic time of the same */
    bool closed; /* a packet without a sample: the driver read the end of its connection */
    int error; /* first failure inside the callback */
    struct err err;
};
void sk_feeds_done(struct sk_feeds *f);
void sk_feeds_clear(struct sk_feeds *f);
size_t sk_feeds_ready(const struct sk_feeds *f); /* samples that all mapped channels have */
size_t sk_feeds_held(const struct sk_feeds *f); /* of all channels together */
void sk_feeds_drop(struct sk_feeds *f, size_t n);
/* The datafeed callback's work: copies, converts, maps. */
void sk_feeds_take(struct sk_feeds *f, const struct sr_datafeed_packet *packet, const struct clock_src *clock);

/* --- watchdog: shuts the instrument's sockets down when nothing arrives any more --------------------------- */
enum sk_verdict { SK_FINE, SK_STALLED, SK_CLOSED, SK_CANCELED };
struct sk_watch {
    pthread_t thread;
    bool running;
    int stop_fd; /* owned */
    int cancel_fd; /* borrowed */
    int stall_ms;
    const struct clock_src *clock;
    struct scpi_conn peer;
    pthread_mutex_t lock;
    enum sk_verdict verdict; /* under lock */
};
/* Only for tcp-raw: other transports have nothing to shut down (returns 0 and does nothing). */
int sk_watch_begin(struct sk_watch *w, const struct sk_conf *c, const struct clock_src *clock, int cancel_fd, struct err *reterr) JF_MUST_CHECK;
enum sk_verdict sk_watch_now(struct sk_watch *w);
enum sk_verdict sk_watch_end(struct sk_watch *w); /* waits for the thread, at most about 100 ms; may be called twice */
/* Closes the sockets that libsigrok left open to the instrument: when opening fails half way, hameg-hmo forgets its own, and
 * an instrument that serves one client would stay taken. Only while no session and no link of ours is open. */
void sk_watch_close_left(const struct sk_conf *c);
/* The instrument's sockets, at most cap of them: how many. */
int sk_watch_sockets(const struct sk_conf *c, int *fds, int cap);
/* The error of a verdict; SK_FINE gives `fallback` with the given text. */
int sk_verdict_error(enum sk_verdict v, int stall_ms, int fallback, const char *text, struct err *reterr);

/* --- the device ------------------------------------------------------------------------------------------------ */
enum sk_phase { SK_IDLE, SK_STREAMING, SK_ARMED, SK_DONE };
struct sk {
    struct sk_conf conf;
    const struct clock_src *clock;
    int cancel_fd; /* owned */
    struct sr_dev_inst *sdi; /* borrowed from libsigrok */
    bool dev_open;
    struct sr_session *session; /* owned */
    GMainContext *loop; /* owned: the session's event loop, turned by pump */
    struct sk_feeds feeds;
    struct sk_watch watch;
    enum sk_phase phase;
    double rate_hz;
    int64_t next; /* index of the next sample on the device's grid */
    uint64_t limit; /* streaming: samples asked for, 0 no limit */
    bool limited; /* the instrument was told a limit */
    int socket[SK_SOCKETS], n_sockets; /* libsigrok's, seen when the stream began */
    int blind_fd; /* owned: takes a closed socket's place, see sk_lib.c */
    /* block instruments */
    struct scpi_idn idn;
    struct scpi_timebase timebase;
    double pre_s;
    int trigger_marker;
    struct scpi_link *link; /* owned; from arm until the acquisition is complete */
    int64_t armed_ns;
    char notes[256];
};

/* sk_lib.c: libsigrok's process-wide context and the device's life in it */
int sk_lib_open(struct sk *s, struct err *reterr) JF_MUST_CHECK; /* context, driver, scan, options, mapping */
void sk_lib_close(struct sk *s);
int sk_lib_channels(struct sk *s, struct err *reterr) JF_MUST_CHECK; /* enables exactly the mapped channels */
int sk_lib_session(struct sk *s, struct err *reterr) JF_MUST_CHECK; /* starts a session whose events sk_lib_turn runs */
int sk_lib_turn(struct sk *s, int ms); /* runs events for at most about ms */
void sk_lib_session_end(struct sk *s);
bool sk_lib_running(const struct sk *s);

/* sk_block.c: the instrument that is armed over SCPI */
int sk_block_probe(struct sk *s, struct err *reterr) JF_MUST_CHECK; /* *IDN?, before libsigrok may hang on it */
int sk_block_setup(struct sk *s, const struct power_setup *asked, struct power_setup *ret_granted, struct err *reterr) JF_MUST_CHECK;
int sk_block_arm(struct sk *s, struct err *reterr) JF_MUST_CHECK;
int sk_block_pump(struct sk *s, int budget_ms, power_block_fn *fn, void *user, struct err *reterr) JF_MUST_CHECK;

#endif
