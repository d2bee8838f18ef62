// SPDX-License-Identifier: Apache-2.0
// Chooses a transform and packs transformed weights.
#include "winograd_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VECTOR_BYTES = 64 };

static const ve_transform_traits traits[VE_TRANSFORM_COUNT] = {
    [VE_F2X1] = {"winograd-2x1", NULL, 1, 3, 1, 3, 2, 127},
    [VE_F2X2] = {"winograd-2x2", "winograd-2x2-words", 4, 4, 2, 1, 4, 63},
    // 20 times the levels is the largest transformed input with its offset.
    [VE_F2X4] = {"winograd-2x4", "winograd-2x4-words", 6, 6, 4, 1, 16, 12},
};

const ve_transform_traits *ve_transform_traits_of(ve_transform transform) {
  return &traits[transform];
}

// MARK: - Weights

static const int32_t weights2[4][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, -2}};
static const int32_t weights4[6][3] = {{6, 0, 0}, {1, 1, 1},  {1, -1, 1},
                                       {1, 2, 4}, {1, -2, 4}, {0, 0, 6}};

int32_t ve_winograd_weight(
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

int32_t ve_winograd_weight_factor(ve_transform transform, int32_t r, int32_t c) {
  const int32_t down = r == 0 || r == 3 ? 2 : 1;
  switch (transform) {
    case VE_F2X1: return down;
    case VE_F2X2: return c == 0 || c == 3 ? 2 * down : down;
    case VE_F2X4: return c == 0 || c == 5 ? 6 * down : down;
  }
  return 1;
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
          const int32_t magnitude = abs(ve_winograd_weight(transform, weights + 9 * i, r, c, tap));
          if (magnitude > most) most = magnitude;
        }
  return most;
}

/// The largest transformed input with its offset.
static int32_t most_input(ve_transform transform, int32_t levels) {
  return transform == VE_F2X1 ? 2 * levels : transform == VE_F2X2 ? 4 * levels : 20 * levels;
}

// The epilogue multiplies a sum that is too large by a factor of `scale` by a
// multiplier that is too small by the same factor: the product is equal if the
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

// Computes the contribution of input offsets to the four rows of column c of an output channel, and the initial sums.
static void sum_offsets(
    const ve_conv3x3 *plan, const ve_winograd_plan *w, const int8_t *weights, int32_t out, int32_t c,
    uint32_t offsets[4]) {
  const ve_conv3x3_description *d = &plan->description;
  const ptrdiff_t kernels = (ptrdiff_t)d->slots * d->channels_in;
  const int32_t shift = plan->kernels->signed_codes ? 128 : 0;
  for (int32_t r = 0; r < 4; r++) {
    int32_t sum = 0;
    for (ptrdiff_t i = 0; i < kernels; i++)
      for (int32_t tap = 0; tap < w->traits->taps; tap++)
        sum += ve_winograd_weight(w->transform, weights + (out * kernels + i) * 9, r, c, tap);
    offsets[r] = (uint32_t)sum * (uint32_t)(ve_winograd_offset(w->transform, w->levels, r, c) - shift);
    if (w->starts) offsets[r] += w->starts[(c * 4 + r) * w->constants_row + out];
  }
}

static size_t element_bytes(const ve_winograd_plan *w) {
  return w->kernels->operands == VE_OPERANDS_WORDS ? sizeof(int16_t) : sizeof(int8_t);
}

// Products of a lane that are packed side by side.
static int32_t group_of(const ve_winograd_kernels *kernels) {
  return kernels->operands == VE_OPERANDS_WORDS ? 2 : kernels->in_eights ? 8 : 4;
}

