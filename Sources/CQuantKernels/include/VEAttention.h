// SPDX-License-Identifier: Apache-2.0
// Attention over the frame slots of a window, independently for each point and head: the similarity of the
// query to the key of each slot weights the slot's value in the result. In integers for the engine, in
// floating point for training, and in floating point with the integer results for distillation.
//
// Tensors are NHWC with heads x VE_HEAD_CHANNELS channels; the channels of a head are adjacent.
#ifndef VE_ATTENTION_H
#define VE_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "VEInstructionSet.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Channels of a head.
#define VE_HEAD_CHANNELS 8
#define VE_MAX_HEADS 32
/// Largest number of window slots.
#define VE_MAX_ATTENDED 9
/// Number of input tensors of an attention: the query, then the keys, then the values of all slots.
#define VE_MAX_ATTENTION_INPUTS 19

/// Scores are in units of 1/VE_SCORE_UNITS: a difference of VE_SCORE_UNITS is a factor of e in the weight.
#define VE_SCORE_UNITS 64
/// Length of the table of exponentials: at this difference from the largest score, weights vanish.
#define VE_EXPONENTIALS 512
/// The table's first entry, e^0.
#define VE_EXPONENTIAL_ONE 32768
/// Approximate sum of a point's weights before conversion to codes: they are products of an exponential and a
/// reciprocal.
#define VE_WEIGHT_ONE 1073741824
/// Value factor of the slot with the largest unit; others are smaller.
#define VE_VALUE_ONE 1024

/// Everything that does not change between frames. q, k, v and w are codes.
///
///   sum[s]   = sum over the head's channels of (q - query_zero) * (k[s] - key_zero[s])           (exact, int32)
///   score[s] = rne(clamp(float(sum[s]) * score_multiplier[s], -2^22, 2^22))
///   e[s]     = table[min(greatest score - score[s], VE_EXPONENTIALS - 1)]
///   r        = rne(2^30 / float(sum of e))                                                       (32768 ... 3641)
///   w[s]     = min(rne(min(float(e[s] * r) * weight_multiplier[s], 2^22)), weight_levels[s])
///   total    = sum over s of w[s] * value_factor[s] * (v[s] - value_zero[s])                     (exact, int32)
///   code     = clamp(rne(clamp(float(total) * multiplier, -2^22, 2^22)) + zero_point, 0, levels)
///
/// table[d] = rne(32768 * e^(-d / 64)) for d < 511, table[511] = 0. Conversions to float, products and the quotient round
/// to nearest even, and nothing is fused: results are identical on every instruction set.
typedef struct ve_attention {
  int32_t slots;  // 1 ... VE_MAX_ATTENDED
  int32_t heads;  // 1 ... VE_MAX_HEADS
  int32_t query_zero;
  int32_t key_zero[VE_MAX_ATTENDED];
  int32_t value_zero[VE_MAX_ATTENDED];
  float score_multiplier[VE_MAX_ATTENDED];
  float weight_multiplier[VE_MAX_ATTENDED];
  int32_t weight_levels[VE_MAX_ATTENDED];  // 1 ... 255
  int32_t value_factor[VE_MAX_ATTENDED];   // 0 ... VE_VALUE_ONE
  float multiplier;
} ve_attention;

/// Returns the exponential of a score that is `difference`, at least 0, below the largest.
int32_t ve_attention_exponential(int32_t difference);

struct ve_conv3x3_io;

/// Computes rows row_begin ..< row_end of io->outputs[0], the only output, from io->inputs: query, keys,
/// values. Streams are not used. Borders are not read; bands of rows may run concurrently.
void ve_attention_run(const ve_attention *attention, const struct ve_conv3x3_io *io, int32_t row_begin,
                      int32_t row_end, ve_isa isa);

// MARK: - Training

/// The tensors of a pass over `pixels` points; arrays have one element per slot.
typedef struct ve_attention_tensors {
  ptrdiff_t pixels;
  const float *query;
  const float *const *keys;
  const float *const *values;
} ve_attention_tensors;

/// Destinations to which gradients are added.
typedef struct ve_attention_gradients {
  float *query;
  float *const *keys;
  float *const *values;
} ve_attention_gradients;

/// Computes in floating point weights[s] = softmax over s of (q . k[s]) / sqrt(VE_HEAD_CHANNELS), `heads`
/// values per point, and result = sum of weights[s] * v[s].
void ve_attention_forward(int32_t slots, int32_t heads, const ve_attention_tensors *tensors, float *const *weights,
                          float *result);

/// Adds the gradients with respect to query, keys and values, given the weights of the forward pass and the
/// gradient of the result.
void ve_attention_backward(int32_t slots, int32_t heads, const ve_attention_tensors *tensors,
                           const float *const *weights, const float *gradient, const ve_attention_gradients *gradients);

/// Computes the results of ve_attention_run in floating point. Tensors hold codes minus zero points.
/// `weights[s]` receives weights before rounding and clipping, `result` receives float(total) * multiplier.
void ve_attention_fake(const ve_attention *attention, const ve_attention_tensors *tensors, float *const *weights,
                       float *result);

/// Adds the straight-through gradients, which are zero for clipped weights. `weights` are those of the
/// forward pass; `steps[s]` receives the gradient with respect to the logarithm of the step of slot s's
/// weights.
void ve_attention_fake_backward(const ve_attention *attention, const ve_attention_tensors *tensors,
                                const float *const *weights, const float *gradient,
                                const ve_attention_gradients *gradients, double *steps);

#ifdef __cplusplus
}
#endif

#endif
