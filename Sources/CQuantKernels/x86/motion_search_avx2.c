// SPDX-License-Identifier: Apache-2.0
// Block motion search with 256-bit sums of absolute differences.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../motion.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#define VE_NAME(job) ve_motion_##job##_avx2

VE_INLINE __m128i load16(const void *from) { return _mm_loadu_si128((const __m128i *)from); }

VE_INLINE __m128i load8(const uint8_t *from) { return _mm_loadl_epi64((const __m128i *)(const void *)from); }

VE_INLINE __m256i two_rows(const uint8_t *from, ptrdiff_t stride) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(from)), load16(from + stride), 1);
}

// Two rows per register.
typedef struct block16 {
  __m256i rows[8];
} block16;

VE_INLINE block16 load_block16(const uint8_t *from, ptrdiff_t stride) {
  block16 block;
  VE_UNROLL for (int i = 0; i < 8; i++) block.rows[i] = two_rows(from + 2 * i * stride, stride);
  return block;
}

VE_INLINE int32_t sum_of(__m256i sums) {
  const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 2);
}

VE_INLINE __m256i difference_of_half(const __m256i *rows, const uint8_t *there, ptrdiff_t stride) {
  __m256i sum = _mm256_sad_epu8(rows[0], two_rows(there, stride));
  VE_UNROLL for (int i = 1; i < 4; i++)
    sum = _mm256_add_epi32(sum, _mm256_sad_epu8(rows[i], two_rows(there + 2 * i * stride, stride)));
  return sum;
}

VE_INLINE int32_t difference16(const block16 *block, const uint8_t *there, ptrdiff_t stride, int32_t enough) {
  const __m256i above = difference_of_half(block->rows, there, stride);
  const int32_t half = sum_of(above);
  if (half >= enough) return half;
  return sum_of(_mm256_add_epi32(above, difference_of_half(block->rows + 4, there + 8 * stride, stride)));
}

// Two rows of eight per register, each in the lower half of a 128-bit lane.
typedef struct block8 {
  __m256i rows[4];
} block8;

VE_INLINE block8 load_block8(const uint8_t *from, ptrdiff_t stride) {
  block8 block;
  VE_UNROLL for (int i = 0; i < 4; i++, from += 2 * stride)
    block.rows[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(load8(from)), load8(from + stride), 1);
  return block;
}

// Eight offsets at a time: differences and costs stay below 2^15.
static int32_t nearest_in_row(const block8 *block, const uint8_t *there, ptrdiff_t stride, int32_t first, int32_t last,
                              int32_t row_cost, int32_t *best) {
  const __m128i lanes = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7);
  int32_t nearest = INT32_MIN;
  for (int32_t i = first; i <= last; i += 8) {
    __m256i sums = _mm256_setzero_si256();
    VE_UNROLL for (int j = 0; j < 4; j++) {
      const __m256i rows = two_rows(there + 2 * j * stride + i, stride);
      // The first four of a row's eight samples, then the other four.
      sums = _mm256_add_epi16(sums, _mm256_mpsadbw_epu8(rows, block->rows[j], 0));
      sums = _mm256_add_epi16(sums, _mm256_mpsadbw_epu8(rows, block->rows[j], 5 | 5 << 3));
    }
    const __m128i offsets = _mm_add_epi16(lanes, _mm_set1_epi16((int16_t)i));
    const __m128i distance = _mm_abs_epi16(offsets);
    __m128i costs = _mm_add_epi16(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    costs = _mm_add_epi16(costs, _mm_add_epi16(_mm_add_epi16(distance, distance), _mm_set1_epi16((int16_t)row_cost)));
    costs = _mm_or_si128(costs, _mm_cmpgt_epi16(offsets, _mm_set1_epi16((int16_t)last)));
    const __m128i least = _mm_minpos_epu16(costs);
    const int32_t cost = _mm_extract_epi16(least, 0);
    if (cost >= *best) continue;
    *best = cost;
    nearest = i + _mm_extract_epi16(least, 1);
  }
  return nearest;
}

VE_INLINE int32_t sum_of_eight(__m256i sums) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(1, 0, 3, 2)));
  return _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 1);
}

VE_INLINE __m256i load_row(const int16_t *from) { return _mm256_loadu_si256((const __m256i *)(const void *)from); }

static ve_motion_sums motion_sums(
    const int16_t *here, ptrdiff_t here_stride, const int16_t *there, ptrdiff_t there_stride) {
  __m256i xx = _mm256_setzero_si256(), yy = xx, xy = xx, xe = xx, ye = xx;
  for (int32_t y = 0; y < 16; y++, here += here_stride, there += there_stride) {
    const __m256i gx = _mm256_sub_epi16(load_row(here + 1), load_row(here - 1));
    const __m256i gy = _mm256_sub_epi16(load_row(here + here_stride), load_row(here - here_stride));
    const __m256i e = _mm256_sub_epi16(load_row(here), load_row(there));
    xx = _mm256_add_epi32(xx, _mm256_madd_epi16(gx, gx));
    yy = _mm256_add_epi32(yy, _mm256_madd_epi16(gy, gy));
    xy = _mm256_add_epi32(xy, _mm256_madd_epi16(gx, gy));
    xe = _mm256_add_epi32(xe, _mm256_madd_epi16(gx, e));
    ye = _mm256_add_epi32(ye, _mm256_madd_epi16(gy, e));
  }
  return (ve_motion_sums){sum_of_eight(xx), sum_of_eight(yy), sum_of_eight(xy), sum_of_eight(xe), sum_of_eight(ye)};
}

#include "../motion_search_tmpl.h"

#pragma clang attribute pop
#endif
