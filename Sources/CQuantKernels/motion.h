// SPDX-License-Identifier: Apache-2.0
// Declarations shared by the kernels of motion search and neighbour packing.
#ifndef VE_MOTION_KERNELS_H
#define VE_MOTION_KERNELS_H

#include <stdlib.h>

#include "kernels.h"

/// Border of the quarter-size plane in pixels.
enum { VE_MOTION_COARSE_BORDER = 16 };

/// Sums over 16 x 16 for the subpixel motion: products of the reference's central differences with each other and with the
/// difference of the frames.
typedef struct ve_motion_sums {
  int32_t xx, yy, xy, xe, ye;
} ve_motion_sums;

// MARK: - Planes for the network

/// The neighbour's chroma for `count` grid points from (x, y) on at a luma vector; half samples are means.
VE_INLINE void ve_motion_chroma(
    const uint8_t *plane, int32_t width, int32_t height, int32_t x, int32_t y, ve_motion_vector v, int32_t count,
    uint8_t *result) {
  const int32_t fy = 2 * y + v.dy;  // in half samples
  const uint8_t *above = plane + (ptrdiff_t)ve_clamp(fy >> 1, 0, height - 1) * width;
  const uint8_t *below = plane + (ptrdiff_t)ve_clamp((fy + 1) >> 1, 0, height - 1) * width;
  for (int32_t i = 0; i < count; i++) {
    const int32_t fx = 2 * (x + i) + v.dx;
    const int32_t x0 = ve_clamp(fx >> 1, 0, width - 1), x1 = ve_clamp((fx + 1) >> 1, 0, width - 1);
    result[i] = (uint8_t)((above[x0] + above[x1] + below[x0] + below[x1] + 2) >> 2);
  }
}

/// (sample - 128) * factor / unit + 128, rounded to nearest, halves away from zero, clipped.
VE_INLINE uint8_t ve_motion_modulated(uint8_t sample, int32_t factor) {
  enum { unit = VE_MOTION_REMAINDER * VE_MOTION_REMAINDER };
  const int32_t product = (sample - 128) * factor;
  const int32_t value = (product + (product < 0 ? -unit / 2 : unit / 2)) / unit;
  return (uint8_t)ve_clamp(128 + value, 0, 255);
}

/// Grid points x_begin ..< x_end of row y, of one block.
VE_INLINE void ve_motion_points(
    const ve_neighbour_args *args, int32_t y, int32_t x_begin, int32_t x_end, ve_motion_vector v) {
  const ve_motion_plane *reference = args->reference, *neighbour = args->neighbour;
  const int32_t width = reference->width / 2, height = reference->height / 2, limit = VE_MOTION_REMAINDER;
  const int32_t factors[5] = {v.rx * limit, v.ry * limit, v.rx * v.ry, v.rx * v.rx, v.ry * v.ry};
  // Means of absolute differences, times 8 over the block and times 4 at the point.
  const uint8_t block_match = (uint8_t)(128 + ve_clamp(v.error / 32, 0, 127));
  for (int32_t x = x_begin; x < x_end; x++) {
    const uint8_t *there = neighbour->luma + (2 * y + v.dy) * neighbour->stride + 2 * x + v.dx;
    const uint8_t *here = reference->luma + 2 * y * reference->stride + 2 * x;
    uint8_t *to = args->result + y * args->row_stride + x * args->pixel_stride;
    uint8_t samples[6] = {there[0], there[1], there[neighbour->stride], there[neighbour->stride + 1]};
    ve_motion_chroma(args->chroma[0], width, height, x, y, v, 1, &samples[4]);
    ve_motion_chroma(args->chroma[1], width, height, x, y, v, 1, &samples[5]);
    for (int32_t c = 0; c < 6; c++) {
      to[c] = samples[c];
      for (int32_t k = 0; k < 5; k++) to[6 * k + 6 + c] = ve_motion_modulated(samples[c], factors[k]);
    }
    const int32_t mismatch = abs(here[0] - samples[0]) + abs(here[1] - samples[1]) +
                             abs(here[reference->stride] - samples[2]) +
                             abs(here[reference->stride + 1] - samples[3]);
    to[36] = block_match;
    to[37] = (uint8_t)(128 + ve_clamp(mismatch, 0, 127));
  }
}

#endif
