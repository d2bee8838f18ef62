// SPDX-License-Identifier: Apache-2.0
// Plans: checks operands, packs weights once, and iterates over rows, blocks of
// output channels and strips of pixels. All arithmetic is in the kernels.
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

static bool is_valid(const ve_conv3x3_description *d) {
  return d->slots >= 1 && d->slots <= VE_MAX_SLOTS && d->channels_in >= 4 &&
         d->channels_in <= VE_MAX_CHANNELS && d->channels_in % 4 == 0 && d->channels_out >= 8 &&
         d->channels_out <= VE_MAX_CHANNELS && d->channels_out % 8 == 0 &&
         d->activation_levels >= 1 && d->activation_levels <= 255 && d->weight_levels >= 1 &&
         d->weight_levels <= 127;
}

// Whether weights are in range and no sum can exceed 32 bits: kernels may add
// in any order, so the bound is on magnitudes. Also sets `is_bounded`.
static bool operands_fit(
    const ve_conv3x3_description *d, const int8_t *weights, const int32_t *bias, const float *multiplier,
    bool *is_bounded) {
  *is_bounded = true;
  const size_t taps = (size_t)d->slots * (size_t)d->channels_in * 9;
  for (int32_t channel = 0; channel < d->channels_out; channel++) {
    int64_t magnitude = 0;
    for (size_t i = 0; i < taps; i++) {
      const int32_t w = weights[(size_t)channel * taps + i];
      if (w > d->weight_levels || w < -d->weight_levels - 1) return false;
      magnitude += abs(w);
    }
    magnitude = magnitude * d->activation_levels + llabs((int64_t)bias[channel]);
    if (magnitude > INT32_MAX) return false;
    // With a margin for the rounding of sums and products.
    if ((double)magnitude * fabs((double)multiplier[channel]) > VE_SUM_MAX - 2) *is_bounded = false;
  }
  return true;
}

// Weights of a lane that are packed side by side.
static size_t group_of(const ve_conv3x3 *plan) {
  switch (plan->layout) {
    case VE_WEIGHTS_QUADS: return 4;
    case VE_WEIGHTS_PAIRS: return 2;
    case VE_WEIGHTS_EIGHTS: return 8;
  }
  return 1;
}

// Weights of the three taps of a row, in whole groups.
static size_t run_of(const ve_conv3x3 *plan) {
  const size_t taps = 3 * (size_t)plan->description.channels_in, group = group_of(plan);
  return (taps + group - 1) / group * group;
}

static size_t bytes_per_lane(const ve_conv3x3 *plan) {
  const size_t element = plan->layout == VE_WEIGHTS_PAIRS ? sizeof(int16_t) : sizeof(int8_t);
  return (size_t)plan->description.slots * 3 * run_of(plan) * element;
}

// Lanes beyond the last channel repeat those 8 lanes earlier: see
// ve_accumulate_args.half.
static int32_t source_channel(const ve_block *block, size_t lane) {
  return (int32_t)lane < block->channels ? (int32_t)lane : (int32_t)lane - 8;
}

static bool pack_weights(ve_conv3x3 *plan, const int8_t *weights) {
  const ve_conv3x3_description *d = &plan->description;
  const size_t group = group_of(plan), run = run_of(plan);
  const ve_block *last = &plan->blocks[plan->block_count - 1];
  const size_t lanes = (size_t)(last->first_channel + last->vectors * plan->kernels->lanes);
  const size_t bytes = ve_aligned(lanes * bytes_per_lane(plan));
  plan->weights = aligned_alloc(VE_ALIGNMENT, bytes);
  if (!plan->weights) return false;
  memset(plan->weights, 0, bytes);

  for (int32_t b = 0; b < plan->block_count; b++) {
    const ve_block *block = &plan->blocks[b];
    const size_t width = (size_t)(block->vectors * plan->kernels->lanes);
    for (size_t lane = 0; lane < width; lane++)
      for (int32_t slot = 0; slot < d->slots; slot++)
        for (int32_t ky = 0; ky < 3; ky++)
          for (int32_t i = 0; i < 3 * d->channels_in; i++) {
            const int32_t kx = i / d->channels_in, channel = i % d->channels_in;
            const size_t from =
                (((size_t)(block->first_channel + source_channel(block, lane)) * (size_t)d->slots + (size_t)slot) *
                     (size_t)d->channels_in + (size_t)channel) * 9 + (size_t)(ky * 3 + kx);
            const size_t at = (size_t)i;
            const size_t to = ((size_t)(slot * 3 + ky) * run + at / group * group) * width + lane * group + at % group;
            char *base = (char *)plan->weights + (size_t)block->first_channel * bytes_per_lane(plan);
            if (plan->layout == VE_WEIGHTS_PAIRS)
              ((int16_t *)base)[to] = weights[from];
            else
              ((int8_t *)base)[to] = weights[from];
          }
  }
  return true;
}

