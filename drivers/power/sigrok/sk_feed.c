/* SPDX-License-Identifier: GPL-2.0-or-later
 * libsigrok's packets into one time line. Packets carry no index and no time, and each channel comes in pieces of its
 * own size (frame instruments: all of one channel, then all of the next): samples are counted per channel and joined by
 * index. Owns the sample memory. Session's thread only. */
#include <stdlib.h>
#include <string.h>

#include "drivers/power/sigrok/sk.h"

static void fail(struct sk_feeds *f, int code, const char *text) {
    if (f->error == 0) {
        f->error = err_set(&f->err, code, "%s", text);
    }
}

/* Room for n more items; false after noting the failure. */
static bool grow(struct sk_feeds *f, struct sk_feed *q, size_t n) {
    if (n > SK_FEED_MAX || q->have > SK_FEED_MAX - n) {
        fail(f, JF_E_FULL, "the instrument delivers one channel far ahead of another, or faster than the samples are taken");
        return false;
    }
    if (q->have + n > q->cap) {
        size_t cap = q->cap ? q->cap : 65536;
        while (cap < q->have + n) {
            cap *= 2;
        }
        void *p = realloc(q->data, cap * q->each);
        if (!p) {
            fail(f, JF_E_NOMEM, "no memory for the instrument's samples");
            return false;
        }
        q->data = p;
        q->cap = cap;
    }
    return true;
}

static void done(struct sk_feed *q) {
    free(q->data);
    *q = (struct sk_feed){0};
}

void sk_feeds_done(struct sk_feeds *f) {
    done(&f->current);
    done(&f->voltage);
    done(&f->markers);
}

void sk_feeds_clear(struct sk_feeds *f) {
    f->current.have = f->voltage.have = f->markers.have = 0;
    f->current.each = f->voltage.each = sizeof(float);
    f->markers.each = 1;
    f->ended = f->closed = false;
    f->error = 0;
}

size_t sk_feeds_ready(const struct sk_feeds *f) {
    size_t n = f->has_current ? f->current.have : f->markers.have;
    n = f->has_voltage && f->voltage.have < n ? f->voltage.have : n;
    return f->n_markers > 0 && f->markers.have < n ? f->markers.have : n;
}

size_t sk_feeds_held(const struct sk_feeds *f) { return f->current.have + f->voltage.have + f->markers.have; }

static void drop(struct sk_feed *q, size_t n) {
    if (q->have > 0) {
        memmove(q->data, (uint8_t *)q->data + n * q->each, (q->have - n) * q->each);
        q->have -= n;
    }
}

void sk_feeds_drop(struct sk_feeds *f, size_t n) {
    if (f->has_current) {
        drop(&f->current, n);
    }
    if (f->has_voltage) {
        drop(&f->voltage, n);
    }
    if (f->n_markers > 0) {
        drop(&f->markers, n);
    }
}

/* Readings as the library means them. sr_analog_to_float of 0.5.2 is right only for integers and for native float32 of unit
 * scale, so plain floats are taken over here. */
static bool readings(const struct sr_datafeed_analog *a, size_t total, float *dst) {
    const struct sr_analog_encoding *e = a->encoding;
    bool host_order = e->is_bigendian == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    if (e->is_float && e->unitsize == sizeof(float) && host_order && e->scale.q != 0 && e->offset.q != 0) {
        memcpy(dst, a->data, total * sizeof(float));
        if (e->scale.p != (int64_t)e->scale.q || e->offset.p != 0) {
            double k = (double)e->scale.p / (double)e->scale.q, o = (double)e->offset.p / (double)e->offset.q;
            for (size_t i = 0; i < total; i++) {
                dst[i] = (float)((double)dst[i] * k + o);
            }
        }
        return true;
    }
    return !e->is_float && sr_analog_to_float(a, dst) == SR_OK;
}

static void scale(float *v, size_t n, double k, double o) {
    if (k < 1 || k > 1 || o < 0 || o > 0) {
        for (size_t i = 0; i < n; i++) {
            v[i] = (float)((double)v[i] * k + o);
        }
    }
}

/* One channel of a packet whose channels stand interleaved; k is this channel's place. */
static void take_channel(struct sk_feeds *f, struct sk_feed *q, const struct sr_datafeed_analog *a, size_t channels, size_t k, double gain, double offset) {
    size_t n = a->num_samples;
    if (!grow(f, q, n * channels)) { /* interleaved first, thinned below */
        return;
    }
    float *dst = (float *)q->data + q->have;
    if (!readings(a, n * channels, dst)) {
        fail(f, JF_E_PROTOCOL, "the instrument's samples have an encoding that is not supported");
        return;
    }
    for (size_t i = 0; channels > 1 && i < n; i++) {
        dst[i] = dst[i * channels + k];
    }
    scale(dst, n, gain, offset);
    q->have += n;
}

static void take_analog(struct sk_feeds *f, const struct sr_datafeed_analog *a) {
    size_t channels = g_slist_length(a->meaning->channels), k = 0;
    if (channels == 0 || a->num_samples == 0 || a->num_samples > SK_FEED_MAX / channels) {
        return;
    }
    for (GSList *l = a->meaning->channels; l; l = l->next, k++) {
        if (f->has_current && l->data == f->current_ch) {
            if (a->meaning->mq == SR_MQ_VOLTAGE && !f->scale_given) {
                fail(f, JF_E_INVAL, "the instrument reports volts for the current channel: mapping.current.scale must say how many A per V");
                return;
            }
            take_channel(f, &f->current, a, channels, k, f->current_scale, f->current_offset);
        } else if (f->has_voltage && l->data == f->voltage_ch) {
            take_channel(f, &f->voltage, a, channels, k, f->voltage_scale, f->voltage_offset);
        }
    }
}

static void take_logic(struct sk_feeds *f, const struct sr_datafeed_logic *l) {
    if (f->n_markers == 0 || l->unitsize == 0 || l->unitsize > 8) {
        return;
    }
    size_t n = (size_t)(l->length / l->unitsize);
    f->closed = f->closed || l->length == 0;
    if (!grow(f, &f->markers, n)) {
        return;
    }
    uint8_t *dst = (uint8_t *)f->markers.data + f->markers.have;
    const uint8_t *src = l->data;
    for (size_t i = 0; i < n; i++, src += l->unitsize) {
        unsigned out = 0;
        for (int k = 0; k < f->n_markers; k++) {
            int bit = f->marker_bit[k];
            unsigned level = bit / 8 < l->unitsize ? (unsigned)src[bit / 8] >> (bit % 8) & 1u : 0;
            out |= level << k;
        }
        dst[i] = (uint8_t)out;
    }
    f->markers.have += n;
}

void sk_feeds_take(struct sk_feeds *f, const struct sr_datafeed_packet *packet, const struct clock_src *clock) {
    if (f->error < 0) {
        return;
    }
    switch (packet->type) {
    case SR_DF_ANALOG:
        take_analog(f, packet->payload);
        f->last_ns = clock_mono_ns(clock);
        f->last_raw_ns = clock_raw_ns(clock);
        break;
    case SR_DF_LOGIC:
        take_logic(f, packet->payload);
        f->last_ns = clock_mono_ns(clock);
        f->last_raw_ns = clock_raw_ns(clock);
        break;
    case SR_DF_END:
        f->ended = true;
        break;
    default:
        break;
    }
}
