// SPDX-License-Identifier: Apache-2.0
// Products of bytes with 16-bit sums, for instruction sets without dot products.
//
// An instruction multiplies two pairs of bytes and adds their products with saturation; sums of those wrap around. Both are
// exact if the results are known to fit, which the weights determine: transformed inputs are in 0 ... most, so the weights of
// a stretch bound each sum from below and above. Initial values move the lower bound to -2^15, and a stretch extends as long
// as no upper bound exceeds 2^15 - 1. If the two products of one instruction could saturate, the weights are halved and the
// quad is processed twice, at the end of one stretch and the start of the next.
#include <stdlib.h>
#include <string.h>

#include "winograd_plan.h"

enum { HALVES = 2 * VE_BLOCK_LANES };

// The destination of rows. Without memory, only sizes are counted.
typedef struct sink {
  int8_t *u;
  ve_winograd_stretch *stretches;
  size_t u_bytes, stretch_count;
} sink;

// A row being divided into stretches.
typedef struct builder {
  sink *sink;
  int32_t width;  // bytes of weights per step
  int32_t lanes;
  int32_t most_input;
  size_t start_at;  // start of the current stretch in u
  ve_winograd_stretch stretch;
  // Lower and upper bound of each sum per unit of input.
  int32_t least[HALVES], most[HALVES];
  uint32_t *starts;  // by lane
  uint32_t factor;
} builder;

static void begin_stretch(builder *b, int32_t at) {
  b->start_at = b->sink->u_bytes;
  b->sink->u_bytes += (size_t)b->width;
  b->stretch = (ve_winograd_stretch){.at = at};
  memset(b->least, 0, sizeof b->least);
  memset(b->most, 0, sizeof b->most);
}

static void write_stretch(builder *b) {
  if (b->sink->stretches) b->sink->stretches[b->sink->stretch_count] = b->stretch;
  b->sink->stretch_count++;
}

static void end_stretch(builder *b) {
  for (int32_t half = 0; half < 2 * b->lanes; half++) {
    const int32_t start = INT16_MIN - b->most_input * b->least[half];
    b->starts[half / 2] += b->factor * (uint32_t)start;
    if (!b->sink->u) continue;
    const uint16_t wrapped = (uint16_t)start;
    memcpy(b->sink->u + b->start_at + 2 * half, &wrapped, sizeof wrapped);
  }
  write_stretch(b);
}

static bool fits(const builder *b, const int8_t *quad) {
  for (int32_t half = 0; half < 2 * b->lanes; half++) {
    const int32_t magnitude = abs(quad[2 * half]) + abs(quad[2 * half + 1]);
    if ((b->most[half] - b->least[half] + magnitude) * b->most_input > UINT16_MAX) return false;
  }
  return true;
}

static void add_quad(builder *b, const int8_t *quad, int32_t at) {
  const bool is_first = b->stretch.quads == 0, is_next = at == b->stretch.at + 4 * b->stretch.quads;
  if (!is_first && (!is_next || !fits(b, quad))) {
    end_stretch(b);
    begin_stretch(b, at);
  }
  for (int32_t i = 0; i < 4 * b->lanes; i++) {
    int32_t *limit = quad[i] < 0 ? &b->least[i / 2] : &b->most[i / 2];
    *limit += quad[i];
  }
  if (b->sink->u) memcpy(b->sink->u + b->sink->u_bytes, quad, (size_t)b->width);
  b->sink->u_bytes += (size_t)b->width;
  b->stretch.quads++;
}

// Whether the two products of one instruction could exceed 16 bits.
static bool saturates(const builder *b, const int8_t *quad) {
  for (int32_t half = 0; half < 2 * b->lanes; half++) {
    const int32_t first = quad[2 * half], second = quad[2 * half + 1];
    const int32_t most = (first > 0 ? first : 0) + (second > 0 ? second : 0);
    const int32_t least = (first < 0 ? first : 0) + (second < 0 ? second : 0);
    if (most * b->most_input > INT16_MAX || least * b->most_input < INT16_MIN) return true;
  }
  return false;
}

