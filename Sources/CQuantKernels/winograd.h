// SPDX-License-Identifier: Apache-2.0
// Exact integer Winograd convolution: declarations shared by the plan
// (winograd_plan.c, winograd_run.c) and the kernels of each instruction set.
//
// All transforms compute two output rows at a time by F(2, 3) down the columns,
// scaled by two to remain integers:
//
//   input   e0 = d0 - d2, e1 = d1 + d2, e2 = d2 - d1, e3 = d1 - d3
//   weights 2 g0, g0 + g1 + g2, g0 - g1 + g2, -2 g2
//   output  2 y0 = m0 + m1 + m2, 2 y1 = m1 - m2 + m3
//
// and differ across the rows: VE_F2X1 does not transform the three taps,
// VE_F2X2 applies F(2, 3) again, and VE_F2X4 is F(4, 3) with these weights
//
//   6 g0, g0 + g1 + g2, g0 - g1 + g2, g0 + 2 g1 + 4 g2, g0 - 2 g1 + 4 g2, 6 g2
//
// so that with t = q1 + q2, u = q1 - q2, c = q3 + q4, d = q3 - q4
//
//   24 y0 = q0 + c - 4 t, 12 y1 = d - 2 u, 6 y2 = c - t, 6 y3 = 2 d - u + q5.
//
// Transformed inputs are offset to fit an unsigned byte, transformed weights
// fit a signed one (checked when packing), and the constants that sums start
// from cancel the offsets. All sums are exact modulo 2^32, and the final ones,
// which the epilogue reads, fit 32 bits.
#ifndef VE_WINOGRAD_H
#define VE_WINOGRAD_H

#include "kernels.h"

typedef enum ve_transform {
  VE_F2X1,
  VE_F2X2,
  VE_F2X4,
} ve_transform;
#define VE_TRANSFORM_COUNT 3

typedef struct ve_transform_traits {
  const char *name, *words_name;
  int32_t columns;  // of products
  int32_t inputs;  // pixels read per tile, horizontally
  int32_t outputs;  // pixels written per tile, horizontally
  int32_t taps;  // horizontal taps that remain for the products
  int32_t scale;  // of the sums relative to the convolution's, a power of two
  int32_t most_levels;  // of activations, if operands are bytes
} ve_transform_traits;

const ve_transform_traits *ve_transform_traits_of(ve_transform transform);

/// The offset of transformed inputs for row r and column c of products.
VE_INLINE int32_t ve_winograd_offset(
    ve_transform transform, int32_t levels, int32_t r, int32_t c) {
  switch (transform) {
    // Sums are not negative; differences reach -levels.
    case VE_F2X1: return r == 1 ? 0 : levels;
    case VE_F2X2: return r == 1 && c == 1 ? 0 : 2 * levels;
    // Down to -16 levels and up to 4 at (1, 1), 10 either way elsewhere: 20 levels apart in both, so that one more
    // addition leaves room for a third more levels.
    case VE_F2X4: return r == 1 && c == 1 ? 16 * levels : 10 * levels;
  }
  return 0;
}

/// The types of operands and sums.
typedef enum ve_winograd_operands {
  /// Unsigned by signed bytes, sums of 32 bits.
  VE_OPERANDS_BYTES,
  /// The same with 16-bit sums, as far as they fit (winograd_rows.c).
  VE_OPERANDS_BYTES_IN_16,
  /// 16-bit operands, 32-bit sums: exact for all weights and levels, and without offsets.
  VE_OPERANDS_WORDS,
} ve_winograd_operands;

/// Transformed inputs of a run of tiles, for all rows and columns of products:
/// v[column][r][tile][channel], bytes or 16-bit numbers.
typedef struct ve_winograd_input_args {
  /// Four rows of codes, from the first tile's left border.
  const uint8_t *rows[4];
  int32_t channels;
  int32_t tiles;
  /// The last pixel, relative to rows[], which is repeated beyond: a tile at the end
  /// of a row needs values in range even for outputs that do not exist.
  int32_t last_pixel;
  int32_t levels;  // determine the offsets; 0 for VE_OPERANDS_WORDS
  uint8_t *v;
  ptrdiff_t v_row;  // bytes from r to r + 1; a column is four rows
  ptrdiff_t v_tile;  // bytes from tile to tile
} ve_winograd_input_args;

typedef void ve_winograd_input_fn(const ve_winograd_input_args *args);

/// The operation on a column of products, q = before + m: transforms across the
/// rows are applied to products in registers as far as possible. With columns
/// in the order 1, 2, (3, 4,) 0, last, only two or three values are stored in
/// memory, and the last ones are sums for the epilogue.
typedef enum ve_winograd_step {
  /// to = q.
  VE_STEP_KEEP,
  /// Column 2 of VE_F2X2: a = a + q + constants[0], b = a - q + constants[1].
  VE_STEP_BUTTERFLY_2X2,
  /// Column 2 of VE_F2X4: a = t = a + q, b = u = a - q.
  VE_STEP_BUTTERFLY_2X4,
  /// Column 4 of VE_F2X4, with a = t, b = u, c = q3: computes the sums of the two
  /// pixels in the middle, and a and b for the outer ones.
  VE_STEP_MIDDLE_2X4,
  /// sums = (q + constants, if given) * factor.
  VE_STEP_FINISH,
} ve_winograd_step;

