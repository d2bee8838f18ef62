// SPDX-License-Identifier: Apache-2.0
// Code shared by both algorithms of a plan.
#include "plan.h"

// Blocks as equal as possible: 96 channels are 3 + 3 vectors rather than 4 + 2.
void ve_conv3x3_make_blocks(ve_conv3x3 *plan, int32_t most_vectors) {
  const ve_kernels *k = plan->kernels;
  const int32_t channels = plan->description.channels_out;
  const int32_t vectors = (channels + k->lanes - 1) / k->lanes;
  plan->block_count = (vectors + most_vectors - 1) / most_vectors;
  int32_t first = 0;
  for (int32_t i = 0; i < plan->block_count; i++) {
    const int32_t n = vectors / plan->block_count + (i < vectors % plan->block_count);
    const int32_t left = channels - first * k->lanes;
    plan->blocks[i] = (ve_block){
        .first_channel = first * k->lanes,
        .channels = left < n * k->lanes ? left : n * k->lanes,
        .vectors = n,
    };
    first += n;
  }
}

void ve_conv3x3_epilogue_args(
    ve_epilogue_args *args, const ve_conv3x3 *plan, const ve_conv3x3_io *io, const ve_block *block,
    int32_t x, int32_t y, int32_t pixels, int32_t step, const int32_t *sums) {
  const ptrdiff_t offset =
      (ptrdiff_t)x * plan->description.channels_out + block->first_channel;
  // Stored field by field: kernels read this immediately, field by field, and
  // the processor cannot forward parts of wider stores.
  args->sums = sums;
  args->sums_stride = block->vectors * plan->kernels->lanes;
  args->pixels = pixels;
  args->channels = block->channels;
  args->pixel_stride = plan->description.channels_out * step;
  args->multiplier = plan->multiplier + block->first_channel;
  args->is_bounded = plan->is_bounded;
  args->stream_in = NULL;
  args->stream_out = NULL;
  args->output_count = io->output_count;
  args->outputs = io->outputs;
  if (io->stream_in)
    args->stream_in =
        (const int16_t *)((const char *)io->stream_in + ve_row(y, io->stream_in_stride, io->stream_in_wrap)) + offset;
  if (io->stream_out)
    args->stream_out =
        (int16_t *)((char *)io->stream_out + ve_row(y, io->stream_out_stride, io->stream_out_wrap)) + offset;
  VE_NO_UNROLL for (int32_t i = 0; i < io->output_count; i++)
    args->codes[i] = io->outputs[i].data + ve_row(y, io->outputs[i].row_stride, io->outputs[i].wrap) + offset;
}
