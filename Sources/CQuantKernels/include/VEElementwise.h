// SPDX-License-Identifier: Apache-2.0
// Elementwise passes of training and distillation, whose speed depends on the vector width: the compiler generates versions
// for several instruction sets. All versions return identical bits: nothing is fused, and sums are computed in sixteen
// interleaved parts for any width.
#ifndef VE_ELEMENTWISE_H
#define VE_ELEMENTWISE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// bfloat16 bit patterns nearest to `values`, ties to even, of max(value, 0) if `rectified`. `pixels` runs of `channels`
/// values; a run of results starts every `result_stride` elements.
void ve_to_bfloat16(const float *values, ptrdiff_t pixels, ptrdiff_t channels, int32_t rectified, uint16_t *result,
                    ptrdiff_t result_stride);

/// values = values * multiplier, by channel.
void ve_scale_channels(float *values, ptrdiff_t pixels, ptrdiff_t channels, const float *multiplier);

/// values = clamp(round(values) + addend, -32768, 32767), the 16-bit stream; `addend` may be NULL.
void ve_fake_stream(float *values, ptrdiff_t count, const float *addend);

/// Rounds values of less than 2^22 to integers. Returns the greatest distance of a value from its integer.
float ve_round(float *values, ptrdiff_t count);

/// unrounded = values * multiplier; codes = clamp(round(unrounded), low, high). Halves round to even.
void ve_fake_quantize(const float *values, ptrdiff_t count, float multiplier, float low, float high, float *unrounded,
                      float *codes);

/// The straight-through gradient: target += gradient * multiplier where low <= unrounded <= high.
/// Returns the sum of gradient * (code - unrounded, or code where clipped): the gradient with respect to the step's logarithm.
double ve_fake_quantize_backward(const float *gradient, const float *unrounded, ptrdiff_t count, float multiplier,
                                 float low, float high, float *target);

#ifdef __cplusplus
}
#endif

#endif
