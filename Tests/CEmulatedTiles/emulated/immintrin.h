// SPDX-License-Identifier: Apache-2.0
// The intrinsics of x86/tiles_amx_tmpl.h and x86/epilogue_avx512_tmpl.h in plain C, following Intel's
// descriptions of the instructions; included instead of the compiler's header. Aborts where a processor would
// raise #UD.
#ifndef EMULATED_IMMINTRIN_H
#define EMULATED_IMMINTRIN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMULATED static inline __attribute__((unused))

// MARK: - Tiles

typedef struct emulated_tiles {
  int palette;  // 0: not configured
  uint16_t row_bytes[8];
  uint8_t rows[8];
  uint8_t bytes[8][16][64];
} emulated_tiles;

static _Thread_local emulated_tiles emulated;

EMULATED void tile_check(int holds, const char *rule) {
  if (holds) return;
  fprintf(stderr, "emulated tiles: %s\n", rule);
  abort();
}

// LDTILECFG: palette, start row, 14 reserved bytes, 16 row lengths of 16 bits, 16 row counts.
EMULATED void _tile_loadconfig(const void *config) {
  const uint8_t *from = config;
  tile_check(from[0] == 1, "the palette is 1");
  for (int i = 1; i < 16; i++) tile_check(from[i] == 0, "the start row and reserved bytes are 0");
  memset(&emulated, 0, sizeof emulated);
  emulated.palette = 1;
  for (int i = 0; i < 16; i++) {
    uint16_t row_bytes;
    memcpy(&row_bytes, from + 16 + 2 * i, sizeof row_bytes);
    const uint8_t rows = from[48 + i];
    tile_check((row_bytes == 0) == (rows == 0), "a tile has rows and bytes, or neither");
    tile_check(i < 8 || rows == 0, "there are eight tiles");
    tile_check(row_bytes <= 64 && rows <= 16, "a tile has at most 16 rows of 64 bytes");
    if (i < 8) emulated.row_bytes[i] = row_bytes, emulated.rows[i] = rows;
  }
}

EMULATED void _tile_release(void) { memset(&emulated, 0, sizeof emulated); }

EMULATED void tile_check_use(int tile) {
  tile_check(emulated.palette == 1, "tiles are configured before use");
  tile_check(tile >= 0 && tile < 8 && emulated.rows[tile] > 0, "the tile has a shape");
}

// TILELOADD: bytes and rows beyond the tile's shape are zeroed.
EMULATED void _tile_loadd(int tile, const void *base, ptrdiff_t stride) {
  tile_check_use(tile);
  memset(emulated.bytes[tile], 0, sizeof emulated.bytes[tile]);
  for (int row = 0; row < emulated.rows[tile]; row++)
    memcpy(emulated.bytes[tile][row], (const uint8_t *)base + row * stride, emulated.row_bytes[tile]);
}

EMULATED void _tile_stored(int tile, void *base, ptrdiff_t stride) {
  tile_check_use(tile);
  for (int row = 0; row < emulated.rows[tile]; row++)
    memcpy((uint8_t *)base + row * stride, emulated.bytes[tile][row], emulated.row_bytes[tile]);
}

// TDPBUSD: adds four products of unsigned bytes of `a` and signed bytes of `b` to each 32-bit sum, without
// saturation.
EMULATED void _tile_dpbusd(int to, int a, int b) {
  tile_check_use(to), tile_check_use(a), tile_check_use(b);
  tile_check(to != a && to != b && a != b, "three different tiles");
  tile_check(emulated.row_bytes[to] % 4 == 0 && emulated.row_bytes[a] % 4 == 0, "rows are whole elements");
  tile_check(emulated.row_bytes[to] == emulated.row_bytes[b], "sums are as wide as the second operand");
  tile_check(emulated.rows[to] == emulated.rows[a], "sums are as high as the first operand");
  tile_check(emulated.row_bytes[a] == 4 * emulated.rows[b], "the operands' depths agree");
  uint8_t result[16][64] = {{0}};
  for (int m = 0; m < emulated.rows[to]; m++)
    for (int n = 0; n < emulated.row_bytes[to] / 4; n++) {
      uint32_t sum;
      memcpy(&sum, &emulated.bytes[to][m][4 * n], sizeof sum);
      for (int k = 0; k < emulated.rows[b]; k++)
        for (int i = 0; i < 4; i++)
          sum += (uint32_t)((int32_t)emulated.bytes[a][m][4 * k + i] * (int8_t)emulated.bytes[b][k][4 * n + i]);
      memcpy(&result[m][4 * n], &sum, sizeof sum);
    }
  memcpy(emulated.bytes[to], result, sizeof result);
}

// MARK: - Vectors

typedef union __m512i {
  int32_t dwords[16];
  int16_t words[32];
  uint8_t bytes[64];
} __m512i;
typedef struct __m512 {
  float values[16];
} __m512;
typedef struct __m256i {
  uint8_t bytes[32];
} __m256i;
typedef struct __m128i {
  uint8_t bytes[16];
} __m128i;

#define EMULATED_LOAD(name, type) \
  EMULATED type name(const void *from) { \
    type value; \
    memcpy(&value, from, sizeof value); \
    return value; \
  }
EMULATED_LOAD(_mm512_loadu_si512, __m512i)
EMULATED_LOAD(_mm512_loadu_ps, __m512)
EMULATED_LOAD(_mm256_loadu_si256, __m256i)
EMULATED_LOAD(_mm_loadu_si128, __m128i)

