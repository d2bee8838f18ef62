// SPDX-License-Identifier: Apache-2.0
// Winograd with 128-bit dot products of signed bytes: flipping the top bit subtracts 128 from transformed inputs, which
// the constants compensate (ve_kernels.signed_codes).
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#define VE_VECTOR_BYTES 16
#define VE_NAME(job) ve_winograd_##job##_neondot
static ve_winograd_input_fn VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4);
#include "../winograd_input_tmpl.h"
#include "../winograd_products_tmpl.h"

VE_INLINE int8x16_t load_codes(const uint8_t *from) {
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(from), vdupq_n_u8(0x80)));
}

VE_INLINE int8x16_t broadcast(const uint8_t *codes) {
  uint32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return vreinterpretq_s8_u32(vdupq_n_u32(quad ^ 0x80808080u));
}

// Adds one of four quads that were loaded together; `lane` must be a literal.
#define VE_ADD_QUAD(lane)                                                                        \
  VE_UNROLL for (int j = 0; j < vectors; j++) {                                                  \
    const int8x16_t w = vld1q_s8(u + lane * u_quad + 16 * j);                                    \
    VE_UNROLL for (int i = 0; i < tiles; i++)                                                    \
      sums[i * vectors + j] = vdotq_laneq_s32(sums[i * vectors + j], w, codes[i], lane);         \
  }

// Adds the products of one row of inputs, `quads` of them, to `tiles` x `vectors` sums.
VE_INLINE void add_row(int32x4_t *sums, const uint8_t *v, ptrdiff_t v_tile, const int8_t *u, ptrdiff_t u_quad,
                       int32_t quads, const int tiles, const int vectors) {
  int32_t quad = 0;
  for (; quad + 4 <= quads; quad += 4, v += 16, u += 4 * u_quad) {
    int8x16_t codes[12];
    VE_UNROLL for (int i = 0; i < tiles; i++) codes[i] = load_codes(v + i * v_tile);
    VE_ADD_QUAD(0)
    VE_ADD_QUAD(1)
    VE_ADD_QUAD(2)
    VE_ADD_QUAD(3)
  }
  for (; quad < quads; quad++, v += 4, u += u_quad)
    VE_UNROLL for (int i = 0; i < tiles; i++) {
      const int8x16_t code = broadcast(v + i * v_tile);
      VE_UNROLL for (int j = 0; j < vectors; j++)
        sums[i * vectors + j] = vdotq_s32(sums[i * vectors + j], vld1q_s8(u + 16 * j), code);
    }
}

// `tiles` x `vectors` = 12 pairs of sums, as in winograd_avx512vnni.c. One row after the other, since the inputs and sums
// of one row fit the registers, but not those of both.
VE_INLINE void group(
    const ve_winograd_products_args *args, const finisher *finisher, int32_t tile, const int tiles,
    const int vectors) {
  const uint8_t *v = args->v + tile * args->v_tile;
  const ptrdiff_t row = 16 * vectors, quad = 2 * row, half = args->quads * quad;
  int32x4_t a[12], b[12];
  VE_UNROLL for (int i = 0; i < 12; i++) a[i] = b[i] = vdupq_n_s32(0);
  add_row(a, v + args->v_row, args->v_tile, args->u, quad, args->quads, tiles, vectors);
  add_row(b, v + 2 * args->v_row, args->v_tile, args->u + row, quad, args->quads, tiles, vectors);
  VE_UNROLL for (int i = 0; i < 12; i++) {
    const int32x4_t m1 = a[i], m2 = b[i];
    a[i] = vaddq_s32(m1, m2);
    b[i] = vsubq_s32(m1, m2);
  }
  add_row(a, v, args->v_tile, args->u + half, quad, args->quads, tiles, vectors);
  add_row(b, v + 3 * args->v_row, args->v_tile, args->u + half + row, quad, args->quads, tiles, vectors);
  words m0[12], m1[12];
  VE_UNROLL for (int i = 0; i < 12; i++) m0[i] = (words)a[i], m1[i] = (words)b[i];
  apply_steps(args, finisher, tile, 0, m0, m1, tiles, vectors);
}

static void products(const ve_winograd_products_args *shared_args) {
  const ve_winograd_products_args copy = *shared_args, *args = &copy;
  const finisher finisher = {.sums = copy.sums};
  for (int32_t tile = 0; tile < args->tiles; tile += 3) fetch(args, tile, 3);
  switch (args->vectors) {
    case 1:
      for (int32_t tile = 0; tile < args->tiles; tile += 12) group(args, &finisher, tile, 12, 1);
      break;
    case 2:
      for (int32_t tile = 0; tile < args->tiles; tile += 6) group(args, &finisher, tile, 6, 2);
      break;
    case 3:
      for (int32_t tile = 0; tile < args->tiles; tile += 4) group(args, &finisher, tile, 4, 3);
      break;
    default:
      for (int32_t tile = 0; tile < args->tiles; tile += 3) group(args, &finisher, tile, 3, 4);
      break;
  }
}

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_neondot = {
    .input = {VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4)},
    .products = products,
};
#endif
