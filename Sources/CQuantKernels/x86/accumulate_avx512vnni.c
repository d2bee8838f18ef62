// SPDX-License-Identifier: Apache-2.0
// Sums of a direct 3x3 convolution with 512-bit dot products.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../kernels.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)

VE_INLINE __m512i broadcast(const uint8_t *codes) {
  int32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return _mm512_set1_epi32(quad);
}

// One register tile of `pixels` x `vectors` = 24 sums, which leaves registers
// for a tap's operands.
VE_INLINE void tile(
    const ve_accumulate_args *args, int32_t x, const int pixels, const int vectors) {
  __m512i sums[24];
  VE_UNROLL for (int i = 0; i < pixels; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++)
      sums[i * vectors + j] = _mm512_loadu_si512(args->bias + 16 * j);

  const ptrdiff_t step = args->channels_in;
  const ptrdiff_t run = 3 * step;
  const int8_t *weights = args->weights;
  for (int32_t row = 0; row < args->slots * 3; row++) {
    const uint8_t *codes = args->rows[row] + x * step;
    for (ptrdiff_t k = 0; k < run; k += 4) {
      __m512i w[4];
      VE_UNROLL for (int j = 0; j < vectors; j++) w[j] = _mm512_load_si512(weights + 64 * j);
      VE_UNROLL for (int i = 0; i < pixels; i++) {
        const __m512i a = broadcast(codes + i * step + k);
        VE_UNROLL for (int j = 0; j < vectors; j++)
          sums[i * vectors + j] = _mm512_dpbusd_epi32(sums[i * vectors + j], a, w[j]);
      }
      weights += 64 * vectors;
    }
  }

  VE_UNROLL for (int i = 0; i < pixels; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++)
      _mm512_store_si512(args->sums + ((x + i) * vectors + j) * 16, sums[i * vectors + j]);
}

// A block whose last vector has 8 channels: two pixels share that vector, the
// first in its lower half and the second in its upper.
VE_INLINE void tile_of_pairs(
    const ve_accumulate_args *args, int32_t x, const int pairs, const int full) {
  const __mmask16 upper = 0xFF00;
  __m512i sums[18], shared[6];
  const __m512i last = _mm512_broadcast_i32x8(
      _mm256_loadu_si256((const __m256i *)(args->bias + 16 * full)));
  VE_UNROLL for (int i = 0; i < pairs; i++) shared[i] = last;
  VE_UNROLL for (int i = 0; i < 2 * pairs; i++)
    VE_UNROLL for (int j = 0; j < full; j++)
      sums[i * full + j] = _mm512_loadu_si512(args->bias + 16 * j);

  const ptrdiff_t step = args->channels_in;
  const int8_t *weights = args->weights;
  for (int32_t row = 0; row < args->slots * 3; row++) {
    const uint8_t *codes = args->rows[row] + x * step;
    for (ptrdiff_t k = 0; k < 3 * step; k += 4) {
      __m512i w[4];
      VE_UNROLL for (int j = 0; j <= full; j++) w[j] = _mm512_load_si512(weights + 64 * j);
      VE_UNROLL for (int i = 0; i < pairs; i++) {
        const __m512i a = broadcast(codes + 2 * i * step + k);
        const __m512i b = broadcast(codes + (2 * i + 1) * step + k);
        const __m512i both = _mm512_mask_blend_epi32(upper, a, b);
        VE_UNROLL for (int j = 0; j < full; j++) {
          __m512i *sum = &sums[2 * i * full + j];
          sum[0] = _mm512_dpbusd_epi32(sum[0], a, w[j]);
          sum[full] = _mm512_dpbusd_epi32(sum[full], b, w[j]);
        }
        shared[i] = _mm512_dpbusd_epi32(shared[i], both, w[full]);
      }
      weights += 64 * (full + 1);
    }
  }

  VE_UNROLL for (int i = 0; i < 2 * pairs; i++) {
    int32_t *to = args->sums + (x + i) * (full + 1) * 16;
    VE_UNROLL for (int j = 0; j < full; j++) _mm512_store_si512(to + 16 * j, sums[i * full + j]);
    const __m256i half = i % 2 == 0 ? _mm512_castsi512_si256(shared[i / 2])
                                    : _mm512_extracti64x4_epi64(shared[i / 2], 1);
    _mm256_store_si256((__m256i *)(to + 16 * full), half);
  }
}

static void pairs(const ve_accumulate_args *args) {
  switch (args->vectors) {
    case 2:
      for (int32_t x = 0; x < args->pixels; x += 12) tile_of_pairs(args, x, 6, 1);
      break;
    case 3:
      for (int32_t x = 0; x < args->pixels; x += 8) tile_of_pairs(args, x, 4, 2);
      break;
    default:
      for (int32_t x = 0; x < args->pixels; x += 6) tile_of_pairs(args, x, 3, 3);
      break;
  }
}

void ve_accumulate_avx512vnni(const ve_accumulate_args *args) {
  // A single vector would gain nothing, since it is bound by loads of activations.
  if (args->half && args->vectors > 1) {
    pairs(args);
    return;
  }
  switch (args->vectors) {
    case 1:
      for (int32_t x = 0; x < args->pixels; x += 24) tile(args, x, 24, 1);
      break;
    case 2:
      for (int32_t x = 0; x < args->pixels; x += 12) tile(args, x, 12, 2);
      break;
    case 3:
      for (int32_t x = 0; x < args->pixels; x += 8) tile(args, x, 8, 3);
      break;
    default:
      for (int32_t x = 0; x < args->pixels; x += 6) tile(args, x, 6, 4);
      break;
  }
}

#pragma clang attribute pop
#endif
