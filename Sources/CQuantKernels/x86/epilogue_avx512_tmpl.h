// SPDX-License-Identifier: Apache-2.0
// From sums in registers to the streams and codes of a pixel: included in the files that compute or read sums,
// inside the target attribute.
#include <immintrin.h>

#include "../kernels.h"

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

// Stores codes from integers. Packing saturates, first to 16 bits and then to
// 0 ... 255, which leaves only the upper limit.
VE_INLINE void store_codes(
    uint8_t *to, const __m512i *steps, const int vectors, int32_t channels, __m512i zero_point, __m512i most) {
  const int last = vectors - 1;
  const __m512i low = _mm512_packs_epi32(steps[0], steps[last < 1 ? last : 1]);
  const __m512i high =
      vectors > 2 ? _mm512_packs_epi32(steps[2], steps[last < 3 ? last : 3]) : low;
  const __m512i mixed = _mm512_packus_epi16(
      _mm512_adds_epi16(low, zero_point), _mm512_adds_epi16(high, zero_point));
  // Packing works within 128-bit lanes; restore the order of their 32-bit
  // parts.
  const __m512i order =
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  store_first(to, _mm512_permutexvar_epi32(order, _mm512_min_epu8(mixed, most)), channels);
}

VE_INLINE __m512 scaled(__m512i value, __m512 multiplier) {
  return _mm512_mul_ps(_mm512_cvtepi32_ps(value), multiplier);
}

// The format of one code tensor, in registers.
typedef struct format {
  uint8_t *to;
  __m512 multiplier, most_float;
  __m512i zero_point, most;
  // Values beyond 16 bits have the same codes as the ends of 16 bits, and no product of a value exceeds 32 bits.
  bool saturates;
} format;

VE_INLINE format make_format(const ve_codes_output *output, uint8_t *to) {
  const int32_t most = output->levels - output->zero_point;
  const float multiplier = output->multiplier;
  return (format){
      .to = to,
      .multiplier = _mm512_set1_ps(multiplier),
      .most_float = _mm512_set1_ps((float)most),
      .zero_point = _mm512_set1_epi16((int16_t)output->zero_point),
      .most = _mm512_set1_epi8((char)output->levels),
      .saturates = multiplier <= 64 && INT16_MAX * multiplier >= (float)most &&
                   INT16_MIN * multiplier <= (float)-output->zero_point,
  };
}

// Of values of a stream, which need no clamping to 16 bits if the format saturates.
VE_INLINE void codes_of_stream(
    const format *format, ptrdiff_t at, const __m512i *values, const int vectors, int32_t channels,
    const bool saturates) {
  __m512i steps[4];
  VE_UNROLL for (int j = 0; j < vectors; j++) {
    __m512 step = scaled(values[j], format->multiplier);
    // Below the 32-bit range, conversion returns the lowest integer, as desired.
    if (!saturates) step = _mm512_min_ps(step, format->most_float);
    steps[j] = _mm512_cvtps_epi32(step);
  }
  store_codes(format->to + at, steps, vectors, channels, format->zero_point, format->most);
}

VE_INLINE __m512i load_stream(const int16_t *from, int32_t channels) {
  if (channels >= 16) return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)from));
  return _mm512_cvtepi16_epi32(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)from)));
}

// Packing saturates to 16 bits.
VE_INLINE void store_stream(
    int16_t *to, const __m512i *values, const int vectors, int32_t channels) {
  // Packing works within 128-bit lanes.
  const __m512i order =
      _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  VE_UNROLL for (int j = 0; j < vectors; j += 2) {
    const int32_t left = channels - 16 * j;
    const __m512i words = _mm512_permutexvar_epi32(
        order, _mm512_packs_epi32(values[j], values[j + 1 < vectors ? j + 1 : j]));
    if (j + 1 < vectors && left >= 32) {
      _mm512_storeu_si512(to + 16 * j, words);
      continue;
    }
    const __m256i first = _mm512_castsi512_si256(words);
    if (left < 16) {
      _mm_storeu_si128((__m128i *)(to + 16 * j), _mm256_castsi256_si128(first));
      continue;
    }
    _mm256_storeu_si256((__m256i *)(to + 16 * j), first);
    if (j + 1 < vectors)
      _mm_storeu_si128(
          (__m128i *)(to + 16 * j + 16),
          _mm256_castsi256_si128(_mm512_extracti64x4_epi64(words, 1)));
  }
}