// Compensates for subtracting 128 from codes; intermediate sums may wrap.
static void add_share_of_shift(ve_conv3x3 *plan, const int8_t *weights) {
  const ve_conv3x3_description *d = &plan->description;
  const size_t taps = (size_t)d->slots * (size_t)d->channels_in * 9;
  for (int32_t channel = 0; channel < d->channels_out; channel++) {
    int32_t sum = 0;
    for (size_t i = 0; i < taps; i++) sum += weights[(size_t)channel * taps + i];
    plan->bias[channel] = (int32_t)((uint32_t)plan->bias[channel] + 128u * (uint32_t)sum);
  }
}

static void choose_accumulate(ve_conv3x3 *plan) {
  const ve_conv3x3_description *d = &plan->description;
  const ve_kernels *k = plan->kernels;
  // A 16-bit lane receives two products per step.
  plan->int16_steps = INT16_MAX / (2 * d->activation_levels * (d->weight_levels + 1));
  const bool narrow = k->accumulate_narrow && plan->int16_steps >= k->narrow_steps;
  plan->accumulate = narrow ? k->accumulate_narrow : k->accumulate;
  plan->layout = narrow ? VE_WEIGHTS_QUADS : k->layout;
}

// Packs for the chosen algorithm; false if there is none, or memory runs out.
static bool choose_and_pack(ve_conv3x3 *plan, const int8_t *weights) {
  const ve_kernels *kernels = plan->kernels;
  const ve_conv3x3_algorithm algorithm = plan->description.algorithm;
  // Products of tiles take less time than transforms save with dot products, at all bit widths
  // (docs/lab/performance.md).
  if (kernels->tiles && algorithm != VE_CONV3X3_WINOGRAD) return ve_tiles_pack(plan, weights);
  ve_conv3x3_make_blocks(plan, kernels->block_vectors);
  choose_accumulate(plan);
  if (algorithm != VE_CONV3X3_DIRECT) plan->winograd = ve_winograd_plan_create(plan, weights);
  if (plan->winograd) return true;
  if (algorithm == VE_CONV3X3_WINOGRAD) return false;
  if (kernels->signed_codes) add_share_of_shift(plan, weights);
  return pack_weights(plan, weights);
}

ve_conv3x3 *ve_conv3x3_create(
    const ve_conv3x3_description *description, const int8_t *weights, const int32_t *bias,
    const float *multiplier, ve_isa isa) {
  return ve_conv3x3_create_with(ve_kernels_for(isa), description, weights, bias, multiplier);
}

ve_conv3x3 *ve_conv3x3_create_with(
    const ve_kernels *kernels, const ve_conv3x3_description *description, const int8_t *weights,
    const int32_t *bias, const float *multiplier) {
  bool is_bounded;
  if (!kernels || !is_valid(description) ||
      !operands_fit(description, weights, bias, multiplier, &is_bounded))
    return NULL;
  ve_conv3x3 *plan = calloc(1, sizeof *plan);
  if (!plan) return NULL;
  plan->description = *description;
  plan->kernels = kernels;
  plan->is_bounded = is_bounded;
  memcpy(plan->bias, bias, (size_t)description->channels_out * sizeof *bias);
  memcpy(plan->multiplier, multiplier, (size_t)description->channels_out * sizeof *multiplier);
  if (!choose_and_pack(plan, weights)) {
    ve_conv3x3_destroy(plan);
    return NULL;
  }
  return plan;
}

