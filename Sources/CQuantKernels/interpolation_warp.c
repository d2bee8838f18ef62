// SPDX-License-Identifier: Apache-2.0
#include "include/VEInterpolation.h"

#include <stdbool.h>

static int32_t clamp(int32_t value, int32_t low, int32_t high) { return value < low ? low : value > high ? high : value; }

// Lanczos of three lobes at sixteenths, in 128ths.
static const int16_t taps[16][6] = {
    {0, 0, 128, 0, 0, 0},     {1, -6, 128, 7, -2, 0},   {3, -11, 125, 15, -4, 0}, {3, -15, 120, 25, -6, 1},
    {4, -17, 114, 35, -9, 1}, {4, -18, 107, 45, -11, 1}, {4, -19, 99, 56, -14, 2}, {4, -19, 89, 67, -16, 3},
    {3, -17, 78, 78, -17, 3}, {3, -16, 67, 89, -19, 4}, {2, -14, 56, 99, -19, 4}, {1, -11, 45, 107, -18, 4},
    {1, -9, 35, 114, -17, 4}, {1, -6, 25, 120, -15, 3}, {0, -4, 15, 125, -11, 3}, {0, -2, 7, 128, -6, 1}};

// Rise of a raised cosine between two blocks' centres, in 64ths, by the number of samples between them.
static const uint8_t rise8[8] = {1, 5, 14, 26, 38, 50, 59, 63}, rise4[4] = {2, 20, 44, 62};

enum { cell = 8, patch = cell + 5 };

static int32_t sample(const ve_interp_source *s, ptrdiff_t at) {
  return s->is_wide ? ((const uint16_t *)s->samples)[at] : ((const uint8_t *)s->samples)[at];
}

// `width` x `height` samples at (x, y) displaced by (dx, dy) sixteenths of a sample.
static void predict(const ve_interp_source *s, int32_t x, int32_t y, int32_t dx, int32_t dy, int32_t width,
                    int32_t height, int32_t *result) {
  int32_t from[patch * patch];
  const int32_t ix = x + (dx >> 4) - 2, iy = y + (dy >> 4) - 2;
  const bool inside = ix >= 0 && iy >= 0 && ix + width + 5 <= s->width && iy + height + 5 <= s->height;
  for (int32_t j = 0; j < height + 5; j++) {
    const ptrdiff_t row = (inside ? iy + j : clamp(iy + j, 0, s->height - 1)) * s->stride;
    if (inside && s->is_wide) {
      const uint16_t *p = (const uint16_t *)s->samples + row + ix;
      for (int32_t i = 0; i < width + 5; i++) from[j * patch + i] = p[i];
    } else if (inside) {
      const uint8_t *p = (const uint8_t *)s->samples + row + ix;
      for (int32_t i = 0; i < width + 5; i++) from[j * patch + i] = p[i];
    } else {
      for (int32_t i = 0; i < width + 5; i++) from[j * patch + i] = sample(s, row + clamp(ix + i, 0, s->width - 1));
    }
  }
  const int16_t *tx = taps[dx & 15], *ty = taps[dy & 15];
  int32_t across[patch * cell];
  for (int32_t j = 0; j < height + 5; j++)
    for (int32_t i = 0; i < width; i++) {
      const int32_t *p = from + j * patch + i;
      across[j * cell + i] =
          p[0] * tx[0] + p[1] * tx[1] + p[2] * tx[2] + p[3] * tx[3] + p[4] * tx[4] + p[5] * tx[5];
    }
  const int32_t most = (1 << s->depth) - 1;
  for (int32_t j = 0; j < height; j++)
    for (int32_t i = 0; i < width; i++) {
      // 16 bits of samples and 7 of each filter's gain just fit; a third of overshoot does not.
      const int32_t *p = across + j * cell + i;
      int64_t sum = 1 << 13;
      for (int32_t k = 0; k < 6; k++) sum += (int64_t)p[k * cell] * ty[k];
      result[j * cell + i] = clamp((int32_t)(sum >> 14), 0, most);
    }
}

static bool equal(ve_interp_vector a, ve_interp_vector b) { return a.x == b.x && a.y == b.y; }

// A vector's displacement into one frame in sixteenths of a sample.
static int32_t displacement(int32_t v, int32_t time, int32_t is_second, int32_t log2) {
  const int32_t first = -((v * time + VE_INTERP_ONE / 2) >> 8);
  const int32_t luma = is_second ? v + first : first;
  return log2 ? (luma + 1) >> 1 : luma;
}

void ve_interp_warp(const ve_interp_source *source, int32_t luma_width, int32_t luma_height,
                    const ve_interp_vector *vectors, int32_t time, int32_t is_second, void *result,
                    ptrdiff_t result_stride, int32_t row_begin, int32_t row_end) {
  const int32_t columns = ve_interp_blocks(luma_width), rows = ve_interp_blocks(luma_height);
  const int32_t width = cell >> source->log2_x, height = cell >> source->log2_y;
  const uint8_t *rise_x = source->log2_x ? rise4 : rise8, *rise_y = source->log2_y ? rise4 : rise8;
  int32_t predictions[4][cell * cell];
  // Cells lie between the centres of four blocks; each sample is in one cell.
  for (int32_t cy = (row_begin - height / 2) / height - 1; cy < rows; cy++) {
    const int32_t y = cy * height + height / 2;
    const int32_t y_begin = y < row_begin ? row_begin : y, y_end = y + height < row_end ? y + height : row_end;
    if (y_begin >= y_end) continue;
    const int32_t above = clamp(cy, 0, rows - 1), below = clamp(cy + 1, 0, rows - 1);
    for (int32_t cx = -1; cx < columns; cx++) {
      const int32_t x = cx * width + width / 2;
      const int32_t x_begin = x < 0 ? 0 : x, x_end = x + width < source->width ? x + width : source->width;
      if (x_begin >= x_end) continue;
      const int32_t left = clamp(cx, 0, columns - 1), right = clamp(cx + 1, 0, columns - 1);
      const ve_interp_vector v[4] = {vectors[above * columns + left], vectors[above * columns + right],
                                     vectors[below * columns + left], vectors[below * columns + right]};
      const int32_t *of[4];
      for (int32_t k = 0; k < 4; k++) {
        int32_t same = 0;
        while (same < k && !equal(v[same], v[k])) same++;
        if (same == k)
          predict(source, x, y, displacement(v[k].x, time, is_second, source->log2_x),
                  displacement(v[k].y, time, is_second, source->log2_y), width, height, predictions[k]);
        of[k] = same == k ? predictions[k] : of[same];
      }
      for (int32_t py = y_begin; py < y_end; py++)
        for (int32_t px = x_begin; px < x_end; px++) {
          const int32_t i = px - x, j = py - y, at = j * cell + i;
          const int32_t wx = rise_x[i], wy = rise_y[j];
          const int32_t top = of[0][at] * (64 - wx) + of[1][at] * wx, bottom = of[2][at] * (64 - wx) + of[3][at] * wx;
          const int64_t sum = (int64_t)top * (64 - wy) + (int64_t)bottom * wy;
          const int32_t value = (int32_t)((sum + 2048) >> 12);
          if (source->is_wide)
            ((uint16_t *)result)[py * result_stride + px] = (uint16_t)value;
          else
            ((uint8_t *)result)[py * result_stride + px] = (uint8_t)value;
        }
    }
  }
}
