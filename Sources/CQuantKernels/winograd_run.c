// SPDX-License-Identifier: Apache-2.0
// Runs a Winograd plan: pairs of rows, runs of tiles, blocks of output
// channels, columns of products.
#include <stdlib.h>
#include <string.h>

#include "winograd_plan.h"

// Scratch: transformed inputs, intermediate values between columns of products
// (a, b, c and sums over slots so far), and sums for the epilogue (two outputs).
enum { AREA = 2 * VE_ROW, AREAS = 4 };

static size_t v_bytes(const ve_winograd_plan *w, int32_t slots) {
  return ve_aligned((size_t)slots * (size_t)w->v_slot);
}

size_t ve_winograd_plan_scratch_bytes(const ve_winograd_plan *w, int32_t slots) {
  return VE_ALIGNMENT + v_bytes(w, slots) +
         (AREAS + 2) * AREA * sizeof(int32_t);
}

// One run of tiles: its position and scratch memory.
typedef struct run {
  const ve_conv3x3 *plan;
  const ve_conv3x3_io *io;
  int32_t x, y, rows, tiles;
  int32_t next_x, next_y;  // of the next run; none if next_y is row_end or more
  int32_t row_end;
  // Bytes per tile that fetch_ahead() prefetches in each part, of input codes and of outputs per byte of a channel.
  ptrdiff_t in_step, out_step;
  uint8_t *v;
  int32_t *areas;
  int32_t *sums;
} run;

static void transform_inputs(const run *run) {
  const ve_winograd_plan *w = run->plan->winograd;
  const ve_conv3x3_description *d = &run->plan->description;
  ve_winograd_input_args args = {
      .channels = d->channels_in,
      // For VE_F2X1, whose tiles are pixels, the products read two more.
      .tiles = run->tiles + w->traits->taps - 1,
      .last_pixel = run->io->width + 1 - run->x,
      .levels = w->levels,
      .v_row = w->v_row,
      .v_tile = w->v_tile,
  };
  for (int32_t slot = 0; slot < d->slots; slot++) {
    const ve_codes_input *input = &run->io->inputs[slot];
    for (int32_t i = 0; i < 4; i++) {
      // With an odd height, the last row is below the border, for outputs that do
      // not exist.
      const int32_t y = run->y - 1 + i < run->io->height ? run->y - 1 + i : run->io->height;
      args.rows[i] =
          input->data + ve_row(y, input->row_stride, input->wrap) + (ptrdiff_t)(run->x - 1) * d->channels_in;
    }
    args.v = run->v + slot * w->v_slot;
    w->kernels->input[w->transform](&args);
  }
}

// Part `part` of the two rows from `y` that the next run uses: `step` bytes per tile, of `pixel_bytes` per pixel.
static ve_winograd_fetch part_of_rows(
    const run *run, const void *data, ptrdiff_t row_stride, ve_wrap wrap, int32_t y, ptrdiff_t pixel_bytes,
    ptrdiff_t step, int32_t part) {
  if (!data || run->next_y >= run->row_end || y > run->io->height) return (ve_winograd_fetch){0};
  const char *from = (const char *)data + run->next_x * pixel_bytes + VE_RUN_TILES * step * part;
  const int32_t below = y < run->io->height ? y + 1 : y;
  return (ve_winograd_fetch){{from + ve_row(y, row_stride, wrap), from + ve_row(below, row_stride, wrap)}, step};
}

