// SPDX-License-Identifier: Apache-2.0
// Winograd transforms of inputs for vectors of any width: only additions and shifts, which the compiler's vector types
// express for all instruction sets. Include once per file, inside its target attribute, with
//
//   VE_VECTOR_BYTES   16, 32 or 64
//   VE_NAME(job)      the function's name
//
// and, for transformed inputs of 16 bits, VE_WORDS.
#if !defined(VE_VECTOR_BYTES) || !defined(VE_NAME)
#error "define VE_VECTOR_BYTES and VE_NAME first"
#endif

#include <string.h>

#include "winograd.h"

#if defined(VE_WORDS)
typedef uint16_t element;
#else
typedef uint8_t element;
#endif
typedef element elements __attribute__((vector_size(VE_VECTOR_BYTES)));
enum { ELEMENTS = VE_VECTOR_BYTES / (int)sizeof(element) };
typedef uint8_t codes __attribute__((vector_size(VE_VECTOR_BYTES / sizeof(element))));

VE_INLINE elements load_codes_of_pixel(const uint8_t *from) {
  codes value;
  memcpy(&value, from, sizeof value);
  return __builtin_convertvector(value, elements);
}

VE_INLINE void store_elements(uint8_t *to, elements value) { memcpy(to, &value, sizeof value); }

// The compiler would otherwise advance one pointer in memory for each store of a loop.
#define VE_HIDE(pointer) __asm__("" : "+r"(pointer))

VE_INLINE elements splat(int32_t value) { return (elements){0} + (element)value; }

// Arguments are copied first: stores of bytes may alias anything except local
// variables, so the compiler would reload them every time.

// Row r of F(2, 3) down a column of pixels.
VE_INLINE elements down(const ve_winograd_input_args *args, const int r, ptrdiff_t at) {
  switch (r) {
    case 0: return load_codes_of_pixel(args->rows[0] + at) - load_codes_of_pixel(args->rows[2] + at);
    case 1: return load_codes_of_pixel(args->rows[1] + at) + load_codes_of_pixel(args->rows[2] + at);
    case 2: return load_codes_of_pixel(args->rows[2] + at) - load_codes_of_pixel(args->rows[1] + at);
    default: return load_codes_of_pixel(args->rows[1] + at) - load_codes_of_pixel(args->rows[3] + at);
  }
}

VE_INLINE ptrdiff_t pixel_offset(const ve_winograd_input_args *args, int32_t pixel) {
  return (ptrdiff_t)(pixel < args->last_pixel ? pixel : args->last_pixel) * args->channels;
}

#if !defined(VE_WORDS)
void VE_NAME(input_2x1)(const ve_winograd_input_args *shared_args) {
  const ve_winograd_input_args copy = *shared_args, *args = &copy;
  const ptrdiff_t run = (ptrdiff_t)args->tiles * args->channels;
  VE_UNROLL for (int r = 0; r < 4; r++) {
    const elements offset = splat(ve_winograd_offset(VE_F2X1, args->levels, r, 0));
    for (ptrdiff_t i = 0; i < run; i += VE_VECTOR_BYTES)
      store_elements(args->v + r * args->v_row + i, down(args, r, i) + offset);
  }
}
#endif

// F(2, 3) down a column of pixels.
VE_INLINE void down_column(const ve_winograd_input_args *args, ptrdiff_t at, elements e[4]) {
  const elements d0 = load_codes_of_pixel(args->rows[0] + at), d1 = load_codes_of_pixel(args->rows[1] + at);
  const elements d2 = load_codes_of_pixel(args->rows[2] + at), d3 = load_codes_of_pixel(args->rows[3] + at);
  e[0] = d0 - d2;
  e[1] = d1 + d2;
  e[2] = d2 - d1;
  e[3] = d1 - d3;
}

