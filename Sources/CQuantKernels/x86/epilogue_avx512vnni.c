// SPDX-License-Identifier: Apache-2.0
// From sums to streams and codes, sixteen values at a time.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../kernels.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)

#include "epilogue_avx512vnni.h"

VE_INLINE void pixels(const ve_epilogue_args *args, const int vectors, const bool codes_only) {
  for (int32_t pixel = 0; pixel < args->pixels; pixel++) {
    __m512i sums[4];
    VE_UNROLL for (int j = 0; j < vectors; j++)
      sums[j] = _mm512_loadu_si512(args->sums + (ptrdiff_t)pixel * args->sums_stride + 16 * j);
    ve_finish_pixel(args, (ptrdiff_t)pixel * args->pixel_stride, sums, vectors, codes_only);
  }
}

VE_INLINE void all(const ve_epilogue_args *args, const bool codes_only) {
  switch ((args->channels + 15) / 16) {
    case 1: pixels(args, 1, codes_only); break;
    case 2: pixels(args, 2, codes_only); break;
    case 3: pixels(args, 3, codes_only); break;
    default: pixels(args, 4, codes_only); break;
  }
}

void ve_epilogue_avx512vnni(const ve_epilogue_args *args) {
  if (ve_is_codes_only(args))
    all(args, true);
  else
    all(args, false);
}

void ve_requantize_avx512vnni(
    const int16_t *stream, size_t count, const ve_codes_output *output, uint8_t *codes) {
  size_t i = 0;
  for (; i + 64 <= count; i += 64) {
    __m512i values[4];
    VE_UNROLL for (int j = 0; j < 4; j++) values[j] = ve_load_stream(stream + i + 16 * j, 16);
    ve_codes_of_stream(codes + i, values, 4, 64, output);
  }
  for (; i < count; i += 8) {
    const __m512i value = ve_load_stream(stream + i, 8);
    ve_codes_of_stream(codes + i, &value, 1, 8, output);
  }
}

#pragma clang attribute pop
#endif
