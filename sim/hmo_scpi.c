/* SPDX-License-Identifier: GPL-2.0-or-later
 * SCPI of the virtual oscilloscope; see hmo_scpi.h. Two tables: settings (a value that is set and asked back) and
 * commands (all else). Patterns: capitals are the short form, '#' a numeric suffix. One thread. */
#include "sim/hmo_scpi.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { KIND_WORD, KIND_BOOL, KIND_NUMBER, KIND_STEP125, KIND_QUOTED };

/* The settings that acquisition reads have a place of their own, the first ones of the table. */
enum place { S_SCALE, S_POSITION, S_MODE, S_SOURCE, S_SLOPE, S_BORDER, S_CHAN_STATE, S_POD_STATE };

static const struct setting {
    const char *pattern;
    enum kind kind;
    const char *initial;
    const char *words; /* KIND_WORD: allowed, space separated; NULL: any */
} settings[] = {
    [S_SCALE] = {"TIMebase:SCALe", KIND_STEP125, "1.00E-03", NULL},
    [S_POSITION] = {"TIMebase:POSition", KIND_NUMBER, "0.000000E+00", NULL},
    [S_MODE] = {"TRIGger:A:MODE", KIND_WORD, "AUTO", "AUTO NORM NORMAL"},
    [S_SOURCE] = {"TRIGger:A:SOURce", KIND_WORD, "CH1", "CH1 CH2 LINE EXT PATT BUS1 BUS2 D0 D1 D2 D3 D4 D5 D6 D7"},
    [S_SLOPE] = {"TRIGger:A:EDGE:SLOPe", KIND_WORD, "POS", "POS NEG EITH POSITIVE NEGATIVE EITHER"},
    [S_BORDER] = {"FORMat:BORDer", KIND_WORD, "LSBF", "LSBF MSBF LSBFIRST MSBFIRST"},
    [S_CHAN_STATE] = {"CHANnel#:STATe", KIND_BOOL, "1", NULL},
    [S_POD_STATE] = {"POD#:STATe", KIND_BOOL, "1", NULL},
    {"CHANnel#:SCALe", KIND_STEP125, "5.00E-02", NULL},
    {"CHANnel#:POSition", KIND_NUMBER, "0.000000E+00", NULL},
    {"CHANnel#:OFFSet", KIND_NUMBER, "0.000000E+00", NULL},
    {"CHANnel#:COUPling", KIND_WORD, "DCL", "DC DCL AC ACL GND"},
    {"CHANnel#:BANDwidth", KIND_WORD, "FULL", "FULL B20"},
    {"CHANnel#:DATA:POINts", KIND_WORD, "MAX", "DEF MAX DMAX DEFAULT MAXIMUM DMAXIMUM"},
    {"POD#:DATA:POINts", KIND_WORD, "MAX", "DEF MAX DMAX DEFAULT MAXIMUM DMAXIMUM"},
    {"LOGic#:STATe", KIND_BOOL, "1", NULL},
    {"DIGital#:DISPlay", KIND_BOOL, "1", NULL},
    {"POD#:THReshold", KIND_WORD, "CMOS", "TTL ECL CMOS USER1 USER2"},
    {"POD#:THReshold:UDL1", KIND_NUMBER, "1.400000E+00", NULL},
    {"POD#:THReshold:UDL2", KIND_NUMBER, "1.400000E+00", NULL},
    {"TRIGger:A:TYPE", KIND_WORD, "EDGE", "EDGE WIDTH TV BUS LOGIC"},
    {"TRIGger:A:PATTern:SOURce", KIND_QUOTED, "\"XXXXXXXXXX\"", NULL},
    {"TRIGger:A:PATTern:FUNCtion", KIND_WORD, "AND", "AND OR"},
    {"TRIGger:A:PATTern:CONDition", KIND_QUOTED, "\"TRUE\"", NULL},
    {"TRIGger:A:PATTern:MODE", KIND_WORD, "OFF", "OFF TIMEOUT WIDTH"},
    {"TRIGger:A:HOLDoff:MODE", KIND_WORD, "OFF", "OFF TIME"},
    {"ACQuire:TYPE", KIND_WORD, "REFR", NULL},
    {"ACQuire:HRESolution", KIND_WORD, "OFF", "OFF AUTO"},
    {"ACQuire:PEAKdetect", KIND_WORD, "OFF", "OFF AUTO"},
    {"ACQuire:WRATe", KIND_WORD, "MSAM", NULL},
    {"ACQuire:INTerpolate", KIND_WORD, "LIN", NULL},
    {"ACQuire:MODE", KIND_WORD, "RTIM", NULL},
    {"TIMebase:REFerence", KIND_NUMBER, "50", NULL},
};
#define N_SETTINGS (sizeof settings / sizeof settings[0])
_Static_assert(N_SETTINGS <= HMO_SETTINGS, "room for every setting");

