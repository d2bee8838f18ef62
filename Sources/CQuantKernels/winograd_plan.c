// SPDX-License-Identifier: Apache-2.0
// Chooses a transform, transforms and packs weights, and walks pairs of rows,
// runs of tiles and blocks of output channels.
#include "winograd.h"

#include <stdlib.h>
#include <string.h>

#include "plan.h"

enum {
  // Tiles of a run: a multiple of every kernel's register tile, small enough
  // for a run's data to stay in L2, large enough to reuse each column of
  // transformed weights from L1.
  RUN_TILES = 24,
  MAX_COLUMNS = 6,
  VECTOR_BYTES = 64,
};

struct ve_winograd_plan {
  ve_transform transform;
  const ve_transform_traits *traits;
  const ve_winograd_kernels *kernels;
  int32_t chunks;  // a slot, or a slot's tap
  int32_t int16_steps;
  size_t chunk_bytes;  // of one lane
  int8_t *u;  // [block][column][chunk], then as ve_winograd_products_args
  int32_t *start;  // [column][2][channels, padded]
  ptrdiff_t start_row;
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

static void pack(const ve_conv3x3 *plan, ve_winograd_plan *w, const int8_t *weights) {
  const ve_conv3x3_description *d = &plan->description;
  const ve_transform_traits *t = w->traits;
  static const int32_t half_of[4] = {1, 0, 0, 1}, place_of[4] = {0, 0, 1, 1};
  for (int32_t b = 0; b < plan->block_count; b++) {
    const ve_block *block = &plan->blocks[b];
    const ptrdiff_t width = block->vectors * plan->kernels->lanes;
    int8_t *base = w->u + (size_t)block->first_channel * w->chunk_bytes *
                              (size_t)(w->chunks * t->columns);
    for (int32_t lane = 0; lane < block->channels; lane++) {
      const int32_t channel_out = block->first_channel + lane;
      for (int32_t c = 0; c < t->columns; c++) {
        uint32_t offsets[4] = {0};
        for (int32_t chunk = 0; chunk < w->chunks; chunk++) {
          const int32_t slot = chunk / t->taps, tap = chunk % t->taps;
          int8_t *to = base + (c * w->chunks + chunk) * width * (ptrdiff_t)w->chunk_bytes;
          for (int32_t i = 0; i < d->channels_in; i++) {
            const int8_t *taps =
                weights + (((ptrdiff_t)channel_out * d->slots + slot) * d->channels_in + i) * 9;
            for (int32_t r = 0; r < 4; r++) {
              const int32_t value = transformed(w->transform, taps, r, c, tap);
              const ptrdiff_t quad = half_of[r] * d->channels_in / 4 + i / 4;
              to[((quad * 2 + place_of[r]) * width + lane) * 4 + i % 4] = (int8_t)value;
              offsets[r] += (uint32_t)(value *
                  ve_winograd_offset(w->transform, d->activation_levels, r, c));
            }
          }
        }
        // Position (1, 1) goes into every output alike, by F(4, 3) times -1/6:
        // the bias can come in there.
        const uint32_t bias = (uint32_t)plan->bias[channel_out];
        const uint32_t share = w->transform == VE_F2X1 ? 2 * bias
                               : c != 1                ? 0
                               : w->transform == VE_F2X2 ? 4 * bias
                                                         : (uint32_t)-12 * bias;
        int32_t *start = w->start + 2 * c * w->start_row + channel_out;
        start[0] = (int32_t)(share - offsets[0] - offsets[1] - offsets[2]);
        start[w->start_row] = (int32_t)(share - offsets[1] + offsets[2] - offsets[3]);
      }
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
    w->v_row = (ptrdiff_t)rounded_up((size_t)((RUN_TILES + 2) * w->v_tile)) + VECTOR_BYTES;
  } else {
    w->v_tile = (ptrdiff_t)rounded_up((size_t)d->channels_in);
    w->v_row = RUN_TILES * w->v_tile;
  }
  w->v_slot = w->traits->columns * 4 * w->v_row;

  const ve_block *last = &plan->blocks[plan->block_count - 1];
  const size_t lanes = (size_t)(last->first_channel + last->vectors * plan->kernels->lanes);
  const size_t columns = (size_t)w->traits->columns;
  const size_t u_bytes = rounded_up(lanes * w->chunk_bytes * (size_t)w->chunks * columns);
  const size_t start_bytes = rounded_up(columns * 2 * lanes * sizeof *w->start);
  w->start_row = (ptrdiff_t)lanes;
  w->u = aligned_alloc(VE_ALIGNMENT, u_bytes);
  w->start = aligned_alloc(VE_ALIGNMENT, start_bytes);
  if (!w->u || !w->start) {
    ve_winograd_plan_destroy(w);
    return NULL;
  }
  memset(w->u, 0, u_bytes);
  memset(w->start, 0, start_bytes);
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
  free(w->start);
  free(w);
}

const char *ve_winograd_plan_name(const ve_winograd_plan *w) { return w->traits->name; }

// MARK: - Run

// Scratch: transformed inputs, sums before and after the transform across.
enum {
  S_ROW = RUN_TILES * VE_BLOCK_LANES,
  SUMS_ROW = VE_STRIP * VE_BLOCK_LANES,
};

static size_t v_bytes(const ve_winograd_plan *w, int32_t slots) {
  return rounded_up((size_t)slots * (size_t)w->v_slot);
}

static size_t s_bytes(const ve_winograd_plan *w) {
  return (size_t)w->traits->columns * 2 * S_ROW * sizeof(int32_t);
}

size_t ve_winograd_plan_scratch_bytes(const ve_winograd_plan *w) {
  return VE_ALIGNMENT + v_bytes(w, w->chunks / w->traits->taps) + s_bytes(w) +
         2 * SUMS_ROW * sizeof(int32_t);
}

typedef struct run {
  const ve_conv3x3 *plan;
  const ve_conv3x3_io *io;
  uint8_t *v;
  int32_t *s;
  int32_t *sums;
} run;

static void transform_inputs(const run *run, int32_t x, int32_t y, int32_t tiles) {
  const ve_winograd_plan *w = run->plan->winograd;
  const ve_conv3x3_description *d = &run->plan->description;
  ve_winograd_input_args args = {
      .channels = d->channels_in,
      // Of VE_F2X1, whose tiles are pixels, the products read two more.
      .tiles = tiles + w->traits->taps - 1,
      .last_pixel = run->io->width + 1 - x,
      .levels = d->activation_levels,
      .v_row = w->v_row,
      .v_tile = w->v_tile,
  };
  for (int32_t slot = 0; slot < d->slots; slot++) {
    const ve_codes_input *input = &run->io->inputs[slot];
    for (int32_t i = 0; i < 4; i++) {
      // An odd height leaves a last row below the border, for outputs that do
      // not exist.
      const int32_t row = y - 1 + i < run->io->height ? y - 1 + i : run->io->height;
      args.rows[i] = input->data + row * input->row_stride + (ptrdiff_t)(x - 1) * d->channels_in;
    }
    args.v = run->v + slot * w->v_slot;
    w->kernels->input[w->transform](&args);
  }
}

// Products are all arithmetic; the next run's inputs can come in behind them.
// Its upper two rows of codes are those this run's row of tiles left in cache,
// the lower two are new: fetches one part of them a column of products.
static void fetch_ahead(
    const run *run, ve_winograd_products_args *args, int32_t slot, int32_t part, int32_t x,
    int32_t y) {
  const ve_winograd_plan *w = run->plan->winograd;
  const int32_t channels = run->plan->description.channels_in;
  const int32_t parts = w->traits->columns * w->traits->taps;
  const int32_t first = x + RUN_TILES * w->traits->outputs;
  const int32_t end = first + RUN_TILES * w->traits->outputs;
  const int32_t pixels = (end < run->io->width ? end : run->io->width) - first;
  const int32_t below = part * 2 / parts, row = y + 1 + below;
  args->next_input_bytes = 0;
  if (pixels <= 0 || row > run->io->height) return;
  // The half of the parts that falls to this row shares its pixels out.
  const int32_t shares = below ? parts / 2 : (parts + 1) / 2;
  const int32_t share = below ? part - (parts + 1) / 2 : part;
  const ptrdiff_t bytes = (ptrdiff_t)pixels * channels;
  const ptrdiff_t from = bytes * share / (shares ? shares : 1);
  const ve_codes_input *input = &run->io->inputs[slot];
  args->next_input = input->data + row * input->row_stride + (ptrdiff_t)first * channels + from;
  args->next_input_bytes = bytes * (share + 1) / (shares ? shares : 1) - from;
}

static void multiply(const run *run, const ve_block *block, int32_t x, int32_t y, int32_t tiles) {
  const ve_winograd_plan *w = run->plan->winograd;
  const ve_conv3x3_description *d = &run->plan->description;
  const ptrdiff_t width = block->vectors * run->plan->kernels->lanes;
  const ptrdiff_t u_chunk = width * (ptrdiff_t)w->chunk_bytes;
  const int8_t *u = w->u + (size_t)block->first_channel * w->chunk_bytes *
                               (size_t)(w->chunks * w->traits->columns);
  ve_winograd_products_args args = {
      .v_row = w->v_row,
      .v_tile = w->v_tile,
      .quads = d->channels_in / 4,
      .tiles = tiles,
      .vectors = block->vectors,
      .int16_steps = w->int16_steps,
      .s_row = S_ROW,
  };
  for (int32_t c = 0; c < w->traits->columns; c++) {
    args.s = run->s + 2 * c * S_ROW;
    args.before = w->start + 2 * c * w->start_row + block->first_channel;
    args.before_row = w->start_row;
    args.before_tile = 0;
    for (int32_t chunk = 0; chunk < w->chunks; chunk++) {
      const int32_t slot = chunk / w->traits->taps, tap = chunk % w->traits->taps;
      args.v = run->v + slot * w->v_slot + c * 4 * w->v_row + tap * w->v_tile;
      args.u = u + (c * w->chunks + chunk) * u_chunk;
      // Packed in the order of use; after the last comes the first again.
      const bool last = c == w->traits->columns - 1 && chunk == w->chunks - 1;
      args.next_u = last ? u : args.u + u_chunk;
      fetch_ahead(run, &args, slot, c * w->traits->taps + tap, x, y);
      w->kernels->products(&args);
      args.before = args.s;
      args.before_row = S_ROW;
      args.before_tile = width;
    }
  }
}

static void finish(
    const run *run, const ve_block *block, int32_t x, int32_t y, int32_t rows, int32_t tiles) {
  const ve_winograd_plan *w = run->plan->winograd;
  const int32_t lanes = block->vectors * run->plan->kernels->lanes;
  const int32_t step = VE_STRIP / w->traits->outputs;
  for (int32_t tile = 0; tile < tiles; tile += step) {
    const int32_t left = x + tile * w->traits->outputs;
    const int32_t pixels = run->io->width - left < VE_STRIP ? run->io->width - left : VE_STRIP;
    const ve_winograd_output_args args = {
        .s = run->s + (ptrdiff_t)tile * lanes,
        .s_row = S_ROW,
        .tiles = tiles - tile < step ? tiles - tile : step,
        .lanes = lanes,
        .sums = run->sums,
        .sums_row = SUMS_ROW,
    };
    ve_epilogue_args epilogues[2];
    for (int32_t row = 0; row < rows; row++)
      epilogues[row] =
          ve_conv3x3_epilogue_args(run->plan, run->io, block, left, y + row, pixels);
    if (w->kernels->finish[w->transform]) {
      w->kernels->finish[w->transform](&args, epilogues, rows);
      continue;
    }
    ve_winograd_output_fn *output = w->kernels->output[w->transform];
    if (output) output(&args);
    for (int32_t row = 0; row < rows; row++) {
      epilogues[row].sums = output ? args.sums + row * args.sums_row : args.s + row * args.s_row;
      run->plan->kernels->epilogue(&epilogues[row]);
    }
  }
}

void ve_winograd_plan_run(
    const ve_conv3x3 *plan, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end,
    void *scratch) {
  const ve_winograd_plan *w = plan->winograd;
  const int32_t outputs = w->traits->outputs;
  uint8_t *aligned = (uint8_t *)rounded_up((size_t)scratch);
  run run = {.plan = plan, .io = io, .v = aligned};
  run.s = (int32_t *)(run.v + v_bytes(w, plan->description.slots));
  run.sums = run.s + s_bytes(w) / sizeof(int32_t);

  for (int32_t y = row_begin; y < row_end; y += 2)
    for (int32_t x = 0; x < io->width; x += RUN_TILES * outputs) {
      const int32_t all = (io->width - x + outputs - 1) / outputs;
      const int32_t tiles = all < RUN_TILES ? all : RUN_TILES;
      transform_inputs(&run, x, y, tiles);
      for (int32_t b = 0; b < plan->block_count; b++) {
        multiply(&run, &plan->blocks[b], x, y, tiles);
        finish(&run, &plan->blocks[b], x, y, row_end - y < 2 ? 1 : 2, tiles);
      }
    }
}
