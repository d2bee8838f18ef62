// SPDX-License-Identifier: Apache-2.0
// The AMX kernels on emulated tile registers, for tests on processors without AMX.
#ifndef CEMULATEDTILES_H
#define CEMULATEDTILES_H

#include "CQuantKernels.h"

/// Equivalent to ve_conv3x3_create for VE_ISA_AMX, on any processor. Slow.
ve_conv3x3 *ve_emulated_tiles_create(
    const ve_conv3x3_description *description, const int8_t *weights, const int32_t *bias, const float *multiplier);

/// Returns whether the calling thread's tiles are configured.
bool ve_emulated_tiles_in_use(void);

#endif
