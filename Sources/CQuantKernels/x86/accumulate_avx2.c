// SPDX-License-Identifier: Apache-2.0
// Sums of a direct 3x3 convolution without dot-product instructions.
//
// Two kernels: one widens to 16 bits and is exact for all operands; the other
// adds u8 x s8 products in 16-bit lanes, twice as many at a time, for as many
// steps as cannot overflow. Sums are in memory (L1) between rows of taps.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../kernels.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

VE_INLINE __m256i broadcast(const void *four_bytes) {
  int32_t bits;
  memcpy(&bits, four_bytes, sizeof bits);
  return _mm256_set1_epi32(bits);
}

VE_INLINE void start_from_bias(const ve_accumulate_args *args) {
  const int32_t width = args->vectors * 8;
  // Whole tiles, which may extend beyond the last pixel but never beyond the strip.
  for (int32_t pixel = 0; pixel < VE_STRIP; pixel++)
    memcpy(args->sums + pixel * width, args->bias, (size_t)width * sizeof *args->sums);
}

VE_INLINE __m256i *sums_at(const ve_accumulate_args *args, int32_t pixel, int vector, int vectors) {
  return (__m256i *)(args->sums + (pixel * vectors + vector) * 8);
}

// MARK: - 16-bit operands

VE_INLINE void tile_wide(
    const ve_accumulate_args *args, const uint16_t *codes, const int16_t *weights, int32_t x,
    const int pixels, const int vectors) {
  __m256i sums[9];
  VE_UNROLL for (int i = 0; i < pixels; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++)
      sums[i * vectors + j] = _mm256_load_si256(sums_at(args, x + i, j, vectors));
  const ptrdiff_t step = args->channels_in;
  codes += x * step;
  for (ptrdiff_t k = 0; k < 3 * step; k += 2, weights += 16 * vectors) {
    __m256i w[4];
    VE_UNROLL for (int j = 0; j < vectors; j++)
      w[j] = _mm256_load_si256((const __m256i *)(weights + 16 * j));
    VE_UNROLL for (int i = 0; i < pixels; i++) {
      const __m256i a = broadcast(codes + i * step + k);
      VE_UNROLL for (int j = 0; j < vectors; j++)
        sums[i * vectors + j] =
            _mm256_add_epi32(sums[i * vectors + j], _mm256_madd_epi16(a, w[j]));
    }
  }
  VE_UNROLL for (int i = 0; i < pixels; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++)
      _mm256_store_si256(sums_at(args, x + i, j, vectors), sums[i * vectors + j]);
}

void ve_accumulate_avx2(const ve_accumulate_args *args) {
  _Alignas(32) uint16_t codes[(VE_STRIP + 2) * VE_MAX_CHANNELS + 16];
  const ptrdiff_t values = (ptrdiff_t)(VE_STRIP + 2) * args->channels_in;
  const int16_t *weights = args->weights;
  start_from_bias(args);
  for (int32_t row = 0; row < args->slots * 3; row++) {
    for (ptrdiff_t i = 0; i < values; i += 16) {
      const __m128i narrow = _mm_loadu_si128((const __m128i *)(args->rows[row] + i));
      _mm256_storeu_si256((__m256i *)(codes + i), _mm256_cvtepu8_epi16(narrow));
    }
    switch (args->vectors) {
      case 1:
        for (int32_t x = 0; x < args->pixels; x += 8) tile_wide(args, codes, weights, x, 8, 1);
        break;
      case 2:
        for (int32_t x = 0; x < args->pixels; x += 4) tile_wide(args, codes, weights, x, 4, 2);
        break;
      case 3:
        for (int32_t x = 0; x < args->pixels; x += 3) tile_wide(args, codes, weights, x, 3, 3);
        break;
      default:
        for (int32_t x = 0; x < args->pixels; x += 2) tile_wide(args, codes, weights, x, 2, 4);
        break;
    }
    weights += (ptrdiff_t)3 * args->channels_in * args->vectors * 8;
  }
}

// MARK: - 8-bit operands, 16-bit sums

VE_INLINE void tile_narrow(
    const ve_accumulate_args *args, const uint8_t *codes, const int8_t *weights, int32_t x,
    const int pixels, const int vectors) {
  const ptrdiff_t step = args->channels_in;
  const ptrdiff_t run = 3 * step;
  const ptrdiff_t stretch = (ptrdiff_t)args->int16_steps * 4;
  const __m256i ones = _mm256_set1_epi16(1);
  codes += x * step;
  for (ptrdiff_t begin = 0; begin < run; begin += stretch) {
    const ptrdiff_t end = run - begin < stretch ? run : begin + stretch;
    __m256i sums[9];
    VE_UNROLL for (int i = 0; i < pixels * vectors; i++) sums[i] = _mm256_setzero_si256();
    for (ptrdiff_t k = begin; k < end; k += 4, weights += 32 * vectors) {
      __m256i w[4];
      VE_UNROLL for (int j = 0; j < vectors; j++)
        w[j] = _mm256_load_si256((const __m256i *)(weights + 32 * j));
      VE_UNROLL for (int i = 0; i < pixels; i++) {
        const __m256i a = broadcast(codes + i * step + k);
        VE_UNROLL for (int j = 0; j < vectors; j++)
          sums[i * vectors + j] =
              _mm256_add_epi16(sums[i * vectors + j], _mm256_maddubs_epi16(a, w[j]));
      }
    }
    VE_UNROLL for (int i = 0; i < pixels; i++)
      VE_UNROLL for (int j = 0; j < vectors; j++) {
        __m256i *total = sums_at(args, x + i, j, vectors);
        const __m256i wide = _mm256_madd_epi16(sums[i * vectors + j], ones);
        _mm256_store_si256(total, _mm256_add_epi32(_mm256_load_si256(total), wide));
      }
  }
}

void ve_accumulate_narrow_avx2(const ve_accumulate_args *args) {
  const int8_t *weights = args->weights;
  start_from_bias(args);
  for (int32_t row = 0; row < args->slots * 3; row++) {
    const uint8_t *codes = args->rows[row];
    switch (args->vectors) {
      case 1:
        for (int32_t x = 0; x < args->pixels; x += 8) tile_narrow(args, codes, weights, x, 8, 1);
        break;
      case 2:
        for (int32_t x = 0; x < args->pixels; x += 4) tile_narrow(args, codes, weights, x, 4, 2);
        break;
      case 3:
        for (int32_t x = 0; x < args->pixels; x += 3) tile_narrow(args, codes, weights, x, 3, 3);
        break;
      default:
        for (int32_t x = 0; x < args->pixels; x += 2) tile_narrow(args, codes, weights, x, 2, 4);
        break;
    }
    weights += (ptrdiff_t)3 * args->channels_in * args->vectors * 8;
  }
}

#pragma clang attribute pop
#endif
