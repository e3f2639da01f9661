/* SPDX-License-Identifier: MIT
 * The opt-in `jf` extension of the MLPerf Tiny device protocol: version 1, message formats.
 *
 * Owns the words that both ends of the serial line must spell alike: the harness on the device (firmware/harness) prints them, the host (bench/)
 * parses them. Freestanding: stdint only, constants only. Knows nothing of either end's code.
 *
 * Line rules are those of MLPerf Tiny: a command ends with '%' (no CR, no LF), every reply line ends with CR LF, and the last line of every
 * reply is `m-ready`. Until the host has sent `jf on%` after a boot, the device is plain MLPerf Tiny: no line below is printed, and any other
 * `jf ...` is answered `e-[Unknown command: jf]`. A reset turns the extension off again. A host must ignore `m-jf-` lines it does not know.
 *
 * Numbers are decimal unless said otherwise; <hex8> is eight lower-case hexadecimal digits without prefix (a CRC-32); <reg> is `0x` and eight
 * lower-case hexadecimal digits; <hz> is the device timer's nominal rate. CRC-32 is that of zip and PNG (check value cbf43926).
 *
 * Command                      Reply lines before m-ready
 *   jf on%                       the whole description, in this order, each line exactly once:
 *                                  m-jf-[1]                                                extension version
 *                                  m-jf-build-[<build_id>,<model_id>,<model_sha256>,<numerics>,<core_hz>,<idle>]
 *                                      build_id: GNU build id, hex, or `none`; model_id: as m-model; model_sha256: 64 hex digits of the .tflite;
 *                                      numerics: tflm | litert; core_hz: nominal core clock; idle: idle state now, spin | wfi
 *                                  m-jf-reset-[<cause>,<reg>]                              why the chip last started; the raw flags
 *                                      cause: one of the JF_RESET_* words, the most telling one when several flags are set
 *                                  m-jf-debug-[<c_debugen>,<dbgmcu_cr>]                    0 | 1; <reg>: both as they are now
 *                                  m-jf-golden-[<hex8>,<ok>]                               CRC-32 of the model's output for the embedded input,
 *                                                                                          computed at this boot before m-ready; ok: 1 equal to
 *                                                                                          the expected value, 0 not
 *                                  m-jf-init-[<when>,<ticks>,<hz>]                         stage `init`: when = boot | inference, its duration
 *                                  m-jf-markers-[<scheme>,<hold_us>]                       mlperf | phases; hold: least time a marker level lasts
 *   jf off%                      m-jf-[0]; plain MLPerf Tiny again (marker scheme mlperf)
 *   jf markers mlperf|phases%    m-jf-markers-[<scheme>,<hold_us>]
 *   jf hold <us>%                m-jf-markers-[<scheme>,<hold_us>]    length of the mlperf pulse, JF_HOLD_MIN_US .. JF_HOLD_MAX_US
 *   jf idle spin|wfi%            m-jf-idle-[<idle>]
 *   jf sync <unit_us>%           m-jf-sync-[<unit_us>,<edges>]        after one sync train on line 0, for a second instrument's clock
 *   jf layers%                   one inference, markers at rest; for each layer in the order of execution
 *                                  m-jf-layer-[<k>,<n>,<hex8>]                             k: from 0; n: elements; CRC-32 of the int8 output
 *   infer <N> [<W>]%             as MLPerf Tiny, and between the end of the window and m-infer-done:
 *                                  m-jf-window-[<k>,<N>,<ticks>,<hz>]                      k: windows since boot, the first is 1; ticks from the
 *                                                                                          opening to the closing edge, 64 bit
 *                                  m-jf-input-[<hex8>]                                     CRC-32 of the int8 input tensor
 *                                  m-jf-output-[<hex8>]                                    CRC-32 of the last inference's int8 output tensor
 *   wrong use of jf              e-[jf: <text>]
 */
#ifndef FIRMWARE_INCLUDE_JF_DEVICE_H
#define FIRMWARE_INCLUDE_JF_DEVICE_H

#include <stdint.h>

#define JF_DEVICE_VERSION 1

/* Everything up to and including the bracket; the reply ends with "]". */
#define JF_MSG_ON "m-jf-["
#define JF_MSG_BUILD "m-jf-build-["
#define JF_MSG_RESET "m-jf-reset-["
#define JF_MSG_DEBUG "m-jf-debug-["
#define JF_MSG_GOLDEN "m-jf-golden-["
#define JF_MSG_INIT "m-jf-init-["
#define JF_MSG_MARKERS "m-jf-markers-["
#define JF_MSG_IDLE "m-jf-idle-["
#define JF_MSG_SYNC "m-jf-sync-["
#define JF_MSG_LAYER "m-jf-layer-["
#define JF_MSG_WINDOW "m-jf-window-["
#define JF_MSG_INPUT "m-jf-input-["
#define JF_MSG_OUTPUT "m-jf-output-["

/* The unhappy end: a fault handler prints this line (no m-ready follows) and resets the chip, whose next reset cause is JF_RESET_SOFTWARE. */
#define JF_MSG_FAULT "e-[jf-fault: " /* <exception name>,<pc reg>,<cfsr reg>] */

/* Reset causes, from the most telling to the least. */
#define JF_RESET_BROWNOUT "brownout"   /* supply fell below the brown-out threshold, and not a first power-up */
#define JF_RESET_POWER "power"         /* power-up: the supply came from (near) zero */
#define JF_RESET_WATCHDOG "watchdog"
#define JF_RESET_LOWPOWER "lowpower"   /* illegal stop or standby */
#define JF_RESET_SOFTWARE "software"   /* SYSRESETREQ: firmware or debug probe */
#define JF_RESET_PIN "pin"             /* NRST */
#define JF_RESET_UNKNOWN "unknown"

#define JF_IDLE_SPIN "spin"
#define JF_IDLE_WFI "wfi"
#define JF_MARKERS_MLPERF "mlperf"
#define JF_MARKERS_PHASES "phases"
#define JF_INIT_BOOT "boot"
#define JF_INIT_INFERENCE "inference"

#define JF_HOLD_MIN_US 1
#define JF_HOLD_MAX_US 10000

/* The sync train: line 0 toggles JF_SYNC_EDGES times and is back at its idle level; the gap behind edge k lasts unit_us * (JF_SYNC_BASE + s_k) by the
 * device's timer, where s_0 = 1 and s_k+1 = (s_k >> 1) | ((s_k ^ (s_k >> 2)) & 1) << 4: the maximal-length sequence x^5 + x^2 + 1, whose 31 states are
 * the numbers 1 to 31, each once. No two gaps are alike, so the train fits itself at one shift only. All edges are meant: none of them is a window's. */
#define JF_SYNC_EDGES 32
#define JF_SYNC_BASE 10
#define JF_SYNC_UNIT_MIN_US 20
#define JF_SYNC_UNIT_MAX_US 10000

/* Marker lines. Scheme `mlperf`: line 0 alone, idle high, each falling edge an event, two per window; the others stay low.
 * Scheme `phases`: line 0 low while a window runs; line 1 toggles at each inference start and after the last (N + 1 edges);
 * lines 2..4 hold the stage code below (line 2 its bit 0), changed by one store. */
#define JF_LINE_WINDOW 0
#define JF_LINE_INFERENCE 1
#define JF_LINE_STAGE 2
#define JF_LINES 5

#define JF_STAGE_IDLE 0
#define JF_STAGE_INIT 1
#define JF_STAGE_INFERENCE 2
#define JF_STAGE_INPUT 3
#define JF_STAGE_POST 4
#define JF_STAGE_OUTPUT 6

#endif
