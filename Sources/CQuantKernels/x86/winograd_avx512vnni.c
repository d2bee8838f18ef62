// SPDX-License-Identifier: Apache-2.0
// Winograd with 512-bit dot products.
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "../winograd.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,prfchw"))), apply_to = function)

#include "epilogue_avx512_tmpl.h"

#define VE_FUSES_EPILOGUE
#define VE_VECTOR_BYTES 64
#define VE_NAME(job) ve_winograd_##job##_avx512vnni
static ve_winograd_input_fn VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4);
#include "../winograd_input_tmpl.h"
#include "../winograd_products_tmpl.h"

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

// `tiles` x `vectors` = 12 pairs of sums. Rows 1 and 2 of products come first;
// rows 0 and 3 are then added to their sum and difference, so that the
// transform down the columns needs no memory accesses.
VE_INLINE void group(
    const ve_winograd_products_args *args, const finisher *finisher, int32_t tile, const int tiles,
    const int vectors) {
  const uint8_t *v = args->v + tile * args->v_tile;
  const int8_t *u = args->u;
  const ptrdiff_t run = 4 * (ptrdiff_t)args->quads;
  // A call for a whole run of tiles prefetches all of next_u.
  const int8_t *next_u = args->next_u + 32 * run * (tile / tiles);
  fetch(args, tile, tiles);

  __m512i a[12], b[12];
  VE_UNROLL for (int i = 0; i < 12; i++) a[i] = b[i] = _mm512_setzero_si512();
  for (ptrdiff_t k = 0; k < run; k += 4, u += 128 * vectors, next_u += 64) {
    _mm_prefetch(next_u, _MM_HINT_T0);
    add_products(a, v + args->v_row + k, args->v_tile, u, tiles, vectors);
    add_products(b, v + 2 * args->v_row + k, args->v_tile, u + 64 * vectors, tiles, vectors);
  }
  VE_UNROLL for (int i = 0; i < 12; i++) {
    const __m512i m1 = a[i], m2 = b[i];
    a[i] = _mm512_add_epi32(m1, m2);
    b[i] = _mm512_sub_epi32(m1, m2);
  }
  for (ptrdiff_t k = 0; k < run; k += 4, u += 128 * vectors, next_u += 64) {
    _mm_prefetch(next_u, _MM_HINT_T0);
    add_products(a, v + k, args->v_tile, u, tiles, vectors);
    add_products(b, v + 3 * args->v_row + k, args->v_tile, u + 64 * vectors, tiles, vectors);
  }
  words m0[12], m1[12];
  VE_UNROLL for (int i = 0; i < 12; i++) m0[i] = (words)a[i], m1[i] = (words)b[i];
  apply_steps(args, finisher, tile, 0, m0, m1, tiles, vectors);
}

VE_INLINE void groups(const ve_winograd_products_args *args, const int tiles, const int vectors) {
  finisher finisher;
  const int outputs = args->step == VE_STEP_FINISH ? 1 : args->step == VE_STEP_MIDDLE_2X4 ? 2 : 0;
  for (int i = 0; i < 2 * outputs; i++)
    make_writer(&finisher.writers[i / 2][i % 2], &args->epilogue[i], vectors);
  finisher.codes_only = outputs > 0 && finisher.writers[0][0].codes_only;
  for (int32_t tile = 0; tile < args->tiles; tile += tiles)
    group(args, &finisher, tile, tiles, vectors);
}

static void products(const ve_winograd_products_args *shared_args) {
  const ve_winograd_products_args args = *shared_args;
  switch (args.vectors) {
    case 1: groups(&args, 12, 1); break;
    case 2: groups(&args, 6, 2); break;
    case 3: groups(&args, 4, 3); break;
    default: groups(&args, 3, 4); break;
  }
}

#pragma clang attribute pop

const ve_winograd_kernels ve_winograd_avx512vnni = {
    .input = {VE_NAME(input_2x1), VE_NAME(input_2x2), VE_NAME(input_2x4)},
    .products = products,
    .fuses_epilogue = true,
};
#endif
