// SPDX-License-Identifier: Apache-2.0
// From sums in registers to streams and codes, one pixel of up to four vectors
// at a time. Inlined into the epilogue of direct convolution and into the
// output transforms of Winograd; include inside their target attribute.
#ifndef VE_EPILOGUE_AVX512VNNI_H
#define VE_EPILOGUE_AVX512VNNI_H

#include <immintrin.h>

#include "../kernels.h"

VE_INLINE __m512i ve_clamp_int16(__m512i value) {
  return _mm512_min_epi32(
      _mm512_max_epi32(value, _mm512_set1_epi32(INT16_MIN)), _mm512_set1_epi32(INT16_MAX));
}

VE_INLINE __m512i ve_round_clamped(__m512 value) {
  return _mm512_cvtps_epi32(_mm512_min_ps(
      _mm512_max_ps(value, _mm512_set1_ps(VE_SUM_MIN)), _mm512_set1_ps(VE_SUM_MAX)));
}

// Stores the first `count` bytes, a multiple of 8. Masked stores are slow on
// some processors.
VE_INLINE void ve_store_first(uint8_t *to, __m512i value, int32_t count) {
  if (count == 64) {
    _mm512_storeu_si512(to, value);
    return;
  }
  __m256i half = _mm512_castsi512_si256(value);
  if (count & 32) {
    _mm256_storeu_si256((__m256i *)to, half);
    half = _mm512_extracti64x4_epi64(value, 1);
    to += 32;
  }
  __m128i quarter = _mm256_castsi256_si128(half);
  if (count & 16) {
    _mm_storeu_si128((__m128i *)to, quarter);
    quarter = _mm256_extracti128_si256(half, 1);
    to += 16;
  }
  if (count & 8) _mm_storel_epi64((__m128i *)to, quarter);
}

// Codes from whole numbers that are at most levels - zero_point. Packing
// saturates, first to 16 bits and then to 0 ... 255, which does the rest of
// the clamping.
VE_INLINE void ve_store_codes(
    uint8_t *to, const __m512i *steps, const int vectors, int32_t channels, int32_t zero_point) {
  const __m512i offset = _mm512_set1_epi16((int16_t)zero_point);
  const int last = vectors - 1;
  const __m512i low = _mm512_packs_epi32(steps[0], steps[last < 1 ? last : 1]);
  const __m512i high =
      vectors > 2 ? _mm512_packs_epi32(steps[2], steps[last < 3 ? last : 3]) : low;
  const __m512i mixed = _mm512_packus_epi16(
      _mm512_adds_epi16(low, offset), _mm512_adds_epi16(high, offset));
  // Packing works within quarters of a register; put the quarters' quarters
  // back in order.
  const __m512i order =
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  ve_store_first(to, _mm512_permutexvar_epi32(order, mixed), channels);
}

VE_INLINE __m512 ve_scaled(__m512i value, __m512 multiplier) {
  return _mm512_mul_ps(_mm512_cvtepi32_ps(value), multiplier);
}

VE_INLINE void ve_codes_of_stream(
    uint8_t *to, const __m512i *values, const int vectors, int32_t channels,
    const ve_codes_output *output) {
  const __m512 multiplier = _mm512_set1_ps(output->multiplier);
  const __m512 most = _mm512_set1_ps((float)(output->levels - output->zero_point));
  __m512i steps[4];
  // Below 32 bits, conversion gives the lowest number, as wanted.
  VE_UNROLL for (int j = 0; j < vectors; j++)
    steps[j] = _mm512_cvtps_epi32(_mm512_min_ps(ve_scaled(values[j], multiplier), most));
  ve_store_codes(to, steps, vectors, channels, output->zero_point);
}

VE_INLINE __m512i ve_load_stream(const int16_t *from, int32_t channels) {
  if (channels >= 16) return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)from));
  return _mm512_cvtepi16_epi32(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)from)));
}

VE_INLINE void ve_store_stream(int16_t *to, __m512i value, int32_t channels) {
  const __m256i words = _mm512_cvtepi32_epi16(value);
  if (channels >= 16)
    _mm256_storeu_si256((__m256i *)to, words);
  else
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(words));
}

// One output and no stream: rounding is monotonic and the limits are whole
// numbers, so limits can come before it.
VE_INLINE void ve_finish_codes(
    const ve_epilogue_args *args, ptrdiff_t at, const __m512i *sums, const int vectors) {
  const ve_codes_output *output = &args->outputs[0];
  const __m512 most = _mm512_set1_ps((float)(output->levels - output->zero_point));
  __m512i steps[4];
  VE_UNROLL for (int j = 0; j < vectors; j++)
    steps[j] = _mm512_cvtps_epi32(
        _mm512_min_ps(ve_scaled(sums[j], _mm512_loadu_ps(args->multiplier + 16 * j)), most));
  ve_store_codes(args->codes[0] + at, steps, vectors, args->channels, output->zero_point);
}

VE_INLINE void ve_finish_all(
    const ve_epilogue_args *args, ptrdiff_t at, const __m512i *sums, const int vectors) {
  const bool stream = args->stream_in || args->stream_out;
  __m512i values[4];
  VE_UNROLL for (int j = 0; j < vectors; j++) {
    const int32_t channels = args->channels - 16 * j;
    values[j] = ve_round_clamped(ve_scaled(sums[j], _mm512_loadu_ps(args->multiplier + 16 * j)));
    if (args->stream_in)
      values[j] = _mm512_add_epi32(
          values[j], ve_load_stream(args->stream_in + at + 16 * j, channels));
    if (stream) values[j] = ve_clamp_int16(values[j]);
    if (args->stream_out) ve_store_stream(args->stream_out + at + 16 * j, values[j], channels);
  }
  for (int32_t i = 0; i < args->output_count; i++) {
    const ve_codes_output *output = &args->outputs[i];
    uint8_t *to = args->codes[i] + at;
    if (stream) {
      ve_codes_of_stream(to, values, vectors, args->channels, output);
    } else {
      const __m512i most = _mm512_set1_epi32(output->levels - output->zero_point);
      __m512i steps[4];
      VE_UNROLL for (int j = 0; j < vectors; j++) steps[j] = _mm512_min_epi32(values[j], most);
      ve_store_codes(to, steps, vectors, args->channels, output->zero_point);
    }
  }
}

// `at`: values from the epilogue's first pixel.
VE_INLINE void ve_finish_pixel(
    const ve_epilogue_args *args, ptrdiff_t at, const __m512i *sums, const int vectors,
    const bool codes_only) {
  if (codes_only)
    ve_finish_codes(args, at, sums, vectors);
  else
    ve_finish_all(args, at, sums, vectors);
}

VE_INLINE bool ve_is_codes_only(const ve_epilogue_args *args) {
  return !args->stream_in && !args->stream_out && args->output_count == 1;
}

#endif
