// SPDX-License-Identifier: Apache-2.0
// Packing of aligned neighbours, four grid points (a row of one block) at a time.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../motion.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

VE_INLINE __m128i load8(const uint8_t *from) { return _mm_loadl_epi64((const __m128i *)(const void *)from); }

VE_INLINE __m128i load4(const uint8_t *from) {
  int32_t value;
  memcpy(&value, from, sizeof value);
  return _mm_cvtsi32_si128(value);
}

// U or V of four points, in 16 bits.
VE_INLINE __m128i chroma4(const uint8_t *plane, int32_t width, int32_t height, int32_t x, int32_t y,
                          ve_motion_vector v) {
  const int32_t x0 = x + (v.dx >> 1), x1 = x + ((v.dx + 1) >> 1);
  if (x0 < 0 || x1 + 4 > width) {
    uint8_t samples[4];
    ve_motion_chroma(plane, width, height, x, y, v, 4, samples);
    return _mm_cvtepu8_epi16(load4(samples));
  }
  const int32_t y0 = ve_clamp(y + (v.dy >> 1), 0, height - 1);
  const int32_t y1 = ve_clamp(y + ((v.dy + 1) >> 1), 0, height - 1);
  const uint8_t *above = plane + (ptrdiff_t)y0 * width, *below = plane + (ptrdiff_t)y1 * width;
  const __m128i a = _mm_add_epi16(_mm_cvtepu8_epi16(load4(above + x0)), _mm_cvtepu8_epi16(load4(above + x1)));
  const __m128i b = _mm_add_epi16(_mm_cvtepu8_epi16(load4(below + x0)), _mm_cvtepu8_epi16(load4(below + x1)));
  return _mm_srli_epi16(_mm_add_epi16(_mm_add_epi16(a, b), _mm_set1_epi16(2)), 2);
}

// Samples of two points, minus 128, times a factor over 64, rounded with halves away from zero, plus 128.
VE_INLINE __m256i modulated(__m256i centred, int32_t factor) {
  const __m256i product = _mm256_mullo_epi16(centred, _mm256_set1_epi16((int16_t)factor));
  const __m256i size = _mm256_srli_epi16(_mm256_add_epi16(_mm256_abs_epi16(product), _mm256_set1_epi16(32)), 6);
  return _mm256_add_epi16(_mm256_sign_epi16(size, product), _mm256_set1_epi16(128));
}

// Stores two points' groups of six bytes, eight bytes at a time: the next group overwrites the excess.
VE_INLINE void store_groups(uint8_t *to, ptrdiff_t pixel_stride, __m256i groups) {
  const __m128i first = _mm256_castsi256_si128(groups), second = _mm256_extracti128_si256(groups, 1);
  _mm_storel_epi64((__m128i *)(void *)to, first);
  _mm_storeh_pd((double *)(void *)(to + 6), _mm_castsi128_pd(first));
  _mm_storel_epi64((__m128i *)(void *)(to + pixel_stride), second);
  _mm_storeh_pd((double *)(void *)(to + pixel_stride + 6), _mm_castsi128_pd(second));
}

// `samples`: six 16-bit samples and two unused ones for each of two points; `match`: their last channels, in the upper
// 32 bits of each point.
VE_INLINE void write_two(uint8_t *to, ptrdiff_t pixel_stride, __m256i samples, __m256i match, ve_motion_vector v) {
  const int32_t limit = VE_MOTION_REMAINDER;
  const __m256i centred = _mm256_sub_epi16(samples, _mm256_set1_epi16(128));
  const __m256i by_x = modulated(centred, v.rx * limit), by_y = modulated(centred, v.ry * limit);
  const __m256i by_xy = modulated(centred, v.rx * v.ry), by_xx = modulated(centred, v.rx * v.rx);
  const __m256i by_yy = _mm256_blend_epi32(modulated(centred, v.ry * v.ry), match, 0x88);
  store_groups(to, pixel_stride, _mm256_packus_epi16(samples, by_x));
  store_groups(to + 12, pixel_stride, _mm256_packus_epi16(by_y, by_xy));
  store_groups(to + 24, pixel_stride, _mm256_packus_epi16(by_xx, by_yy));
}

VE_INLINE __m128i luma4(const uint8_t *from, ptrdiff_t stride) {
  return _mm_unpacklo_epi16(load8(from), load8(from + stride));
}

VE_INLINE void write_four(const ve_neighbour_args *args, int32_t x, int32_t y, ve_motion_vector v) {
  const ve_motion_plane *reference = args->reference, *neighbour = args->neighbour;
  const int32_t width = reference->width / 2, height = reference->height / 2;
  const __m128i there =
      luma4(neighbour->luma + (2 * y + v.dy) * neighbour->stride + 2 * x + v.dx, neighbour->stride);
  const __m128i here = luma4(reference->luma + 2 * y * reference->stride + 2 * x, reference->stride);
  const __m128i u = chroma4(args->chroma[0], width, height, x, y, v);
  const __m128i w = chroma4(args->chroma[1], width, height, x, y, v);
  const __m128i uv = _mm_unpacklo_epi16(_mm_packus_epi16(_mm_unpacklo_epi16(u, w), u), _mm_setzero_si128());

  const __m128i difference = _mm_or_si128(_mm_subs_epu8(here, there), _mm_subs_epu8(there, here));
  const __m128i mismatch = _mm_min_epi32(
      _mm_madd_epi16(_mm_maddubs_epi16(difference, _mm_set1_epi8(1)), _mm_set1_epi16(1)), _mm_set1_epi32(127));
  const int32_t block_match = 128 + ve_clamp(v.error / 32, 0, 127);
  const __m128i quality = _mm_add_epi32(_mm_slli_epi32(mismatch, 16), _mm_set1_epi32(block_match | 128 << 16));
  const __m256i spread = _mm256_slli_epi64(_mm256_cvtepu32_epi64(quality), 32);

  uint8_t *to = args->result + y * args->row_stride + x * args->pixel_stride;
  write_two(to, args->pixel_stride, _mm256_cvtepu8_epi16(_mm_unpacklo_epi32(there, uv)),
            _mm256_permute4x64_epi64(spread, _MM_SHUFFLE(1, 1, 0, 0)), v);
  write_two(to + 2 * args->pixel_stride, args->pixel_stride, _mm256_cvtepu8_epi16(_mm_unpackhi_epi32(there, uv)),
            _mm256_permute4x64_epi64(spread, _MM_SHUFFLE(3, 3, 2, 2)), v);
}

void ve_motion_neighbour_avx2(const ve_neighbour_args *shared_args) {
  enum { points = VE_MOTION_BLOCK / 2 };
  const ve_neighbour_args copy = *shared_args, *args = &copy;
  const int32_t columns = ve_motion_blocks(args->reference->width), width = args->reference->width / 2;
  for (int32_t y = args->row_begin; y < args->row_end; y++) {
    const ve_motion_vector *row = args->vectors + (ptrdiff_t)(y / points) * columns;
    int32_t x = 0;
    for (; x + points <= width; x += points) write_four(args, x, y, row[x / points]);
    if (x < width) ve_motion_points(args, y, x, width, row[x / points]);
  }
}

#pragma clang attribute pop
#endif
