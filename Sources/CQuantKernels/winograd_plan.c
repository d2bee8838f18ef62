// SPDX-License-Identifier: Apache-2.0
// Chooses a transform, transforms and packs weights, and walks pairs of rows,
// runs of tiles and blocks of output channels.
#include "winograd.h"

#include <stdlib.h>
#include <string.h>

#include "plan.h"

enum { VECTOR_BYTES = 64 };

struct ve_winograd_plan {
  ve_transform transform;
  const ve_transform_traits *traits;
  const ve_winograd_kernels *kernels;
  int32_t chunks;  // a slot, or a slot's tap
  int32_t int16_steps;
  size_t chunk_bytes;  // of one lane
  int8_t *u;  // [block][column][chunk], then as ve_winograd_products_args
  int32_t *constants;  // [output][2][constants_row]
  ptrdiff_t constants_row;  // all channels, padded
  ptrdiff_t v_tile, v_row, v_slot;
};

static const ve_transform_traits traits[VE_TRANSFORM_COUNT] = {
    [VE_F2X1] = {"winograd-2x1", 1, 3, 1, 3, 2, 127},
    [VE_F2X2] = {"winograd-2x2", 4, 4, 2, 1, 4, 63},
    // 26 times the levels is the largest transformed input with its offset.
    [VE_F2X4] = {"winograd-2x4", 6, 6, 4, 1, 16, 9},
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
  return transform == VE_F2X1 ? 2 * levels : transform == VE_F2X2 ? 4 * levels : 26 * levels;
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

// Columns in the order of their computation, which is the order of packing.
static const int32_t column_order[VE_TRANSFORM_COUNT][6] = {
    [VE_F2X1] = {0}, [VE_F2X2] = {1, 2, 0, 3}, [VE_F2X4] = {1, 2, 3, 4, 0, 5}};

// Adds the products of one channel's weights with the offsets of transformed
// inputs to offsets[column][r].
static void pack_kernel(
    const ve_conv3x3 *plan, const ve_winograd_plan *w, const int8_t *taps, int32_t c, int32_t tap,
    int32_t channel, int8_t *to, ptrdiff_t width, uint32_t *offsets) {
  static const int32_t half_of[4] = {1, 0, 0, 1}, place_of[4] = {0, 0, 1, 1};
  const ve_conv3x3_description *d = &plan->description;
  for (int32_t r = 0; r < 4; r++) {
    const int32_t value = transformed(w->transform, taps, r, c, tap);
    const ptrdiff_t quad = half_of[r] * (d->channels_in / 4) + channel / 4;
    to[(quad * 2 + place_of[r]) * width * 4 + channel % 4] = (int8_t)value;
    offsets[r] +=
        (uint32_t)(value * ve_winograd_offset(w->transform, d->activation_levels, r, c));
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

static void pack(const ve_conv3x3 *plan, ve_winograd_plan *w, const int8_t *weights) {
  const ve_conv3x3_description *d = &plan->description;
  const ve_transform_traits *t = w->traits;
  for (int32_t b = 0; b < plan->block_count; b++) {
    const ve_block *block = &plan->blocks[b];
    const ptrdiff_t width = block->vectors * plan->kernels->lanes;
    int8_t *base = w->u + (size_t)block->first_channel * w->chunk_bytes *
                              (size_t)(w->chunks * t->columns);
    for (int32_t lane = 0; lane < block->channels; lane++) {
      const int32_t out = block->first_channel + lane;
      uint32_t offsets[6][4] = {{0}};
      for (int32_t i = 0; i < t->columns; i++)
        for (int32_t chunk = 0; chunk < w->chunks; chunk++)
          for (int32_t channel = 0; channel < d->channels_in; channel++) {
            const int32_t c = column_order[w->transform][i];
            const int32_t slot = chunk / t->taps;
            const int8_t *taps =
                weights + (((ptrdiff_t)out * d->slots + slot) * d->channels_in + channel) * 9;
            int8_t *to = base + (i * w->chunks + chunk) * width * (ptrdiff_t)w->chunk_bytes;
            pack_kernel(
                plan, w, taps, c, chunk % t->taps, channel, to + 4 * lane, width, offsets[c]);
          }
      for (int32_t output = 0; output < t->outputs; output++)
        for (int32_t row = 0; row < 2; row++)
          w->constants[(2 * output + row) * w->constants_row + out] = (int32_t)output_constant(
              w->transform, offsets, row, output, (uint32_t)plan->bias[out]);
    }
  }
}

// MARK: - Plan

static size_t rounded_up(size_t bytes) {
  return (bytes + VE_ALIGNMENT - 1) / VE_ALIGNMENT * VE_ALIGNMENT;
}

static ve_winograd_plan *create(
    const ve_conv3x3 *plan, const int8_t *weights, ve_transform transform, int32_t int16_steps) {
  const ve_conv3x3_description *d = &plan->description;
  ve_winograd_plan *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->transform = transform;
  w->traits = &traits[transform];
  w->kernels = plan->kernels->winograd;
  w->int16_steps = int16_steps;
  w->chunks = d->slots * w->traits->taps;
  w->chunk_bytes = (size_t)d->channels_in * 4;
  if (transform == VE_F2X1) {
    // Taps are read from neighbouring tiles, which must therefore touch.
    w->v_tile = d->channels_in;
    w->v_row = (ptrdiff_t)rounded_up((size_t)((VE_RUN_TILES + 2) * w->v_tile)) + VECTOR_BYTES;
  } else {
    w->v_tile = (ptrdiff_t)rounded_up((size_t)d->channels_in);
    w->v_row = VE_RUN_TILES * w->v_tile;
  }
  w->v_slot = w->traits->columns * 4 * w->v_row;

  const ve_block *last = &plan->blocks[plan->block_count - 1];
  const size_t lanes = (size_t)(last->first_channel + last->vectors * plan->kernels->lanes);
  const size_t columns = (size_t)w->traits->columns;
  const size_t u_bytes = rounded_up(lanes * w->chunk_bytes * (size_t)w->chunks * columns);
  const size_t constant_bytes = rounded_up((size_t)w->traits->outputs * 2 * lanes * sizeof *w->constants);
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

ve_winograd_plan *ve_winograd_plan_create(ve_conv3x3 *plan, const int8_t *weights) {
  const ve_conv3x3_description *d = &plan->description;
  const ve_winograd_kernels *kernels = plan->kernels->winograd;
  for (int i = VE_TRANSFORM_COUNT - 1; i >= 0; i--) {
    const ve_transform transform = (ve_transform)i;
    if (d->activation_levels > traits[i].most_levels) continue;
    const int32_t most = most_transformed(d, weights, transform);
    if (most > INT8_MAX) continue;
    const int32_t step = 2 * most_input(transform, d->activation_levels) * (most ? most : 1);
    const int32_t int16_steps = INT16_MAX / step;
    if (kernels->products_in_int16 && int16_steps < 1) continue;
    if (!scales_exactly(plan, weights, traits[i].scale)) continue;
    ve_winograd_plan *w = create(plan, weights, transform, int16_steps);
    if (!w) return NULL;
    for (int32_t channel = 0; channel < d->channels_out; channel++)
      plan->multiplier[channel] /= (float)traits[i].scale;
    return w;
  }
  return NULL;
}

void ve_winograd_plan_destroy(ve_winograd_plan *w) {
  if (!w) return;
  free(w->u);
  free(w->constants);
  free(w);
}

const char *ve_winograd_plan_name(const ve_winograd_plan *w) { return w->traits->name; }

// MARK: - Run

// Scratch: transformed inputs, what waits between columns of products (a, b, c
// and sums over the slots so far), and sums for the epilogue (two outputs).
enum { AREA = 2 * VE_ROW, AREAS = 4 };

static size_t v_bytes(const ve_winograd_plan *w, int32_t slots) {
  return rounded_up((size_t)slots * (size_t)w->v_slot);
}

size_t ve_winograd_plan_scratch_bytes(const ve_winograd_plan *w) {
  return VE_ALIGNMENT + v_bytes(w, w->chunks / w->traits->taps) +
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
  int32_t output;  // first pixel that comes out
  uint32_t factor;
} column_step;

enum { A, B, C, PARTIAL };

static const column_step column_steps[VE_TRANSFORM_COUNT][6] = {
    [VE_F2X1] = {{VE_STEP_FINISH, PARTIAL, 0, 0, 1}},
    [VE_F2X2] = {{VE_STEP_KEEP, -1, A, 0, 1},
                 {VE_STEP_BUTTERFLY_2X2, -1, 0, 0, 1},
                 {VE_STEP_FINISH, A, 0, 0, 1},
                 {VE_STEP_FINISH, B, 0, 1, 1}},
    [VE_F2X4] = {{VE_STEP_KEEP, -1, A, 0, 1},
                 {VE_STEP_BUTTERFLY_2X4, -1, 0, 0, 1},
                 {VE_STEP_KEEP, -1, C, 0, 1},
                 {VE_STEP_MIDDLE_2X4, -1, 0, 1, 1},
                 {VE_STEP_FINISH, A, 0, 0, VE_THIRD},
                 {VE_STEP_FINISH, B, 0, 3, 4 * VE_THIRD}},
};

static void compute_block(const run *run, const ve_block *block) {
  const ve_winograd_plan *w = run->plan->winograd;
  const ptrdiff_t width = block->vectors * run->plan->kernels->lanes;
  const ptrdiff_t u_chunk = width * (ptrdiff_t)w->chunk_bytes;
  const int8_t *u = w->u + (size_t)block->first_channel * w->chunk_bytes *
                               (size_t)(w->chunks * w->traits->columns);
  int32_t *partial = run->areas + PARTIAL * AREA;
  ve_winograd_products_args args = {
      .v_row = w->v_row,
      .v_tile = w->v_tile,
      .quads = run->plan->description.channels_in / 4,
      .tiles = run->tiles,
      .vectors = block->vectors,
      .int16_steps = w->int16_steps,
      .a = run->areas + A * AREA,
      .b = run->areas + B * AREA,
      .c = run->areas + C * AREA,
      .constants = w->constants + block->first_channel,
      .constants_row = w->constants_row,
      .sums = run->sums,
  };
  if (w->transform == VE_F2X1)
    for (int32_t row = 0; row < 2; row++)
      for (int32_t tile = 0; tile < VE_RUN_TILES; tile++)
        memcpy(
            partial + row * VE_ROW + tile * width, args.constants + row * args.constants_row,
            (size_t)width * sizeof *partial);

  for (int32_t i = 0; i < w->traits->columns; i++) {
    const column_step *column = &column_steps[w->transform][i];
    const int32_t c = column_order[w->transform][i];
    args.before = column->before < 0 ? NULL : run->areas + column->before * AREA;
    for (int32_t chunk = 0; chunk < w->chunks; chunk++) {
      const int32_t slot = chunk / w->traits->taps, tap = chunk % w->traits->taps;
      const bool last = chunk == w->chunks - 1;
      args.v = run->v + slot * w->v_slot + c * 4 * w->v_row + tap * w->v_tile;
      args.u = u + (i * w->chunks + chunk) * u_chunk;
      // After the last column comes the first again.
      args.next_u = last && i == w->traits->columns - 1 ? u : args.u + u_chunk;
      args.step = last ? column->step : VE_STEP_KEEP;
      args.to = last ? run->areas + column->to * AREA : partial;
      args.factor = column->factor;
      fetch_ahead(run, &args, slot, i * w->traits->taps + tap, w->traits->columns * w->traits->taps);
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
  run run = {.plan = plan, .io = io, .v = (uint8_t *)rounded_up((size_t)scratch)};
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
