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

// Stores codes of sixteen scaled values. They are already at most levels - zero_point; packing saturates, first to 16 bits
// and then to 0 ... 255, which completes the clamping.
VE_INLINE void store_codes16(uint8_t *to, __m256 low, __m256 high, __m256i zero_point) {
  const __m256i steps = _mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high));
  // Packing works within 128-bit lanes.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_adds_epi16(steps, zero_point), 0xD8);
  _mm_storeu_si128(
      (__m128i *)to, _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

VE_INLINE __m256 scaled_sums(const int32_t *sums, const float *multiplier) {
  const __m256 value = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)sums));
  return _mm256_mul_ps(value, _mm256_loadu_ps(multiplier));
}

// The format of one output, for sixteen values at a time.
typedef struct format {
  __m256 multiplier;
  __m256 most;  // rounding is monotonic and the limit is an integer, so clamping can precede it
  __m256i zero_point;
} format;

VE_INLINE format format_of(const ve_codes_output *output) {
  return (format){
      .multiplier = _mm256_set1_ps(output->multiplier),
      .most = _mm256_set1_ps((float)(output->levels - output->zero_point)),
      .zero_point = _mm256_set1_epi16((int16_t)output->zero_point),
  };
}

// Arguments of the loops below are copied before them, since stores of bytes may alias arguments.

// One output and no stream, channels by 16.
static void codes_only(const ve_epilogue_args *args) {
  const int32_t pixels = args->pixels, channels = args->channels;
  const format format = format_of(&args->outputs[0]);
  const float *multiplier = args->multiplier;
  const int32_t *sums = args->sums;
  const ptrdiff_t sums_stride = args->sums_stride, step = args->pixel_stride;
  uint8_t *to = args->codes[0];
  for (int32_t pixel = 0; pixel < pixels; pixel++, sums += sums_stride, to += step)
    for (int32_t channel = 0; channel < channels; channel += 16) {
      const __m256 low = scaled_sums(sums + channel, multiplier + channel);
      const __m256 high = scaled_sums(sums + channel + 8, multiplier + channel + 8);
      store_codes16(
          to + channel, _mm256_min_ps(low, format.most), _mm256_min_ps(high, format.most), format.zero_point);
    }
}

enum { MOST_FORMATS = 2 };

// A stream and up to MOST_FORMATS outputs, channels by 16.
VE_INLINE void streamed(
    const ve_epilogue_args *args, const bool reads, const bool writes, const int32_t outputs) {
  const int32_t pixels = args->pixels, channels = args->channels;
  const float *multiplier = args->multiplier;
  const int32_t *sums = args->sums;
  const int16_t *from = args->stream_in;
  int16_t *to = args->stream_out;
  const ptrdiff_t sums_stride = args->sums_stride, step = args->pixel_stride;
  format formats[MOST_FORMATS];
  uint8_t *codes[MOST_FORMATS];
  VE_UNROLL for (int32_t i = 0; i < outputs; i++) {
    formats[i] = format_of(&args->outputs[i]);
    codes[i] = args->codes[i];
  }
  for (int32_t pixel = 0; pixel < pixels; pixel++, sums += sums_stride) {
    const ptrdiff_t base = pixel * step;
    for (int32_t channel = 0; channel < channels; channel += 16) {
      const ptrdiff_t at = base + channel;
      __m256i low = round_clamped(scaled_sums(sums + channel, multiplier + channel));
      __m256i high = round_clamped(scaled_sums(sums + channel + 8, multiplier + channel + 8));
      if (reads) {
        low = _mm256_add_epi32(low, load_stream(from + at));
        high = _mm256_add_epi32(high, load_stream(from + at + 8));
      }
      // Packing clamps to 16 bits.
      const __m256i stream = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
      if (writes) _mm256_storeu_si256((__m256i *)(to + at), stream);
      const __m256 low_value = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(stream)));
      const __m256 high_value = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(stream, 1)));
      VE_UNROLL for (int32_t i = 0; i < outputs; i++)
        store_codes16(
            codes[i] + at, _mm256_min_ps(_mm256_mul_ps(low_value, formats[i].multiplier), formats[i].most),
            _mm256_min_ps(_mm256_mul_ps(high_value, formats[i].multiplier), formats[i].most),
            formats[i].zero_point);
    }
  }
}

// Any number of outputs, channels by 8.
static void general(const ve_epilogue_args *args) {
  const bool stream = args->stream_in || args->stream_out;
  for (int32_t pixel = 0; pixel < args->pixels; pixel++) {
    const int32_t *sums = args->sums + (ptrdiff_t)pixel * args->sums_stride;
    const ptrdiff_t base = (ptrdiff_t)pixel * args->pixel_stride;
    for (int32_t channel = 0; channel < args->channels; channel += 8) {
      __m256i value = round_clamped(scaled_sums(sums + channel, args->multiplier + channel));
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

void ve_epilogue_avx2(const ve_epilogue_args *args) {
  const bool reads = args->stream_in, writes = args->stream_out;
  const int32_t outputs = args->output_count;
  if (args->channels % 16 != 0)
    general(args);
  else if (!reads && !writes && outputs == 1)
    codes_only(args);
  else if (reads && writes && outputs == 1)
    streamed(args, true, true, 1);
  else if (reads && writes && outputs == 2)
    streamed(args, true, true, 2);
  else if (reads && !writes && outputs == 1)
    streamed(args, true, false, 1);
  else if (!reads && writes && outputs == 1)
    streamed(args, false, true, 1);
  else if (!reads && writes && outputs == 0)
    streamed(args, false, true, 0);
  else
    general(args);
}

void ve_requantize_avx2(
    const int16_t *stream, size_t count, const ve_codes_output *output, uint8_t *codes) {
  for (size_t i = 0; i < count; i += 8)
    store_codes_of_stream(codes + i, load_stream(stream + i), output);
}

#pragma clang attribute pop
#endif
