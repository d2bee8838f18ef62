// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the interpolation kernels.
#ifndef VE_INTERPOLATION_KERNELS_H
#define VE_INTERPOLATION_KERNELS_H

#include "kernels.h"

/// The part of a vector that applies to the first frame; the second frame gets the rest. Halves round away from the first
/// frame.
VE_INLINE int32_t ve_interp_first_part(int32_t v, int32_t time) { return -((v * time + VE_INTERP_ONE / 2) >> 8); }

/// Side of the window for subpixel refinement, and of the patch that its gradients need.
enum { VE_INTERP_SIDE = 16, VE_INTERP_PATCH = VE_INTERP_SIDE + 2 };

/// Sums over a window for a step of Lucas-Kanade.
typedef struct ve_interp_sums {
  int64_t xx, yy, xy, xe, ye;
} ve_interp_sums;

#endif
