// SPDX-License-Identifier: Apache-2.0
// A small wrapper of oneDNN's C API: 3x3 (or k x k) convolutions, forward and backward, on NHWC tensors. oneDNN 2.x
// (Debian 12) and 3.x differ in every creation function; convolution.c hides the differences.
#ifndef CDNNL_H
#define CDNNL_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { VE_DNN_F32 = 0, VE_DNN_BF16 = 1 } ve_dnn_type;

typedef struct {
  int32_t batch, height, width; // of the input, without padding
  int32_t channels_in, channels_out;
  int32_t kernel, stride; // kernel odd; padding is kernel / 2 zeros on every side
  ve_dnn_type type;       // of source, weights and differences; results and weight gradients are always f32
  bool training;          // also create the two backward primitives
} ve_dnn_convolution_description;

typedef struct ve_dnn_convolution ve_dnn_convolution;

/// Returns null if oneDNN does not support the shape or memory runs out; `status` (may be null) then receives dnnl_status_t.
ve_dnn_convolution *ve_dnn_convolution_create(const ve_dnn_convolution_description *description, int32_t *status);
void ve_dnn_convolution_destroy(ve_dnn_convolution *convolution);

/// Sets weights (f32, OIHW) and bias (f32, one per output channel), converted to the primitives' layouts.
int32_t ve_dnn_convolution_set_weights(ve_dnn_convolution *convolution, const float *weights, const float *bias);

/// destination (f32, NHWC) = convolution of source (NHWC, `type`) + bias.
int32_t ve_dnn_convolution_forward(ve_dnn_convolution *convolution, const void *source, float *destination);

/// source_difference (f32, NHWC) from destination_difference (NHWC, `type`).
int32_t ve_dnn_convolution_backward_data(ve_dnn_convolution *convolution, const void *destination_difference,
                                         float *source_difference);

/// Overwrites weight_difference (f32, OIHW) and bias_difference (f32).
int32_t ve_dnn_convolution_backward_weights(ve_dnn_convolution *convolution, const void *source,
                                            const void *destination_difference, float *weight_difference,
                                            float *bias_difference);

/// result = scale * left * right + keep * result, all f32 and row-major: left is rows x inner, right inner x columns or,
/// if `transposed`, columns x inner.
int32_t ve_dnn_multiply(int64_t rows, int64_t columns, int64_t inner, float scale, const float *left, const float *right,
                        bool transposed, float keep, float *result);

/// Threads of oneDNN's OpenMP runtime for calls made from this thread; 0 on a build without OpenMP.
int32_t ve_dnn_set_threads(int32_t count);
/// The count that this thread last set, at first 1.
int32_t ve_dnn_threads(void);
/// Version as major * 10000 + minor * 100 + patch.
int32_t ve_dnn_version(void);
/// Whether this CPU computes bf16 dot products in hardware (oneDNN's effective instruction set).
bool ve_dnn_has_fast_bf16(void);

#endif
