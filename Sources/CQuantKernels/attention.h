// SPDX-License-Identifier: Apache-2.0
// Arithmetic shared by the scalar reference, the vector kernels and the training passes.
#ifndef VE_ATTENTION_INTERNAL_H
#define VE_ATTENTION_INTERNAL_H

#include "kernels.h"

/// The table of exponentials.
extern const int32_t ve_attention_exponentials[VE_EXPONENTIALS];

/// Clamps a number to the range in which a float represents halves.
VE_INLINE float ve_limited(float value) { return value < -0x1p22f ? -0x1p22f : value > 0x1p22f ? 0x1p22f : value; }

/// Rounds a clamped number to the nearest integer, ties to even: adding 1.5 x 2^23 discards the fraction.
VE_INLINE int32_t ve_nearest(float limited) { return (int32_t)((limited + 0x1.8p23f) - 0x1.8p23f); }

VE_INLINE int32_t ve_score(int32_t sum, float multiplier) { return ve_nearest(ve_limited((float)sum * multiplier)); }

/// Returns the exponential of a score that is `difference` below the largest one.
VE_INLINE int32_t ve_exponential(int32_t difference) {
  return ve_attention_exponentials[difference < VE_EXPONENTIALS ? difference : VE_EXPONENTIALS - 1];
}

VE_INLINE int32_t ve_reciprocal(int32_t total) { return ve_nearest((float)VE_WEIGHT_ONE / (float)total); }

VE_INLINE int32_t ve_weight_code(float unrounded, int32_t levels) {
  const int32_t code = ve_nearest(unrounded < 0x1p22f ? unrounded : 0x1p22f);
  return code < levels ? code : levels;
}

#endif