/* --- names -------------------------------------------------------------------------------------------------------- */
/* Does one mnemonic (up to ':', a final '?' or the end) of text match one of the pattern? Moves both behind it. */
static bool mnemonic_match(const char **pattern, const char **text, int *ret_suffix) {
    const char *p = *pattern;
    const char *t = *text;
    size_t full = strcspn(p, "#:?");
    size_t brief = 0;
    while (brief < full && !islower((unsigned char)p[brief])) {
        brief++;
    }
    size_t n = 0;
    while (n < full && t[n] && tolower((unsigned char)p[n]) == tolower((unsigned char)t[n])) {
        n++;
    }
    if (n != full && n != brief) {
        return false;
    }
    t += n;
    p += full;
    if (*p == '#') {
        p++;
        if (isdigit((unsigned char)*t)) {
            *ret_suffix = *t++ - '0';
        }
    }
    if (*p != *t || (*p && *p != ':' && strcmp(p, "?") != 0)) {
        return false;
    }
    *pattern = p + (*p != '\0');
    *text = t + (*t != '\0');
    return true;
}

/* Header against pattern; *ret_suffix: first numeric suffix, default 1. */
static bool header_match(const char *pattern, const char *text, int *ret_suffix) {
    *ret_suffix = 1;
    while (*pattern && *text) {
        if (!mnemonic_match(&pattern, &text, ret_suffix)) {
            return false;
        }
    }
    return !*pattern && !*text && *ret_suffix < HMO_INSTANCES;
}

/* --- settings ------------------------------------------------------------------------------------------------------ */
static void complain(struct hmo_scpi *s, const char *error) { snprintf(s->error, sizeof s->error, "%s", error); }

static void put(struct hmo_scpi *s, struct buf *out, const void *bytes, size_t n) {
    if (buf_put(out, bytes, n) < 0) {
        complain(s, "-350,\"Queue overflow\"");
    }
}

