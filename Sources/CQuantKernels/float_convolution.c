// SPDX-License-Identifier: Apache-2.0
#include "kernels.h"

#if defined(__x86_64__)
bool ve_float_convolution_supported(void) { return ve_isa_best() >= VE_ISA_AVX2; }
#else
bool ve_float_convolution_supported(void) { return false; }

size_t ve_float_transformed_count(ve_float_convolution shape) { return (void)shape, 0; }

void ve_float_transform_weights(ve_float_convolution shape, const float *weights, ptrdiff_t input_stride,
                                ptrdiff_t output_stride, bool rotated, float *transformed) {
  (void)shape, (void)weights, (void)input_stride, (void)output_stride, (void)rotated, (void)transformed;
}

size_t ve_float_scratch_count(ve_float_convolution shape) { return (void)shape, 0; }

void ve_float_convolve(ve_float_convolution shape, const float *source, const float *transformed, const float *bias,
                       float *result, int32_t first, int32_t end, float *scratch) {
  (void)shape, (void)source, (void)transformed, (void)bias, (void)result, (void)first, (void)end, (void)scratch;
}

size_t ve_float_gradient_scratch_count(ve_float_convolution shape) { return (void)shape, 0; }

void ve_float_weight_gradient(ve_float_convolution shape, const float *source, const float *gradient,
                              float *weight_gradient, float *bias_gradient, float *scratch) {
  (void)shape, (void)source, (void)gradient, (void)weight_gradient, (void)bias_gradient, (void)scratch;
}
#endif

int32_t ve_float_tiles(ve_float_convolution shape) {
  return shape.batch * ((shape.height + 3) / 4) * ((shape.width + 3) / 4);
}
