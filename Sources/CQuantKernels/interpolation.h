// SPDX-License-Identifier: Apache-2.0
// What the kernels of interpolation share.
#ifndef VE_INTERPOLATION_KERNELS_H
#define VE_INTERPOLATION_KERNELS_H

#include "kernels.h"

VE_INLINE int32_t ve_interp_clamp(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}

/// A vector's part in the first frame; the second frame takes the rest. Halves round away from the first frame.
VE_INLINE int32_t ve_interp_first_part(int32_t v, int32_t time) { return -((v * time + VE_INTERP_ONE / 2) >> 8); }

/// Side of the window that fractions of a pixel are found in, and of the patch that its gradients need.
enum { VE_INTERP_SIDE = 16, VE_INTERP_PATCH = VE_INTERP_SIDE + 2 };

/// Sums over a window that a step of Lucas-Kanade is solved from.
typedef struct ve_interp_sums {
  int64_t xx, yy, xy, xe, ye;
} ve_interp_sums;

#endif
