/* SPDX-License-Identifier: MIT
 * Self-test of an emitted model: reference input and checksum. */
#include "firmware/runtime/jf_model.h"

uint32_t jfm_crc32(uint32_t crc, const int8_t *data, int32_t n) {
    static const uint32_t t[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
                                   0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    crc = ~crc;
    for (int32_t i = 0; i < n; i++) {
        crc ^= (uint8_t)data[i];
        crc = (crc >> 4) ^ t[crc & 15];
        crc = (crc >> 4) ^ t[crc & 15];
    }
    return ~crc;
}

void jfm_lcg_fill(int8_t *dst, int32_t n, uint32_t seed) {
    uint32_t x = 12345u * seed;
    for (int32_t i = 0; i < n; i++) {
        x = 1664525u * x + 1013904223u;
        dst[i] = (int8_t)((int32_t)(x >> 24) - 128);
    }
}

int jfm_self_test(const struct jfm_model *m, uint32_t *ret_crc) {
    jfm_lcg_fill(m->input, m->in_n, m->golden_seed);
    m->run(0);
    *ret_crc = jfm_crc32(0, m->output, m->out_n);
    return *ret_crc == m->golden_output_crc32;
}