enum {
  /// Tiles of a run: a multiple of every kernel's register tile, small enough
  /// for a run's data to stay in cache, large enough to reuse each column of
  /// transformed weights from L1.
  VE_RUN_TILES = 24,
};

/// Parts of two rows that a later call will read or write, to be prefetched: `step` bytes per tile of each.
typedef struct ve_winograd_fetch {
  const char *rows[2];
  ptrdiff_t step;
} ve_winograd_fetch;

/// Of codes and of a stream.
enum { VE_FETCHES = 2 };

/// Contiguous quads in v whose products are added in 16 bits.
typedef struct ve_winograd_stretch {
  int32_t at;  // bytes from the row's first
  int32_t quads;  // 0 ends a list
} ve_winograd_stretch;

/// VE_OPERANDS_BYTES_IN_16: the products of one row of a column for one part of a block, over all slots. In `u`, each stretch
/// starts with the initial values of its sums, [lane][2], followed by its quads, [lane][4]. 16-bit sums are multiplied by
/// `factor`.
typedef struct ve_winograd_row {
  const int8_t *u;
  const ve_winograd_stretch *stretches;
  int32_t factor;
} ve_winograd_row;

/// One column of products and the transform down the columns:
/// m[0] = m0 + m1 + m2, m[1] = m1 - m2 + m3. Pairs of rows are VE_ROW apart,
/// and tiles are vectors * lanes apart.
typedef struct ve_winograd_products_args {
  const uint8_t *v;
  ptrdiff_t v_row;
  ptrdiff_t v_tile;
  int32_t quads;  // channels / 4, of VE_OPERANDS_WORDS / 2
  int32_t tiles;
  int32_t vectors;
  /// For each part of the block, [quad][row 1, row 2][lane][4], then [quad][row 0, row 3][lane][4]; of VE_OPERANDS_WORDS two
  /// of 16 bits for four.
  const int8_t *u;
  /// For kernels that sum over slots themselves; otherwise 1.
  int32_t slots;
  ptrdiff_t v_slot, u_slot;
  /// For VE_OPERANDS_BYTES_IN_16, instead of u: four rows for each part of the block.
  const ve_winograd_row *rows;
  /// Of a later call, to be prefetched: one cache line per quad.
  const int8_t *next_u;
  ve_winograd_fetch reads[VE_FETCHES], writes[VE_FETCHES];

  const int32_t *before;  // NULL: zero
  ve_winograd_step step;
  int32_t *to;
  int32_t *a, *b;
  const int32_t *c;
  /// [output][2][constants_row]: the contribution of offsets and bias to each output.
  /// Not NULL in the steps that use it; optional in the last one.
  const int32_t *constants;
  ptrdiff_t constants_row;
  uint32_t factor;
  int32_t *sums;  // VE_STEP_MIDDLE_2X4: two, the second after the first's rows
  /// [output][row]: the epilogue for those sums. Kernels that fuse it apply it to its
  /// number of pixels, and do not write `sums`.
  const ve_epilogue_args *epilogue;
} ve_winograd_products_args;

enum { VE_ROW = VE_RUN_TILES * VE_BLOCK_LANES };

/// The inverse of 3 modulo 2^32: multiplying by it divides multiples of 3.
#define VE_THIRD 0xAAAAAAABu

typedef void ve_winograd_products_fn(const ve_winograd_products_args *args);

typedef struct ve_winograd_kernels {
  ve_winograd_operands operands;
  ve_winograd_input_fn *input[VE_TRANSFORM_COUNT];  // NULL if the transform is not supported
  ve_winograd_products_fn *products;
  bool in_eights;  // u in groups of eight products, [eight][row 1, row 2][lane][8] and so on
  /// Vectors of a part of a block, whose weights are contiguous; 0 if blocks have one part. The weights that a register tile
  /// reads should be contiguous if it does not cover all vectors: at regular distances they would share few sets of the cache.
  int32_t part_vectors;
  bool adds_slots;  // in one call instead of one per slot
  bool fuses_epilogue;
} ve_winograd_kernels;

extern const ve_winograd_kernels ve_winograd_scalar;
#if defined(__aarch64__)
extern const ve_winograd_kernels ve_winograd_neondot, ve_winograd_neoni8mm;
#endif
#if defined(__x86_64__)
extern const ve_winograd_kernels ve_winograd_avx2, ve_winograd_words_avx2;
extern const ve_winograd_kernels ve_winograd_avxvnni;
extern const ve_winograd_kernels ve_winograd_avx512vnni;
#endif

#endif
