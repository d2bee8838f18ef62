// SPDX-License-Identifier: Apache-2.0
// Winograd without dot-product instructions: 16-bit sums as far as they fit (winograd_rows.c), then 32-bit sums.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push(__attribute__((target("avx2,prfchw"))), apply_to = function)

#define VE_VECTOR_BYTES 32
#define VE_NAME(job) ve_winograd_##job##_avx2
static ve_winograd_input_fn VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4);
#include "../winograd_input_tmpl.h"
#include "../winograd_products_tmpl.h"

// Pairs of sums per group, which leaves four of 16 registers for weights, inputs and a product.
enum { GROUP = 12, PART = 2 };

VE_INLINE __m256i broadcast(const uint8_t *codes) {
  int32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return _mm256_set1_epi32(quad);
}

// Adds the products of one row to `tiles` x `vectors` sums.
VE_INLINE void add_row(
    __m256i *sums, const ve_winograd_products_args *args, int r, int32_t tile, int32_t first, const int tiles,
    const int vectors) {
  const uint8_t *v = args->v + r * args->v_row + tile * args->v_tile;
  const ptrdiff_t v_tile = args->v_tile, step = 32 * vectors;
  const ve_winograd_row *row = &args->rows[first / PART * 4 + r];
  const int8_t *u = row->u;
  const __m256i factor = _mm256_set1_epi16((int16_t)row->factor);
  for (const ve_winograd_stretch *stretch = row->stretches; stretch->quads > 0; stretch++) {
    __m256i partial[GROUP];
    VE_UNROLL for (int j = 0; j < vectors; j++) {
      const __m256i start = _mm256_load_si256((const __m256i *)(u + 32 * j));
      VE_UNROLL for (int i = 0; i < tiles; i++) partial[i * vectors + j] = start;
    }
    u += step;
    const uint8_t *at = v + stretch->at, *end = at + 4 * (ptrdiff_t)stretch->quads;
    _Pragma("clang loop unroll_count(2)") for (; at < end; at += 4, u += step) {
      __m256i w[2];
      VE_UNROLL for (int j = 0; j < vectors; j++) w[j] = _mm256_load_si256((const __m256i *)(u + 32 * j));
      VE_UNROLL for (int i = 0; i < tiles; i++) {
        const __m256i a = broadcast(at + i * v_tile);
        VE_UNROLL for (int j = 0; j < vectors; j++)
          partial[i * vectors + j] = _mm256_add_epi16(partial[i * vectors + j], _mm256_maddubs_epi16(a, w[j]));
      }
    }
    VE_UNROLL for (int i = 0; i < tiles * vectors; i++)
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(partial[i], factor));
  }
}

#include "winograd_avx2_tmpl.h"

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_avx2 = {
    .operands = VE_OPERANDS_BYTES_IN_16,
    .input = {VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4)},
    .products = products,
    .adds_slots = true,
    .part_vectors = PART,
};
#endif
