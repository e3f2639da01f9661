/* SPDX-License-Identifier: GPL-2.0-or-later
 * Nordic Power Profiler Kit II as a power driver: streaming, 100 kS/s, eight digital lines in the sample word.
 * Threads and blocking as in drivers/power/power.h; no call overruns its budget by more than 2.5 s.
 *
 * Configuration (the analyzer's object; unknown keys are ignored here, the daemon's checker reports them):
 *   conn          path of the port ("/dev/ttyACM0", a /dev/serial/by-id link, a pty). Without it `serial` is looked up.
 *   serial        USB serial number; when given, a port with another one is refused (JF_E_IDENTITY)
 *   backend       auto | libserialport | fd                                    default auto
 *   trust_port    true: talk to a port without USB identity (a pty)             default false
 *   mode          source: the PPK2 feeds the board | ampere: measures in series default source
 *   voltage_v     ampere mode: the stated voltage of the board; source mode: ignored, power_dev_supply sets it
 *   mapping.markers  ["D0", "D1", ...] line 0 first                             default D0..D7
 *   calibration   {"R0": 1031.64, "GS0": ...}: replaces or supplies modifiers of the unit's own answer
 *   accuracy      {current_gain, current_offset_a, voltage_gain, voltage_offset_v, kind: limit|k2|typical, source}
 *   clock_ppm     limit of the unit's time base                                 default 100
 *   stall_ms      silence after which the stream counts as stalled              default 1500
 * The output is switched off when opened, so that its state is known. */
#ifndef DRIVERS_POWER_PPK2_H
#define DRIVERS_POWER_PPK2_H

#include "drivers/power/power.h"

extern const struct power_driver power_driver_ppk2;

#endif
