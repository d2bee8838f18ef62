// SPDX-License-Identifier: Apache-2.0
// Winograd transforms for vectors of any width: nothing but additions and shifts, which the compiler's vector types express for all instruction
// sets. Include once in a file, inside its target attribute, with
//
//   VE_VECTOR_BYTES   16, 32 or 64
//   VE_NAME(job)      the function's name
//
// and, where the epilogue is fused, VE_FUSES_EPILOGUE, with writer and write_pixel() of that instruction set.
#if !defined(VE_VECTOR_BYTES) || !defined(VE_NAME)
#error "define VE_VECTOR_BYTES and VE_NAME first"
#endif

#include <string.h>

#include "winograd.h"

typedef uint8_t bytes __attribute__((vector_size(VE_VECTOR_BYTES)));
typedef uint32_t words __attribute__((vector_size(VE_VECTOR_BYTES)));
enum { WORDS = VE_VECTOR_BYTES / 4 };

VE_INLINE bytes load_bytes(const uint8_t *from) {
  bytes value;
  memcpy(&value, from, sizeof value);
  return value;
}

VE_INLINE void store_bytes(uint8_t *to, bytes value) { memcpy(to, &value, sizeof value); }

VE_INLINE words load_words(const int32_t *from) {
  words value;
  memcpy(&value, from, sizeof value);
  return value;
}

VE_INLINE void store_words(int32_t *to, words value) { memcpy(to, &value, sizeof value); }

VE_INLINE bytes splat(int32_t value) { return (bytes){0} + (uint8_t)value; }

// Arguments are copied first: a store of bytes may change anything in memory
// but a local variable, and would have them read again and again.

// MARK: - Input

// Down a column of pixels: row r of F(2, 3).
VE_INLINE bytes down(const ve_winograd_input_args *args, const int r, ptrdiff_t at) {
  switch (r) {
    case 0: return load_bytes(args->rows[0] + at) - load_bytes(args->rows[2] + at);
    case 1: return load_bytes(args->rows[1] + at) + load_bytes(args->rows[2] + at);
    case 2: return load_bytes(args->rows[2] + at) - load_bytes(args->rows[1] + at);
    default: return load_bytes(args->rows[1] + at) - load_bytes(args->rows[3] + at);
  }
}

VE_INLINE ptrdiff_t pixel_offset(const ve_winograd_input_args *args, int32_t pixel) {
  return (ptrdiff_t)(pixel < args->last_pixel ? pixel : args->last_pixel) * args->channels;
}

void VE_NAME(input_2x1)(const ve_winograd_input_args *shared_args) {
  const ve_winograd_input_args copy = *shared_args, *args = &copy;
  const ptrdiff_t run = (ptrdiff_t)args->tiles * args->channels;
  VE_UNROLL for (int r = 0; r < 4; r++) {
    const bytes offset = splat(ve_winograd_offset(VE_F2X1, args->levels, r, 0));
    for (ptrdiff_t i = 0; i < run; i += VE_VECTOR_BYTES)
      store_bytes(args->v + r * args->v_row + i, down(args, r, i) + offset);
  }
}

// F(2, 3) down a column of pixels.
VE_INLINE void down_column(const ve_winograd_input_args *args, ptrdiff_t at, bytes e[4]) {
  const bytes d0 = load_bytes(args->rows[0] + at), d1 = load_bytes(args->rows[1] + at);
  const bytes d2 = load_bytes(args->rows[2] + at), d3 = load_bytes(args->rows[3] + at);
  e[0] = d0 - d2;
  e[1] = d1 + d2;
  e[2] = d2 - d1;
  e[3] = d1 - d3;
}

// Tiles of F(2x2) for one vector of channels. Neighbours share two columns, which stay in registers: e0, with
// the offset, and e1. Pixels past the last one repeat it in tiles that are `clamped`.
VE_INLINE void tiles_2x2(
    const ve_winograd_input_args *args, int32_t channel, int32_t begin, int32_t end, bytes e0[4],
    bytes e1[4], const bool clamped) {
  const bytes offset = splat(2 * args->levels);
  const ptrdiff_t row = args->v_row, column = 4 * row, step = args->channels;
  uint8_t *v = args->v + begin * args->v_tile + channel;
  for (int32_t tile = begin; tile < end; tile++, v += args->v_tile) {
    const int32_t pixel = 2 * tile + 2;
    const ptrdiff_t at = clamped ? pixel_offset(args, pixel) : pixel * step;
    bytes e2[4], e3[4];
    down_column(args, at + channel, e2);
    down_column(args, (clamped ? pixel_offset(args, pixel + 1) : at + step) + channel, e3);
    VE_UNROLL for (int r = 0; r < 4; r++) {
      const bytes e2_offset = e2[r] + offset;
      store_bytes(v + r * row, e0[r] - e2[r]);
      store_bytes(v + r * row + column, e1[r] + (r == 1 ? e2[r] : e2_offset));
      store_bytes(v + r * row + 2 * column, e2_offset - e1[r]);
      store_bytes(v + r * row + 3 * column, e1[r] + offset - e3[r]);
      e0[r] = e2_offset;
      e1[r] = e3[r];
    }
  }
}

