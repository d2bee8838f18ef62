// SPDX-License-Identifier: Apache-2.0
// Chooses a transform and packs transformed weights.
#include "winograd_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VECTOR_BYTES = 64 };

static const ve_transform_traits traits[VE_TRANSFORM_COUNT] = {
    [VE_F2X1] = {"winograd-2x1", 1, 3, 1, 3, 2, 127},
    [VE_F2X2] = {"winograd-2x2", 4, 4, 2, 1, 4, 63},
    // 20 times the levels is the largest transformed input with its offset.
    [VE_F2X4] = {"winograd-2x4", 6, 6, 4, 1, 16, 12},
};

const ve_transform_traits *ve_transform_traits_of(ve_transform transform) {
  return &traits[transform];
}

// MARK: - Weights

static const int32_t weights2[4][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, -2}};
static const int32_t weights4[6][3] = {{6, 0, 0}, {1, 1, 1},  {1, -1, 1},
                                       {1, 2, 4}, {1, -2, 4}, {0, 0, 6}};

// A transformed weight from the nine taps; `tap` counts only for VE_F2X1.
static int32_t transformed(
    ve_transform transform, const int8_t *taps, int32_t r, int32_t c, int32_t tap) {
  int32_t sum = 0;
  for (int32_t y = 0; y < 3; y++)
    for (int32_t x = 0; x < 3; x++) {
      const int32_t across = transform == VE_F2X1   ? x == tap
                             : transform == VE_F2X2 ? weights2[c][x]
                                                    : weights4[c][x];
      sum += weights2[r][y] * across * taps[y * 3 + x];
    }
  return sum;
}

/// The largest magnitude of a transformed weight.
static int32_t most_transformed(
    const ve_conv3x3_description *d, const int8_t *weights, ve_transform transform) {
  const size_t kernels = (size_t)d->channels_out * (size_t)d->slots * (size_t)d->channels_in;
  const ve_transform_traits *t = &traits[transform];
  int32_t most = 0;
  for (size_t i = 0; i < kernels; i++)
    for (int32_t c = 0; c < t->columns; c++)
      for (int32_t tap = 0; tap < t->taps; tap++)
        for (int32_t r = 0; r < 4; r++) {
          const int32_t magnitude = abs(transformed(transform, weights + 9 * i, r, c, tap));
          if (magnitude > most) most = magnitude;
        }
  return most;
}

/// The largest transformed input with its offset.
static int32_t most_input(ve_transform transform, int32_t levels) {
  return transform == VE_F2X1 ? 2 * levels : transform == VE_F2X2 ? 4 * levels : 20 * levels;
}

// The epilogue multiplies a sum that is `scale` times too large by a
// multiplier that is as many times too small: the same product, if that
// division is exact and the sum fits.
static bool scales_exactly(const ve_conv3x3 *plan, const int8_t *weights, int32_t scale) {
  const ve_conv3x3_description *d = &plan->description;
  const size_t taps = (size_t)d->slots * (size_t)d->channels_in * 9;
  for (int32_t channel = 0; channel < d->channels_out; channel++) {
    const float multiplier = plan->multiplier[channel];
    if (multiplier / (float)scale * (float)scale != multiplier) return false;
    int64_t magnitude = 0;
    for (size_t i = 0; i < taps; i++) magnitude += abs(weights[(size_t)channel * taps + i]);
    magnitude = magnitude * d->activation_levels + llabs((int64_t)plan->bias[channel]);
    if (magnitude * scale > INT32_MAX) return false;
  }
  return true;
}

const int32_t ve_winograd_column_order[VE_TRANSFORM_COUNT][6] = {
    [VE_F2X1] = {0}, [VE_F2X2] = {1, 2, 0, 3}, [VE_F2X4] = {1, 2, 3, 4, 0, 5}};

