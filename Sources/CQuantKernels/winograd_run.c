// SPDX-License-Identifier: Apache-2.0
// Runs a Winograd plan: pairs of rows, runs of tiles, blocks of output
// channels, columns of products.
#include <stdlib.h>
#include <string.h>

#include "winograd_plan.h"

// Scratch: transformed inputs, what waits between columns of products (a, b, c
// and sums over the slots so far), and sums for the epilogue (two outputs).
enum { AREA = 2 * VE_ROW, AREAS = 4 };

static size_t v_bytes(const ve_winograd_plan *w, int32_t slots) {
  return ve_rounded_up((size_t)slots * (size_t)w->v_slot);
}

size_t ve_winograd_plan_scratch_bytes(const ve_winograd_plan *w, int32_t slots) {
  return VE_ALIGNMENT + v_bytes(w, slots) +
         (AREAS + 2) * AREA * sizeof(int32_t);
}

// One run of tiles: where it is, and its scratch.
typedef struct run {
  const ve_conv3x3 *plan;
  const ve_conv3x3_io *io;
  int32_t x, y, rows, tiles;
  uint8_t *v;
  int32_t *areas;
  int32_t *sums;
} run;

static void transform_inputs(const run *run) {
  const ve_winograd_plan *w = run->plan->winograd;
  const ve_conv3x3_description *d = &run->plan->description;
  ve_winograd_input_args args = {
      .channels = d->channels_in,
      // Of VE_F2X1, whose tiles are pixels, the products read two more.
      .tiles = run->tiles + w->traits->taps - 1,
      .last_pixel = run->io->width + 1 - run->x,
      .levels = d->activation_levels,
      .v_row = w->v_row,
      .v_tile = w->v_tile,
  };
  for (int32_t slot = 0; slot < d->slots; slot++) {
    const ve_codes_input *input = &run->io->inputs[slot];
    for (int32_t i = 0; i < 4; i++) {
      // An odd height leaves a last row below the border, for outputs that do
      // not exist.
      const int32_t y = run->y - 1 + i < run->io->height ? run->y - 1 + i : run->io->height;
      args.rows[i] =
          input->data + y * input->row_stride + (ptrdiff_t)(run->x - 1) * d->channels_in;
    }
    args.v = run->v + slot * w->v_slot;
    w->kernels->input[w->transform](&args);
  }
}

// Products are all arithmetic: the next run's codes can come in behind them.
// Two of its four rows the row of tiles above has left in cache; of the others
// each column of products fetches a part.
static void fetch_ahead(
    const run *run, ve_winograd_products_args *args, int32_t slot, int32_t part, int32_t parts) {
  const ve_winograd_plan *w = run->plan->winograd;
  const int32_t channels = run->plan->description.channels_in;
  const int32_t pixels = VE_RUN_TILES * w->traits->outputs;
  const int32_t first = run->x + pixels;
  const int32_t row = run->y + 1 + (parts > 1 ? part & 1 : 0);
  args->next_input_step = 0;
  if (first + pixels > run->io->width || row > run->io->height) return;
  const ve_codes_input *input = &run->io->inputs[slot];
  const int32_t shares = parts > 1 ? parts / 2 : 1;
  const int32_t share = pixels / shares;
  args->next_input = input->data + row * input->row_stride +
                     (ptrdiff_t)(first + part / 2 * share) * channels;
  args->next_input_step = (ptrdiff_t)share * channels / VE_RUN_TILES;
}

// The epilogue for pixel `output` of each tile.
static void finish(
    const run *run, const ve_block *block, int32_t output, const int32_t *sums) {
  const int32_t step = run->plan->winograd->traits->outputs;
  const int32_t x = run->x + output;
  const int32_t exist = (run->io->width - x + step - 1) / step;
  for (int32_t row = 0; row < run->rows && exist > 0; row++)
    ve_conv3x3_epilogue(
        run->plan, run->io, block, x, run->y + row, exist < run->tiles ? exist : run->tiles, step,
        sums + row * VE_ROW);
}

typedef struct column_step {
  ve_winograd_step step;
  int32_t before;  // area, or -1
  int32_t to;  // area
  bool constants;
  int32_t output;  // first pixel that comes out
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

static void compute_block(const run *run, const ve_block *block) {
  const ve_winograd_plan *w = run->plan->winograd;
  const int32_t slots = run->plan->description.slots;
  const ptrdiff_t u_slot = block->vectors * run->plan->kernels->lanes * w->depth * 4;
  const int8_t *u = w->u + (size_t)block->first_channel * ve_winograd_lane_bytes(run->plan, w);
  int32_t *partial = run->areas + PARTIAL * AREA;
  ve_winograd_products_args args = {
      .v_row = w->v_row,
      .v_tile = w->v_tile,
      .quads = w->depth / 4,
      .tiles = run->tiles,
      .vectors = block->vectors,
      .int16_steps = w->int16_steps,
      .a = run->areas + A * AREA,
      .b = run->areas + B * AREA,
      .c = run->areas + C * AREA,
      .constants_row = w->constants_row,
      .sums = run->sums,
  };
  for (int32_t i = 0; i < w->traits->columns; i++) {
    const column_step *column = &column_steps[w->transform][i];
    args.before = column->before < 0 ? NULL : run->areas + column->before * AREA;
    args.constants = column->constants ? w->constants + block->first_channel : NULL;
    args.factor = column->factor;
    for (int32_t slot = 0; slot < slots; slot++) {
      const bool last = slot == slots - 1;
      args.v = run->v + slot * w->v_slot + ve_winograd_column_order[w->transform][i] * 4 * w->v_row;
      args.u = u + (i * slots + slot) * u_slot;
      // After the last column comes the first again.
      args.next_u = last && i == w->traits->columns - 1 ? u : args.u + u_slot;
      args.step = last ? column->step : VE_STEP_KEEP;
      args.to = last ? run->areas + column->to * AREA : partial;
      fetch_ahead(run, &args, slot, i, w->traits->columns);
      w->kernels->products(&args);
      args.before = partial;
    }
    if (column->step == VE_STEP_FINISH || column->step == VE_STEP_MIDDLE_2X4)
      finish(run, block, column->output, run->sums);
    if (column->step == VE_STEP_MIDDLE_2X4)
      finish(run, block, column->output + 1, run->sums + AREA);
  }
}

void ve_winograd_plan_run(
    const ve_conv3x3 *plan, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end,
    void *scratch) {
  const ve_winograd_plan *w = plan->winograd;
  const int32_t outputs = w->traits->outputs;
  run run = {.plan = plan, .io = io, .v = (uint8_t *)ve_rounded_up((size_t)scratch)};
  run.areas = (int32_t *)(run.v + v_bytes(w, plan->description.slots));
  run.sums = run.areas + AREAS * AREA;
  for (run.y = row_begin; run.y < row_end; run.y += 2)
    for (run.x = 0; run.x < io->width; run.x += VE_RUN_TILES * outputs) {
      const int32_t all = (io->width - run.x + outputs - 1) / outputs;
      run.tiles = all < VE_RUN_TILES ? all : VE_RUN_TILES;
      run.rows = row_end - run.y < 2 ? 1 : 2;
      transform_inputs(&run);
      for (int32_t b = 0; b < plan->block_count; b++) compute_block(&run, &plan->blocks[b]);
    }
}