void ve_conv3x3_destroy(ve_conv3x3 *plan) {
  if (!plan) return;
  ve_winograd_plan_destroy(plan->winograd);
  free(plan->weights);
  free(plan);
}

ve_conv3x3_algorithm ve_conv3x3_chosen_algorithm(const ve_conv3x3 *plan) {
  return plan->winograd ? VE_CONV3X3_WINOGRAD : VE_CONV3X3_DIRECT;
}

const char *ve_conv3x3_algorithm_name(const ve_conv3x3 *plan) {
  return plan->winograd ? ve_winograd_plan_name(plan->winograd) : "direct";
}

size_t ve_conv3x3_scratch_bytes(const ve_conv3x3 *plan) {
  return plan->winograd ? ve_winograd_plan_scratch_bytes(plan->winograd, plan->description.slots) : 0;
}

#if defined(__x86_64__)
__attribute__((target("prfchw")))
#endif
static void fetch_lines(const void *from, ptrdiff_t bytes, const bool to_write) {
  for (ptrdiff_t i = 0; i < bytes; i += VE_ALIGNMENT) {
    if (to_write)
      __builtin_prefetch((const char *)from + i, 1);
    else
      __builtin_prefetch((const char *)from + i, 0, 2);
  }
}

// The sums are bound by arithmetic, so the epilogue's memory can be prefetched during them.
static void fetch_for_epilogue(const ve_epilogue_args *args) {
  const ptrdiff_t values = (ptrdiff_t)args->pixels * args->pixel_stride;
  if (args->stream_in) fetch_lines(args->stream_in, 2 * values, false);
  if (args->stream_out && args->stream_out != args->stream_in)
    fetch_lines(args->stream_out, 2 * values, true);
  if (args->output_count > 0) fetch_lines(args->codes[0], values, true);
}

void ve_conv3x3_run(
    const ve_conv3x3 *plan, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end,
    void *scratch) {
  assert(row_begin >= 0 && row_end <= io->height && io->output_count <= VE_MAX_OUTPUTS);
  if (plan->winograd) {
    ve_winograd_plan_run(plan, io, row_begin, row_end, scratch);
    return;
  }
  if (plan->tile_depth > 0) {
    ve_tiles_run(plan, io, row_begin, row_end);
    return;
  }
  const ve_conv3x3_description *d = &plan->description;
  _Alignas(VE_ALIGNMENT) int32_t sums[VE_STRIP * VE_BLOCK_LANES];
  const uint8_t *rows[VE_MAX_SLOTS * 3];
  ve_accumulate_args args = {
      .slots = d->slots,
      .channels_in = d->channels_in,
      .int16_steps = plan->int16_steps,
      .rows = rows,
      .sums = sums,
  };
  for (int32_t y = row_begin; y < row_end; y++)
    // Blocks in the outer loop: a block's weights stay in L1 along the row.
    for (int32_t b = 0; b < plan->block_count; b++) {
      const ve_block *block = &plan->blocks[b];
      args.vectors = block->vectors;
      args.half = block->channels < block->vectors * plan->kernels->lanes;
      args.weights = (const char *)plan->weights + (size_t)block->first_channel * bytes_per_lane(plan);
      args.bias = plan->bias + block->first_channel;
      for (int32_t x = 0; x < io->width; x += VE_STRIP) {
        for (int32_t slot = 0; slot < d->slots; slot++)
          for (int32_t ky = 0; ky < 3; ky++)
            rows[slot * 3 + ky] = io->inputs[slot].data +
                                  ve_row(y + ky - 1, io->inputs[slot].row_stride, io->inputs[slot].wrap) +
                                  (ptrdiff_t)(x - 1) * d->channels_in;
        args.pixels = io->width - x < VE_STRIP ? io->width - x : VE_STRIP;
        ve_epilogue_args epilogue;
        ve_conv3x3_epilogue_args(&epilogue, plan, io, block, x, y, args.pixels, 1, sums);
        fetch_for_epilogue(&epilogue);
        plan->accumulate(&args);
        plan->kernels->epilogue(&epilogue);
      }
    }
}