static void say(struct hmo_scpi *s, struct buf *out, const char *fmt, ...) JF_PRINTF(3, 4);
static void say(struct hmo_scpi *s, struct buf *out, const char *fmt, ...) {
    char text[192];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    put(s, out, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

static double step125(double v) {
    double decade = pow(10.0, floor(log10(v) + 1e-9));
    double m = v / decade * (1.0 - 1e-9);
    return decade * (m <= 1.0 ? 1.0 : m <= 2.0 ? 2.0 : m <= 5.0 ? 5.0 : 10.0);
}

static bool word_in(const char *words, const char *arg) {
    size_t len = strlen(arg);
    for (const char *w = words; w && *w; w += strcspn(w, " ") + (w[strcspn(w, " ")] == ' ')) {
        if (strcspn(w, " ") == len && strncasecmp(w, arg, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool setting_parse(const struct setting *d, const char *arg, char out[HMO_VALUE]) {
    char *end;
    double v = strtod(arg, &end);
    bool number = end != arg && *end == '\0' && isfinite(v);
    switch (d->kind) {
    case KIND_BOOL:
        if (number || strcasecmp(arg, "ON") == 0 || strcasecmp(arg, "OFF") == 0) {
            snprintf(out, HMO_VALUE, "%d", number ? v >= 0.5 : strcasecmp(arg, "ON") == 0);
            return true;
        }
        return false;
    case KIND_STEP125:
        if (!number || v < 1e-9 || v > 50.0) {
            return false;
        }
        snprintf(out, HMO_VALUE, "%.2E", step125(v));
        return true;
    case KIND_NUMBER:
        snprintf(out, HMO_VALUE, "%.6E", v);
        return number && fabs(v) < 1e6;
    case KIND_QUOTED:
        snprintf(out, HMO_VALUE, "%.*s", HMO_VALUE - 1, arg);
        return arg[0] == '"' && strlen(arg) < HMO_VALUE;
    case KIND_WORD:
        for (size_t k = 0; k < HMO_VALUE; k++) {
            out[k] = k < strlen(arg) && k + 1 < HMO_VALUE ? (char)toupper((unsigned char)arg[k]) : '\0';
        }
        return strlen(arg) < HMO_VALUE && arg[0] && (!d->words || word_in(d->words, arg));
    }
    return false;
}

static bool setting_command(struct hmo_scpi *s, const char *head, bool query, const char *arg, struct buf *out) {
    for (size_t k = 0; k < N_SETTINGS; k++) {
        int suffix;
        if (!header_match(settings[k].pattern, head, &suffix)) {
            continue;
        }
        char *value = s->value[k][suffix];
        char next[HMO_VALUE] = "";
        if (query) {
            say(s, out, "%s", value);
        } else if (!setting_parse(&settings[k], arg, next)) {
            complain(s, "-224,\"Illegal parameter value\"");
        } else if (strcmp(next, value) != 0) {
            memcpy(value, next, sizeof next);
            if (k == S_SCALE || k == S_POSITION || k == S_CHAN_STATE || k == S_POD_STATE) {
                if (s->acq->state == HMO_COMPLETE) { /* the record no longer fits the settings */
                    s->acq->state = HMO_EMPTY;
                    s->acq->count = 0;
                }
            }
        }
        return true;
    }
    return false;
}

static double setting_number(const struct hmo_scpi *s, enum place k) { return strtod(s->value[k][1], NULL); }

static void arm(struct hmo_scpi *s) {
    const char *source = s->value[S_SOURCE][1];
    const char *slope = s->value[S_SLOPE][1];
    bool pod = source[0] == 'D' && isdigit((unsigned char)source[1]);
    struct hmo_setup setup = {
        .scale_s = setting_number(s, S_SCALE),
        .position_s = setting_number(s, S_POSITION),
        .trigger_line = pod ? source[1] - '0' : -1, /* analog sources trigger at once: their level is not modelled */
        .slope = slope[0] == 'N' ? HMO_FALLING : slope[0] == 'E' ? HMO_EITHER : HMO_RISING,
        .automatic = s->value[S_MODE][1][0] == 'A',
    };
    hmo_acq_arm(s->acq, &setup);
    s->read_mask = 0;
}

/* --- commands ------------------------------------------------------------------------------------------------------ */
enum action { A_IDN, A_ONE, A_ZERO, A_NOTHING, A_RESET, A_ERROR, A_UNIT, A_ATTENUATION, A_DIVISIONS, A_RATE, A_POINTS, A_RANGE, A_STATE,
              A_CONTINUOUS, A_SINGLE, A_STOP, A_HEADER, A_CHANNEL_DATA, A_POD_DATA };

static const struct {
    const char *pattern; /* with '?': a query */
    enum action action;
} commands[] = {
    {"*IDN?", A_IDN},
    {"*OPC?", A_ONE},
    {"*OPC", A_NOTHING},
    {"*CLS", A_NOTHING},
    {"*WAI", A_NOTHING},
    {"*ESR?", A_ZERO},
    {"*STB?", A_ZERO},
    {"*RST", A_RESET},
    {"SYSTem:ERRor?", A_ERROR},
    {"SYSTem:ERRor:NEXT?", A_ERROR},
    {"PROBe#:SETup:ATTenuation:UNIT?", A_UNIT},
    {"PROBe#:SETup:ATTenuation:MANual?", A_ATTENUATION},
    {"TIMebase:DIVisions?", A_DIVISIONS},
    {"TIMebase:RANGe?", A_RANGE},
    {"TIMebase:ACQTime?", A_RANGE},
    {"ACQuire:SRATe?", A_RATE},
    {"ACQuire:POINts?", A_POINTS},
    {"ACQuire:POINts:VALue?", A_POINTS},
    {"ACQuire:STATe?", A_STATE},
    {"FORMat", A_NOTHING}, /* analog data are REAL,32, pods UINT,8, as the driver asks */
    {"FORMat:DATA", A_NOTHING},
    {"RUN", A_CONTINUOUS},
    {"RUNContinous", A_CONTINUOUS},
    {"SINGle", A_SINGLE},
    {"RUNSingle", A_SINGLE},
    {"STOP", A_STOP},
    {"CHANnel#:DATA:HEADer?", A_HEADER},
    {"POD#:DATA:HEADer?", A_HEADER},
    {"CHANnel#:DATA?", A_CHANNEL_DATA},
    {"POD#:DATA?", A_POD_DATA},
};

static void put_block(struct hmo_scpi *s, struct buf *out, const void *bytes, size_t n) {
    char length[24];
    int digits = snprintf(length, sizeof length, "%zu", n);
    say(s, out, "#%d%s", digits, length);
    if (n > 0) {
        put(s, out, bytes, n);
    }
    s->sent_block = true;
}

static void put_floats(struct hmo_scpi *s, struct buf *out, const float *v, size_t n) {
    size_t at = out->len;
    put_block(s, out, v, n * sizeof *v); /* the host's order is little-endian, as LSBF is */
    if (s->value[S_BORDER][1][0] == 'M' && n > 0 && out->len >= at + n * sizeof *v) {
        uint8_t *b = out->data + out->len - n * sizeof *v;
        for (size_t k = 0; k < n * 4; k += 4) {
            uint8_t swap[4] = {b[k + 3], b[k + 2], b[k + 1], b[k]};
            memcpy(b + k, swap, 4);
        }
    }
}

/* Is there a record to be read for the channel with this bit? Free running: a channel asked twice wants a new one.
 * While a single shot is pending there are no data: an empty block. */
static bool record_ready(struct hmo_scpi *s, unsigned bit) {
    if (s->continuous) {
        if (s->acq->state != HMO_ARMED && s->acq->state != HMO_FILLING && (s->acq->state != HMO_COMPLETE || (s->read_mask & bit))) {
            arm(s);
        }
        if (s->acq->state != HMO_COMPLETE) {
            s->hold = true;
            return false;
        }
    }
    s->read_mask |= bit;
    return true;
}

static void channel_data(struct hmo_scpi *s, int suffix, struct buf *out) {
    if (suffix < 1 || suffix > 2) {
        complain(s, "-241,\"Hardware missing\"");
        return;
    }
    if (record_ready(s, 1u << (suffix - 1))) {
        size_t n = s->acq->state == HMO_COMPLETE ? s->acq->count : 0;
        put_floats(s, out, suffix == 1 ? s->acq->current : s->acq->voltage, n);
    }
}

static void pod_data(struct hmo_scpi *s, int suffix, struct buf *out) {
    if (suffix != 1) {
        complain(s, "-241,\"Hardware missing\"");
        return;
    }
    if (record_ready(s, 4u)) {
        put_block(s, out, s->acq->pod, s->acq->state == HMO_COMPLETE ? s->acq->count : 0);
    }
}

/* x start, x stop (s from the trigger), record length, values per interval */
static void data_header(struct hmo_scpi *s, struct buf *out) {
    const struct hmo_acq *a = s->acq;
    double dt = a->rate_hz > 0.0 ? 1.0 / a->rate_hz : 0.0;
    size_t n = a->state == HMO_COMPLETE ? a->count : 0;
    double from = -(double)a->pre * dt;
    say(s, out, "%.9E,%.9E,%zu,1", n ? from : 0.0, n ? from + (double)(n - 1) * dt : 0.0, n);
}

static const char *state_word(const struct hmo_scpi *s) {
    switch (s->acq->state) {
    case HMO_ARMED:
    case HMO_FILLING:
        return "RUN";
    case HMO_BROKEN:
        return "BRE";
    default:
        return s->continuous ? "RUN" : "COMP";
    }
}

static void act(struct hmo_scpi *s, enum action action, int suffix, struct buf *out) {
    double span = (double)HMO_DIVISIONS * setting_number(s, S_SCALE);
    double rate = hmo_acq_rate(setting_number(s, S_SCALE));
    switch (action) {
    case A_IDN:
        say(s, out, "Rohde&Schwarz,HMO1202,0000000001,05.886");
        break;
    case A_ONE:
        say(s, out, "1");
        break;
    case A_ZERO:
        say(s, out, "0");
        break;
    case A_NOTHING:
        break;
    case A_RESET:
        hmo_acq_break(s->acq);
        hmo_scpi_init(s, s->acq);
        break;
    case A_ERROR:
        say(s, out, "%s", s->error[0] ? s->error : "0,\"No error\"");
        s->error[0] = '\0';
        break;
    case A_UNIT:
        say(s, out, "%s", suffix == 1 ? "A" : "V");
        break;
    case A_ATTENUATION:
        say(s, out, "1.000E+00");
        break;
    case A_DIVISIONS:
        say(s, out, "%d", HMO_DIVISIONS);
        break;
    case A_RANGE:
        say(s, out, "%.6E", span);
        break;
    case A_RATE:
        say(s, out, "%.6E", rate);
        break;
    case A_POINTS:
        say(s, out, "%.0f", span * rate);
        break;
    case A_STATE:
        say(s, out, "%s", state_word(s));
        break;
    case A_CONTINUOUS:
        s->continuous = true;
        arm(s);
        break;
    case A_SINGLE:
        s->continuous = false;
        arm(s);
        break;
    case A_STOP:
        s->continuous = false;
        hmo_acq_break(s->acq);
        break;
    case A_HEADER:
        data_header(s, out);
        break;
    case A_CHANNEL_DATA:
        channel_data(s, suffix, out);
        break;
    case A_POD_DATA:
        pod_data(s, suffix, out);
        break;
    }
}

void hmo_scpi_init(struct hmo_scpi *ret_s, struct hmo_acq *acq) {
    *ret_s = (struct hmo_scpi){.acq = acq, .continuous = true};
    for (size_t k = 0; k < N_SETTINGS; k++) {
        for (int n = 0; n < HMO_INSTANCES; n++) {
            snprintf(ret_s->value[k][n], HMO_VALUE, "%s", settings[k].initial);
        }
    }
}

void hmo_scpi_command(struct hmo_scpi *s, const char *text, struct buf *out) {
    char line[256];
    s->hold = false;
    s->sent_block = false;
    text += strspn(text, " \t:");
    snprintf(line, sizeof line, "%s", text);
    size_t head = strcspn(line, " \t");
    char *arg = line + head + strspn(line + head, " \t");
    line[head] = '\0';
    for (size_t n = strlen(arg); n > 0 && isspace((unsigned char)arg[n - 1]); n--) {
        arg[n - 1] = '\0';
    }
    if (!line[0]) {
        return;
    }
    for (size_t k = 0; k < sizeof commands / sizeof commands[0]; k++) {
        int suffix;
        if (header_match(commands[k].pattern, line, &suffix)) {
            act(s, commands[k].action, suffix, out);
            return;
        }
    }
    bool query = line[strlen(line) - 1] == '?';
    if (query) {
        line[strlen(line) - 1] = '\0';
    }
    if (!setting_command(s, line, query, arg, out)) {
        complain(s, "-113,\"Undefined header\"");
    }
}
