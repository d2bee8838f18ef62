// SPDX-License-Identifier: Apache-2.0
// Motion search between two frames with 256-bit vectors.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "../interpolation.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#define VE_NAME(job) ve_interp_##job##_avx2

typedef struct vector {
  int16_t x, y;
} vector;

VE_INLINE __m128i load16(const void *from) { return _mm_loadu_si128((const __m128i *)from); }

VE_INLINE __m128i load8(const uint8_t *from) { return _mm_loadl_epi64((const __m128i *)(const void *)from); }

VE_INLINE __m256i two(__m128i first, __m128i second) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
}

VE_INLINE int32_t sum_of(__m256i sums) {
  const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 2);
}

VE_INLINE int32_t difference(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride) {
  __m256i sum = _mm256_setzero_si256();
  VE_UNROLL for (int y = 0; y < 8; y += 2) {
    const __m256i p = two(load8(a + y * a_stride), load8(a + (y + 1) * a_stride));
    const __m256i q = two(load8(b + y * b_stride), load8(b + (y + 1) * b_stride));
    sum = _mm256_add_epi32(sum, _mm256_sad_epu8(p, q));
  }
  return sum_of(sum);
}

typedef __m128i vicinity;

VE_INLINE vicinity make_vicinity(const vector *vectors) { return load16(vectors); }

VE_INLINE int32_t distance(const vicinity *around, vector v) {
  int32_t both;
  memcpy(&both, &v, sizeof both);
  // Vectors are far shorter than 2^14.
  const __m128i parts = _mm_abs_epi16(_mm_sub_epi16(*around, _mm_set1_epi32(both)));
  const __m128i distances = _mm_min_epi32(_mm_madd_epi16(parts, _mm_set1_epi16(1)), _mm_set1_epi32(16));
  const __m128i half = _mm_add_epi32(distances, _mm_shuffle_epi32(distances, _MM_SHUFFLE(1, 0, 3, 2)));
  return _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 1);
}

enum { fine = VE_INTERP_PATCH, pitch = 32 };

// Rows of 18 samples.
typedef struct patch {
  int16_t samples[fine * pitch];
} patch;

VE_INLINE __m256i row_of(const int16_t *from) { return _mm256_loadu_si256((const __m256i *)(const void *)from); }

// Sixteen samples between a row's, times 16.
VE_INLINE __m256i between(const uint8_t *from, __m256i left, __m256i right) {
  return _mm256_add_epi16(_mm256_mullo_epi16(_mm256_cvtepu8_epi16(load16(from)), left),
                          _mm256_mullo_epi16(_mm256_cvtepu8_epi16(load16(from + 1)), right));
}

static void fill_patch(patch *result, const uint8_t *from, ptrdiff_t stride, int32_t fx, int32_t fy) {
  const __m256i left = _mm256_set1_epi16((int16_t)(16 - fx)), right = _mm256_set1_epi16((int16_t)fx);
  const __m256i top = _mm256_set1_epi16((int16_t)(16 - fy)), bottom = _mm256_set1_epi16((int16_t)fy);
  // The last two samples of a row are computed together with the preceding fourteen again.
  __m256i above[2] = {between(from, left, right), between(from + 2, left, right)};
  for (int32_t j = 0; j < fine; j++) {
    from += stride;
    VE_UNROLL for (int i = 0; i < 2; i++) {
      const __m256i below = between(from + 2 * i, left, right);
      // Up to 255 * 256 + 8: unsigned.
      const __m256i sum = _mm256_add_epi16(
          _mm256_add_epi16(_mm256_mullo_epi16(above[i], top), _mm256_mullo_epi16(below, bottom)),
          _mm256_set1_epi16(8));
      _mm256_storeu_si256((__m256i *)(void *)(result->samples + j * pitch + 2 * i), _mm256_srli_epi16(sum, 4));
      above[i] = below;
    }
  }
}

VE_INLINE int32_t sum_of_eight(__m256i sums) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(1, 0, 3, 2)));
  return _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 1);
}

static int32_t patch_difference(const patch *a, const patch *b) {
  const __m256i one = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
  for (int32_t j = 1; j <= VE_INTERP_SIDE; j++) {
    const __m256i difference = _mm256_sub_epi16(row_of(a->samples + j * pitch + 1), row_of(b->samples + j * pitch + 1));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_abs_epi16(difference), one));
  }
  return sum_of_eight(sum);
}

VE_INLINE int64_t wide_sum(__m256i sums) {
  const __m256i wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(sums)),
                                        _mm256_cvtepi32_epi64(_mm256_extracti128_si256(sums, 1)));
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  return _mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1);
}

static ve_interp_sums patch_sums(const patch *first, const patch *second) {
  // Gradients and differences are at most 4080: sixteen rows of two products fit 32 bits.
  __m256i xx = _mm256_setzero_si256(), yy = xx, xy = xx, xe = xx, ye = xx;
  for (int32_t j = 1; j <= VE_INTERP_SIDE; j++) {
    const int16_t *a = first->samples + j * pitch + 1, *b = second->samples + j * pitch + 1;
    const __m256i gx = _mm256_srai_epi16(
        _mm256_add_epi16(_mm256_sub_epi16(row_of(a + 1), row_of(a - 1)),
                         _mm256_sub_epi16(row_of(b + 1), row_of(b - 1))), 2);
    const __m256i gy = _mm256_srai_epi16(
        _mm256_add_epi16(_mm256_sub_epi16(row_of(a + pitch), row_of(a - pitch)),
                         _mm256_sub_epi16(row_of(b + pitch), row_of(b - pitch))), 2);
    const __m256i e = _mm256_sub_epi16(row_of(a), row_of(b));
    xx = _mm256_add_epi32(xx, _mm256_madd_epi16(gx, gx));
    yy = _mm256_add_epi32(yy, _mm256_madd_epi16(gy, gy));
    xy = _mm256_add_epi32(xy, _mm256_madd_epi16(gx, gy));
    xe = _mm256_add_epi32(xe, _mm256_madd_epi16(gx, e));
    ye = _mm256_add_epi32(ye, _mm256_madd_epi16(gy, e));
  }
  return (ve_interp_sums){wide_sum(xx), wide_sum(yy), wide_sum(xy), wide_sum(xe), wide_sum(ye)};
}

#include "../interpolation_search_tmpl.h"

#pragma clang attribute pop
#endif
