/* SPDX-License-Identifier: GPL-2.0-or-later
 * Any libsigrok device as a power driver. Without `arm` it streams for as long as the device does; with `arm: scpi`
 * it is a block instrument: configured, armed and watched over an own short TCP connection (libsigrok has no call
 * for it), then opened and read by libsigrok, one acquisition per arm.
 * Threads: as in drivers/power/power.h. libsigrok 0.5.2 can block for ever in connect(2), so max_block_ms is -1 and the
 * caller runs these calls in a thread that its process may abandon; a blocked *read* is woken by an own watchdog
 * and by power_dev_cancel (both shut the instrument's socket down). One libsigrok context per process.
 *
 * Configuration (the analyzer's object; unknown keys are ignored here, the daemon's checker reports them):
 *   sigrok_driver   name as in `sigrok-cli -L`                       ("hameg-hmo", "demo")
 *   conn            libsigrok's conn=, e.g. tcp-raw/127.0.0.1/5025    default none
 *   serialcomm      libsigrok's serialcomm=                           default none
 *   scan            {"logic_channels": 8, ...} further scan options
 *   options         {"samplerate": 100000, "Analog:pattern": "sine"}  config keys, "group:key" for a channel group
 *   serial          expected serial number; another one is refused
 *   arm             scpi: block instrument                            default: streaming
 *   mapping         {current: {channel, scale, offset}, voltage: {...}, markers: ["D0", ...]}; scale in A per
 *                   instrument unit, offset in A, value = scale * reading + offset. An instrument that reports volts
 *                   for the current channel needs an explicit scale (a shunt's 1/R). Markers alone: a logic analyzer
 *   accuracy        {current_gain, current_offset_a, voltage_gain, voltage_offset_v, kind: limit|k2|typical, source}
 *   current_range_a upper bound of the current channel               default 0: unknown
 *   resolution_a    quantization step                                 default 0
 *   shunt_ohm       burden                                            default 0: unknown
 *   clock_ppm       limit of the time base                            default 50
 *   marker_phase    phi of a marker sample                            default: unknown
 *   stall_ms        silence after which the instrument counts as stalled   default 2000
 *   trigger_timeout_ms  how long an armed instrument may wait for its trigger; 0: as long as the caller pumps */
#ifndef DRIVERS_POWER_SIGROK_H
#define DRIVERS_POWER_SIGROK_H

#include "drivers/power/power.h"

extern const struct power_driver power_driver_sigrok;

#endif
