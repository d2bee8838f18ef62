// SPDX-License-Identifier: Apache-2.0
// Sums of a direct 3x3 convolution with 256-bit dot products.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../kernels.h"

#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)

VE_INLINE __m256i broadcast(const uint8_t *codes) {
  int32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return _mm256_set1_epi32(quad);
}

// One register tile of `pixels` x `vectors` = 12 sums, which leaves three or
// four of 16 registers for a tap's operands.
VE_INLINE void tile(
    const ve_accumulate_args *args, int32_t x, const int pixels, const int vectors) {
  __m256i sums[12];
  VE_UNROLL for (int i = 0; i < pixels; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++)
      sums[i * vectors + j] = _mm256_loadu_si256((const __m256i *)(args->bias + 8 * j));

  const ptrdiff_t step = args->channels_in;
  const ptrdiff_t run = 3 * step;
  const int8_t *weights = args->weights;
  for (int32_t row = 0; row < args->slots * 3; row++) {
    const uint8_t *codes = args->rows[row] + x * step;
    for (ptrdiff_t k = 0; k < run; k += 4) {
      if (pixels < vectors) {
        // Fewer activations than weights: keep activations in registers.
        __m256i a[4];
        VE_UNROLL for (int i = 0; i < pixels; i++) a[i] = broadcast(codes + i * step + k);
        VE_UNROLL for (int j = 0; j < vectors; j++) {
          const __m256i w = _mm256_load_si256((const __m256i *)(weights + 32 * j));
          VE_UNROLL for (int i = 0; i < pixels; i++)
            sums[i * vectors + j] = _mm256_dpbusd_avx_epi32(sums[i * vectors + j], a[i], w);
        }
      } else {
        __m256i w[4];
        VE_UNROLL for (int j = 0; j < vectors; j++)
          w[j] = _mm256_load_si256((const __m256i *)(weights + 32 * j));
        VE_UNROLL for (int i = 0; i < pixels; i++) {
          const __m256i a = broadcast(codes + i * step + k);
          VE_UNROLL for (int j = 0; j < vectors; j++)
            sums[i * vectors + j] = _mm256_dpbusd_avx_epi32(sums[i * vectors + j], a, w[j]);
        }
      }
      weights += 32 * vectors;
    }
  }

  VE_UNROLL for (int i = 0; i < pixels; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++)
      _mm256_store_si256(
          (__m256i *)(args->sums + ((x + i) * vectors + j) * 8), sums[i * vectors + j]);
}

void ve_accumulate_avxvnni(const ve_accumulate_args *args) {
  switch (args->vectors) {
    case 1:
      for (int32_t x = 0; x < args->pixels; x += 12) tile(args, x, 12, 1);
      break;
    case 2:
      for (int32_t x = 0; x < args->pixels; x += 6) tile(args, x, 6, 2);
      break;
    case 3:
      for (int32_t x = 0; x < args->pixels; x += 4) tile(args, x, 4, 3);
      break;
    default:
      for (int32_t x = 0; x < args->pixels; x += 3) tile(args, x, 3, 4);
      break;
  }
}

#pragma clang attribute pop
#endif