// MARK: - Pixels

// A local copy of ve_epilogue_args: stores of bytes may alias anything except local variables, so the compiler
// would reload them for every pixel.
typedef struct writer {
  bool codes_only;  // one output and no stream
  bool is_bounded;
  bool saturates;  // all formats
  int32_t pixels, channels, output_count;
  ptrdiff_t step;
  const int16_t *stream_in;
  int16_t *stream_out;
  __m512 multiplier[4];
  format formats[VE_MAX_OUTPUTS];
} writer;

VE_INLINE void make_writer(writer *w, const ve_epilogue_args *args, const int vectors) {
  w->codes_only = !args->stream_in && !args->stream_out && args->output_count == 1;
  w->is_bounded = args->is_bounded;
  w->pixels = args->pixels;
  w->channels = args->channels;
  w->output_count = args->output_count;
  w->step = args->pixel_stride;
  w->stream_in = args->stream_in;
  w->stream_out = args->stream_out;
  VE_UNROLL for (int j = 0; j < vectors; j++)
    w->multiplier[j] = _mm512_loadu_ps(args->multiplier + 16 * j);
  w->saturates = true;
  VE_NO_UNROLL for (int32_t i = 0; i < args->output_count; i++) {
    w->formats[i] = make_format(&args->outputs[i], args->codes[i]);
    w->saturates &= w->formats[i].saturates;
  }
}

VE_INLINE void write_codes(
    const writer *w, ptrdiff_t at, const __m512i *sums, const int vectors) {
  const format *format = &w->formats[0];
  __m512i steps[4];
  if (w->is_bounded) {
    VE_UNROLL for (int j = 0; j < vectors; j++)
      steps[j] = _mm512_cvtps_epi32(scaled(sums[j], w->multiplier[j]));
  } else {
    // Rounding is monotonic and the limits are integers, so clamping can precede it.
    VE_UNROLL for (int j = 0; j < vectors; j++)
      steps[j] = _mm512_cvtps_epi32(
          _mm512_min_ps(scaled(sums[j], w->multiplier[j]), format->most_float));
  }
  store_codes(format->to + at, steps, vectors, w->channels, format->zero_point, format->most);
}

VE_INLINE void write_outputs(
    const writer *w, ptrdiff_t at, const __m512i *sums, const int vectors) {
  __m512i values[4];
  if (w->is_bounded) {
    VE_UNROLL for (int j = 0; j < vectors; j++)
      values[j] = _mm512_cvtps_epi32(scaled(sums[j], w->multiplier[j]));
  } else {
    VE_UNROLL for (int j = 0; j < vectors; j++)
      values[j] = round_clamped(scaled(sums[j], w->multiplier[j]));
  }
  if (!w->stream_in && !w->stream_out) {
    VE_NO_UNROLL for (int32_t i = 0; i < w->output_count; i++) {
      const format *format = &w->formats[i];
      store_codes(format->to + at, values, vectors, w->channels, format->zero_point, format->most);
    }
    return;
  }
  if (w->stream_in) {
    VE_UNROLL for (int j = 0; j < vectors; j++)
      values[j] = _mm512_add_epi32(
          values[j], load_stream(w->stream_in + at + 16 * j, w->channels - 16 * j));
  }
  if (w->stream_out) store_stream(w->stream_out + at, values, vectors, w->channels);
  if (w->saturates) {
    VE_NO_UNROLL for (int32_t i = 0; i < w->output_count; i++)
      codes_of_stream(&w->formats[i], at, values, vectors, w->channels, true);
    return;
  }
  VE_UNROLL for (int j = 0; j < vectors; j++) values[j] = clamp_int16(values[j]);
  VE_NO_UNROLL for (int32_t i = 0; i < w->output_count; i++)
    codes_of_stream(&w->formats[i], at, values, vectors, w->channels, false);
}

// Writes one pixel, whose sums are in `vectors` registers.
VE_INLINE void write_pixel(
    const writer *w, int32_t pixel, const __m512i *sums, const int vectors, const bool codes_only) {
  const ptrdiff_t at = pixel * w->step;
  if (codes_only)
    write_codes(w, at, sums, vectors);
  else
    write_outputs(w, at, sums, vectors);
}
