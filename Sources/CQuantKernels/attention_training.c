// SPDX-License-Identifier: Apache-2.0
// Attention over frame slots in training: in floating point, and in floating point with the results of the
// integer engine.
#include "attention.h"

#include <math.h>

// MARK: - Distillation

void ve_attention_fake(const ve_attention *a, const ve_attention_tensors *tensors, float *const *weights,
                       float *result) {
  for (ptrdiff_t lane = 0; lane < tensors->pixels * a->heads; lane++) {
    // Lanes are the heads of all points in order, like the channels.
    const ptrdiff_t at = lane * VE_HEAD_CHANNELS;
    int32_t scores[VE_MAX_ATTENDED], exponentials[VE_MAX_ATTENDED], sums[VE_HEAD_CHANNELS] = {0};
    int32_t greatest = INT32_MIN, total = 0;
    for (int32_t s = 0; s < a->slots; s++) {
      // Integers below 2^24, exact in a float.
      float sum = 0;
      for (ptrdiff_t c = at; c < at + VE_HEAD_CHANNELS; c++) sum += tensors->query[c] * tensors->keys[s][c];
      scores[s] = ve_score((int32_t)sum, a->score_multiplier[s]);
      greatest = scores[s] > greatest ? scores[s] : greatest;
    }
    for (int32_t s = 0; s < a->slots; s++) {
      exponentials[s] = ve_exponential(greatest - scores[s]);
      total += exponentials[s];
    }
    const int32_t reciprocal = ve_reciprocal(total);
    for (int32_t s = 0; s < a->slots; s++) {
      const float unrounded = (float)(exponentials[s] * reciprocal) * a->weight_multiplier[s];
      weights[s][lane] = unrounded;
      const int32_t weight = ve_weight_code(unrounded, a->weight_levels[s]) * a->value_factor[s];
      for (ptrdiff_t c = 0; c < VE_HEAD_CHANNELS; c++) sums[c] += weight * (int32_t)tensors->values[s][at + c];
    }
    for (ptrdiff_t c = 0; c < VE_HEAD_CHANNELS; c++) result[at + c] = (float)sums[c] * a->multiplier;
  }
}

void ve_attention_fake_backward(const ve_attention *a, const ve_attention_tensors *tensors,
                                const float *const *weights, const float *gradient,
                                const ve_attention_gradients *gradients, double *steps) {
  for (int32_t s = 0; s < a->slots; s++) steps[s] = 0;
  for (ptrdiff_t lane = 0; lane < tensors->pixels * a->heads; lane++) {
    const ptrdiff_t at = lane * VE_HEAD_CHANNELS;
    float shares[VE_MAX_ATTENDED], slopes[VE_MAX_ATTENDED], mean = 0;
    for (int32_t s = 0; s < a->slots; s++) {
      const float unrounded = weights[s][lane], levels = (float)a->weight_levels[s];
      const float code = (float)ve_weight_code(unrounded, a->weight_levels[s]);
      const float factor = (float)a->value_factor[s] * a->multiplier;
      float byCode = 0;
      for (ptrdiff_t c = at; c < at + VE_HEAD_CHANNELS; c++) {
        byCode += gradient[c] * tensors->values[s][c];
        gradients->values[s][c] += gradient[c] * (code * factor);
      }
      byCode *= factor;
      const float passed = unrounded <= levels ? byCode : 0;
      steps[s] += (double)(byCode * code - passed * unrounded);
      // The weight before rounding is the normalized exponential divided by the step.
      const float perShare = (float)VE_WEIGHT_ONE * a->weight_multiplier[s];
      shares[s] = unrounded / perShare;
      slopes[s] = passed * perShare;
      mean += shares[s] * slopes[s];
    }
    for (int32_t s = 0; s < a->slots; s++) {
      const float bySum = shares[s] * (slopes[s] - mean) * a->score_multiplier[s] * (1.0f / VE_SCORE_UNITS);
      for (ptrdiff_t c = at; c < at + VE_HEAD_CHANNELS; c++) {
        gradients->query[c] += bySum * tensors->keys[s][c];
        gradients->keys[s][c] += bySum * tensors->query[c];
      }
    }
  }
}

// MARK: - Floating point

void ve_attention_forward(int32_t slots, int32_t heads, const ve_attention_tensors *tensors, float *const *weights,
                          float *result) {
  const float scale = 1 / sqrtf(VE_HEAD_CHANNELS);
  for (ptrdiff_t lane = 0; lane < tensors->pixels * heads; lane++) {
    const ptrdiff_t at = lane * VE_HEAD_CHANNELS;
    float scores[VE_MAX_ATTENDED], sums[VE_HEAD_CHANNELS] = {0}, greatest = -INFINITY, total = 0;
    for (int32_t s = 0; s < slots; s++) {
      float sum = 0;
      for (ptrdiff_t c = at; c < at + VE_HEAD_CHANNELS; c++) sum += tensors->query[c] * tensors->keys[s][c];
      scores[s] = sum * scale;
      greatest = scores[s] > greatest ? scores[s] : greatest;
    }
    for (int32_t s = 0; s < slots; s++) {
      scores[s] = expf(scores[s] - greatest);
      total += scores[s];
    }
    for (int32_t s = 0; s < slots; s++) {
      const float weight = scores[s] / total;
      weights[s][lane] = weight;
      for (ptrdiff_t c = 0; c < VE_HEAD_CHANNELS; c++) sums[c] += weight * tensors->values[s][at + c];
    }
    for (ptrdiff_t c = 0; c < VE_HEAD_CHANNELS; c++) result[at + c] = sums[c];
  }
}

void ve_attention_backward(int32_t slots, int32_t heads, const ve_attention_tensors *tensors,
                           const float *const *weights, const float *gradient,
                           const ve_attention_gradients *gradients) {
  const float scale = 1 / sqrtf(VE_HEAD_CHANNELS);
  for (ptrdiff_t lane = 0; lane < tensors->pixels * heads; lane++) {
    const ptrdiff_t at = lane * VE_HEAD_CHANNELS;
    float slopes[VE_MAX_ATTENDED], mean = 0;
    for (int32_t s = 0; s < slots; s++) {
      const float weight = weights[s][lane];
      slopes[s] = 0;
      for (ptrdiff_t c = at; c < at + VE_HEAD_CHANNELS; c++) {
        slopes[s] += gradient[c] * tensors->values[s][c];
        gradients->values[s][c] += gradient[c] * weight;
      }
      mean += weight * slopes[s];
    }
    for (int32_t s = 0; s < slots; s++) {
      const float byScore = weights[s][lane] * (slopes[s] - mean) * scale;
      for (ptrdiff_t c = at; c < at + VE_HEAD_CHANNELS; c++) {
        gradients->query[c] += byScore * tensors->keys[s][c];
        gradients->keys[s][c] += byScore * tensors->query[c];
      }
    }
  }
}