void VE_NAME(input_2x2)(const ve_winograd_input_args *shared_args) {
  const ve_winograd_input_args copy = *shared_args, *args = &copy;
  const int32_t inside = (args->last_pixel - 1) / 2;
  const int32_t end = inside < args->tiles ? inside : args->tiles;
  for (int32_t channel = 0; channel < args->channels; channel += VE_VECTOR_BYTES) {
    bytes e0[4], e1[4];
    down_column(args, channel, e0);
    down_column(args, pixel_offset(args, 1) + channel, e1);
    VE_UNROLL for (int r = 0; r < 4; r++) e0[r] += splat(2 * args->levels);
    tiles_2x2(args, channel, 0, end, e0, e1, false);
    tiles_2x2(args, channel, end, args->tiles, e0, e1, true);
  }
}

VE_INLINE bytes times4(bytes value) {
  const bytes twice = value + value;
  return twice + twice;
}

// Row r of F(2x4) likewise. Each output has one term that nothing is
// multiplied with; the offset goes in there.
VE_INLINE void row_2x4(const ve_winograd_input_args *args, const int r, int32_t channel) {
  const bytes offset = splat(10 * args->levels), more = splat(r == 1 ? 6 * args->levels : 0);
  const ptrdiff_t column = 4 * args->v_row;
  uint8_t *v = args->v + r * args->v_row + channel;
  bytes d0 = down(args, r, pixel_offset(args, 0) + channel);
  bytes d1 = down(args, r, pixel_offset(args, 1) + channel);
  for (int32_t tile = 0; tile < args->tiles; tile++, v += args->v_tile) {
    const bytes d2 = down(args, r, pixel_offset(args, 4 * tile + 2) + channel);
    const bytes d3 = down(args, r, pixel_offset(args, 4 * tile + 3) + channel);
    const bytes d4 = down(args, r, pixel_offset(args, 4 * tile + 4) + channel);
    const bytes d5 = down(args, r, pixel_offset(args, 4 * tile + 5) + channel);
    const bytes d4_offset = d4 + offset;
    const bytes even = d4_offset - d2;
    const bytes odd = (d3 - d1) + (d3 - d1);
    store_bytes(v, times4(d0 - d2) + even);
    store_bytes(v + column, d3 + d4_offset + more - times4(d1 + d2));
    store_bytes(v + 2 * column, times4(d1 - d2) + d4_offset - d3);
    store_bytes(v + 3 * column, even + odd);
    store_bytes(v + 4 * column, even - odd);
    store_bytes(v + 5 * column, (d5 + offset - d3) - (odd + odd));
    d0 = d4;
    d1 = d5;
  }
}

void VE_NAME(input_2x4)(const ve_winograd_input_args *shared_args) {
  const ve_winograd_input_args copy = *shared_args, *args = &copy;
  for (int32_t channel = 0; channel < args->channels; channel += VE_VECTOR_BYTES)
    VE_UNROLL for (int r = 0; r < 4; r++) row_2x4(args, r, channel);
}

// MARK: - Products

// The part of what is to be fetched that falls to `tiles` tiles. Lines that are to be written are fetched,
// too: stores to lines that are not in cache would hold up those after them.
VE_INLINE void fetch(const ve_winograd_products_args *args, int32_t tile, int32_t tiles) {
  VE_UNROLL for (int f = 0; f < VE_FETCHES; f++) {
    const ve_winograd_fetch read = args->reads[f], write = args->writes[f];
    VE_NO_UNROLL for (ptrdiff_t i = 0; i < tiles * read.step; i += 64)
      __builtin_prefetch((const char *)read.from + tile * read.step + i, 0, 2);
    VE_NO_UNROLL for (ptrdiff_t i = 0; i < tiles * write.step; i += 64)
      __builtin_prefetch((const char *)write.from + tile * write.step + i, 1);
  }
}

// MARK: - Steps

// What the last steps hand their sums to.
typedef struct finisher {
#if defined(VE_FUSES_EPILOGUE)
  writer writers[2][2];  // [output][row]
  bool codes_only;
#else
  int32_t *sums;
#endif
} finisher;

// Sums of `vectors` vectors of one pixel, from vector `first` of the block on.
VE_INLINE void finish_pixel(
    const ve_winograd_products_args *args, const finisher *finisher, const int output,
    const int row, int32_t tile, int32_t first, const words *sums, const int vectors,
    const bool codes_only) {
#if defined(VE_FUSES_EPILOGUE)
  (void)args, (void)first;
  const writer *writer = &finisher->writers[output][row];
  if (tile < writer->pixels) write_pixel(writer, tile, (const __m512i *)sums, vectors, codes_only);
#else
  (void)codes_only;
  int32_t *to = finisher->sums + (2 * output + row) * VE_ROW +
                ((ptrdiff_t)tile * args->vectors + first) * WORDS;
  VE_UNROLL for (int j = 0; j < vectors; j++) store_words(to + j * WORDS, sums[j]);
#endif
}

