// SPDX-License-Identifier: Apache-2.0
// Winograd transforms of inputs and sums for vectors of any width: nothing but
// additions, which the compiler's vector types express for all instruction
// sets. Include once in a file, inside its target attribute, with
//
//   VE_VECTOR_BYTES   32 or 64
//   VE_NAME(job)      the function's name
#if !defined(VE_VECTOR_BYTES) || !defined(VE_NAME)
#error "define VE_VECTOR_BYTES and VE_NAME first"
#endif

#include <string.h>

#include "../winograd.h"

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

void VE_NAME(input_2x1)(const ve_winograd_input_args *args) {
  const ptrdiff_t run = (ptrdiff_t)args->tiles * args->channels;
  VE_UNROLL for (int r = 0; r < 4; r++) {
    const bytes offset = splat(ve_winograd_offset(VE_F2X1, args->levels, r, 0));
    for (ptrdiff_t i = 0; i < run; i += VE_VECTOR_BYTES)
      store_bytes(args->v + r * args->v_row + i, down(args, r, i) + offset);
  }
}

// Row r of F(2x2) for one vector of channels. Neighbouring tiles share two
// columns, which stay in registers, with and without the offset.
VE_INLINE void row_2x2(const ve_winograd_input_args *args, const int r, int32_t channel) {
  const bytes offset = splat(2 * args->levels);
  const ptrdiff_t column = 4 * args->v_row;
  uint8_t *v = args->v + r * args->v_row + channel;
  bytes e0_offset = down(args, r, pixel_offset(args, 0) + channel) + offset;
  bytes e1 = down(args, r, pixel_offset(args, 1) + channel);
  bytes e1_offset = e1 + offset;
  for (int32_t tile = 0; tile < args->tiles; tile++, v += args->v_tile) {
    const bytes e2 = down(args, r, pixel_offset(args, 2 * tile + 2) + channel);
    const bytes e3 = down(args, r, pixel_offset(args, 2 * tile + 3) + channel);
    const bytes e2_offset = e2 + offset;
    store_bytes(v, e0_offset - e2);
    store_bytes(v + column, r == 1 ? e1 + e2 : e1 + e2_offset);
    store_bytes(v + 2 * column, e2_offset - e1);
    store_bytes(v + 3 * column, e1_offset - e3);
    e0_offset = e2_offset;
    e1 = e3;
    e1_offset = e3 + offset;
  }
}

void VE_NAME(input_2x2)(const ve_winograd_input_args *args) {
  for (int32_t channel = 0; channel < args->channels; channel += VE_VECTOR_BYTES)
    VE_UNROLL for (int r = 0; r < 4; r++) row_2x2(args, r, channel);
}

VE_INLINE bytes times4(bytes value) {
  const bytes twice = value + value;
  return twice + twice;
}

// Row r of F(2x4) likewise. Each output has one term that nothing is
// multiplied with; the offset goes in there.
VE_INLINE void row_2x4(const ve_winograd_input_args *args, const int r, int32_t channel) {
  const bytes offset = splat(16 * args->levels);
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
    store_bytes(v + column, d3 + d4_offset - times4(d1 + d2));
    store_bytes(v + 2 * column, times4(d1 - d2) + d4_offset - d3);
    store_bytes(v + 3 * column, even + odd);
    store_bytes(v + 4 * column, even - odd);
    store_bytes(v + 5 * column, (d5 + offset - d3) - (odd + odd));
    d0 = d4;
    d1 = d5;
  }
}

void VE_NAME(input_2x4)(const ve_winograd_input_args *args) {
  for (int32_t channel = 0; channel < args->channels; channel += VE_VECTOR_BYTES)
    VE_UNROLL for (int r = 0; r < 4; r++) row_2x4(args, r, channel);
}

#if VE_VECTOR_BYTES == 32
// MARK: - Output

void VE_NAME(output_2x2)(const ve_winograd_output_args *args) {
  const ptrdiff_t column = 2 * args->s_row;
  const int32_t lanes = args->lanes;
  for (int32_t row = 0; row < 2; row++) {
    const int32_t *s = args->s + row * args->s_row;
    int32_t *sums = args->sums + row * args->sums_row;
    for (int32_t tile = 0; tile < args->tiles; tile++, s += lanes, sums += 2 * lanes)
      for (int32_t lane = 0; lane < lanes; lane += WORDS) {
        const words q0 = load_words(s + lane), q1 = load_words(s + column + lane);
        const words q2 = load_words(s + 2 * column + lane);
        const words q3 = load_words(s + 3 * column + lane);
        store_words(sums + lane, q0 + q1 + q2);
        store_words(sums + lanes + lane, q1 - q2 + q3);
      }
  }
}

void VE_NAME(output_2x4)(const ve_winograd_output_args *args) {
  // See winograd.c: divides by 3, and evens the four outputs out to 16 times
  // the convolution.
  const uint32_t third = 0xAAAAAAAB;
  const ptrdiff_t column = 2 * args->s_row;
  const int32_t lanes = args->lanes;
  for (int32_t row = 0; row < 2; row++) {
    const int32_t *s = args->s + row * args->s_row;
    int32_t *sums = args->sums + row * args->sums_row;
    for (int32_t tile = 0; tile < args->tiles; tile++, s += lanes, sums += 4 * lanes)
      for (int32_t lane = 0; lane < lanes; lane += WORDS) {
        const words q0 = load_words(s + lane), q1 = load_words(s + column + lane);
        const words q2 = load_words(s + 2 * column + lane);
        const words q3 = load_words(s + 3 * column + lane);
        const words q4 = load_words(s + 4 * column + lane);
        const words q5 = load_words(s + 5 * column + lane);
        const words t = q1 + q2, u = q1 - q2, c = q3 + q4, d = q3 - q4;
        store_words(sums + lane, (q0 + c - (t << 2)) * third);
        store_words(sums + lanes + lane, (d - (u << 1)) * (2 * third));
        store_words(sums + 2 * lanes + lane, (c - t) * (4 * third));
        store_words(sums + 3 * lanes + lane, ((d << 1) - u + q5) * (4 * third));
      }
  }
}
#endif