// Halves of any two weights fit: 2 x 64 x 255 = 32640.
static void add_halves(builder *b, int8_t *quad, int32_t at) {
  int8_t rest[4 * VE_BLOCK_LANES];
  for (int32_t i = 0; i < 4 * b->lanes; i++) {
    rest[i] = quad[i] / 2;
    quad[i] = (int8_t)(quad[i] - rest[i]);
  }
  add_quad(b, quad, at);
  add_quad(b, rest, at);
}

// Row r of column c for the lanes of part of a block.
static void add_row(
    builder *b, const ve_conv3x3 *plan, const ve_winograd_plan *w, const ve_block *part, const int8_t *weights,
    int32_t c, int32_t r) {
  const ve_conv3x3_description *d = &plan->description;
  begin_stretch(b, 0);
  for (int32_t slot = 0; slot < d->slots; slot++)
    for (int32_t i = 0; i < w->depth; i += 4) {
      int8_t quad[4 * VE_BLOCK_LANES] = {0};
      for (int32_t k = 0; k < 4 * part->channels; k++) {
        const ptrdiff_t out = part->first_channel + k / 4, channel = (i + k % 4) % d->channels_in;
        const int8_t *taps = weights + ((out * d->slots + slot) * d->channels_in + channel) * 9;
        quad[k] = (int8_t)(ve_winograd_weight(w->transform, taps, r, c, i / d->channels_in) / (int32_t)b->factor);
      }
      const int32_t at = (int32_t)(slot * w->v_slot) + i;
      if (saturates(b, quad))
        add_halves(b, quad, at);
      else
        add_quad(b, quad, at);
    }
  end_stretch(b);
  b->stretch.quads = 0;
  write_stretch(b);
}

// Returns the number of rows.
static size_t add_rows(
    const ve_conv3x3 *plan, ve_winograd_plan *w, const int8_t *weights, int32_t most_input, sink *sink) {
  builder b = {.sink = sink, .most_input = most_input};
  size_t count = 0;
  for (int32_t n = 0; n < plan->block_count; n++)
    for (int32_t i = 0; i < w->traits->columns; i++)
      for (int32_t p = 0; p < w->parts; p++) {
        const ve_block *block = &plan->blocks[n];
        const int32_t first = p * w->kernels->part_vectors;
        if (first >= block->vectors) continue;
        const ve_block part = ve_winograd_part(plan, w, block, first);
        b.lanes = part.vectors * plan->kernels->lanes;
        b.width = 4 * b.lanes;
        for (int32_t r = 0; r < 4; r++, count++) {
          const int32_t c = ve_winograd_column_order[w->transform][i];
          b.factor = (uint32_t)ve_winograd_weight_factor(w->transform, r, c);
          b.starts = w->starts + (c * 4 + r) * w->constants_row + part.first_channel;
          memset(b.starts, 0, (size_t)b.lanes * sizeof *b.starts);
          // The first pass only counts and has no memory to point to.
          if (sink->u)
            w->rows[((n * w->traits->columns + i) * w->parts + p) * 4 + r] =
                (ve_winograd_row){sink->u + sink->u_bytes, sink->stretches + sink->stretch_count, (int32_t)b.factor};
          add_row(&b, plan, w, &part, weights, c, r);
        }
      }
  return count;
}

bool ve_winograd_make_rows(const ve_conv3x3 *plan, ve_winograd_plan *w, const int8_t *weights, int32_t most_input) {
  w->starts = calloc((size_t)w->traits->columns * 4 * (size_t)w->constants_row, sizeof *w->starts);
  w->rows = calloc((size_t)(plan->block_count * w->traits->columns * w->parts) * 4, sizeof *w->rows);
  if (!w->starts || !w->rows) return false;
  sink sink = {0};
  const size_t rows = add_rows(plan, w, weights, most_input, &sink);
  w->u = aligned_alloc(VE_ALIGNMENT, ve_aligned(sink.u_bytes));
  w->stretches = calloc(sink.stretch_count, sizeof *w->stretches);
  if (!w->u || !w->stretches) return false;
  // All entries except the ends of lists are stretches. Splitting costs as much as shorter stretches would.
  const double quads = (double)rows * plan->description.slots * w->depth / 4;
  w->mean_stretch = quads / (double)(sink.stretch_count - rows);
  sink = (struct sink){.u = w->u, .stretches = w->stretches};
  add_rows(plan, w, weights, most_input, &sink);
  return true;
}
