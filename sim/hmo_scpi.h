/* SPDX-License-Identifier: GPL-2.0-or-later
 * The SCPI side of the virtual oscilloscope: one command line in, reply bytes out. No sockets. One thread.
 * Source of names and forms: R&S HMO series SCPI programmers manual; what libsigrok's hameg-hmo asks. */
#ifndef SIM_HMO_SCPI_H
#define SIM_HMO_SCPI_H

#include <stdbool.h>

#include "base/buf.h"
#include "sim/hmo_acq.h"

#define HMO_SETTINGS 40
#define HMO_INSTANCES 9 /* numeric suffixes 0..8 */
#define HMO_VALUE 24

struct hmo_scpi {
    struct hmo_acq *acq; /* borrowed */
    char value[HMO_SETTINGS][HMO_INSTANCES][HMO_VALUE];
    bool continuous; /* free running; else single shots */
    unsigned read_mask; /* channels of this record read already: bit 0 CH1, 1 CH2, 2 POD1 */
    bool hold; /* a data query waits for a complete record: run the same part again after a step */
    bool sent_block; /* the last part appended a data block */
    char error[64];
};

void hmo_scpi_init(struct hmo_scpi *ret_s, struct hmo_acq *acq);
/* One command (no ';', no line end), appends its reply without line end. Unknown or wrong: error queue, no reply. */
void hmo_scpi_command(struct hmo_scpi *s, const char *text, struct buf *out);

#endif
