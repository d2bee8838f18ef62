// SPDX-License-Identifier: Apache-2.0
// Kernels of convolutions of floats, by instruction set.
#ifndef VE_FLOAT_CONVOLUTION_KERNELS_H
#define VE_FLOAT_CONVOLUTION_KERNELS_H

#include "kernels.h"

/// Products for each tile, input and output.
enum { VE_FLOAT_POINTS = 36 };

/// As the functions ve_float_*.
struct ve_float_kernels {
  void (*transform_weights)(
      ve_float_convolution shape, const float *weights, ptrdiff_t input_stride, ptrdiff_t output_stride, bool rotated,
      float *transformed);
  void (*convolve)(
      ve_float_convolution shape, const float *source, const float *transformed, const float *bias, float *result,
      int32_t first, int32_t end, float *scratch);
  void (*weight_gradient)(
      ve_float_convolution shape, const float *source, const float *gradient, float *gradient_by_weights,
      float *bias_gradient, float *scratch);
};

#if defined(__x86_64__)
extern const ve_float_kernels ve_float_avx2, ve_float_avx512;
#endif

#endif
