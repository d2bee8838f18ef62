// SPDX-License-Identifier: Apache-2.0
// From sums to streams and codes, eight values at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../kernels.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

VE_INLINE __m256i clamp(__m256i value, int32_t low, int32_t high) {
  return _mm256_min_epi32(
      _mm256_max_epi32(value, _mm256_set1_epi32(low)), _mm256_set1_epi32(high));
}

VE_INLINE __m256i round_clamped(__m256 value) {
  return _mm256_cvtps_epi32(_mm256_min_ps(
      _mm256_max_ps(value, _mm256_set1_ps(VE_SUM_MIN)), _mm256_set1_ps(VE_SUM_MAX)));
}

VE_INLINE __m128i pack16(__m256i value) {
  return _mm_packs_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
}

VE_INLINE void store_codes(uint8_t *to, __m256i value, const ve_codes_output *output) {
  const __m256i shifted = _mm256_add_epi32(value, _mm256_set1_epi32(output->zero_point));
  const __m128i words = pack16(clamp(shifted, 0, output->levels));
  _mm_storel_epi64((__m128i *)to, _mm_packus_epi16(words, words));
}

VE_INLINE void store_codes_of_stream(uint8_t *to, __m256i value, const ve_codes_output *output) {
  const __m256 scaled =
      _mm256_mul_ps(_mm256_cvtepi32_ps(value), _mm256_set1_ps(output->multiplier));
  store_codes(to, round_clamped(scaled), output);
}

VE_INLINE __m256i load_stream(const int16_t *from) {
  return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)from));
}

// Stores codes from four vectors of integers that are at most levels -
// zero_point. Packing saturates, first to 16 bits and then to 0 ... 255, which
// completes the clamping.
VE_INLINE void store_codes4(uint8_t *to, const __m256i *steps, int32_t zero_point) {
  const __m256i offset = _mm256_set1_epi16((int16_t)zero_point);
  const __m256i low = _mm256_adds_epi16(_mm256_packs_epi32(steps[0], steps[1]), offset);
  const __m256i high = _mm256_adds_epi16(_mm256_packs_epi32(steps[2], steps[3]), offset);
  // Packing works within 128-bit lanes.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i codes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order);
  _mm256_storeu_si256((__m256i *)to, codes);
}

// One output and no stream, channels by 32. Rounding is monotonic and the
// limits are integers, so clamping can precede it. Arguments are copied before
// the loop, since stores of bytes may alias them.
static void codes_only(const ve_epilogue_args *args) {
  const int32_t pixels = args->pixels, channels = args->channels;
  const int32_t zero_point = args->outputs[0].zero_point;
  const __m256 most = _mm256_set1_ps((float)(args->outputs[0].levels - zero_point));
  const float *multiplier = args->multiplier;
  const int32_t *sums = args->sums;
  const ptrdiff_t sums_stride = args->sums_stride, step = args->pixel_stride;
  uint8_t *to = args->codes[0];
  for (int32_t pixel = 0; pixel < pixels; pixel++, sums += sums_stride, to += step)
    for (int32_t channel = 0; channel < channels; channel += 32) {
      __m256i steps[4];
      VE_UNROLL for (int j = 0; j < 4; j++) {
        const int32_t at = channel + 8 * j;
        const __m256i sum = _mm256_loadu_si256((const __m256i *)(sums + at));
        const __m256 scaled =
            _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(multiplier + at));
        steps[j] = _mm256_cvtps_epi32(_mm256_min_ps(scaled, most));
      }
      store_codes4(to + channel, steps, zero_point);
    }
}

void ve_epilogue_avx2(const ve_epilogue_args *args) {
  const bool stream = args->stream_in || args->stream_out;
  if (!stream && args->output_count == 1 && args->channels % 32 == 0) {
    codes_only(args);
    return;
  }
  for (int32_t pixel = 0; pixel < args->pixels; pixel++) {
    const int32_t *sums = args->sums + (ptrdiff_t)pixel * args->sums_stride;
    const ptrdiff_t base = (ptrdiff_t)pixel * args->pixel_stride;
    for (int32_t channel = 0; channel < args->channels; channel += 8) {
      const __m256i sum = _mm256_loadu_si256((const __m256i *)(sums + channel));
      __m256i value = round_clamped(
          _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(args->multiplier + channel)));
      if (args->stream_in)
        value = _mm256_add_epi32(value, load_stream(args->stream_in + base + channel));
      if (stream) value = clamp(value, INT16_MIN, INT16_MAX);
      if (args->stream_out)
        _mm_storeu_si128((__m128i *)(args->stream_out + base + channel), pack16(value));
      for (int32_t i = 0; i < args->output_count; i++) {
        uint8_t *to = args->codes[i] + base + channel;
        if (stream)
          store_codes_of_stream(to, value, &args->outputs[i]);
        else
          store_codes(to, value, &args->outputs[i]);
      }
    }
  }
}

void ve_requantize_avx2(
    const int16_t *stream, size_t count, const ve_codes_output *output, uint8_t *codes) {
  for (size_t i = 0; i < count; i += 8)
    store_codes_of_stream(codes + i, load_stream(stream + i), output);
}

#pragma clang attribute pop
#endif
