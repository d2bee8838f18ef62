// SPDX-License-Identifier: Apache-2.0
// Motion search between two frames: scalar reference.
#include <stdlib.h>
#include <string.h>

#include "interpolation.h"

#define VE_NAME(job) ve_interp_##job##_scalar

typedef struct vector {
  int16_t x, y;
} vector;

static int32_t difference(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride) {
  int32_t sum = 0;
  for (int32_t y = 0; y < 8; y++)
    for (int32_t x = 0; x < 8; x++) sum += abs(a[y * a_stride + x] - b[y * b_stride + x]);
  return sum;
}

typedef struct vicinity {
  vector vectors[4];
} vicinity;

static vicinity make_vicinity(const vector *vectors) {
  vicinity result;
  memcpy(result.vectors, vectors, sizeof result.vectors);
  return result;
}

static int32_t distance(const vicinity *around, vector v) {
  int32_t sum = 0;
  for (int32_t i = 0; i < 4; i++) {
    const int32_t distance = abs(around->vectors[i].x - v.x) + abs(around->vectors[i].y - v.y);
    sum += distance > 16 ? 16 : distance;
  }
  return sum;
}

enum { fine = VE_INTERP_PATCH };

typedef struct patch {
  int16_t samples[fine * fine];
} patch;

static void fill_patch(patch *result, const uint8_t *from, ptrdiff_t stride, int32_t fx, int32_t fy) {
  for (int32_t j = 0; j < fine; j++, from += stride)
    for (int32_t i = 0; i < fine; i++) {
      const int32_t above = from[i] * (16 - fx) + from[i + 1] * fx;
      const int32_t below = from[i + stride] * (16 - fx) + from[i + 1 + stride] * fx;
      result->samples[j * fine + i] = (int16_t)((above * (16 - fy) + below * fy + 8) >> 4);
    }
}

static int32_t patch_difference(const patch *a, const patch *b) {
  int32_t sum = 0;
  for (int32_t j = 1; j <= VE_INTERP_SIDE; j++)
    for (int32_t i = 1; i <= VE_INTERP_SIDE; i++) sum += abs(a->samples[j * fine + i] - b->samples[j * fine + i]);
  return sum;
}

static ve_interp_sums patch_sums(const patch *first, const patch *second) {
  const int16_t *a = first->samples, *b = second->samples;
  ve_interp_sums sums = {0};
  for (int32_t j = 1; j <= VE_INTERP_SIDE; j++)
    for (int32_t i = 1; i <= VE_INTERP_SIDE; i++) {
      const int32_t at = j * fine + i;
      const int32_t gx = (a[at + 1] - a[at - 1] + b[at + 1] - b[at - 1]) >> 2;
      const int32_t gy = (a[at + fine] - a[at - fine] + b[at + fine] - b[at - fine]) >> 2;
      const int32_t e = a[at] - b[at];
      sums.xx += gx * gx;
      sums.yy += gy * gy;
      sums.xy += gx * gy;
      sums.xe += gx * e;
      sums.ye += gy * e;
    }
  return sums;
}

#include "interpolation_search_tmpl.h"
