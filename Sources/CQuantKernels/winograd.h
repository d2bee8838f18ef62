// SPDX-License-Identifier: Apache-2.0
// Exact integer Winograd convolution: what the plan (winograd_plan.c) and the
// kernels of each instruction set share.
//
// All transforms take two output rows at a time by F(2, 3) down the columns,
// scaled by two to stay whole:
//
//   input   e0 = d0 - d2, e1 = d1 + d2, e2 = d2 - d1, e3 = d1 - d3
//   weights 2 g0, g0 + g1 + g2, g0 - g1 + g2, -2 g2
//   output  2 y0 = m0 + m1 + m2, 2 y1 = m1 - m2 + m3
//
// and differ across the rows: VE_F2X1 leaves the three taps as they are,
// VE_F2X2 does the same once more, and VE_F2X4 is F(4, 3) with these weights
//
//   6 g0, g0 + g1 + g2, g0 - g1 + g2, g0 + 2 g1 + 4 g2, g0 - 2 g1 + 4 g2, 6 g2
//
// so that with t = q1 + q2, u = q1 - q2, c = q3 + q4, d = q3 - q4
//
//   24 y0 = q0 + c - 4 t, 12 y1 = d - 2 u, 6 y2 = c - t, 6 y3 = 2 d - u + q5.
//
// Transformed inputs are offset to fit an unsigned byte, transformed weights
// fit a signed one (checked when packing), and the offsets come off again in
// the constants that sums start from. Sums are exact modulo 2^32 all the way,
// and the last ones, which the epilogue reads, fit 32 bits.
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
  const char *name;
  int32_t columns;  // of products
  int32_t inputs;  // pixels across that a tile reads
  int32_t outputs;  // pixels across that a tile makes
  int32_t taps;  // across, left to the products
  int32_t scale;  // of the sums over the convolution's, a power of two
  int32_t most_levels;  // of activations
} ve_transform_traits;

const ve_transform_traits *ve_transform_traits_of(ve_transform transform);

/// What is added to transformed inputs of row r and column c of products.
VE_INLINE int32_t ve_winograd_offset(
    ve_transform transform, int32_t levels, int32_t r, int32_t c) {
  switch (transform) {
    // Sums are not negative; differences reach -levels.
    case VE_F2X1: return r == 1 ? 0 : levels;
    case VE_F2X2: return r == 1 && c == 1 ? 0 : 2 * levels;
    // The most negative of all, at (1, 1), serves everywhere.
    case VE_F2X4: return 16 * levels;
  }
  return 0;
}

/// Transformed inputs of a run of tiles, for all rows and columns of products:
/// v[column][r][tile][channel].
typedef struct ve_winograd_input_args {
  /// Four rows of codes, from the first tile's left border.
  const uint8_t *rows[4];
  int32_t channels;
  int32_t tiles;
  /// Pixels past this one, counted from rows[], repeat it: a tile at the end
  /// of a row needs values in range even for outputs that do not exist.
  int32_t last_pixel;
  int32_t levels;
  uint8_t *v;
  ptrdiff_t v_row;  // bytes from r to r + 1; a column is four rows
  ptrdiff_t v_tile;  // bytes from tile to tile
} ve_winograd_input_args;

typedef void ve_winograd_input_fn(const ve_winograd_input_args *args);

/// One column of products and the transform down the columns:
/// s[0] = before[0] + m0 + m1 + m2, s[1] = before[1] + m1 - m2 + m3.
typedef struct ve_winograd_products_args {
  const uint8_t *v;
  ptrdiff_t v_row;
  ptrdiff_t v_tile;
  int32_t quads;  // channels / 4
  int32_t tiles;
  int32_t vectors;
  int32_t int16_steps;
  /// [quad][row 1, row 2][lane][4], then [quad][row 0, row 3][lane][4].
  const int8_t *u;
  const int8_t *next_u;  // of the next call, to be fetched meanwhile
  const uint8_t *next_input;  // likewise any bytes the next run needs
  ptrdiff_t next_input_bytes;
  const int32_t *before;
  ptrdiff_t before_row;  // int32_t from s[0] to s[1],
  ptrdiff_t before_tile;  // and from tile to tile; 0: the same for all
  int32_t *s;  // may be `before`
  ptrdiff_t s_row;  // tiles are vectors * lanes apart
} ve_winograd_products_args;

typedef void ve_winograd_products_fn(const ve_winograd_products_args *args);

/// The transform across the rows: sums[2][pixel][lane].
typedef struct ve_winograd_output_args {
  const int32_t *s;
  ptrdiff_t s_row;  // a column is two rows
  int32_t tiles;
  int32_t lanes;
  int32_t *sums;
  ptrdiff_t sums_row;
} ve_winograd_output_args;

typedef void ve_winograd_output_fn(const ve_winograd_output_args *args);

/// The same and the epilogue of `rows` rows, without a trip to memory between;
/// sums of args and epilogues are not used.
typedef void ve_winograd_finish_fn(
    const ve_winograd_output_args *args, const ve_epilogue_args *epilogues, int32_t rows);

typedef struct ve_winograd_kernels {
  ve_winograd_input_fn *input[VE_TRANSFORM_COUNT];
  ve_winograd_products_fn *products;
  bool products_in_int16;  // needs int16_steps >= 1
  ve_winograd_output_fn *output[VE_TRANSFORM_COUNT];  // none for VE_F2X1
  ve_winograd_finish_fn *finish[VE_TRANSFORM_COUNT];  // may be missing
} ve_winograd_kernels;

extern const ve_winograd_kernels ve_winograd_scalar;
#if defined(__x86_64__)
extern const ve_winograd_kernels ve_winograd_avx2;
extern const ve_winograd_kernels ve_winograd_avxvnni;
extern const ve_winograd_kernels ve_winograd_avx512vnni;

// Shared by the two 256-bit instruction sets.
ve_winograd_input_fn ve_winograd_input_2x1_avx2;
ve_winograd_input_fn ve_winograd_input_2x2_avx2;
ve_winograd_input_fn ve_winograd_input_2x4_avx2;
ve_winograd_output_fn ve_winograd_output_2x2_avx2;
ve_winograd_output_fn ve_winograd_output_2x4_avx2;
#endif

#endif