// The four rows of one lane's i-th product in column c. Adds what the offsets
// of transformed inputs come to in it.
static void pack_product(
    const ve_conv3x3 *plan, const ve_winograd_plan *w, const int8_t *slot_weights, int32_t c,
    int32_t i, int8_t *to, ptrdiff_t width, uint32_t *offsets) {
  static const int32_t half_of[4] = {1, 0, 0, 1}, place_of[4] = {0, 0, 1, 1};
  const ve_conv3x3_description *d = &plan->description;
  const int8_t *taps = slot_weights + i % d->channels_in * 9;
  const int32_t shift = plan->kernels->signed_codes ? 128 : 0;
  for (int32_t r = 0; r < 4; r++) {
    const int32_t value = transformed(w->transform, taps, r, c, i / d->channels_in);
    const ptrdiff_t quad = half_of[r] * (w->depth / 4) + i / 4;
    to[(quad * 2 + place_of[r]) * width * 4 + i % 4] = (int8_t)value;
    offsets[r] +=
        (uint32_t)(value * (ve_winograd_offset(w->transform, d->activation_levels, r, c) - shift));
  }
}

// What to add to an output before its last factor: the bias, and what the
// offsets of transformed inputs have added, taken off.
static uint32_t output_constant(
    ve_transform transform, const uint32_t offsets[6][4], int32_t row, int32_t output,
    uint32_t bias) {
  uint32_t q[6];
  for (int32_t c = 0; c < 6; c++)
    q[c] = row == 0 ? offsets[c][0] + offsets[c][1] + offsets[c][2]
                    : offsets[c][1] - offsets[c][2] + offsets[c][3];
  const uint32_t t = q[1] + q[2], u = q[1] - q[2], c = q[3] + q[4], d = q[3] - q[4];
  switch (transform) {
    case VE_F2X1: return 2 * bias - q[0];
    case VE_F2X2: return 4 * bias - (output == 0 ? q[0] + t : u + q[3]);
    case VE_F2X4:
      switch (output) {
        case 0: return 48 * bias - (q[0] + c - 4 * t);
        case 1: return 24 * bias - (d - 2 * u);
        case 2: return 12 * bias - (c - t);
        default: return 12 * bias - (2 * d - u + q[5]);
      }
  }
  return 0;
}

size_t ve_winograd_lane_bytes(const ve_conv3x3 *plan, const ve_winograd_plan *w) {
  return (size_t)w->traits->columns * (size_t)plan->description.slots * (size_t)w->depth * 4;
}

static void pack(const ve_conv3x3 *plan, ve_winograd_plan *w, const int8_t *weights) {
  const ve_conv3x3_description *d = &plan->description;
  const ve_transform_traits *t = w->traits;
  for (int32_t b = 0; b < plan->block_count; b++) {
    const ve_block *block = &plan->blocks[b];
    const ptrdiff_t width = block->vectors * plan->kernels->lanes;
    int8_t *base = w->u + (size_t)block->first_channel * ve_winograd_lane_bytes(plan, w);
    for (int32_t lane = 0; lane < block->channels; lane++) {
      const int32_t out = block->first_channel + lane;
      uint32_t offsets[6][4] = {{0}};
      for (int32_t i = 0; i < t->columns; i++)
        for (int32_t slot = 0; slot < d->slots; slot++) {
          const int32_t c = ve_winograd_column_order[w->transform][i];
          const ptrdiff_t from = ((ptrdiff_t)out * d->slots + slot) * d->channels_in * 9;
          const ptrdiff_t to = (i * d->slots + slot) * width * w->depth * 4 + 4 * lane;
          for (int32_t k = 0; k < w->depth; k++)
            pack_product(plan, w, weights + from, c, k, base + to, width, offsets[c]);
        }
      for (int32_t output = 0; output < t->outputs; output++)
        for (int32_t row = 0; row < 2; row++)
          w->constants[(2 * output + row) * w->constants_row + out] = (int32_t)output_constant(
              w->transform, offsets, row, output, (uint32_t)plan->bias[out]);
    }
  }
}

// MARK: - Plan

