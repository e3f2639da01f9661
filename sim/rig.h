/* SPDX-License-Identifier: GPL-2.0-or-later
 * The electrical rig around the virtual board: electrical model, supply, instruments, truth file, fault registry and
 * control socket, opened from command line options. sim/main.c parses its own options and hands every other one to
 * rig_conf_option; then it opens the rig, lets the board feed rig_elec(), and drives rig_fronts() in its loop
 * (sim/front.h). One thread.
 *
 * What the board half does for the rig besides elec_advance and elec_markers (sim/elec.h):
 *  - elec_note(ELEC_RESET) at each reset, ELEC_SLEEP/ELEC_WAKE, ELEC_UART_BUSY when a byte begins in either direction,
 *    ELEC_UART_IDLE when the line is quiet again, ELEC_SLIP with the slipped seconds;
 *  - asks elec_supply_on/elec_supply_v once per slice: off -> core unpowered; below its brown-out level -> reset;
 *  - rig_pace once per loop; ends when rig_quit_asked. */
#ifndef SIM_RIG_H
#define SIM_RIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sim/elec.h"
#include "sim/faults.h"
#include "sim/front.h"
#include "sim/profile.h"

#define RIG_MAX_FRONTS 5
#define RIG_PATH_MAX 512

enum rig_analyzer { RIG_NONE, RIG_SCOPE, RIG_PPK2 };

struct rig_conf {
    enum rig_analyzer analyzer; /* --scope, --ppk2 (flags), or --analyzer scope|ppk2|none */
    int scope_port; /* --scope-port N; 0: any free one, see --ports */
    bool logic; /* --logic: a logic analyzer beside it */
    int logic_port; /* --logic-port N */
    char ppk2_path[RIG_PATH_MAX]; /* --ppk2-path PATH: symlink to the pty; main.c fills in <dir>/ppk2 when empty */
    char truth_path[RIG_PATH_MAX]; /* --truth FILE */
    char control_path[RIG_PATH_MAX]; /* --control PATH: unix socket; main.c fills in <dir>/control when empty */
    int scheme; /* --scheme phases|mlperf: enum truth_scheme */
    uint64_t seed; /* --seed N */
    bool realistic; /* --realistic: draw the instrument's errors */
    double supply_v; /* --supply-v 3.3: the bench supply of a scope bench */
    double shunt_ohm; /* --shunt-ohm 0 */
    double capacitance_f; /* --capacitance-f 0: on the DUT side of the shunt */
};

void rig_conf_init(struct rig_conf *ret_conf);
/* 2: option and value taken, 1: a flag taken (value ignored), 0: not the rig's, <0: bad value (reterr->where = name).
 * name with its leading "--"; value may be NULL at the end of the command line. */
int rig_conf_option(struct rig_conf *c, const char *name, const char *value, struct err *reterr) JF_MUST_CHECK;
const char *rig_usage(void); /* lines for --help */

struct rig;
int rig_open(const struct rig_conf *c, struct rig **ret_rig, struct err *reterr) JF_MUST_CHECK;
void rig_close(struct rig *r); /* closes the fronts too; NULL allowed */
struct elec *rig_elec(struct rig *r);
struct faults *rig_faults(struct rig *r);
int rig_fronts(struct rig *r, struct front *out, int cap); /* number; do not call done() on them, rig_close does */
int rig_scope_port(const struct rig *r); /* the port in use, 0: no scope */
int rig_logic_port(const struct rig *r); /* the port in use, 0: no logic analyzer */
void rig_pace(struct rig *r, int64_t lag_ps, int64_t slips); /* for `status` */
bool rig_quit_asked(const struct rig *r); /* {"cmd":"quit"} */
/* Lets the board add its own members to the answer of `status`. */
void rig_status_hook(struct rig *r, void (*fn)(void *ctx, json_t *status), void *ctx);

#endif
