// SPDX-License-Identifier: Apache-2.0
// Peak loops: 12 independent accumulators, enough for a latency of four to
// five cycles on two ports and few enough to stay in registers. The best of
// many short rounds counts, since other programs share the machine.
#if defined(__x86_64__)
#include <immintrin.h>
#include <time.h>

#include "../tiles.h"

static double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Repeats `round` for the given time; returns the best rate in 10^9 per
// second.
static double best_rate(double (*round)(int64_t), double seconds) {
  enum { steps = 200000 };
  const double begin = now();
  double best = 0;
  do {
    const double start = now();
    const double operations = round(steps);
    const double time = now() - start;
    if (time > 0 && operations / time > best) best = operations / time;
  } while (now() - begin < seconds);
  return best * 1e-9;
}

// An empty asm that reads a register prevents the loop from being optimised away.
#define USE(value) __asm__ volatile("" ::"x"(value))

#define ACCUMULATORS 12

#pragma clang attribute push(__attribute__((target("avx512f,avx512vnni"))), apply_to = function)

static double dot512(int64_t steps) {
  const __m512i a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(2);
  __m512i sums[ACCUMULATORS];
  VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) sums[i] = _mm512_set1_epi32(i);
  for (int64_t step = 0; step < steps; step++)
    VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++)
      sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
  VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) USE(_mm512_castsi512_si128(sums[i]));
  return (double)steps * ACCUMULATORS * 64;
}

static double fma512(int64_t steps) {
  const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
  __m512 sums[ACCUMULATORS];
  VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) sums[i] = _mm512_set1_ps((float)i);
  for (int64_t step = 0; step < steps; step++)
    VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) sums[i] = _mm512_fmadd_ps(sums[i], a, b);
  VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) USE(_mm512_castps512_ps128(sums[i]));
  return (double)steps * ACCUMULATORS * 16;
}

#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)

static double dot256(int64_t steps) {
  const __m256i a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(2);
  __m256i sums[ACCUMULATORS];
  VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) sums[i] = _mm256_set1_epi32(i);
  for (int64_t step = 0; step < steps; step++)
    VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++)
      sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b);
  VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) USE(_mm256_castsi256_si128(sums[i]));
  return (double)steps * ACCUMULATORS * 32;
}

static double fma256(int64_t steps) {
  const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
  __m256 sums[ACCUMULATORS];
  VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) sums[i] = _mm256_set1_ps((float)i);
  for (int64_t step = 0; step < steps; step++)
    VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) sums[i] = _mm256_fmadd_ps(sums[i], a, b);
  VE_UNROLL for (int i = 0; i < ACCUMULATORS; i++) USE(_mm256_castps256_ps128(sums[i]));
  return (double)steps * ACCUMULATORS * 8;
}

#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("amx-tile,amx-int8"))), apply_to = function)

// Four tiles of sums, as many as the kernels have.
static double dot_tiles(int64_t steps) {
  ve_tiles_amx.begin(VE_TILE_ROW);
  for (int64_t step = 0; step < steps; step++) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  ve_tiles_amx.end();
  return (double)steps * 4 * VE_TILE_SIDE * VE_TILE_SIDE * VE_TILE_ROW;
}

#pragma clang attribute pop

double ve_peak_tdpbusd_amx(double seconds) { return best_rate(dot_tiles, seconds); }
double ve_peak_vpdpbusd_avx512vnni(double seconds) { return best_rate(dot512, seconds); }
double ve_peak_vpdpbusd_avxvnni(double seconds) { return best_rate(dot256, seconds); }
double ve_peak_fp32_avx512vnni(double seconds) { return best_rate(fma512, seconds); }
double ve_peak_fp32_avx2(double seconds) { return best_rate(fma256, seconds); }
#endif
