/* SPDX-License-Identifier: MIT
 * See jf_cmd.h. */
#include "firmware/harness/jf_cmd.h"

bool jf_cmd_feed(struct jf_cmd *c, char byte) {
    if (byte == JF_CMD_END) {
        c->text[c->len] = '\0';
        c->len = 0;
        c->next = c->text;
        return true;
    }
    c->text[c->len] = byte; /* at JF_CMD_SIZE this is the slot that the NUL takes in the end */
    if (c->len < JF_CMD_SIZE) {
        c->len++;
    }
    return false;
}

char *jf_cmd_token(struct jf_cmd *c) {
    char *s = c->next;
    while (*s == ' ') {
        s++;
    }
    if (*s == '\0') {
        c->next = s;
        return NULL;
    }
    char *end = s;
    while (*end != '\0' && *end != ' ') {
        end++;
    }
    c->next = *end == '\0' ? end : end + 1;
    *end = '\0';
    return s;
}

int32_t jf_cmd_number(const char *token) {
    const char *s = token;
    while (*s == ' ' || (*s >= '\t' && *s <= '\r')) {
        s++;
    }
    bool negative = *s == '-';
    if (*s == '-' || *s == '+') {
        s++;
    }
    int64_t v = 0;
    while (*s >= '0' && *s <= '9') {
        if (v <= INT32_MAX) { /* beyond: saturated below, never overflows */
            v = v * 10 + (*s - '0');
        }
        s++;
    }
    v = negative ? -v : v;
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}
