// SPDX-License-Identifier: Apache-2.0
// Winograd with 512-bit dot products.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)

#define VE_VECTOR_BYTES 64
#define VE_NAME(job) ve_winograd_##job##_avx512vnni
static ve_winograd_input_fn VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4);
#include "epilogue_avx512vnni.h"
#include "winograd_vector.h"

VE_INLINE __m512i broadcast(const uint8_t *codes) {
  int32_t quad;
  memcpy(&quad, codes, sizeof quad);
  return _mm512_set1_epi32(quad);
}

// Adds one quad's products of `tiles` x `vectors` to 12 sums.
VE_INLINE void add_products(
    __m512i *sums, const uint8_t *v, ptrdiff_t v_tile, const int8_t *u, const int tiles,
    const int vectors) {
  __m512i w[4];
  VE_UNROLL for (int j = 0; j < vectors; j++) w[j] = _mm512_load_si512(u + 64 * j);
  VE_UNROLL for (int i = 0; i < tiles; i++) {
    const __m512i a = broadcast(v + i * v_tile);
    VE_UNROLL for (int j = 0; j < vectors; j++)
      sums[i * vectors + j] = _mm512_dpbusd_epi32(sums[i * vectors + j], a, w[j]);
  }
}

// The part of next_input that falls to these tiles.
VE_INLINE void fetch_input(const ve_winograd_products_args *args, int32_t tile, int32_t tiles) {
  const ptrdiff_t from = args->next_input_bytes * tile / args->tiles;
  const ptrdiff_t to = args->next_input_bytes * (tile + tiles) / args->tiles;
  for (ptrdiff_t i = from; i < to; i += 64) _mm_prefetch(args->next_input + i, _MM_HINT_T1);
}

// `tiles` x `vectors` = 12 pairs of sums. Rows 1 and 2 of products come first;
// their sum and difference are then where rows 0 and 3 are added, so that the
// transform down the columns costs no trip to memory.
VE_INLINE void group(
    const ve_winograd_products_args *args, int32_t tile, const int tiles, const int vectors) {
  const uint8_t *v = args->v + tile * args->v_tile;
  const int8_t *u = args->u;
  const ptrdiff_t run = 4 * (ptrdiff_t)args->quads;
  // Over the runs of tiles that a call is for, one line a quad makes all of
  // next_u.
  const int8_t *next_u = args->next_u + 32 * run * (tile / tiles);
  fetch_input(args, tile, tiles);
  __m512i a[12], b[12];
  VE_UNROLL for (int i = 0; i < 12; i++) a[i] = b[i] = _mm512_setzero_si512();
  for (ptrdiff_t k = 0; k < run; k += 4, u += 128 * vectors, next_u += 64) {
    _mm_prefetch(next_u, _MM_HINT_T0);
    add_products(a, v + args->v_row + k, args->v_tile, u, tiles, vectors);
    add_products(b, v + 2 * args->v_row + k, args->v_tile, u + 64 * vectors, tiles, vectors);
  }
  VE_UNROLL for (int i = 0; i < tiles; i++)
    VE_UNROLL for (int j = 0; j < vectors; j++) {
      const int32_t *before = args->before + (tile + i) * args->before_tile + 16 * j;
      const __m512i m1 = a[i * vectors + j], m2 = b[i * vectors + j];
      a[i * vectors + j] =
          _mm512_add_epi32(_mm512_add_epi32(m1, m2), _mm512_loadu_si512(before));
      b[i * vectors + j] = _mm512_add_epi32(
          _mm512_sub_epi32(m1, m2), _mm512_loadu_si512(before + args->before_row));
    }
  for (ptrdiff_t k = 0; k < run; k += 4, u += 128 * vectors, next_u += 64) {
    _mm_prefetch(next_u, _MM_HINT_T0);
    add_products(a, v + k, args->v_tile, u, tiles, vectors);
    add_products(b, v + 3 * args->v_row + k, args->v_tile, u + 64 * vectors, tiles, vectors);
  }
  int32_t *s0 = args->s + (ptrdiff_t)tile * vectors * 16, *s1 = s0 + args->s_row;
  VE_UNROLL for (int i = 0; i < 12; i++) {
    _mm512_store_si512(s0 + 16 * i, a[i]);
    _mm512_store_si512(s1 + 16 * i, b[i]);
  }
}