// Packs the four rows of one lane's i-th product in column c.
static void pack_product(
    const ve_winograd_plan *w, const int8_t *taps, int32_t c, int32_t i, int32_t tap, int8_t *to, ptrdiff_t width) {
  static const int32_t half_of[4] = {1, 0, 0, 1}, place_of[4] = {0, 0, 1, 1};
  const bool in_words = w->kernels->operands == VE_OPERANDS_WORDS;
  const int32_t group = group_of(w->kernels);
  const ptrdiff_t group_bytes = group * (ptrdiff_t)element_bytes(w);
  for (int32_t r = 0; r < 4; r++) {
    const int16_t value = (int16_t)ve_winograd_weight(w->transform, taps, r, c, tap);
    const ptrdiff_t quad = half_of[r] * (w->padded_depth / group) + i / group;
    int8_t *lane = to + (quad * 2 + place_of[r]) * width * group_bytes;
    if (in_words)
      memcpy(lane + i % group * 2, &value, sizeof value);
    else
      lane[i % group] = (int8_t)value;
  }
}

// The constant to add to an output before its last factor: the bias minus the
// contribution of input offsets.
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
  return (size_t)w->traits->columns * (size_t)plan->description.slots * (size_t)w->padded_depth * 4 *
         element_bytes(w);
}

static int32_t part_vectors(const ve_winograd_plan *w, const ve_block *block) {
  return w->kernels->part_vectors > 0 ? w->kernels->part_vectors : block->vectors;
}

ve_block ve_winograd_part(const ve_conv3x3 *plan, const ve_winograd_plan *w, const ve_block *block, int32_t first) {
  const int32_t most = part_vectors(w, block), left = block->vectors - first, lanes = plan->kernels->lanes;
  const int32_t vectors = left < most ? left : most, channels = block->channels - first * lanes;
  return (ve_block){
      .first_channel = block->first_channel + first * lanes,
      .channels = channels < vectors * lanes ? channels : vectors * lanes,
      .vectors = vectors,
  };
}

// Packs the weights of part of a block for one column and slot.
static void pack_part(
    const ve_conv3x3 *plan, const ve_winograd_plan *w, const ve_block *part, const int8_t *weights, int32_t column,
    int32_t slot, int8_t *to) {
  const ve_conv3x3_description *d = &plan->description;
  const ptrdiff_t group_bytes = group_of(w->kernels) * (ptrdiff_t)element_bytes(w);
  const ptrdiff_t width = part->vectors * plan->kernels->lanes;
  for (int32_t lane = 0; lane < part->channels; lane++) {
    const ptrdiff_t out = part->first_channel + lane;
    const int8_t *from = weights + (out * d->slots + slot) * d->channels_in * 9;
    for (int32_t k = 0; k < w->depth; k++)
      pack_product(
          w, from + k % d->channels_in * 9, ve_winograd_column_order[w->transform][column], k, k / d->channels_in,
          to + group_bytes * lane, width);
  }
}

static void pack_weights(const ve_conv3x3 *plan, ve_winograd_plan *w, const int8_t *weights) {
  const int32_t slots = plan->description.slots, lanes = plan->kernels->lanes;
  const ptrdiff_t lane_bytes = (ptrdiff_t)ve_winograd_lane_bytes(plan, w);
  const ptrdiff_t lane_share = lane_bytes / (w->traits->columns * slots);
  for (int32_t b = 0; b < plan->block_count; b++) {
    const ve_block *block = &plan->blocks[b];
    int8_t *to = w->u + block->first_channel * lane_bytes;
    for (int32_t i = 0; i < w->traits->columns; i++)
      for (int32_t slot = 0; slot < slots; slot++)
        for (int32_t first = 0; first < block->vectors; first += part_vectors(w, block)) {
          const ve_block part = ve_winograd_part(plan, w, block, first);
          pack_part(plan, w, &part, weights, i, slot, to);
          to += part.vectors * lanes * lane_share;
        }
  }
}

