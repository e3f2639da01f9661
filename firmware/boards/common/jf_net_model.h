/* SPDX-License-Identifier: MIT
 * The emitted model linked into this image, as the harness sees it. */
#ifndef FIRMWARE_BOARDS_COMMON_JF_NET_MODEL_H
#define FIRMWARE_BOARDS_COMMON_JF_NET_MODEL_H

struct jf_net;

void jf_net_model(struct jf_net *ret_net);

#endif
