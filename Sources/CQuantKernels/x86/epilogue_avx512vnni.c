// SPDX-License-Identifier: Apache-2.0
// From sums to streams and codes, sixteen values at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../kernels.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)

VE_INLINE __m512i clamp_int16(__m512i value) {
  return _mm512_min_epi32(
      _mm512_max_epi32(value, _mm512_set1_epi32(INT16_MIN)), _mm512_set1_epi32(INT16_MAX));
}

VE_INLINE __m512i round_clamped(__m512 value) {
  return _mm512_cvtps_epi32(_mm512_min_ps(
      _mm512_max_ps(value, _mm512_set1_ps(VE_SUM_MIN)), _mm512_set1_ps(VE_SUM_MAX)));
}

// Stores the first `count` bytes, a multiple of 8. Masked stores are slow on
// some processors.
VE_INLINE void store_first(uint8_t *to, __m512i value, int32_t count) {
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
VE_INLINE void store_codes(
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
  store_first(to, _mm512_permutexvar_epi32(order, mixed), channels);
}

VE_INLINE __m512 scaled(__m512i value, __m512 multiplier) {
  return _mm512_mul_ps(_mm512_cvtepi32_ps(value), multiplier);
}

// What one tensor of codes needs, in registers' form.
typedef struct format {
  uint8_t *to;
  float multiplier, most_float;
  int32_t most, zero_point;
} format;

VE_INLINE format make_format(const ve_codes_output *output, uint8_t *to) {
  const int32_t most = output->levels - output->zero_point;
  return (format){to, output->multiplier, (float)most, most, output->zero_point};
}

VE_INLINE void codes_of_stream(
    const format *format, ptrdiff_t at, const __m512i *values, const int vectors,
    int32_t channels) {
  const __m512 multiplier = _mm512_set1_ps(format->multiplier);
  const __m512 most = _mm512_set1_ps(format->most_float);
  __m512i steps[4];
  // Below 32 bits, conversion gives the lowest number, as wanted.
  VE_UNROLL for (int j = 0; j < vectors; j++)
    steps[j] = _mm512_cvtps_epi32(_mm512_min_ps(scaled(values[j], multiplier), most));
  store_codes(format->to + at, steps, vectors, channels, format->zero_point);
}

VE_INLINE void codes_of_sums(
    const format *format, ptrdiff_t at, const __m512i *values, const int vectors,
    int32_t channels) {
  const __m512i most = _mm512_set1_epi32(format->most);
  __m512i steps[4];
  VE_UNROLL for (int j = 0; j < vectors; j++) steps[j] = _mm512_min_epi32(values[j], most);
  store_codes(format->to + at, steps, vectors, channels, format->zero_point);
}

VE_INLINE __m512i load_stream(const int16_t *from, int32_t channels) {
  if (channels >= 16) return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)from));
  return _mm512_cvtepi16_epi32(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)from)));
}

VE_INLINE void store_stream(int16_t *to, __m512i value, int32_t channels) {
  const __m256i words = _mm512_cvtepi32_epi16(value);
  if (channels >= 16)
    _mm256_storeu_si256((__m256i *)to, words);
  else
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(words));
}

// Arguments that the loop needs are read before it: a store of bytes may change
// anything in memory, and would have them read again for every pixel.
VE_INLINE void codes_only(const ve_epilogue_args *args, const int vectors) {
  const int32_t pixels = args->pixels, channels = args->channels, step = args->pixel_stride;
  const int32_t zero_point = args->outputs[0].zero_point;
  const __m512 most = _mm512_set1_ps((float)(args->outputs[0].levels - zero_point));
  uint8_t *to = args->codes[0];
  const int32_t *from = args->sums;
  const ptrdiff_t from_step = args->sums_stride;
  __m512 multiplier[4];
  VE_UNROLL for (int j = 0; j < vectors; j++)
    multiplier[j] = _mm512_loadu_ps(args->multiplier + 16 * j);
  for (int32_t pixel = 0; pixel < pixels; pixel++, to += step, from += from_step) {
    // Rounding is monotonic and the limits are whole numbers, so limits can
    // come before it.
    __m512i steps[4];
    VE_UNROLL for (int j = 0; j < vectors; j++)
      steps[j] = _mm512_cvtps_epi32(
          _mm512_min_ps(scaled(_mm512_loadu_si512(from + 16 * j), multiplier[j]), most));
    store_codes(to, steps, vectors, channels, zero_point);
  }
}

VE_INLINE void all_outputs(
    const ve_epilogue_args *args, const int vectors, const bool in, const bool out) {
  const int32_t pixels = args->pixels, channels = args->channels, step = args->pixel_stride;
  const int16_t *stream_in = args->stream_in;
  int16_t *stream_out = args->stream_out;
  const int32_t *from = args->sums;
  const ptrdiff_t from_step = args->sums_stride;
  const int32_t output_count = args->output_count;
  format formats[VE_MAX_OUTPUTS];
  for (int32_t i = 0; i < output_count; i++)
    formats[i] = make_format(&args->outputs[i], args->codes[i]);
  __m512 multiplier[4];
  VE_UNROLL for (int j = 0; j < vectors; j++)
    multiplier[j] = _mm512_loadu_ps(args->multiplier + 16 * j);

  ptrdiff_t at = 0;
  for (int32_t pixel = 0; pixel < pixels; pixel++, at += step, from += from_step) {
    __m512i values[4];
    VE_UNROLL for (int j = 0; j < vectors; j++) {
      const int32_t left = channels - 16 * j;
      values[j] = round_clamped(scaled(_mm512_loadu_si512(from + 16 * j), multiplier[j]));
      if (in)
        values[j] = _mm512_add_epi32(values[j], load_stream(stream_in + at + 16 * j, left));
      if (in || out) values[j] = clamp_int16(values[j]);
      if (out) store_stream(stream_out + at + 16 * j, values[j], left);
    }
    for (int32_t i = 0; i < output_count; i++) {
      if (in || out)
        codes_of_stream(&formats[i], at, values, vectors, channels);
      else
        codes_of_sums(&formats[i], at, values, vectors, channels);
    }
  }
}

VE_INLINE void epilogue(const ve_epilogue_args *args, const int vectors) {
  if (args->stream_in && args->stream_out)
    all_outputs(args, vectors, true, true);
  else if (args->stream_in)
    all_outputs(args, vectors, true, false);
  else if (args->stream_out)
    all_outputs(args, vectors, false, true);
  else if (args->output_count == 1)
    codes_only(args, vectors);
  else
    all_outputs(args, vectors, false, false);
}

void ve_epilogue_avx512vnni(const ve_epilogue_args *args) {
  switch ((args->channels + 15) / 16) {
    case 1: epilogue(args, 1); break;
    case 2: epilogue(args, 2); break;
    case 3: epilogue(args, 3); break;
    default: epilogue(args, 4); break;
  }
}

void ve_requantize_avx512vnni(
    const int16_t *stream, size_t count, const ve_codes_output *output, uint8_t *codes) {
  const format format = make_format(output, codes);
  const ptrdiff_t end = (ptrdiff_t)count;
  ptrdiff_t at = 0;
  for (; at + 64 <= end; at += 64) {
    __m512i values[4];
    VE_UNROLL for (int j = 0; j < 4; j++) values[j] = load_stream(stream + at + 16 * j, 16);
    codes_of_stream(&format, at, values, 4, 64);
  }
  for (; at < end; at += 8) {
    const __m512i value = load_stream(stream + at, 8);
    codes_of_stream(&format, at, &value, 1, 8);
  }
}

#pragma clang attribute pop
#endif
