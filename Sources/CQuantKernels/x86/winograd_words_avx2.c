// SPDX-License-Identifier: Apache-2.0
// Winograd on 16-bit operands: half as many products per instruction as with bytes, but exact for all weights and levels.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push(__attribute__((target("avx2,prfchw"))), apply_to = function)

#define VE_VECTOR_BYTES 32
#define VE_WORDS
#define VE_NAME(job) ve_winograd_words_##job##_avx2
static ve_winograd_input_fn VE_NAME(input_2x2), VE_NAME(input_2x4);
#include "../winograd_input_tmpl.h"
#include "../winograd_products_tmpl.h"

// As in winograd_avx2.c.
enum { GROUP = 12, PART = 2 };

VE_INLINE __m256i broadcast(const uint8_t *pair_of_inputs) {
  int32_t pair;
  memcpy(&pair, pair_of_inputs, sizeof pair);
  return _mm256_set1_epi32(pair);
}

// Adds the products of row r to `tiles` x `vectors` sums.
VE_INLINE void add_row(
    __m256i *sums, const ve_winograd_products_args *args, const int r, int32_t tile, int32_t first, const int tiles,
    const int vectors) {
  const ptrdiff_t v_tile = args->v_tile, width = 32 * vectors, vector_bytes = 32 * 4 * (ptrdiff_t)args->quads;
  const ptrdiff_t half = r == 0 || r == 3 ? 2 * width * args->quads : 0, place = r < 2 ? 0 : width;
  __m256i row[GROUP];
  VE_UNROLL for (int i = 0; i < tiles * vectors; i++) row[i] = sums[i];
  for (int32_t slot = 0; slot < args->slots; slot++) {
    const uint8_t *v = args->v + slot * args->v_slot + r * args->v_row + tile * v_tile;
    const int8_t *u = args->u + slot * args->u_slot + first * vector_bytes + half + place;
    VE_NO_UNROLL for (int32_t pair = 0; pair < args->quads; pair++, v += 4, u += 2 * width) {
      __m256i w[2];
      VE_UNROLL for (int j = 0; j < vectors; j++) w[j] = _mm256_load_si256((const __m256i *)(u + 32 * j));
      VE_UNROLL for (int i = 0; i < tiles; i++) {
        const __m256i a = broadcast(v + i * v_tile);
        VE_UNROLL for (int j = 0; j < vectors; j++)
          row[i * vectors + j] = _mm256_add_epi32(row[i * vectors + j], _mm256_madd_epi16(a, w[j]));
      }
    }
  }
  VE_UNROLL for (int i = 0; i < tiles * vectors; i++) sums[i] = row[i];
}

#include "winograd_avx2_tmpl.h"

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_words_avx2 = {
    .operands = VE_OPERANDS_WORDS,
    .input = {NULL, VE_NAME(input_2x2), VE_NAME(input_2x4)},
    .products = products,
    .adds_slots = true,
    .part_vectors = PART,
};
#endif