// Products are bound by arithmetic, so the next run's memory is prefetched during them, a part with each column
// of each block. Two of its four rows of codes are still in cache from the row of tiles above.
static void fetch_ahead(const run *run, ve_winograd_products_args *args, int32_t slot, int32_t part) {
  const ve_conv3x3_io *io = run->io;
  const ve_conv3x3_description *d = &run->plan->description;
  const ve_codes_input *input = &io->inputs[slot];
  // The rest is prefetched once.
  const void *stream_in = slot == 0 ? io->stream_in : NULL;
  const void *stream_out = slot == 0 && io->stream_out != io->stream_in ? io->stream_out : NULL;
  const ve_codes_output *output = slot == 0 && io->output_count > 0 ? &io->outputs[0] : &(ve_codes_output){0};
  const int32_t y = run->next_y;
  const ptrdiff_t in = d->channels_in, out = d->channels_out, step = run->out_step;
  args->reads[0] =
      part_of_rows(run, input->data, input->row_stride, input->wrap, y + 1, in, run->in_step, part);
  args->reads[1] = part_of_rows(
      run, stream_in, io->stream_in_stride, io->stream_in_wrap, y, 2 * out, 2 * step, part);
  args->writes[0] =
      part_of_rows(run, output->data, output->row_stride, output->wrap, y, out, step, part);
  args->writes[1] = part_of_rows(
      run, stream_out, io->stream_out_stride, io->stream_out_wrap, y, 2 * out, 2 * step, part);
}

// Prepares the epilogue for pixel `output` of each tile, by rows, without pixels and rows that do not exist.
static void prepare_epilogue(
    const run *run, const ve_block *block, int32_t output, const int32_t *sums,
    ve_epilogue_args epilogue[2]) {
  const int32_t step = run->plan->winograd->traits->outputs;
  const int32_t x = run->x + output;
  // The last tile may be cut off.
  const int32_t exist = run->tiles - (x + (run->tiles - 1) * step >= run->io->width);
  for (int32_t row = 0; row < 2; row++)
    ve_conv3x3_epilogue_args(
        &epilogue[row], run->plan, run->io, block, x, run->y + row, row < run->rows ? exist : 0, step,
        sums + row * VE_ROW);
}

typedef struct column_step {
  ve_winograd_step step;
  int32_t before;  // area, or -1
  int32_t to;  // area
  bool constants;
  int32_t output;  // first pixel of the output
  uint32_t factor;
} column_step;

enum { A, B, C, PARTIAL };

static const column_step column_steps[VE_TRANSFORM_COUNT][6] = {
    [VE_F2X1] = {{VE_STEP_FINISH, .before = -1, .constants = true, .factor = 1}},
    [VE_F2X2] = {{VE_STEP_KEEP, .before = -1, .to = A},
                 {VE_STEP_BUTTERFLY_2X2, .before = -1, .constants = true},
                 {VE_STEP_FINISH, .before = A, .output = 0, .factor = 1},
                 {VE_STEP_FINISH, .before = B, .output = 1, .factor = 1}},
    [VE_F2X4] = {{VE_STEP_KEEP, .before = -1, .to = A},
                 {VE_STEP_BUTTERFLY_2X4, .before = -1},
                 {VE_STEP_KEEP, .before = -1, .to = C},
                 {VE_STEP_MIDDLE_2X4, .before = -1, .constants = true, .output = 1},
                 {VE_STEP_FINISH, .before = A, .output = 0, .factor = VE_THIRD},
                 {VE_STEP_FINISH, .before = B, .output = 3, .factor = 4 * VE_THIRD}},
};