EMULATED void _mm512_storeu_si512(void *to, __m512i value) { memcpy(to, &value, sizeof value); }
EMULATED void _mm256_storeu_si256(__m256i *to, __m256i value) { memcpy(to, &value, sizeof value); }
EMULATED void _mm_storeu_si128(__m128i *to, __m128i value) { memcpy(to, &value, sizeof value); }
EMULATED void _mm_storel_epi64(__m128i *to, __m128i value) { memcpy(to, &value, 8); }

#define EMULATED_MAP(name, type, result, count, expression) \
  EMULATED type name(type a, type b) { \
    type to; \
    for (int i = 0; i < count; i++) to.result[i] = expression; \
    return to; \
  }
EMULATED_MAP(_mm512_add_epi32, __m512i, dwords, 16, (int32_t)((uint32_t)a.dwords[i] + (uint32_t)b.dwords[i]))
EMULATED_MAP(_mm512_min_epi32, __m512i, dwords, 16, a.dwords[i] < b.dwords[i] ? a.dwords[i] : b.dwords[i])
EMULATED_MAP(_mm512_max_epi32, __m512i, dwords, 16, a.dwords[i] > b.dwords[i] ? a.dwords[i] : b.dwords[i])
EMULATED_MAP(_mm512_min_epu8, __m512i, bytes, 64, a.bytes[i] < b.bytes[i] ? a.bytes[i] : b.bytes[i])
// Returns the second operand unless the comparison holds, also for NaN.
EMULATED_MAP(_mm512_min_ps, __m512, values, 16, a.values[i] < b.values[i] ? a.values[i] : b.values[i])
EMULATED_MAP(_mm512_max_ps, __m512, values, 16, a.values[i] > b.values[i] ? a.values[i] : b.values[i])
EMULATED_MAP(_mm512_mul_ps, __m512, values, 16, a.values[i] * b.values[i])

EMULATED int32_t limited(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}
EMULATED_MAP(_mm512_adds_epi16, __m512i, words, 32, (int16_t)limited(a.words[i] + b.words[i], INT16_MIN, INT16_MAX))

#define EMULATED_SET(name, type, result, count, element) \
  EMULATED type name(element value) { \
    type to; \
    for (int i = 0; i < count; i++) to.result[i] = value; \
    return to; \
  }
EMULATED_SET(_mm512_set1_epi32, __m512i, dwords, 16, int32_t)
EMULATED_SET(_mm512_set1_epi16, __m512i, words, 32, int16_t)
EMULATED_SET(_mm512_set1_epi8, __m512i, bytes, 64, uint8_t)
EMULATED_SET(_mm512_set1_ps, __m512, values, 16, float)
#define _mm512_setr_epi32(...) ((__m512i){.dwords = {__VA_ARGS__}})

EMULATED __m512 _mm512_cvtepi32_ps(__m512i a) {
  __m512 to;
  for (int i = 0; i < 16; i++) to.values[i] = (float)a.dwords[i];
  return to;
}

// Rounds to nearest, ties to even; out of range, returns the lowest integer.
EMULATED __m512i _mm512_cvtps_epi32(__m512 a) {
  __m512i to;
  for (int i = 0; i < 16; i++) {
    const double shift = 6755399441055744.0, value = ((double)a.values[i] + shift) - shift;
    to.dwords[i] = a.values[i] >= -0x1p31f && a.values[i] < 0x1p31f ? (int32_t)value : INT32_MIN;
  }
  return to;
}

EMULATED __m512i _mm512_cvtepi16_epi32(__m256i a) {
  int16_t words[16];
  memcpy(words, &a, sizeof words);
  __m512i to;
  for (int i = 0; i < 16; i++) to.dwords[i] = words[i];
  return to;
}

// Packing takes four elements, or eight, of each operand for each 128-bit lane.
EMULATED __m512i _mm512_packs_epi32(__m512i a, __m512i b) {
  __m512i to;
  for (int lane = 0; lane < 4; lane++)
    for (int i = 0; i < 4; i++) {
      to.words[8 * lane + i] = (int16_t)limited(a.dwords[4 * lane + i], INT16_MIN, INT16_MAX);
      to.words[8 * lane + 4 + i] = (int16_t)limited(b.dwords[4 * lane + i], INT16_MIN, INT16_MAX);
    }
  return to;
}

EMULATED __m512i _mm512_packus_epi16(__m512i a, __m512i b) {
  __m512i to;
  for (int lane = 0; lane < 4; lane++)
    for (int i = 0; i < 8; i++) {
      to.bytes[16 * lane + i] = (uint8_t)limited(a.words[8 * lane + i], 0, 255);
      to.bytes[16 * lane + 8 + i] = (uint8_t)limited(b.words[8 * lane + i], 0, 255);
    }
  return to;
}

EMULATED __m512i _mm512_permutexvar_epi32(__m512i order, __m512i a) {
  __m512i to;
  for (int i = 0; i < 16; i++) to.dwords[i] = a.dwords[order.dwords[i] & 15];
  return to;
}

EMULATED __m256i _mm512_castsi512_si256(__m512i a) { return _mm256_loadu_si256(&a); }
EMULATED __m256i _mm512_extracti64x4_epi64(__m512i a, int half) { return _mm256_loadu_si256(&a.bytes[32 * half]); }
EMULATED __m128i _mm256_castsi256_si128(__m256i a) { return _mm_loadu_si128(&a); }
EMULATED __m128i _mm256_extracti128_si256(__m256i a, int half) { return _mm_loadu_si128(&a.bytes[16 * half]); }
// The upper half is undefined.
EMULATED __m256i _mm256_castsi128_si256(__m128i a) {
  __m256i to;
  memset(&to, 0xA5, sizeof to);
  memcpy(&to, &a, sizeof a);
  return to;
}

#endif