// What `step` does with one vector of a row; see winograd.c. The step is a constant where this
// is inlined. Sums of outputs that are finished by it go into `finished`.
VE_INLINE void apply_step(
    const ve_winograd_products_args *args, const ve_winograd_step step, ptrdiff_t at,
    const int32_t *constants, words m, words finished[2]) {
  const ptrdiff_t output = 2 * args->constants_row;
  words q = args->before ? m + load_words(args->before + at) : m;
  switch (step) {
    case VE_STEP_KEEP: store_words(args->to + at, q); break;
    case VE_STEP_BUTTERFLY_2X2: {
      const words q1 = load_words(args->a + at);
      store_words(args->a + at, q1 + q + load_words(constants));
      store_words(args->b + at, q1 - q + load_words(constants + output));
      break;
    }
    case VE_STEP_BUTTERFLY_2X4: {
      const words q1 = load_words(args->a + at);
      store_words(args->a + at, q1 + q);
      store_words(args->b + at, q1 - q);
      break;
    }
    case VE_STEP_MIDDLE_2X4: {
      const words t = load_words(args->a + at), u = load_words(args->b + at);
      const words c = load_words(args->c + at) + q, d = load_words(args->c + at) - q;
      store_words(args->a + at, c - (t << 2) + load_words(constants));
      store_words(args->b + at, (d << 1) - u + load_words(constants + 3 * output));
      finished[0] = (d - (u << 1) + load_words(constants + output)) * (2 * VE_THIRD);
      finished[1] = (c - t + load_words(constants + 2 * output)) * (4 * VE_THIRD);
      break;
    }
    case VE_STEP_FINISH:
      if (args->constants) q += load_words(constants);
      finished[0] = args->factor == 1 ? q : q * args->factor;
      break;
  }
}

// The same for a register tile of `tiles` x `vectors` pairs of sums, from
// vector `first` of the block on.
VE_INLINE void apply_constant_step(
    const ve_winograd_products_args *args, const finisher *finisher, const ve_winograd_step step,
    int32_t tile, int32_t first, const words *m0, const words *m1, const int tiles,
    const int vectors, const bool codes_only) {
  VE_UNROLL for (int i = 0; i < tiles; i++)
    VE_UNROLL for (int row = 0; row < 2; row++) {
      words finished[2][4];
      VE_UNROLL for (int j = 0; j < vectors; j++) {
        const int32_t lane = (first + j) * WORDS;
        const ptrdiff_t at = row * VE_ROW + (ptrdiff_t)(tile + i) * args->vectors * WORDS + lane;
        const int32_t *constants =
            args->constants ? args->constants + row * args->constants_row + lane : NULL;
        words results[2];
        apply_step(
            args, step, at, constants, row == 0 ? m0[i * vectors + j] : m1[i * vectors + j], results);
        finished[0][j] = results[0], finished[1][j] = results[1];
      }
      const int count = step == VE_STEP_FINISH ? 1 : step == VE_STEP_MIDDLE_2X4 ? 2 : 0;
      VE_UNROLL for (int output = 0; output < count; output++)
        finish_pixel(
            args, finisher, output, row, tile + i, first, finished[output], vectors, codes_only);
    }
}

VE_INLINE void apply_steps(
    const ve_winograd_products_args *args, const finisher *finisher, int32_t tile, int32_t first,
    const words *m0, const words *m1, const int tiles, const int vectors) {
#define VE_APPLY(step, codes_only) \
  apply_constant_step(args, finisher, step, tile, first, m0, m1, tiles, vectors, codes_only)
#if defined(VE_FUSES_EPILOGUE)
#define VE_APPLY_LAST(step) finisher->codes_only ? VE_APPLY(step, true) : VE_APPLY(step, false)
#else
#define VE_APPLY_LAST(step) VE_APPLY(step, false)
#endif
  switch (args->step) {
    case VE_STEP_KEEP: VE_APPLY(VE_STEP_KEEP, false); break;
    case VE_STEP_BUTTERFLY_2X2: VE_APPLY(VE_STEP_BUTTERFLY_2X2, false); break;
    case VE_STEP_BUTTERFLY_2X4: VE_APPLY(VE_STEP_BUTTERFLY_2X4, false); break;
    case VE_STEP_MIDDLE_2X4: VE_APPLY_LAST(VE_STEP_MIDDLE_2X4); break;
    case VE_STEP_FINISH: VE_APPLY_LAST(VE_STEP_FINISH); break;
  }
#undef VE_APPLY_LAST
#undef VE_APPLY
}
