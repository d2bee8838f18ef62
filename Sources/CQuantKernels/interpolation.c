// SPDX-License-Identifier: Apache-2.0
// Pyramids for motion search between two frames, and kernel dispatch.
#include <stdlib.h>
#include <string.h>

#include "interpolation.h"

enum { levels = VE_INTERP_LEVELS, border = VE_INTERP_BORDER };

// MARK: - Pyramid

static ve_interp_plane layout(int32_t width, int32_t height, uint8_t *memory, size_t *total) {
  ve_interp_plane p;
  size_t at = 0;
  for (int32_t i = 0; i < levels; i++) {
    p.width[i] = i ? (p.width[i - 1] + 1) / 2 : width;
    p.height[i] = i ? (p.height[i - 1] + 1) / 2 : height;
    p.stride[i] = (ptrdiff_t)ve_aligned((size_t)(p.width[i] + 2 * border));
    p.luma[i] = memory ? memory + at + border * p.stride[i] + border : NULL;
    at += ve_aligned((size_t)p.stride[i] * (size_t)(p.height[i] + 2 * border));
  }
  // Slack for vector loads at the last pixel of the last row.
  *total = at + 64;
  return p;
}

size_t ve_interp_plane_bytes(int32_t width, int32_t height) {
  size_t total;
  layout(width, height, NULL, &total);
  return total;
}

ve_interp_plane ve_interp_plane_prepare(const uint8_t *luma, int32_t width, int32_t height, void *memory) {
  size_t total;
  ve_interp_plane p = layout(width, height, memory, &total);
  for (int32_t i = 0; i < levels; i++) {
    for (int32_t y = 0; y < p.height[i]; y++) {
      uint8_t *to = p.luma[i] + y * p.stride[i];
      if (i == 0) {
        memcpy(to, luma + (size_t)y * (size_t)width, (size_t)width);
        continue;
      }
      const uint8_t *above = p.luma[i - 1] + 2 * y * p.stride[i - 1], *below = above + p.stride[i - 1];
      for (int32_t x = 0; x < p.width[i]; x++)
        to[x] = (uint8_t)((above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1] + 2) >> 2);
    }
    ve_replicate_border(p.luma[i], p.stride[i], p.width[i], p.height[i], border);
  }
  return p;
}

// MARK: - Disorder

static int32_t largest_difference(const ve_interp_vector *vectors, int32_t columns, int32_t rows, int32_t bx, int32_t by) {
  const ve_interp_vector here = vectors[by * columns + bx];
  int32_t most = 0;
  for (int32_t j = -1; j <= 1; j++)
    for (int32_t i = -1; i <= 1; i++) {
      const int32_t x = ve_clamp(bx + i, 0, columns - 1), y = ve_clamp(by + j, 0, rows - 1);
      const ve_interp_vector n = vectors[y * columns + x];
      const int32_t dx = abs(n.x - here.x), dy = abs(n.y - here.y);
      most = dx > most ? dx : most;
      most = dy > most ? dy : most;
    }
  return most;
}

void ve_interp_disorder(ve_interp_vector *vectors, int32_t columns, int32_t rows) {
  for (int32_t by = 0; by < rows; by++)
    for (int32_t bx = 0; bx < columns; bx++)
      vectors[by * columns + bx].disorder = (uint16_t)largest_difference(vectors, columns, rows, bx, by);
}

// MARK: - Choice

int ve_interp_search(const ve_interp_plane *first, const ve_interp_plane *second, int32_t time,
                     ve_interp_vector *vectors, ve_isa isa) {
  const ve_kernels *kernels = ve_kernels_for(isa);
  return (kernels ? kernels->interp_search : ve_interp_search_scalar)(first, second, time, vectors);
}

void ve_interp_refine(const ve_interp_plane *first, const ve_interp_plane *second, int32_t time,
                      ve_interp_vector *vectors, int32_t row_begin, int32_t row_end, ve_isa isa) {
  const ve_kernels *kernels = ve_kernels_for(isa);
  (kernels ? kernels->interp_refine : ve_interp_refine_scalar)(first, second, time, vectors, row_begin, row_end);
}

void ve_interp_warp(const ve_interp_source *source, int32_t luma_width, int32_t luma_height,
                    const ve_interp_vector *vectors, int32_t time, int32_t is_second, void *result,
                    ptrdiff_t result_stride, int32_t row_begin, int32_t row_end, ve_isa isa) {
  const ve_kernels *kernels = ve_kernels_for(isa);
  const ve_interp_warp_args args = {.source = source, .columns = ve_interp_blocks(luma_width),
                                    .rows = ve_interp_blocks(luma_height), .vectors = vectors, .time = time,
                                    .is_second = is_second, .result = result, .result_stride = result_stride,
                                    .row_begin = row_begin, .row_end = row_end};
  (kernels ? kernels->interp_warp : ve_interp_warp_scalar)(&args);
}