static void make_constants(const ve_conv3x3 *plan, ve_winograd_plan *w, const int8_t *weights) {
  for (int32_t out = 0; out < plan->description.channels_out; out++) {
    uint32_t offsets[6][4] = {{0}};
    for (int32_t c = 0; c < w->traits->columns; c++) sum_offsets(plan, w, weights, out, c, offsets[c]);
    for (int32_t output = 0; output < w->traits->outputs; output++)
      for (int32_t row = 0; row < 2; row++)
        w->constants[(2 * output + row) * w->constants_row + out] = (int32_t)output_constant(
            w->transform, offsets, row, output, (uint32_t)plan->bias[out]);
  }
}

// MARK: - Plan

static int32_t lanes_of(const ve_conv3x3 *plan) {
  const ve_block *last = &plan->blocks[plan->block_count - 1];
  return last->first_channel + last->vectors * plan->kernels->lanes;
}

static bool allocate_and_pack(const ve_conv3x3 *plan, ve_winograd_plan *w, const int8_t *weights) {
  w->constants_row = lanes_of(plan);
  const size_t lanes = (size_t)w->constants_row;
  const size_t constant_bytes = ve_aligned((size_t)w->traits->outputs * 2 * lanes * sizeof *w->constants);
  w->constants = aligned_alloc(VE_ALIGNMENT, constant_bytes);
  if (!w->constants) return false;
  memset(w->constants, 0, constant_bytes);
  if (w->kernels->operands == VE_OPERANDS_BYTES_IN_16) {
    if (!ve_winograd_make_rows(plan, w, weights, most_input(w->transform, w->levels))) return false;
  } else {
    const size_t u_bytes = ve_aligned(lanes * ve_winograd_lane_bytes(plan, w));
    w->u = aligned_alloc(VE_ALIGNMENT, u_bytes);
    if (!w->u) return false;
    memset(w->u, 0, u_bytes);
    pack_weights(plan, w, weights);
  }
  make_constants(plan, w, weights);
  return true;
}

static ve_winograd_plan *create(
    ve_conv3x3 *plan, const int8_t *weights, const ve_winograd_kernels *kernels, ve_transform transform) {
  const ve_conv3x3_description *d = &plan->description;
  ve_winograd_plan *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->transform = transform;
  w->traits = &traits[transform];
  w->kernels = kernels;
  w->levels = kernels->operands == VE_OPERANDS_WORDS ? 0 : d->activation_levels;
  // All weights of VE_F2X1 are in one column; fewer lanes keep it in L1.
  const int32_t fewer = 32 / plan->kernels->lanes, most = plan->kernels->block_vectors;
  if (transform == VE_F2X1) ve_conv3x3_make_blocks(plan, fewer < most ? fewer : most);
  w->depth = d->channels_in * w->traits->taps;
  const int32_t group = group_of(kernels);
  w->padded_depth = (w->depth + group - 1) / group * group;
  if (transform == VE_F2X1) {
    // Taps are read from adjacent tiles, which must therefore be contiguous.
    w->v_tile = d->channels_in;
    w->v_row = (ptrdiff_t)ve_aligned((size_t)((VE_RUN_TILES + 2) * w->v_tile)) + VECTOR_BYTES;
  } else {
    w->v_tile = (ptrdiff_t)ve_aligned((size_t)d->channels_in * element_bytes(w));
    w->v_row = VE_RUN_TILES * w->v_tile;
  }
  w->v_slot = w->traits->columns * 4 * w->v_row;
  const int32_t most_vectors = plan->blocks[0].vectors, of_part = part_vectors(w, &plan->blocks[0]);
  w->parts = (most_vectors + of_part - 1) / of_part;
  if (!allocate_and_pack(plan, w, weights)) {
    ve_winograd_plan_destroy(w);
    return NULL;
  }
  return w;
}

// MARK: - Choice

// Vector operations per four bytes of operands, times the number of those per output: one with dot products, otherwise a
// product, an addition, and two more per stretch of 16-bit sums to widen them.
static double cost(ve_winograd_operands operands, double products, double stretch) {
  switch (operands) {
    case VE_OPERANDS_BYTES: return products;
    case VE_OPERANDS_BYTES_IN_16: return products * (2 + 2 / stretch);
    case VE_OPERANDS_WORDS: return products * 4;
  }
  return INFINITY;
}

