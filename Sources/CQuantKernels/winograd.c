// SPDX-License-Identifier: Apache-2.0
// Winograd transforms and products: the scalar truth. Matrices as winograd.h
// states them, without a thought for speed.
#include <string.h>

#include "winograd.h"

// MARK: - Input

// F(2, 3) and F(4, 3): rows of the transform of inputs.
static const int32_t input2[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
static const int32_t input4[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0},
                                     {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0},
                                     {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};

static int32_t across(ve_transform transform, int32_t column, int32_t pixel) {
  switch (transform) {
    case VE_F2X1: return 1;
    case VE_F2X2: return input2[column][pixel];
    case VE_F2X4: return input4[column][pixel];
  }
  return 0;
}

static void input_value(
    const ve_winograd_input_args *args, ve_transform transform, int32_t tile, int32_t channel) {
  const ve_transform_traits *traits = ve_transform_traits_of(transform);
  // A tile of VE_F2X1 is one pixel; its taps are neighbouring tiles.
  const int32_t pixels = transform == VE_F2X1 ? 1 : traits->inputs;
  for (int32_t c = 0; c < traits->columns; c++)
    for (int32_t r = 0; r < 4; r++) {
      int32_t value = 0;
      for (int32_t i = 0; i < 4; i++)
        for (int32_t j = 0; j < pixels; j++) {
          const int32_t pixel = tile * traits->outputs + j;
          const int32_t inside = pixel < args->last_pixel ? pixel : args->last_pixel;
          value += input2[r][i] * across(transform, c, j) *
                   args->rows[i][(ptrdiff_t)inside * args->channels + channel];
        }
      args->v[(c * 4 + r) * args->v_row + tile * args->v_tile + channel] =
          (uint8_t)(value + ve_winograd_offset(transform, args->levels, r, c));
    }
}

static void input(const ve_winograd_input_args *args, ve_transform transform) {
  for (int32_t tile = 0; tile < args->tiles; tile++)
    for (int32_t channel = 0; channel < args->channels; channel++)
      input_value(args, transform, tile, channel);
}

static void input_2x1(const ve_winograd_input_args *args) { input(args, VE_F2X1); }
static void input_2x2(const ve_winograd_input_args *args) { input(args, VE_F2X2); }
static void input_2x4(const ve_winograd_input_args *args) { input(args, VE_F2X4); }

// MARK: - Products

// Unsigned, because sums may wrap on the way.
VE_INLINE uint32_t dot(const uint8_t *v, const int8_t *u) {
  return (uint32_t)(v[0] * u[0] + v[1] * u[1] + v[2] * u[2] + v[3] * u[3]);
}

static void products(const ve_winograd_products_args *args) {
  enum { lanes = 8 };
  const int32_t width = args->vectors * lanes;
  for (int32_t tile = 0; tile < args->tiles; tile++) {
    const uint8_t *v = args->v + tile * args->v_tile;
    const int8_t *u = args->u;
    uint32_t m[4][VE_BLOCK_LANES];
    memset(m, 0, sizeof m);
    static const int order[4] = {1, 2, 0, 3};
    for (int half = 0; half < 2; half++)
      for (int32_t quad = 0; quad < args->quads; quad++)
        for (int i = 0; i < 2; i++) {
          const int r = order[2 * half + i];
          for (int32_t lane = 0; lane < width; lane++, u += 4)
            m[r][lane] += dot(v + r * args->v_row + 4 * quad, u);
        }
    const int32_t *before = args->before + tile * args->before_tile;
    int32_t *s = args->s + (ptrdiff_t)tile * width;
    for (int32_t lane = 0; lane < width; lane++) {
      const uint32_t s0 = (uint32_t)before[lane] + m[0][lane] + m[1][lane] + m[2][lane];
      const uint32_t s1 =
          (uint32_t)before[args->before_row + lane] + m[1][lane] - m[2][lane] + m[3][lane];
      s[lane] = (int32_t)s0;
      s[args->s_row + lane] = (int32_t)s1;
    }
  }
}

// MARK: - Output

typedef struct columns {
  uint32_t q[6];
} columns;

static columns load_columns(
    const ve_winograd_output_args *args, int32_t row, int32_t tile, int32_t lane, int32_t count) {
  columns result;
  for (int32_t c = 0; c < count; c++)
    result.q[c] =
        (uint32_t)args->s[(2 * c + row) * args->s_row + (ptrdiff_t)tile * args->lanes + lane];
  return result;
}

static void output_2x2(const ve_winograd_output_args *args) {
  for (int32_t row = 0; row < 2; row++)
    for (int32_t tile = 0; tile < args->tiles; tile++)
      for (int32_t lane = 0; lane < args->lanes; lane++) {
        const columns s = load_columns(args, row, tile, lane, 4);
        int32_t *sums = args->sums + row * args->sums_row + (ptrdiff_t)2 * tile * args->lanes + lane;
        sums[0] = (int32_t)(s.q[0] + s.q[1] + s.q[2]);
        sums[args->lanes] = (int32_t)(s.q[1] - s.q[2] + s.q[3]);
      }
}

static void output_2x4(const ve_winograd_output_args *args) {
  // Multiplying by the inverse of 3 modulo 2^32 divides multiples of 3; all
  // four come to 16 times the convolution.
  const uint32_t third = 0xAAAAAAAB;
  for (int32_t row = 0; row < 2; row++)
    for (int32_t tile = 0; tile < args->tiles; tile++)
      for (int32_t lane = 0; lane < args->lanes; lane++) {
        const columns s = load_columns(args, row, tile, lane, 6);
        const uint32_t t = s.q[1] + s.q[2], u = s.q[1] - s.q[2];
        const uint32_t c = s.q[3] + s.q[4], d = s.q[3] - s.q[4];
        int32_t *sums = args->sums + row * args->sums_row + (ptrdiff_t)4 * tile * args->lanes + lane;
        sums[0] = (int32_t)((s.q[0] + c - 4 * t) * third);
        sums[args->lanes] = (int32_t)((d - 2 * u) * (2 * third));
        sums[2 * args->lanes] = (int32_t)((c - t) * (4 * third));
        sums[3 * args->lanes] = (int32_t)((2 * d - u + s.q[5]) * (4 * third));
      }
}

const ve_winograd_kernels ve_winograd_scalar = {
    .input = {input_2x1, input_2x2, input_2x4},
    .products = products,
    .output = {NULL, output_2x2, output_2x4},
};
