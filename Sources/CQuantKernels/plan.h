// SPDX-License-Identifier: Apache-2.0
// The contents of a plan, shared by its two algorithms.
#ifndef VE_PLAN_H
#define VE_PLAN_H

#include "kernels.h"

typedef struct ve_winograd_plan ve_winograd_plan;

enum { VE_MAX_BLOCKS = VE_MAX_CHANNELS / 8 };

struct ve_conv3x3 {
  ve_conv3x3_description description;
  const ve_kernels *kernels;
  int32_t block_count;
  ve_block blocks[VE_MAX_BLOCKS];
  // Zero-padded to whole vectors.
  int32_t bias[VE_MAX_CHANNELS + VE_BLOCK_LANES];
  float multiplier[VE_MAX_CHANNELS + VE_BLOCK_LANES];
  bool is_bounded;  // see ve_epilogue_args

  // Direct algorithm.
  ve_accumulate_fn *accumulate;
  int32_t int16_steps;
  ve_weight_layout layout;
  void *weights;

  // Direct algorithm on tiles: codes of a step and steps of a run (tiles.h). A depth of 0: no tiles.
  int32_t tile_depth, tile_steps;

  // NULL for the direct algorithm.
  ve_winograd_plan *winograd;
};

/// Arguments of the epilogue for `pixels` pixels of one block, `step` apart,
/// starting at (x, y); `sums` may be NULL if kernels have them in registers.
void ve_conv3x3_epilogue_args(
    ve_epilogue_args *args, const ve_conv3x3 *plan, const ve_conv3x3_io *io, const ve_block *block,
    int32_t x, int32_t y, int32_t pixels, int32_t step, const int32_t *sums);

/// Divides the output channels into blocks of at most `most_vectors`.
void ve_conv3x3_make_blocks(ve_conv3x3 *plan, int32_t most_vectors);

/// As ve_conv3x3_create, with these kernels.
ve_conv3x3 *ve_conv3x3_create_with(
    const ve_kernels *kernels, const ve_conv3x3_description *description, const int8_t *weights,
    const int32_t *bias, const float *multiplier);

/// Packs weights for plan->kernels->tiles; false if out of memory.
bool ve_tiles_pack(ve_conv3x3 *plan, const int8_t *weights);
void ve_tiles_run(const ve_conv3x3 *plan, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end);

/// The best transform that is exact for these operands, packed; NULL if there
/// is none, or none that is faster than plan->accumulate. Scales
/// plan->multiplier to match.
ve_winograd_plan *ve_winograd_plan_create(ve_conv3x3 *plan, const int8_t *weights);
void ve_winograd_plan_destroy(ve_winograd_plan *winograd);
const char *ve_winograd_plan_name(const ve_winograd_plan *winograd);
size_t ve_winograd_plan_scratch_bytes(const ve_winograd_plan *winograd, int32_t slots);
void ve_winograd_plan_run(
    const ve_conv3x3 *plan, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end,
    void *scratch);

#endif
