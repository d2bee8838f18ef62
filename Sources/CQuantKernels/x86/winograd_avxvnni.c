// SPDX-License-Identifier: Apache-2.0
// Winograd with 256-bit dot products; transforms are those of AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push(__attribute__((target("avx2,avxvnni,prfchw"))), apply_to = function)

#define VE_VECTOR_BYTES 32
#define VE_NAME(job) ve_winograd_##job##_avxvnni
static ve_winograd_input_fn VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4);
#include "../winograd_input_tmpl.h"
#include "../winograd_products_tmpl.h"

VE_INLINE __m256i broadcast(const uint8_t *codes) {
  int32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return _mm256_set1_epi32(quad);
}

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
// number of the block's vectors, of which `vectors` from `first` on are computed.
VE_INLINE void group(
    const ve_winograd_products_args *args, const finisher *finisher, int32_t tile, int32_t first,
    const int tiles, const int vectors) {
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
  VE_UNROLL for (int i = 0; i < 6; i++) {
    const __m256i m1 = a[i], m2 = b[i];
    a[i] = _mm256_add_epi32(m1, m2);
    b[i] = _mm256_sub_epi32(m1, m2);
  }
  for (ptrdiff_t k = 0; k < run; k += 4, u += 64 * width) {
    add_products(a, v + k, args->v_tile, u, tiles, vectors);
    add_products(b, v + 3 * args->v_row + k, args->v_tile, u + 32 * width, tiles, vectors);
  }
  words m0[6], m1[6];
  VE_UNROLL for (int i = 0; i < 6; i++) m0[i] = (words)a[i], m1[i] = (words)b[i];
  apply_steps(args, finisher, tile, first, m0, m1, tiles, vectors);
}

static void products(const ve_winograd_products_args *shared_args) {
  const ve_winograd_products_args copy = *shared_args, *args = &copy;
  const finisher finisher = {.sums = copy.sums};
  // Prefetch everything with the first vectors.
  for (int32_t tile = 0; tile < args->tiles; tile += 3) fetch(args, tile, 3);
  int32_t first = 0;
  for (; first + 2 <= args->vectors; first += 2)
    for (int32_t tile = 0; tile < args->tiles; tile += 3) group(args, &finisher, tile, first, 3, 2);
  if (first < args->vectors)
    for (int32_t tile = 0; tile < args->tiles; tile += 6) group(args, &finisher, tile, first, 6, 1);
}

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_avxvnni = {
    .input = {VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4)},
    .products = products,
};
#endif