// Tiles of F(2x2) for one vector of channels. Neighbours share two columns, which stay in registers: e0, with
// the offset, and e1. In `clamped` tiles, the last pixel is repeated beyond the end of the row.
VE_INLINE void tiles_2x2(
    const ve_winograd_input_args *args, int32_t channel, int32_t begin, int32_t end, elements e0[4],
    elements e1[4], const bool clamped) {
  const elements offset = splat(2 * args->levels);
  const ptrdiff_t row = args->v_row, step = args->channels;
  uint8_t *v = args->v + begin * args->v_tile + channel * (int)sizeof(element);
  for (int32_t tile = begin; tile < end; tile++, v += args->v_tile) {
    const int32_t pixel = 2 * tile + 2;
    const ptrdiff_t at = clamped ? pixel_offset(args, pixel) : pixel * step;
    elements e2[4], e3[4], e2_offset[4];
    down_column(args, at + channel, e2);
    down_column(args, (clamped ? pixel_offset(args, pixel + 1) : at + step) + channel, e3);
    VE_UNROLL for (int r = 0; r < 4; r++) e2_offset[r] = e2[r] + offset;
    uint8_t *to = v;
    VE_HIDE(to);
    VE_UNROLL for (int r = 0; r < 4; r++) store_elements(to + r * row, e0[r] - e2[r]);
    to += 4 * row;
    VE_UNROLL for (int r = 0; r < 4; r++)
      store_elements(to + r * row, e1[r] + (r == 1 ? e2[r] : e2_offset[r]));
    to += 4 * row;
    VE_UNROLL for (int r = 0; r < 4; r++) store_elements(to + r * row, e2_offset[r] - e1[r]);
    to += 4 * row;
    VE_UNROLL for (int r = 0; r < 4; r++) store_elements(to + r * row, e1[r] + offset - e3[r]);
    VE_UNROLL for (int r = 0; r < 4; r++) {
      e0[r] = e2_offset[r];
      e1[r] = e3[r];
    }
  }
}

void VE_NAME(input_2x2)(const ve_winograd_input_args *shared_args) {
  const ve_winograd_input_args copy = *shared_args, *args = &copy;
  const int32_t inside = (args->last_pixel - 1) / 2;
  const int32_t end = inside < args->tiles ? inside : args->tiles;
  for (int32_t channel = 0; channel < args->channels; channel += ELEMENTS) {
    elements e0[4], e1[4];
    down_column(args, channel, e0);
    down_column(args, pixel_offset(args, 1) + channel, e1);
    VE_UNROLL for (int r = 0; r < 4; r++) e0[r] += splat(2 * args->levels);
    tiles_2x2(args, channel, 0, end, e0, e1, false);
    tiles_2x2(args, channel, end, args->tiles, e0, e1, true);
  }
}

VE_INLINE elements times4(elements value) {
  const elements twice = value + value;
  return twice + twice;
}

// Row r of F(2x4) likewise. The offset is added to the one term of each output
// that is not multiplied.
VE_INLINE void row_2x4(const ve_winograd_input_args *args, const int r, int32_t channel) {
  const elements offset = splat(10 * args->levels), more = splat(r == 1 ? 6 * args->levels : 0);
  const ptrdiff_t column = 4 * args->v_row;
  uint8_t *v = args->v + r * args->v_row + channel * (int)sizeof(element);
  elements d0 = down(args, r, pixel_offset(args, 0) + channel);
  elements d1 = down(args, r, pixel_offset(args, 1) + channel);
  for (int32_t tile = 0; tile < args->tiles; tile++, v += args->v_tile) {
    const elements d2 = down(args, r, pixel_offset(args, 4 * tile + 2) + channel);
    const elements d3 = down(args, r, pixel_offset(args, 4 * tile + 3) + channel);
    const elements d4 = down(args, r, pixel_offset(args, 4 * tile + 4) + channel);
    const elements d5 = down(args, r, pixel_offset(args, 4 * tile + 5) + channel);
    const elements d4_offset = d4 + offset;
    const elements even = d4_offset - d2;
    const elements odd = (d3 - d1) + (d3 - d1);
    store_elements(v, times4(d0 - d2) + even);
    store_elements(v + column, d3 + d4_offset + more - times4(d1 + d2));
    store_elements(v + 2 * column, times4(d1 - d2) + d4_offset - d3);
    store_elements(v + 3 * column, even + odd);
    store_elements(v + 4 * column, even - odd);
    store_elements(v + 5 * column, (d5 + offset - d3) - (odd + odd));
    d0 = d4;
    d1 = d5;
  }
}

void VE_NAME(input_2x4)(const ve_winograd_input_args *shared_args) {
  const ve_winograd_input_args copy = *shared_args, *args = &copy;
  for (int32_t channel = 0; channel < args->channels; channel += ELEMENTS)
    VE_UNROLL for (int r = 0; r < 4; r++) row_2x4(args, r, channel);
}
