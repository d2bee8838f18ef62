// SPDX-License-Identifier: Apache-2.0
// From sums to streams and codes, sixteen values at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../kernels.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)

VE_INLINE __m512i clamp(__m512i value, int32_t low, int32_t high) {
  return _mm512_min_epi32(
      _mm512_max_epi32(value, _mm512_set1_epi32(low)), _mm512_set1_epi32(high));
}

VE_INLINE __m512i round_clamped(__m512 value) {
  return _mm512_cvtps_epi32(_mm512_min_ps(
      _mm512_max_ps(value, _mm512_set1_ps(VE_SUM_MIN)), _mm512_set1_ps(VE_SUM_MAX)));
}

// Channels come in eights: a vector at the end may be half full. Narrowing to
// memory under a mask is microcoded on some processors, so it is two stores.
VE_INLINE void store_codes(uint8_t *to, __m512i value, bool half, const ve_codes_output *output) {
  const __m512i shifted = _mm512_add_epi32(value, _mm512_set1_epi32(output->zero_point));
  const __m128i codes = _mm512_cvtepi32_epi8(clamp(shifted, 0, output->levels));
  if (half)
    _mm_storel_epi64((__m128i *)to, codes);
  else
    _mm_storeu_si128((__m128i *)to, codes);
}

VE_INLINE void store_codes_of_stream(
    uint8_t *to, __m512i value, bool half, const ve_codes_output *output) {
  const __m512 scaled =
      _mm512_mul_ps(_mm512_cvtepi32_ps(value), _mm512_set1_ps(output->multiplier));
  store_codes(to, round_clamped(scaled), half, output);
}

VE_INLINE __m512i load_stream(const int16_t *from, bool half) {
  if (half)
    return _mm512_cvtepi16_epi32(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)from)));
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)from));
}

VE_INLINE void store_stream(int16_t *to, __m512i value, bool half) {
  const __m256i words = _mm512_cvtepi32_epi16(value);
  if (half)
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(words));
  else
    _mm256_storeu_si256((__m256i *)to, words);
}

VE_INLINE __m512 scaled_sum(const int32_t *sums, const float *multiplier) {
  return _mm512_mul_ps(
      _mm512_cvtepi32_ps(_mm512_loadu_si512(sums)), _mm512_loadu_ps(multiplier));
}

// One output and no stream. Rounding is monotonic and the limits are whole
// numbers, so clamping once before rounding equals the two clamps after it.
static void codes_only(const ve_epilogue_args *args, const int vectors) {
  const ve_codes_output *output = &args->outputs[0];
  const __m512 low = _mm512_set1_ps((float)-output->zero_point);
  const __m512 high = _mm512_set1_ps((float)(output->levels - output->zero_point));
  const __m512i zero_point = _mm512_set1_epi32(output->zero_point);
  for (int32_t pixel = 0; pixel < args->pixels; pixel++) {
    const int32_t *sums = args->sums + (ptrdiff_t)pixel * args->sums_stride;
    uint8_t *to = args->codes[0] + (ptrdiff_t)pixel * args->pixel_stride;
    for (int j = 0; j < vectors; j++) {
      const __m512 s = scaled_sum(sums + 16 * j, args->multiplier + 16 * j);
      const __m512i q = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(s, low), high));
      _mm_storeu_si128(
          (__m128i *)(to + 16 * j), _mm512_cvtepi32_epi8(_mm512_add_epi32(q, zero_point)));
    }
  }
}

void ve_epilogue_avx512vnni(const ve_epilogue_args *args) {
  const bool stream = args->stream_in || args->stream_out;
  if (!stream && args->output_count == 1 && args->channels % 16 == 0) {
    codes_only(args, args->channels / 16);
    return;
  }
  for (int32_t pixel = 0; pixel < args->pixels; pixel++) {
    const int32_t *sums = args->sums + (ptrdiff_t)pixel * args->sums_stride;
    const ptrdiff_t base = (ptrdiff_t)pixel * args->pixel_stride;
    for (int32_t channel = 0; channel < args->channels; channel += 16) {
      const bool half = args->channels - channel < 16;
      __m512i value = round_clamped(scaled_sum(sums + channel, args->multiplier + channel));
      if (args->stream_in)
        value = _mm512_add_epi32(value, load_stream(args->stream_in + base + channel, half));
      if (stream) value = clamp(value, INT16_MIN, INT16_MAX);
      if (args->stream_out) store_stream(args->stream_out + base + channel, value, half);
      for (int32_t i = 0; i < args->output_count; i++) {
        uint8_t *to = args->codes[i] + base + channel;
        if (stream)
          store_codes_of_stream(to, value, half, &args->outputs[i]);
        else
          store_codes(to, value, half, &args->outputs[i]);
      }
    }
  }
}

void ve_requantize_avx512vnni(
    const int16_t *stream, size_t count, const ve_codes_output *output, uint8_t *codes) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16)
    store_codes_of_stream(codes + i, load_stream(stream + i, false), false, output);
  if (i < count) store_codes_of_stream(codes + i, load_stream(stream + i, true), true, output);
}

#pragma clang attribute pop
#endif
