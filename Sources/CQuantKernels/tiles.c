// SPDX-License-Identifier: Apache-2.0
// Direct convolution on tile registers: weight packing and row loop.
#include "tiles.h"

#include <stdlib.h>
#include <string.h>

#include "plan.h"

// Packs the weights of one output channel, whose taps are [slot][channel][3][3]; `to` is its lane in the
// first tile.
static void pack_lane(const ve_conv3x3 *plan, const int8_t *taps, int32_t vectors, int8_t *to) {
  const ve_conv3x3_description *d = &plan->description;
  const ptrdiff_t tile = plan->tile_depth * VE_TILE_SIDE;
  for (int32_t slot = 0; slot < d->slots; slot++)
    for (int32_t ky = 0; ky < 3; ky++, to += plan->tile_steps * vectors * tile)
      for (int32_t i = 0; i < 3 * d->channels_in; i++) {
        const int32_t kx = i / d->channels_in, channel = i % d->channels_in;
        const int32_t step = i / plan->tile_depth, k = i % plan->tile_depth;
        to[step * vectors * tile + k / 4 * VE_TILE_ROW + k % 4] =
            taps[((ptrdiff_t)slot * d->channels_in + channel) * 9 + ky * 3 + kx];
      }
}

bool ve_tiles_pack(ve_conv3x3 *plan, const int8_t *weights) {
  const ve_conv3x3_description *d = &plan->description;
  ve_conv3x3_make_blocks(plan, VE_TILES);
  const int32_t run = 3 * d->channels_in;
  // Equal steps: 24 channels are 36 + 36 codes per run rather than 64 + 8.
  plan->tile_steps = (run + VE_TILE_ROW - 1) / VE_TILE_ROW;
  plan->tile_depth = (run / 4 + plan->tile_steps - 1) / plan->tile_steps * 4;
  const ptrdiff_t lane_bytes = (ptrdiff_t)d->slots * 3 * plan->tile_steps * plan->tile_depth;
  const ve_block *last = &plan->blocks[plan->block_count - 1];
  const size_t bytes = (size_t)((last->first_channel + last->vectors * VE_TILE_SIDE) * lane_bytes);
  plan->weights = aligned_alloc(VE_ALIGNMENT, bytes);  // whole rows of tiles
  if (!plan->weights) return false;
  memset(plan->weights, 0, bytes);
  for (int32_t b = 0; b < plan->block_count; b++) {
    const ve_block *block = &plan->blocks[b];
    int8_t *base = (int8_t *)plan->weights + block->first_channel * lane_bytes;
    for (int32_t i = 0; i < block->channels; i++)
      pack_lane(
          plan, weights + (ptrdiff_t)(block->first_channel + i) * d->slots * d->channels_in * 9, block->vectors,
          base + i / VE_TILE_SIDE * plan->tile_depth * VE_TILE_SIDE + i % VE_TILE_SIDE * 4);
  }
  return true;
}

void ve_tiles_run(const ve_conv3x3 *plan, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end) {
  const ve_conv3x3_description *d = &plan->description;
  const ve_tile_kernels *kernels = plan->kernels->tiles;
  const uint8_t *rows[VE_MAX_SLOTS * 3];
  ve_epilogue_args epilogues[VE_MAX_TILE_BLOCKS];
  const ve_tile_row_args args = {
      .pixels = io->width,
      .channels_in = d->channels_in,
      .runs = d->slots * 3,
      .steps = plan->tile_steps,
      .depth = plan->tile_depth,
      .rows = rows,
      .blocks = plan->blocks,
      .block_count = plan->block_count,
      .weights = plan->weights,
      .bias = plan->bias,
      .epilogues = epilogues,
  };
  // Configured in each call, which takes tens of microseconds: shapes vary between layers, and other
  // libraries on this thread may change the configuration.
  kernels->begin(plan->tile_depth);
  for (int32_t y = row_begin; y < row_end; y++) {
    for (int32_t run = 0; run < args.runs; run++) {
      const ve_codes_input *input = &io->inputs[run / 3];
      rows[run] = input->data + ve_row(y + run % 3 - 1, input->row_stride, input->wrap) - d->channels_in;
    }
    for (int32_t b = 0; b < plan->block_count; b++)
      ve_conv3x3_epilogue_args(&epilogues[b], plan, io, &plan->blocks[b], 0, y, io->width, 1, NULL);
    kernels->row(&args);
  }
  kernels->end();
}