static void compute_block(const run *run, int32_t number) {
  const ve_block *block = &run->plan->blocks[number];
  const ve_winograd_plan *w = run->plan->winograd;
  const int32_t slots = run->plan->description.slots;
  const ptrdiff_t lanes = block->vectors * run->plan->kernels->lanes;
  const ptrdiff_t column_bytes = lanes * (ptrdiff_t)ve_winograd_lane_bytes(run->plan, w) / w->traits->columns;
  const ptrdiff_t u_slot = column_bytes / slots;
  const int32_t calls = w->kernels->adds_slots ? 1 : slots;
  // Rows, if any, contain pointers to their weights.
  const int8_t *u = w->rows ? w->u : w->u + (size_t)block->first_channel * ve_winograd_lane_bytes(run->plan, w);
  int32_t *partial = run->areas + PARTIAL * AREA;
  ve_winograd_products_args args = {
      .v_row = w->v_row,
      .v_tile = w->v_tile,
      .quads = (int32_t)(u_slot / (16 * lanes)),
      .tiles = run->tiles,
      .vectors = block->vectors,
      .slots = slots / calls,
      .v_slot = w->v_slot,
      .u_slot = u_slot,
      .a = run->areas + A * AREA,
      .b = run->areas + B * AREA,
      .c = run->areas + C * AREA,
      .constants_row = w->constants_row,
      .sums = run->sums,
  };
  ve_epilogue_args epilogue[2][2];
  args.epilogue = epilogue[0];
  for (int32_t i = 0; i < w->traits->columns; i++) {
    const column_step *column = &column_steps[w->transform][i];
    args.before = column->before < 0 ? NULL : run->areas + column->before * AREA;
    args.constants = column->constants ? w->constants + block->first_channel : NULL;
    args.factor = column->factor;
    const int32_t finished = column->step == VE_STEP_FINISH       ? 1
                             : column->step == VE_STEP_MIDDLE_2X4 ? 2
                                                                  : 0;
    for (int32_t output = 0; output < finished; output++)
      prepare_epilogue(run, block, column->output + output, run->sums + output * AREA, epilogue[output]);
    for (int32_t slot = 0; slot < calls; slot++) {
      const bool last = slot == calls - 1;
      args.v = run->v + slot * w->v_slot + ve_winograd_column_order[w->transform][i] * 4 * w->v_row;
      args.u = w->rows ? u : u + i * column_bytes + slot * u_slot;
      args.rows = w->rows ? &w->rows[(number * w->traits->columns + i) * w->parts * 4] : NULL;
      // The last column is followed by the first.
      args.next_u = w->rows || (last && i == w->traits->columns - 1) ? u : args.u + u_slot;
      args.step = last ? column->step : VE_STEP_KEEP;
      args.to = last ? run->areas + column->to * AREA : partial;
      fetch_ahead(run, &args, slot, number * w->traits->columns + i);
      w->kernels->products(&args);
      args.before = partial;
    }
    for (int32_t output = 0; output < finished && !w->kernels->fuses_epilogue; output++)
      for (int32_t row = 0; row < 2; row++) run->plan->kernels->epilogue(&epilogue[output][row]);
  }
}

void ve_winograd_plan_run(
    const ve_conv3x3 *plan, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end,
    void *scratch) {
  const ve_winograd_plan *w = plan->winograd;
  const int32_t outputs = w->traits->outputs;
  run run = {.plan = plan, .io = io, .row_end = row_end, .v = (uint8_t *)ve_aligned((size_t)scratch)};
  run.areas = (int32_t *)(run.v + v_bytes(w, plan->description.slots));
  run.sums = run.areas + AREAS * AREA;
  const ptrdiff_t parts = plan->block_count * w->traits->columns;
  run.in_step = plan->description.channels_in * outputs / parts;
  run.out_step = plan->description.channels_out * outputs / parts;
  for (run.y = row_begin; run.y < row_end; run.y += 2)
    for (run.x = 0; run.x < io->width; run.x += VE_RUN_TILES * outputs) {
      const int32_t all = (io->width - run.x + outputs - 1) / outputs;
      run.tiles = all < VE_RUN_TILES ? all : VE_RUN_TILES;
      run.rows = row_end - run.y < 2 ? 1 : 2;
      const bool is_last = run.x + VE_RUN_TILES * outputs >= io->width;
      run.next_x = is_last ? 0 : run.x + VE_RUN_TILES * outputs;
      run.next_y = is_last ? run.y + 2 : run.y;
      transform_inputs(&run);
      for (int32_t b = 0; b < plan->block_count; b++) compute_block(&run, b);
    }
}