static double direct_cost(const ve_conv3x3 *plan) {
  if (plan->layout == VE_WEIGHTS_PAIRS) return cost(VE_OPERANDS_WORDS, 9, 1);
  return cost(plan->kernels->winograd->operands, 9, plan->int16_steps);
}

static double products_an_output(const ve_transform_traits *t) { return 2.0 * t->columns * t->taps / t->outputs; }

// The cost of transforms does not depend on how many products they save.
static bool pays(const ve_conv3x3_description *d, ve_transform transform) {
  return d->channels_in * d->slots >= (transform == VE_F2X1 ? 32 : 16) &&
         d->channels_in * d->slots * d->channels_out >= 512;
}

// A lower bound of a transform's cost on these kernels with 16-bit sums; INFINITY if it is not exact.
static double cost_of(
    const ve_conv3x3 *plan, const int8_t *weights, const ve_winograd_kernels *kernels, ve_transform transform) {
  const ve_conv3x3_description *d = &plan->description;
  const ve_transform_traits *t = &traits[transform];
  const bool forced = d->algorithm == VE_CONV3X3_WINOGRAD;
  if (!kernels->input[transform] || (!forced && !pays(d, transform))) return INFINITY;
  if (!scales_exactly(plan, weights, t->scale)) return INFINITY;
  if (kernels->operands != VE_OPERANDS_WORDS) {
    if (d->activation_levels > t->most_levels) return INFINITY;
    if (most_transformed(d, weights, transform) > INT8_MAX) return INFINITY;
  }
  return cost(kernels->operands, products_an_output(t), INFINITY);
}

ve_winograd_plan *ve_winograd_plan_create(ve_conv3x3 *plan, const int8_t *weights) {
  const ve_winograd_kernels *candidates[2] = {plan->kernels->winograd, plan->kernels->winograd_words};
  const bool forced = plan->description.algorithm == VE_CONV3X3_WINOGRAD;
  double best_cost = forced ? INFINITY : 0.9 * direct_cost(plan);
  const ve_winograd_kernels *best_kernels = NULL;
  ve_transform best = VE_F2X1;
  for (int i = 0; i < 2 && candidates[i]; i++)
    for (int t = 0; t < VE_TRANSFORM_COUNT; t++) {
      double this_cost = cost_of(plan, weights, candidates[i], (ve_transform)t);
      if (this_cost < best_cost && candidates[i]->operands == VE_OPERANDS_BYTES_IN_16) {
        // The lengths of stretches are only known after packing.
        ve_winograd_plan *w = create(plan, weights, candidates[i], (ve_transform)t);
        this_cost = w ? cost(VE_OPERANDS_BYTES_IN_16, products_an_output(&traits[t]), w->mean_stretch) : INFINITY;
        ve_winograd_plan_destroy(w);
      }
      if (this_cost >= best_cost) continue;
      best_cost = this_cost;
      best_kernels = candidates[i];
      best = (ve_transform)t;
    }
  if (!best_kernels) return NULL;
  ve_winograd_plan *w = create(plan, weights, best_kernels, best);
  if (!w) return NULL;
  for (int32_t channel = 0; channel < plan->description.channels_out; channel++)
    plan->multiplier[channel] /= (float)traits[best].scale;
  return w;
}

void ve_winograd_plan_destroy(ve_winograd_plan *w) {
  if (!w) return;
  free(w->u);
  free(w->rows);
  free(w->stretches);
  free(w->starts);
  free(w->constants);
  free(w);
}

const char *ve_winograd_plan_name(const ve_winograd_plan *w) {
  return w->kernels->operands == VE_OPERANDS_WORDS ? w->traits->words_name : w->traits->name;
}
