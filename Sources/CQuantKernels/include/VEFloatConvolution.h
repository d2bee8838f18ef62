// SPDX-License-Identifier: Apache-2.0
// 3x3 convolutions of floats with a border of zeros, forward and backward, by Winograd's algorithm F(4x4, 3x3) (Lavin
// and Gray, "Fast algorithms for convolutional neural networks", 2016): a quarter of the multiplications. Results differ
// from those of a direct convolution by rounding (2e-6 of their root mean square; 1e-5 for gradients by weights), so
// sums of integers are not exact.
//
// Tensors are NHWC without padding. Pictures are divided into tiles of 4x4 results, numbered along rows, then down, then
// by image; calls compute ranges of tiles, so that threads can share the work. Only for x86-64.
#ifndef VE_FLOAT_CONVOLUTION_H
#define VE_FLOAT_CONVOLUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "VEInstructionSet.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Extents of the tensors, and numbers of channels.
typedef struct ve_float_convolution {
  int32_t batch, height, width;
  int32_t inputs, outputs;
} ve_float_convolution;

/// Tiles computed together: ranges start at multiples of this number.
#define VE_FLOAT_TILES 24
/// Most channels of a tensor.
#define VE_FLOAT_MAX_CHANNELS 1024

/// Functions for an instruction set. All sets give the same results.
typedef struct ve_float_kernels ve_float_kernels;

/// The fastest kernels for a shape up to an instruction set; NULL if there are none: numbers of channels must be multiples of
/// 8, with 512 bits of 16.
const ve_float_kernels *ve_float_kernels_for(ve_float_convolution shape, ve_isa isa);

/// Number of tiles.
int32_t ve_float_tiles(ve_float_convolution shape);

/// Floats of transformed weights.
size_t ve_float_transformed_count(ve_float_convolution shape);
/// Transforms weights for `ve_float_convolve` with the same kernels. The weight of input i, output o and tap t (of 9) is
/// weights[i * input_stride + o * output_stride + t], or + 8 - t if `rotated`: the gradient by the input is the
/// convolution of the output's gradient with rotated weights, whose inputs and outputs are exchanged.
void ve_float_transform_weights(
    const ve_float_kernels *kernels, ve_float_convolution shape, const float *weights, ptrdiff_t input_stride,
    ptrdiff_t output_stride, bool rotated, float *transformed);

/// Floats of scratch memory of `ve_float_convolve`.
size_t ve_float_scratch_count(ve_float_convolution shape);
/// Computes tiles `first` up to, but not including, `end` of result = convolution of source + bias (NULL: no bias).
void ve_float_convolve(
    const ve_float_kernels *kernels, ve_float_convolution shape, const float *source, const float *transformed,
    const float *bias, float *result, int32_t first, int32_t end, float *scratch);

/// Floats of scratch memory of `ve_float_weight_gradient`.
size_t ve_float_gradient_scratch_count(ve_float_convolution shape);
/// Gradients by weights (OIHW) and biases, from the source and the gradient by the result; overwrites them.
void ve_float_weight_gradient(
    const ve_float_kernels *kernels, ve_float_convolution shape, const float *source, const float *gradient,
    float *gradient_by_weights, float *bias_gradient, float *scratch);

#ifdef __cplusplus
}
#endif

#endif
