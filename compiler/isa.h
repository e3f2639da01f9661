/* SPDX-License-Identifier: GPL-2.0-or-later
 * Which kernels a program is emitted for: portable C99 (firmware/runtime/jf_kernels.h), the DSP extension of Armv7E-M and Armv8-M (jf_dsp.h:
 * Cortex-M4, M7, M33) or Helium (jf_mve.h: Cortex-M55). All give the same bytes. */
#ifndef COMPILER_ISA_H
#define COMPILER_ISA_H

enum isa { ISA_PORTABLE, ISA_DSP, ISA_MVE };

const char *isa_name(enum isa isa);
int isa_parse(const char *s, enum isa *ret_isa); /* 0, or JF_E_INVAL */

#endif