static void products(const ve_winograd_products_args *args) {
  switch (args->vectors) {
    case 1:
      for (int32_t tile = 0; tile < args->tiles; tile += 12) group(args, tile, 12, 1);
      break;
    case 2:
      for (int32_t tile = 0; tile < args->tiles; tile += 6) group(args, tile, 6, 2);
      break;
    case 3:
      for (int32_t tile = 0; tile < args->tiles; tile += 4) group(args, tile, 4, 3);
      break;
    default:
      for (int32_t tile = 0; tile < args->tiles; tile += 3) group(args, tile, 3, 4);
      break;
  }
}

// MARK: - Output

VE_INLINE __m512i load_s(const ve_winograd_output_args *args, const int32_t *s, int column) {
  return _mm512_load_si512(s + 2 * column * args->s_row);
}

VE_INLINE void across_2x2(
    const ve_winograd_output_args *args, const int32_t *s, __m512i (*sums)[4], const int j) {
  const __m512i q0 = load_s(args, s, 0), q1 = load_s(args, s, 1);
  const __m512i q2 = load_s(args, s, 2), q3 = load_s(args, s, 3);
  sums[0][j] = _mm512_add_epi32(_mm512_add_epi32(q1, q2), q0);
  sums[1][j] = _mm512_add_epi32(_mm512_sub_epi32(q1, q2), q3);
}

VE_INLINE void across_2x4(
    const ve_winograd_output_args *args, const int32_t *s, __m512i (*sums)[4], const int j) {
  const uint32_t third = 0xAAAAAAAB;
  const words q0 = (words)load_s(args, s, 0), q1 = (words)load_s(args, s, 1);
  const words q2 = (words)load_s(args, s, 2), q3 = (words)load_s(args, s, 3);
  const words q4 = (words)load_s(args, s, 4), q5 = (words)load_s(args, s, 5);
  const words t = q1 + q2, u = q1 - q2, c = q3 + q4, d = q3 - q4;
  sums[0][j] = (__m512i)((q0 + c - (t << 2)) * third);
  sums[1][j] = (__m512i)((d - (u << 1)) * (2 * third));
  sums[2][j] = (__m512i)((c - t) * (4 * third));
  sums[3][j] = (__m512i)(((d << 1) - u + q5) * (4 * third));
}

VE_INLINE void finish_rows(
    const ve_winograd_output_args *args, const ve_epilogue_args *epilogues, int32_t rows,
    const int outputs, const int vectors, const bool codes_only) {
  for (int32_t row = 0; row < rows; row++) {
    const ve_epilogue_args *epilogue = &epilogues[row];
    for (int32_t tile = 0; tile < args->tiles; tile++) {
      const int32_t *s = args->s + row * args->s_row + (ptrdiff_t)tile * args->lanes;
      __m512i sums[4][4];
      VE_UNROLL for (int j = 0; j < vectors; j++) {
        if (outputs == 2)
          across_2x2(args, s + 16 * j, sums, j);
        else
          across_2x4(args, s + 16 * j, sums, j);
      }
      const int32_t first = tile * outputs;
      VE_UNROLL for (int i = 0; i < outputs; i++)
        if (first + i < epilogue->pixels)
          ve_finish_pixel(
              epilogue, (ptrdiff_t)(first + i) * epilogue->pixel_stride, sums[i], vectors,
              codes_only);
    }
  }
}

VE_INLINE void finish(
    const ve_winograd_output_args *args, const ve_epilogue_args *epilogues, int32_t rows,
    const int outputs, const bool codes_only) {
  switch (args->lanes / 16) {
    case 1: finish_rows(args, epilogues, rows, outputs, 1, codes_only); break;
    case 2: finish_rows(args, epilogues, rows, outputs, 2, codes_only); break;
    case 3: finish_rows(args, epilogues, rows, outputs, 3, codes_only); break;
    default: finish_rows(args, epilogues, rows, outputs, 4, codes_only); break;
  }
}

static void finish_2x2(
    const ve_winograd_output_args *args, const ve_epilogue_args *epilogues, int32_t rows) {
  if (ve_is_codes_only(epilogues))
    finish(args, epilogues, rows, 2, true);
  else
    finish(args, epilogues, rows, 2, false);
}

static void finish_2x4(
    const ve_winograd_output_args *args, const ve_epilogue_args *epilogues, int32_t rows) {
  if (ve_is_codes_only(epilogues))
    finish(args, epilogues, rows, 4, true);
  else
    finish(args, epilogues, rows, 4, false);
}

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_avx512vnni = {
    .input = {VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4)},
    .products = products,
    .finish = {NULL, finish_2x2, finish_2x4},
};
#endif