static ve_winograd_plan *create(
    ve_conv3x3 *plan, const int8_t *weights, ve_transform transform, int32_t int16_steps) {
  const ve_conv3x3_description *d = &plan->description;
  ve_winograd_plan *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->transform = transform;
  w->traits = &traits[transform];
  w->kernels = plan->kernels->winograd;
  w->int16_steps = int16_steps;
  // All of VE_F2X1's weights are one column; fewer lanes keep it in L1.
  const int32_t fewer = 32 / plan->kernels->lanes, most = plan->kernels->block_vectors;
  if (transform == VE_F2X1) ve_conv3x3_make_blocks(plan, fewer < most ? fewer : most);
  w->depth = d->channels_in * w->traits->taps;
  if (transform == VE_F2X1) {
    // Taps are read from neighbouring tiles, which must therefore touch.
    w->v_tile = d->channels_in;
    w->v_row = (ptrdiff_t)ve_rounded_up((size_t)((VE_RUN_TILES + 2) * w->v_tile)) + VECTOR_BYTES;
  } else {
    w->v_tile = (ptrdiff_t)ve_rounded_up((size_t)d->channels_in);
    w->v_row = VE_RUN_TILES * w->v_tile;
  }
  w->v_slot = w->traits->columns * 4 * w->v_row;

  const ve_block *last = &plan->blocks[plan->block_count - 1];
  const size_t lanes = (size_t)(last->first_channel + last->vectors * plan->kernels->lanes);
  const size_t u_bytes = ve_rounded_up(lanes * ve_winograd_lane_bytes(plan, w));
  const size_t constant_bytes = ve_rounded_up((size_t)w->traits->outputs * 2 * lanes * sizeof *w->constants);
  w->constants_row = (ptrdiff_t)lanes;
  w->u = aligned_alloc(VE_ALIGNMENT, u_bytes);
  w->constants = aligned_alloc(VE_ALIGNMENT, constant_bytes);
  if (!w->u || !w->constants) {
    ve_winograd_plan_destroy(w);
    return NULL;
  }
  memset(w->u, 0, u_bytes);
  memset(w->constants, 0, constant_bytes);
  pack(plan, w, weights);
  return w;
}

// Steps of the vector units a product takes, times products an output.
static double cost(double products, const ve_kernels *kernels, int32_t int16_steps) {
  // maddubs and add; to widen, madd and add for as many steps as there may be.
  const bool in_int16 = kernels->winograd->products_in_int16;
  return products * (in_int16 ? 2 + 2.0 / int16_steps : 1);
}

static double direct_cost(const ve_conv3x3 *plan) {
  const bool wide = plan->layout == VE_WEIGHTS_PAIRS;
  return wide ? 9 * 4 : cost(9, plan->kernels, plan->int16_steps);
}

// Transforms cost the same however few products they save.
static bool pays(const ve_conv3x3_description *d, ve_transform transform) {
  return d->channels_in >= (transform == VE_F2X1 ? 32 : 16) &&
         d->channels_in * d->channels_out >= 512;
}

ve_winograd_plan *ve_winograd_plan_create(ve_conv3x3 *plan, const int8_t *weights) {
  const ve_conv3x3_description *d = &plan->description;
  const bool forced = d->algorithm == VE_CONV3X3_WINOGRAD;
  double best_cost = forced ? INFINITY : 0.9 * direct_cost(plan);
  int best = -1;
  int32_t best_steps = 0;
  for (int i = 0; i < VE_TRANSFORM_COUNT; i++) {
    const ve_transform transform = (ve_transform)i;
    const ve_transform_traits *t = &traits[i];
    if (d->activation_levels > t->most_levels || (!forced && !pays(d, transform))) continue;
    const int32_t most = most_transformed(d, weights, transform);
    if (most > INT8_MAX || !scales_exactly(plan, weights, t->scale)) continue;
    const int32_t step = 2 * most_input(transform, d->activation_levels) * (most ? most : 1);
    const int32_t int16_steps = INT16_MAX / step;
    if (plan->kernels->winograd->products_in_int16 && int16_steps < 1) continue;
    const double products = 2.0 * t->columns * t->taps / t->outputs;
    const double this_cost = cost(products, plan->kernels, int16_steps);
    if (this_cost >= best_cost) continue;
    best_cost = this_cost;
    best = i;
    best_steps = int16_steps;
  }
  if (best < 0) return NULL;
  ve_winograd_plan *w = create(plan, weights, (ve_transform)best, best_steps);
  if (!w) return NULL;
  for (int32_t channel = 0; channel < d->channels_out; channel++)
    plan->multiplier[channel] /= (float)traits[best].scale;
  return w;
}

void ve_winograd_plan_destroy(ve_winograd_plan *w) {
  if (!w) return;
  free(w->u);
  free(w->constants);
  free(w);
}

const char *ve_winograd_plan_name(const ve_winograd_plan *w) { return w->traits->name; }
