// SPDX-License-Identifier: Apache-2.0
// Winograd without dot-product instructions: 16-bit sums of u8 x s8 products
// for as many steps as cannot overflow, then 32-bit ones.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push(__attribute__((target("avx2,prfchw"))), apply_to = function)

#define VE_VECTOR_BYTES 32
#define VE_NAME(job) ve_winograd_##job##_avx2
static ve_winograd_input_fn VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4);
#include "../winograd_vector.h"

VE_INLINE __m256i broadcast(const uint8_t *codes) {
  int32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return _mm256_set1_epi32(quad);
}

// Products of one row for 6 sums; `stride` is from quad to quad.
VE_INLINE void row_products(
    __m256i *sums, const ve_winograd_products_args *args, const uint8_t *v, const int8_t *u,
    ptrdiff_t stride, const int tiles, const int vectors) {
  const __m256i ones = _mm256_set1_epi16(1);
  const int32_t steps = args->int16_steps;
  VE_UNROLL for (int i = 0; i < 6; i++) sums[i] = _mm256_setzero_si256();
  for (int32_t begin = 0; begin < args->quads; begin += steps) {
    const int32_t end = args->quads - begin < steps ? args->quads : begin + steps;
    __m256i partial[6];
    VE_UNROLL for (int i = 0; i < 6; i++) partial[i] = _mm256_setzero_si256();
    for (int32_t quad = begin; quad < end; quad++, u += stride) {
      __m256i w[2];
      VE_UNROLL for (int j = 0; j < vectors; j++)
        w[j] = _mm256_load_si256((const __m256i *)(u + 32 * j));
      VE_UNROLL for (int i = 0; i < tiles; i++) {
        const __m256i a = broadcast(v + i * args->v_tile + 4 * (ptrdiff_t)quad);
        VE_UNROLL for (int j = 0; j < vectors; j++)
          partial[i * vectors + j] =
              _mm256_add_epi16(partial[i * vectors + j], _mm256_maddubs_epi16(a, w[j]));
      }
    }
    VE_UNROLL for (int i = 0; i < 6; i++)
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(partial[i], ones));
  }
}

VE_INLINE void group(
    const ve_winograd_products_args *args, const finisher *finisher, int32_t tile, int32_t first,
    const int tiles, const int vectors) {
  const ptrdiff_t width = args->vectors, stride = 64 * width;
  const uint8_t *v = args->v + tile * args->v_tile;
  const int8_t *u = args->u + 32 * first, *u2 = u + args->quads * stride;
  __m256i m[4][6];
  row_products(m[0], args, v, u2, stride, tiles, vectors);
  row_products(m[1], args, v + args->v_row, u, stride, tiles, vectors);
  row_products(m[2], args, v + 2 * args->v_row, u + 32 * width, stride, tiles, vectors);
  row_products(m[3], args, v + 3 * args->v_row, u2 + 32 * width, stride, tiles, vectors);
  words m0[6], m1[6];
  VE_UNROLL for (int i = 0; i < 6; i++) {
    m0[i] = (words)m[0][i] + (words)m[1][i] + (words)m[2][i];
    m1[i] = (words)m[1][i] - (words)m[2][i] + (words)m[3][i];
  }
  apply_steps(args, finisher, tile, first, m0, m1, tiles, vectors);
}

static void products(const ve_winograd_products_args *shared_args) {
  const ve_winograd_products_args copy = *shared_args, *args = &copy;
  const finisher finisher = {.sums = copy.sums};
  // All fetches with the first vectors.
  for (int32_t tile = 0; tile < args->tiles; tile += 3) fetch(args, tile, 3);
  int32_t first = 0;
  for (; first + 2 <= args->vectors; first += 2)
    for (int32_t tile = 0; tile < args->tiles; tile += 3) group(args, &finisher, tile, first, 3, 2);
  if (first < args->vectors)
    for (int32_t tile = 0; tile < args->tiles; tile += 6) group(args, &finisher, tile, first, 6, 1);
}

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_avx2 = {
    .input = {VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4)},
    .products = products,
    .products_in_int16 = true,
};
#endif
