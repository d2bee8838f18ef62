// SPDX-License-Identifier: Apache-2.0
// From sums to streams and codes, sixteen values at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)

#include "epilogue_avx512_tmpl.h"

VE_INLINE void pixels_of(
    const writer *w, const int32_t *sums, ptrdiff_t sums_stride, const int vectors,
    const bool codes_only) {
  for (int32_t pixel = 0; pixel < w->pixels; pixel++, sums += sums_stride) {
    __m512i registers[4];
    VE_UNROLL for (int j = 0; j < vectors; j++) registers[j] = _mm512_loadu_si512(sums + 16 * j);
    write_pixel(w, pixel, registers, vectors, codes_only);
  }
}

VE_INLINE void epilogue(const ve_epilogue_args *args, const int vectors) {
  writer w;
  make_writer(&w, args, vectors);
  if (w.codes_only)
    pixels_of(&w, args->sums, args->sums_stride, vectors, true);
  else
    pixels_of(&w, args->sums, args->sums_stride, vectors, false);
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
    codes_of_stream(&format, at, values, 4, 64, false);
  }
  for (; at < end; at += 8) {
    const __m512i value = load_stream(stream + at, 8);
    codes_of_stream(&format, at, &value, 1, 8, false);
  }
}

#pragma clang attribute pop
#endif
