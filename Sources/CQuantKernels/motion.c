// SPDX-License-Identifier: Apache-2.0
// Planes prepared for motion search, and kernel dispatch.
#include <string.h>

#include "motion.h"

enum { border = VE_MOTION_BORDER, coarse_border = VE_MOTION_COARSE_BORDER };

// MARK: - Preparation

static ve_motion_plane layout(int32_t width, int32_t height, uint8_t *memory, size_t *total) {
  ve_motion_plane p = {.width = width, .height = height};
  p.stride = (ptrdiff_t)ve_aligned((size_t)(width + 2 * border));
  p.coarse_width = (width + 3) / 4;
  p.coarse_height = (height + 3) / 4;
  p.coarse_stride = (ptrdiff_t)ve_aligned((size_t)(p.coarse_width + 2 * coarse_border));
  const size_t full = (size_t)p.stride * (size_t)(height + 2 * border);
  const size_t coarse = (size_t)p.coarse_stride * (size_t)(p.coarse_height + 2 * coarse_border);
  if (memory) {
    p.luma = memory + border * p.stride + border;
    p.smooth = (int16_t *)(void *)(memory + ve_aligned(full)) + border * p.stride + border;
    p.coarse = memory + ve_aligned(full) + ve_aligned(2 * full) + coarse_border * p.coarse_stride + coarse_border;
  }
  // Slack for vector loads at the last pixels of the last row.
  *total = ve_aligned(full) + ve_aligned(2 * full) + ve_aligned(coarse) + 64;
  return p;
}

size_t ve_motion_plane_bytes(int32_t width, int32_t height) {
  size_t total;
  layout(width, height, NULL, &total);
  return total;
}

static void smooth_rows(ve_motion_plane *p) {
  // From the bordered copy, so that the border is smoothed as well; its outermost ring is not read.
  for (int32_t y = 1 - border; y < p->height + border - 1; y++) {
    const uint8_t *above = p->luma + (y - 1) * p->stride, *here = above + p->stride, *below = here + p->stride;
    int16_t *to = p->smooth + y * p->stride;
    for (int32_t x = 1 - border; x < p->width + border - 1; x++) {
      const int32_t left = above[x - 1] + 2 * here[x - 1] + below[x - 1];
      const int32_t middle = above[x] + 2 * here[x] + below[x];
      const int32_t right = above[x + 1] + 2 * here[x + 1] + below[x + 1];
      to[x] = (int16_t)((left + 2 * middle + right + 2) >> 2);
    }
  }
}

ve_motion_plane ve_motion_plane_prepare(const uint8_t *luma, int32_t width, int32_t height, void *memory) {
  size_t total;
  ve_motion_plane p = layout(width, height, memory, &total);
  for (int32_t y = 0; y < height; y++) memcpy(p.luma + y * p.stride, luma + (size_t)y * (size_t)width, (size_t)width);
  ve_replicate_border(p.luma, p.stride, width, height, border);
  smooth_rows(&p);
  for (int32_t y = 0; y < p.coarse_height; y++) {
    const uint8_t *from = p.luma + 4 * y * p.stride;
    uint8_t *to = p.coarse + y * p.coarse_stride;
    for (int32_t x = 0; x < p.coarse_width; x++) {
      int32_t sum = 8;
      for (int32_t j = 0; j < 4; j++)
        for (int32_t i = 0; i < 4; i++) sum += from[j * p.stride + 4 * x + i];
      to[x] = (uint8_t)(sum >> 4);
    }
  }
  ve_replicate_border(p.coarse, p.coarse_stride, p.coarse_width, p.coarse_height, coarse_border);
  return p;
}

// MARK: - Choice

void ve_motion_search(const ve_motion_plane *reference, const ve_motion_plane *neighbour,
                      const ve_motion_vector *prior, int32_t prior_factor, ve_motion_vector *vectors, ve_isa isa) {
  const ve_kernels *kernels = ve_kernels_for(isa);
  ve_motion_search_fn *search = kernels ? kernels->motion_search : ve_motion_search_scalar;
  search(reference, neighbour, prior, prior_factor, vectors);
}

void ve_motion_neighbour(const ve_motion_plane *reference, const ve_motion_plane *neighbour,
                         const uint8_t *const chroma[2], const ve_motion_vector *vectors, uint8_t *result,
                         ptrdiff_t pixel_stride, ptrdiff_t row_stride, int32_t row_begin, int32_t row_end,
                         ve_isa isa) {
  const ve_kernels *kernels = ve_kernels_for(isa);
  ve_motion_neighbour_fn *write = kernels ? kernels->motion_neighbour : ve_motion_neighbour_scalar;
  const ve_neighbour_args args = {.reference = reference, .neighbour = neighbour, .chroma = {chroma[0], chroma[1]},
                                  .vectors = vectors, .result = result, .pixel_stride = pixel_stride,
                                  .row_stride = row_stride, .row_begin = row_begin, .row_end = row_end};
  write(&args);
}
