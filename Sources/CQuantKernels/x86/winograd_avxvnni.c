// SPDX-License-Identifier: Apache-2.0
// Winograd with 256-bit dot products; transforms are those of AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)

VE_INLINE __m256i broadcast(const uint8_t *codes) {
  int32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return _mm256_set1_epi32(quad);
}

VE_INLINE __m256i load(const int32_t *from) { return _mm256_loadu_si256((const __m256i *)from); }

// Adds one quad's products of `tiles` x `vectors` to 6 sums.
VE_INLINE void add_products(
    __m256i *sums, const uint8_t *v, ptrdiff_t v_tile, const int8_t *u, const int tiles,
    const int vectors) {
  __m256i w[4];
  VE_UNROLL for (int j = 0; j < vectors; j++)
    w[j] = _mm256_load_si256((const __m256i *)(u + 32 * j));
  VE_UNROLL for (int i = 0; i < tiles; i++) {
    const __m256i a = broadcast(v + i * v_tile);
    VE_UNROLL for (int j = 0; j < vectors; j++)
      sums[i * vectors + j] = _mm256_dpbusd_avx_epi32(sums[i * vectors + j], a, w[j]);
  }
}

// As in winograd_avx512vnni.c, for 6 pairs of sums at a time. `width` is the
// block's vectors, of which `vectors` from `first` on are computed.
VE_INLINE void group(
    const ve_winograd_products_args *args, int32_t tile, int32_t first, const int tiles,
    const int vectors) {
  const ptrdiff_t width = args->vectors;
  const uint8_t *v = args->v + tile * args->v_tile;
  const int8_t *u = args->u + 32 * first;
  const ptrdiff_t run = 4 * (ptrdiff_t)args->quads;
  __m256i a[6], b[6];
  VE_UNROLL for (int i = 0; i < 6; i++) a[i] = b[i] = _mm256_setzero_si256();
  for (ptrdiff_t k = 0; k < run; k += 4, u += 64 * width) {
    add_products(a, v + args->v_row + k, args->v_tile, u, tiles, vectors);
    add_products(b, v + 2 * args->v_row + k, args->v_tile, u + 32 * width, tiles, vectors);
  }
  VE_UNROLL for (int i = 0; i < tiles; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++) {
      const int32_t *before = args->before + (tile + i) * args->before_tile + 8 * (first + j);
      const __m256i m1 = a[i * vectors + j], m2 = b[i * vectors + j];
      a[i * vectors + j] = _mm256_add_epi32(_mm256_add_epi32(m1, m2), load(before));
      b[i * vectors + j] =
          _mm256_add_epi32(_mm256_sub_epi32(m1, m2), load(before + args->before_row));
    }
  for (ptrdiff_t k = 0; k < run; k += 4, u += 64 * width) {
    add_products(a, v + k, args->v_tile, u, tiles, vectors);
    add_products(b, v + 3 * args->v_row + k, args->v_tile, u + 32 * width, tiles, vectors);
  }
  VE_UNROLL for (int i = 0; i < tiles; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++) {
      int32_t *s = args->s + ((tile + i) * width + first + j) * 8;
      _mm256_store_si256((__m256i *)s, a[i * vectors + j]);
      _mm256_store_si256((__m256i *)(s + args->s_row), b[i * vectors + j]);
    }
}

static void products(const ve_winograd_products_args *args) {
  int32_t first = 0;
  for (; first + 2 <= args->vectors; first += 2)
    for (int32_t tile = 0; tile < args->tiles; tile += 3) group(args, tile, first, 3, 2);
  if (first < args->vectors)
    for (int32_t tile = 0; tile < args->tiles; tile += 6) group(args, tile, first, 6, 1);
}

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_avxvnni = {
    .input = {ve_winograd_input_2x1_avx2, ve_winograd_input_2x2_avx2, ve_winograd_input_2x4_avx2},
    .products = products,
    .output = {NULL, ve_winograd_output_2x2_avx2, ve_winograd_output_2x4_avx2},
};
#endif
