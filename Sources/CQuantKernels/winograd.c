// SPDX-License-Identifier: Apache-2.0
// Winograd transforms and products: scalar reference, with the matrices given
// in winograd.h, not optimised.
#include <string.h>

#include "winograd.h"

// MARK: - Input

// Rows of the input transforms of F(2, 3) and F(4, 3).
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
  // A tile of VE_F2X1 is one pixel; its taps are adjacent tiles.
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

// Unsigned, because intermediate sums may wrap.
VE_INLINE uint32_t dot(const uint8_t *v, const int8_t *u) {
  return (uint32_t)(v[0] * u[0] + v[1] * u[1] + v[2] * u[2] + v[3] * u[3]);
}

// Applies a step to one lane of one row.
VE_INLINE void apply_step(
    const ve_winograd_products_args *args, int32_t row, int32_t tile, int32_t lane, uint32_t m) {
  const int32_t width = args->vectors * 8;
  const ptrdiff_t at = row * VE_ROW + (ptrdiff_t)tile * width + lane;
  const int32_t *constants =
      args->constants ? args->constants + row * args->constants_row + lane : NULL;
  const ptrdiff_t output = 2 * args->constants_row;
  const uint32_t q = (args->before ? (uint32_t)args->before[at] : 0) + m;
  switch (args->step) {
    case VE_STEP_KEEP: args->to[at] = (int32_t)q; break;
    case VE_STEP_BUTTERFLY_2X2: {
      const uint32_t q1 = (uint32_t)args->a[at];
      args->a[at] = (int32_t)(q1 + q + (uint32_t)constants[0]);
      args->b[at] = (int32_t)(q1 - q + (uint32_t)constants[output]);
      break;
    }
    case VE_STEP_BUTTERFLY_2X4: {
      const uint32_t q1 = (uint32_t)args->a[at];
      args->a[at] = (int32_t)(q1 + q);
      args->b[at] = (int32_t)(q1 - q);
      break;
    }
    case VE_STEP_MIDDLE_2X4: {
      const uint32_t t = (uint32_t)args->a[at], u = (uint32_t)args->b[at];
      const uint32_t c = (uint32_t)args->c[at] + q, d = (uint32_t)args->c[at] - q;
      args->a[at] = (int32_t)(c - 4 * t + (uint32_t)constants[0]);
      args->sums[at] = (int32_t)((d - 2 * u + (uint32_t)constants[output]) * (2 * VE_THIRD));
      args->sums[2 * VE_ROW + at] =
          (int32_t)((c - t + (uint32_t)constants[2 * output]) * (4 * VE_THIRD));
      args->b[at] = (int32_t)(2 * d - u + (uint32_t)constants[3 * output]);
      break;
    }
    case VE_STEP_FINISH:
      args->sums[at] = (int32_t)((q + (args->constants ? (uint32_t)constants[0] : 0)) * args->factor);
      break;
  }
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
    for (int32_t lane = 0; lane < width; lane++) {
      apply_step(args, 0, tile, lane, m[0][lane] + m[1][lane] + m[2][lane]);
      apply_step(args, 1, tile, lane, m[1][lane] - m[2][lane] + m[3][lane]);
    }
  }
}

const ve_winograd_kernels ve_winograd_scalar = {
    .input = {input_2x1, input_2x2, input_2x4},
    .products = products,
};
