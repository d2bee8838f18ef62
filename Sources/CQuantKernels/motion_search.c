// SPDX-License-Identifier: Apache-2.0
// Block motion search: scalar reference.
#include "motion.h"

#define VE_NAME(job) ve_motion_##job##_scalar

typedef struct block16 {
  const uint8_t *from;
  ptrdiff_t stride;
} block16;

static block16 load_block16(const uint8_t *from, ptrdiff_t stride) { return (block16){from, stride}; }

static int32_t difference(
    const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, int32_t width, int32_t height) {
  int32_t sum = 0;
  for (int32_t y = 0; y < height; y++)
    for (int32_t x = 0; x < width; x++) sum += abs(a[y * a_stride + x] - b[y * b_stride + x]);
  return sum;
}

static int32_t difference16(const block16 *block, const uint8_t *there, ptrdiff_t stride, int32_t enough) {
  const int32_t half = difference(block->from, block->stride, there, stride, 16, 8);
  if (half >= enough) return half;
  return half + difference(block->from + 8 * block->stride, block->stride, there + 8 * stride, stride, 16, 8);
}

typedef block16 block8;

static block8 load_block8(const uint8_t *from, ptrdiff_t stride) { return (block8){from, stride}; }

static int32_t nearest_in_row(const block8 *block, const uint8_t *there, ptrdiff_t stride, int32_t first, int32_t last,
                              int32_t row_cost, int32_t *best) {
  int32_t nearest = INT32_MIN;
  for (int32_t i = first; i <= last; i++) {
    const int32_t cost = difference(block->from, block->stride, there + i, stride, 8, 8) + 2 * abs(i) + row_cost;
    if (cost >= *best) continue;
    *best = cost;
    nearest = i;
  }
  return nearest;
}

static ve_motion_sums motion_sums(
    const int16_t *here, ptrdiff_t here_stride, const int16_t *there, ptrdiff_t there_stride) {
  // Differences of values up to 1020: the products' sums stay below 2^28.
  ve_motion_sums sums = {0};
  for (int32_t y = 0; y < 16; y++, here += here_stride, there += there_stride)
    for (int32_t x = 0; x < 16; x++) {
      const int32_t gx = here[x + 1] - here[x - 1], gy = here[x + here_stride] - here[x - here_stride];
      const int32_t e = here[x] - there[x];
      sums.xx += gx * gx;
      sums.yy += gy * gy;
      sums.xy += gx * gy;
      sums.xe += gx * e;
      sums.ye += gy * e;
    }
  return sums;
}

#include "motion_search_tmpl.h"
