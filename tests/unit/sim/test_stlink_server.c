/* SPDX-License-Identifier: GPL-2.0-or-later
 * The stlink-server protocol over a real socket, byte by byte as OpenOCD 0.12's stlink_usb.c expects it. */
#include "tests/unit/sim/board_rig.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/stlink.h"

struct probe {
    struct rig *rig;
    struct front front;
    int port, fd;
};

static void turn(struct probe *p) {
    struct pollfd fds[FRONT_MAX_FDS];
    int n = p->front.ops->fds(p->front.self, fds, FRONT_MAX_FDS);
    if (poll(fds, (nfds_t)n, 20) > 0) {
        p->front.ops->ready(p->front.self, fds, n);
    }
}
static int dial(struct probe *p) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    turn(p);
    return fd;
}
static struct probe open_probe(void) {
    struct probe p = {.rig = rig_new(3.3, true)};
    struct err e;
    rig_run(p.rig, US);
    struct stlink_conf c = {.serial = "VBOARD000000000000000001", .board = p.rig->board, .faults = p.rig->faults};
    assert_int_equal(stlink_open(&c, &p.front, &p.port, &e), 0);
    p.fd = dial(&p);
    return p;
}
static void close_probe(struct probe *p) {
    (void)close(p->fd);
    p->front.ops->done(p->front.self);
    rig_free(p->rig);
}
/* Sends and collects until n bytes have come; the number that came. */
static size_t ask(struct probe *p, const void *q, size_t n_q, uint8_t *out, size_t n) {
    size_t got = 0;
    assert_int_equal(send(p->fd, q, n_q, MSG_NOSIGNAL), (ssize_t)n_q);
    for (int i = 0; i < 5 && got < n; i++) {
        turn(p);
        ssize_t k = recv(p->fd, out + got, n - got, MSG_DONTWAIT);
        got += k > 0 ? (size_t)k : 0;
    }
    return got;
}
static uint32_t le32(const uint8_t *b) { return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24; }
/* One "USB" command; data of n_data bytes is written when out, else read. */
static size_t usb(struct probe *p, const uint8_t *cmd, size_t n_cmd, bool read, const uint8_t *data, uint32_t n_data, uint8_t *reply) {
    uint8_t q[32 + 64] = {5, [4] = 1};
    memcpy(q + 8, cmd, n_cmd);
    q[24] = read;
    q[28] = (uint8_t)n_data;
    if (!read && n_data) {
        memcpy(q + 32, data, n_data);
    }
    return ask(p, q, 32 + (read ? 0 : n_data), reply, 4 + (read ? n_data : 0));
}

static void test_server(void **state) {
    (void)state;
    struct probe p = open_probe();
    uint8_t b[64];
    assert_int_equal(ask(&p, (uint8_t[]){6, 0, 0, 0}, 4, b, 16), 16);
    assert_true(le32(b) >= 2); /* api */
    assert_int_equal(ask(&p, (uint8_t[]){0, 0}, 2, b, 4), 4);
    assert_int_equal(le32(b), 1);
    assert_int_equal(ask(&p, (uint8_t[]){1}, 1, b, 4), 4);
    assert_int_equal(le32(b), 1); /* one device */
    assert_int_equal(ask(&p, (uint8_t[]){2, 0, 0, 0, 41, 0, 0, 0}, 8, b, 45), 45);
    assert_int_equal(le32(b), 1);
    assert_string_equal((char *)b + 8, "VBOARD000000000000000001");
    assert_int_equal(b[40] | b[41] << 8, 0x0483);
    assert_int_equal(b[42] | b[43] << 8, 0x374B);
    assert_int_equal(b[44], 0); /* free */
    assert_int_equal(ask(&p, (uint8_t[]){3, 0, 0, 0, b[4], b[5], b[6], b[7]}, 8, b, 8), 8);
    assert_int_equal(le32(b), 1);
    close_probe(&p);
}

static void test_commands(void **state) {
    (void)state;
    struct probe p = open_probe();
    uint8_t b[64];
    assert_int_equal(usb(&p, (uint8_t[]){0xF1, 0x80}, 2, true, NULL, 6, b), 10);
    unsigned v = (unsigned)b[4] << 8 | b[5];
    assert_int_equal(v >> 12, 2); /* ST-LINK V2, JTAG level 32 or above: banked DP, batches */
    assert_true((v >> 6 & 0x3Fu) >= 32);
    assert_int_equal(usb(&p, (uint8_t[]){0xF7}, 1, true, NULL, 8, b), 12);
    assert_int_equal(2.4 * le32(b + 8) / le32(b + 4) * 1000 + 0.5, 3300);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x30, 0xA3}, 3, true, NULL, 2, b), 6);
    assert_int_equal(b[4], 0x80);
    assert_int_equal(usb(&p, (uint8_t[]){0xF5}, 1, true, NULL, 2, b), 6);
    assert_int_equal(b[4], 2);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x31}, 2, true, NULL, 12, b), 16);
    assert_int_equal(le32(b + 8), 0x6BA02477u);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x07, 0x00, 0xED, 0x00, 0xE0, 4, 0, 0}, 9, true, NULL, 4, b), 8);
    assert_int_equal(le32(b + 4), 0x411FC271u); /* Cortex-M7 r1p1 */
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x3E}, 2, true, NULL, 12, b), 16);
    assert_int_equal(b[4], 0x80);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x07, 0, 0, 0, 0xA0, 4, 0, 0}, 9, true, NULL, 4, b), 8);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x3E}, 2, true, NULL, 12, b), 16);
    assert_int_equal(b[4], 0x11); /* AP fault: nobody there */
    uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x08, 0, 1, 0, 0x20, 8, 0, 0}, 9, false, data, 8, b), 4);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x0C, 1, 1, 0, 0x20, 6, 0, 0}, 9, true, NULL, 6, b), 10);
    assert_memory_equal(b + 4, data + 1, 6);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x07, 0x00, 0x10, 0x0E, 0xE0, 4, 0, 2}, 9, true, NULL, 4, b), 8);
    assert_int_equal(le32(b + 4), 0x10006480u); /* DBGMCU through AP2 */
    close_probe(&p);
}

