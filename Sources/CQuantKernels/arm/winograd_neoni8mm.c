// SPDX-License-Identifier: Apache-2.0
// Winograd with I8MM matrix products: eight transformed inputs of two tiles by eight weights of two output
// channels each.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)

#define VE_VECTOR_BYTES 16
#define VE_NAME(job) ve_winograd_##job##_neoni8mm
static ve_winograd_input_fn VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4);
#include "../winograd_input_tmpl.h"
#include "../winograd_products_tmpl.h"

// Adds the products of eight inputs of 2 x `pairs` tiles.
VE_INLINE void add_eight(int32x4_t *sums, const uint8x16_t *inputs, const int8_t *u, const int pairs, const int vectors) {
  VE_UNROLL for (int j = 0; j < 2 * vectors; j++) {
    const int8x16_t w = vld1q_s8(u + 16 * j);
    VE_UNROLL for (int i = 0; i < pairs; i++)
      sums[i * 2 * vectors + j] = vusmmlaq_s32(sums[i * 2 * vectors + j], inputs[i], w);
  }
}

// Adds the products of one row of inputs, `eights` of them, to 2 x `pairs` tiles and 4 x `vectors` channels;
// a register holds the sums of two tiles and two channels.
VE_INLINE void add_row(int32x4_t *sums, const uint8_t *v, ptrdiff_t v_tile, const int8_t *u, ptrdiff_t u_eight,
                       int32_t eights, const int pairs, const int vectors) {
  int32_t eight = 0;
  for (; eight + 2 <= eights; eight += 2, v += 16, u += 2 * u_eight) {
    uint8x16_t low[6], high[6];
    VE_UNROLL for (int i = 0; i < pairs; i++) {
      const uint64x2_t a = vreinterpretq_u64_u8(vld1q_u8(v + 2 * i * v_tile));
      const uint64x2_t b = vreinterpretq_u64_u8(vld1q_u8(v + (2 * i + 1) * v_tile));
      low[i] = vreinterpretq_u8_u64(vzip1q_u64(a, b));
      high[i] = vreinterpretq_u8_u64(vzip2q_u64(a, b));
    }
    add_eight(sums, low, u, pairs, vectors);
    add_eight(sums, high, u + u_eight, pairs, vectors);
  }
  for (; eight < eights; eight++, v += 8, u += u_eight) {
    uint8x16_t inputs[6];
    VE_UNROLL for (int i = 0; i < pairs; i++)
      inputs[i] = vcombine_u8(vld1_u8(v + 2 * i * v_tile), vld1_u8(v + (2 * i + 1) * v_tile));
    add_eight(sums, inputs, u, pairs, vectors);
  }
}

// Sums by tile and vector of four channels.
VE_INLINE void separate(const int32x4_t *sums, words *m, const int pairs, const int vectors) {
  VE_UNROLL for (int i = 0; i < pairs; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++) {
      const int64x2_t low = vreinterpretq_s64_s32(sums[(i * vectors + j) * 2]);
      const int64x2_t high = vreinterpretq_s64_s32(sums[(i * vectors + j) * 2 + 1]);
      m[2 * i * vectors + j] = (words)vzip1q_s64(low, high);
      m[(2 * i + 1) * vectors + j] = (words)vzip2q_s64(low, high);
    }
}

// 2 x `pairs` tiles and `vectors` vectors from `first`, 12 pairs of sums, as in winograd_neondot.c.
VE_INLINE void group(
    const ve_winograd_products_args *args, const finisher *finisher, int32_t tile, int32_t first, const int pairs,
    const int vectors) {
  const uint8_t *v = args->v + tile * args->v_tile;
  const int32_t eights = args->quads / 2;
  const int8_t *u = args->u + 32 * first;
  const ptrdiff_t row = 32 * args->vectors, eight = 2 * row, half = eights * eight;
  int32x4_t a[12], b[12];
  VE_UNROLL for (int i = 0; i < 12; i++) a[i] = b[i] = vdupq_n_s32(0);
  add_row(a, v + args->v_row, args->v_tile, u, eight, eights, pairs, vectors);
  add_row(b, v + 2 * args->v_row, args->v_tile, u + row, eight, eights, pairs, vectors);
  VE_UNROLL for (int i = 0; i < 12; i++) {
    const int32x4_t m1 = a[i], m2 = b[i];
    a[i] = vaddq_s32(m1, m2);
    b[i] = vsubq_s32(m1, m2);
  }
  add_row(a, v, args->v_tile, u + half, eight, eights, pairs, vectors);
  add_row(b, v + 3 * args->v_row, args->v_tile, u + half + row, eight, eights, pairs, vectors);
  words m0[12], m1[12];
  separate(a, m0, pairs, vectors);
  separate(b, m1, pairs, vectors);
  apply_steps(args, finisher, tile, first, m0, m1, 2 * pairs, vectors);
}

static void products(const ve_winograd_products_args *shared_args) {
  const ve_winograd_products_args copy = *shared_args, *args = &copy;
  const finisher finisher = {.sums = copy.sums};
  for (int32_t tile = 0; tile < args->tiles; tile += 3) fetch(args, tile, 3);
  switch (args->vectors) {
    case 1:
      for (int32_t tile = 0; tile < args->tiles; tile += 12) group(args, &finisher, tile, 0, 6, 1);
      break;
    case 2:
      for (int32_t tile = 0; tile < args->tiles; tile += 6) group(args, &finisher, tile, 0, 3, 2);
      break;
    case 3:
      for (int32_t tile = 0; tile < args->tiles; tile += 4) group(args, &finisher, tile, 0, 2, 3);
      break;
    default:
      // One half at a time: three tiles are not whole pairs.
      for (int32_t tile = 0; tile < args->tiles; tile += 6) {
        group(args, &finisher, tile, 0, 3, 2);
        group(args, &finisher, tile, 2, 3, 2);
      }
      break;
  }
}

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_neoni8mm = {
    .input = {VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4)},
    .products = products,
    .in_eights = true,
};
#endif
