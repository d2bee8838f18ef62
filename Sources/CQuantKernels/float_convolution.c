// SPDX-License-Identifier: Apache-2.0
#include "float_convolution.h"

const ve_float_kernels *ve_float_kernels_for(ve_float_convolution shape, ve_isa isa) {
  const int32_t least = shape.inputs < shape.outputs ? shape.inputs : shape.outputs;
  const int32_t most = shape.inputs < shape.outputs ? shape.outputs : shape.inputs;
  const int32_t both = shape.inputs | shape.outputs;
  if (shape.batch < 1 || shape.height < 1 || shape.width < 1 || least < 1 || most > VE_FLOAT_MAX_CHANNELS) return NULL;
#if defined(__x86_64__)
  if ((isa == VE_ISA_AVX512VNNI || isa == VE_ISA_AMX) && both % 16 == 0) return &ve_float_avx512;
  if (isa >= VE_ISA_AVX2 && isa <= VE_ISA_AMX && both % 8 == 0) return &ve_float_avx2;
#else
  (void)isa, (void)both;
#endif
  return NULL;
}

int32_t ve_float_tiles(ve_float_convolution shape) {
  return shape.batch * ((shape.height + 3) / 4) * ((shape.width + 3) / 4);
}

size_t ve_float_transformed_count(ve_float_convolution shape) {
  return (size_t)VE_FLOAT_POINTS * (size_t)shape.inputs * (size_t)shape.outputs;
}

size_t ve_float_scratch_count(ve_float_convolution shape) {
  return (size_t)VE_FLOAT_POINTS * VE_FLOAT_TILES * (size_t)(shape.inputs + shape.outputs);
}

size_t ve_float_gradient_scratch_count(ve_float_convolution shape) {
  return ve_float_scratch_count(shape) + ve_float_transformed_count(shape);
}

void ve_float_transform_weights(
    const ve_float_kernels *kernels, ve_float_convolution shape, const float *weights, ptrdiff_t input_stride,
    ptrdiff_t output_stride, bool rotated, float *transformed) {
  kernels->transform_weights(shape, weights, input_stride, output_stride, rotated, transformed);
}

void ve_float_convolve(
    const ve_float_kernels *kernels, ve_float_convolution shape, const float *source, const float *transformed,
    const float *bias, float *result, int32_t first, int32_t end, float *scratch) {
  kernels->convolve(shape, source, transformed, bias, result, first, end, scratch);
}

void ve_float_weight_gradient(
    const ve_float_kernels *kernels, ve_float_convolution shape, const float *source, const float *gradient,
    float *gradient_by_weights, float *bias_gradient, float *scratch) {
  kernels->weight_gradient(shape, source, gradient, gradient_by_weights, bias_gradient, scratch);
}