static void test_target_gone(void **state) {
    (void)state;
    struct probe p = open_probe();
    uint8_t b[64];
    elec_supply_set(p.rig->elec, false, 3.3);
    rig_run(p.rig, MS);
    assert_int_equal(usb(&p, (uint8_t[]){0xF7}, 1, true, NULL, 8, b), 12); /* the probe itself answers */
    assert_int_equal(le32(b + 8), 0);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x30, 0xA3}, 3, true, NULL, 2, b), 6);
    assert_int_not_equal(b[4], 0x80);
    assert_int_equal(usb(&p, (uint8_t[]){0xF2, 0x45, 0xFF, 0xFF, 0, 0}, 6, true, NULL, 8, b), 12);
    assert_int_not_equal(b[4], 0x80);
    close_probe(&p);
}

static void test_nonsense(void **state) {
    (void)state;
    struct probe p = open_probe();
    uint8_t b[64];
    uint8_t huge[32] = {5, [24] = 0, [28] = 0xFF, [29] = 0xFF, [30] = 0xFF, [31] = 0x7F};
    assert_int_equal(ask(&p, huge, sizeof huge, b, 4), 0);
    assert_int_equal(recv(p.fd, b, 1, MSG_DONTWAIT), 0); /* closed */
    (void)close(p.fd);
    p.fd = dial(&p);
    assert_int_equal(ask(&p, (uint8_t[]){0x77}, 1, b, 4), 0);
    assert_int_equal(recv(p.fd, b, 1, MSG_DONTWAIT), 0);
    (void)close(p.fd);
    p.fd = dial(&p); /* and still serves */
    assert_int_equal(ask(&p, (uint8_t[]){1}, 1, b, 4), 4);
    close_probe(&p);
}

static void test_faults(void **state) {
    (void)state;
    struct probe p = open_probe();
    struct err e;
    uint8_t b[64];
    json_t *after = json_pack("{s:i}", "after", 2);
    assert_int_equal(faults_set(p.rig->faults, "probe-drop", true, after, &e), 0);
    json_decref(after);
    assert_int_equal(ask(&p, (uint8_t[]){1}, 1, b, 4), 4);
    assert_int_equal(ask(&p, (uint8_t[]){1}, 1, b, 4), 4);
    assert_int_equal(ask(&p, (uint8_t[]){1}, 1, b, 4), 0);
    assert_int_equal(recv(p.fd, b, 1, MSG_DONTWAIT), 0);
    (void)close(p.fd);
    assert_int_equal(faults_set(p.rig->faults, "probe-drop", false, NULL, &e), 0);
    assert_int_equal(faults_set(p.rig->faults, "probe-silent", true, NULL, &e), 0);
    p.fd = dial(&p);
    assert_int_equal(ask(&p, (uint8_t[]){1}, 1, b, 4), 0);
    assert_int_equal(recv(p.fd, b, 1, MSG_DONTWAIT), -1); /* open, but mute */
    (void)close(p.fd);
    assert_int_equal(faults_set(p.rig->faults, "probe-silent", false, NULL, &e), 0);
    assert_int_equal(faults_set(p.rig->faults, "probe-refuse", true, NULL, &e), 0);
    turn(&p);
    p.fd = dial(&p);
    assert_int_equal(recv(p.fd, b, 1, 0), 0);
    close_probe(&p);
}

static void test_serial(void **state) {
    (void)state;
    struct rig *r = rig_new(3.3, true);
    struct front f;
    struct err e;
    int port;
    struct stlink_conf c = {.serial = "VBOARD000001", .board = r->board}; /* 12 characters: OpenOCD would re-encode it */
    assert_int_equal(stlink_open(&c, &f, &port, &e), JF_E_INVAL);
    c.serial[0] = '\0';
    assert_int_equal(stlink_open(&c, &f, &port, &e), JF_E_INVAL);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server),   cmocka_unit_test(test_commands), cmocka_unit_test(test_target_gone),
        cmocka_unit_test(test_nonsense), cmocka_unit_test(test_faults),   cmocka_unit_test(test_serial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
