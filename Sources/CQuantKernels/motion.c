// SPDX-License-Identifier: Apache-2.0
#include "include/VEMotion.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { block = VE_MOTION_BLOCK, border = VE_MOTION_BORDER, window = 16, coarse_border = 16 };

static int32_t clamp(int32_t value, int32_t low, int32_t high) { return value < low ? low : value > high ? high : value; }

// MARK: - Preparation

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

static ve_motion_plane layout(int32_t width, int32_t height, uint8_t *memory, size_t *total) {
  ve_motion_plane p = {.width = width, .height = height};
  p.stride = (width + 2 * border + 63) / 64 * 64;
  p.coarse_width = (width + 3) / 4;
  p.coarse_height = (height + 3) / 4;
  p.coarse_stride = (p.coarse_width + 2 * coarse_border + 63) / 64 * 64;
  const size_t full = (size_t)p.stride * (size_t)(height + 2 * border);
  const size_t coarse = (size_t)p.coarse_stride * (size_t)(p.coarse_height + 2 * coarse_border);
  if (memory) {
    p.luma = memory + border * p.stride + border;
    p.smooth = (int16_t *)(void *)(memory + aligned(full)) + border * p.stride + border;
    p.coarse = memory + aligned(full) + aligned(2 * full) + coarse_border * p.coarse_stride + coarse_border;
  }
  *total = aligned(full) + aligned(2 * full) + aligned(coarse);
  return p;
}

size_t ve_motion_plane_bytes(int32_t width, int32_t height) {
  size_t total;
  layout(width, height, NULL, &total);
  return total;
}

// Repeats the outermost pixels of a plane into its border.
static void extend8(uint8_t *plane, ptrdiff_t stride, int32_t width, int32_t height, int32_t margin) {
  for (int32_t y = 0; y < height; y++) {
    uint8_t *row = plane + y * stride;
    memset(row - margin, row[0], (size_t)margin);
    memset(row + width, row[width - 1], (size_t)margin);
  }
  const size_t bytes = (size_t)(width + 2 * margin);
  for (int32_t y = 1; y <= margin; y++) {
    memcpy(plane - y * stride - margin, plane - margin, bytes);
    memcpy(plane + (height - 1 + y) * stride - margin, plane + (height - 1) * stride - margin, bytes);
  }
}

static void smooth_rows(ve_motion_plane *p) {
  // From the bordered copy, so that the smoothed border is as good as the repeated one; its outermost ring is not read.
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
  extend8(p.luma, p.stride, width, height, border);
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
  extend8(p.coarse, p.coarse_stride, p.coarse_width, p.coarse_height, coarse_border);
  return p;
}

// MARK: - Whole-pixel search

// Sum of absolute differences over 16 x 16. May stop early, with any sum, once it is at least `enough`.
static int32_t difference16(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, int32_t enough) {
  int32_t sum = 0;
  for (int32_t half = 0; half < 2; half++) {
#if defined(__SSE2__)
    __m128i total = _mm_setzero_si128();
    for (int32_t y = 0; y < 8; y++) {
      const __m128i p = _mm_loadu_si128((const __m128i *)(const void *)(a + y * a_stride));
      const __m128i q = _mm_loadu_si128((const __m128i *)(const void *)(b + y * b_stride));
      total = _mm_add_epi64(total, _mm_sad_epu8(p, q));
    }
    sum += _mm_cvtsi128_si32(total) + _mm_cvtsi128_si32(_mm_srli_si128(total, 8));
#else
    for (int32_t y = 0; y < 8; y++)
      for (int32_t x = 0; x < 16; x++) sum += abs(a[y * a_stride + x] - b[y * b_stride + x]);
#endif
    if (sum >= enough) return sum;
    a += 8 * a_stride;
    b += 8 * b_stride;
  }
  return sum;
}

static int32_t difference8(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride) {
#if defined(__SSE2__)
  __m128i total = _mm_setzero_si128();
  for (int32_t y = 0; y < 8; y++) {
    const __m128i p = _mm_loadl_epi64((const __m128i *)(const void *)(a + y * a_stride));
    const __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)(b + y * b_stride));
    total = _mm_add_epi64(total, _mm_sad_epu8(p, q));
  }
  return _mm_cvtsi128_si32(total);
#else
  int32_t sum = 0;
  for (int32_t y = 0; y < 8; y++)
    for (int32_t x = 0; x < 8; x++) sum += abs(a[y * a_stride + x] - b[y * b_stride + x]);
  return sum;
#endif
}

typedef struct {
  const ve_motion_plane *reference, *neighbour;
  const uint8_t *at;    // top left pixel of the reference's 16 x 16
  int32_t x, y;         // its position
  int32_t best_cost, best_error, dx, dy;
} search;

// Small vectors are favoured by about 0.02 levels a pixel: in flat places nothing else decides.
static int32_t cost_of(int32_t error, int32_t dx, int32_t dy) { return error + 5 * (abs(dx) + abs(dy)); }

static bool try_vector(search *s, int32_t dx, int32_t dy) {
  dx = clamp(dx, -VE_MOTION_REACH, VE_MOTION_REACH);
  dy = clamp(dy, -VE_MOTION_REACH, VE_MOTION_REACH);
  // The 16 x 16 must stay inside the border.
  dx = clamp(dx, -border + 2 - s->x, s->neighbour->width + border - 18 - s->x);
  dy = clamp(dy, -border + 2 - s->y, s->neighbour->height + border - 18 - s->y);
  const uint8_t *there = s->neighbour->luma + (s->y + dy) * s->neighbour->stride + s->x + dx;
  const int32_t extra = cost_of(0, dx, dy);
  const int32_t error = difference16(s->at, s->reference->stride, there, s->neighbour->stride, s->best_cost - extra);
  const int32_t cost = error + extra;
  if (cost >= s->best_cost) return false;
  s->best_cost = cost;
  s->best_error = error;
  s->dx = dx;
  s->dy = dy;
  return true;
}

// Vectors of 32 x 32 pixels by full search at a quarter of the extents, one for each square of four blocks: a start for
// fast motion.
static void coarse_search(const ve_motion_plane *r, const ve_motion_plane *n, int32_t bx, int32_t by, int32_t *dx,
                          int32_t *dy) {
  // The square covers 4 x 4 coarse pixels; the window around it 8 x 8.
  const int32_t x = clamp(4 * (bx / 2) - 2, -coarse_border, r->coarse_width + coarse_border - 8);
  const int32_t y = clamp(4 * (by / 2) - 2, -coarse_border, r->coarse_height + coarse_border - 8);
  const uint8_t *at = r->coarse + y * r->coarse_stride + x;
  int32_t best = INT32_MAX;
  const int32_t reach = VE_MOTION_REACH / 4;
  for (int32_t j = -reach; j <= reach; j++) {
    if (y + j < -coarse_border || y + j + 8 > n->coarse_height + coarse_border) continue;
    for (int32_t i = -reach; i <= reach; i++) {
      if (x + i < -coarse_border || x + i + 8 > n->coarse_width + coarse_border) continue;
      const int32_t error =
          difference8(at, r->coarse_stride, n->coarse + (y + j) * n->coarse_stride + x + i, n->coarse_stride);
      const int32_t cost = error + 2 * (abs(i) + abs(j));
      if (cost < best) {
        best = cost;
        *dx = 4 * i;
        *dy = 4 * j;
      }
    }
  }
}

static void refine(search *s) {
  // Steps shrink from two pixels to one; a square of eight around the best.
  for (int32_t step = 2; step >= 1; step--) {
    for (int32_t round = 0; round < 6; round++) {
      const int32_t x = s->dx, y = s->dy;
      bool moved = false;
      for (int32_t j = -step; j <= step; j += step)
        for (int32_t i = -step; i <= step; i += step)
          if (i || j) moved |= try_vector(s, x + i, y + j);
      if (!moved) break;
    }
  }
}

// MARK: - Remainder

// Sixteenths, limited.
static int32_t nearest(double value) {
  const double limit = VE_MOTION_REMAINDER;
  const double limited = value < -limit ? -limit : value > limit ? limit : value;
  return (int32_t)(limited < 0 ? limited - 0.5 : limited + 0.5);
}

// One step of Lucas-Kanade with the reference's gradients over the 16 x 16 around the block. A second step, which needs
// interpolated samples, finds pans more exactly but gained nothing in the network (docs/networks.md).
static void remainder_of(const search *s, ve_motion_vector *vector) {
  const ptrdiff_t stride = s->reference->stride;
  const int16_t *at = s->reference->smooth + s->y * stride + s->x;
  int16_t gx[256], gy[256];
  int64_t xx = 0, yy = 0, xy = 0;
  for (int32_t y = 0; y < 16; y++) {
    const int16_t *row = at + y * stride;
    int32_t rxx = 0, ryy = 0, rxy = 0;
    for (int32_t x = 0; x < 16; x++) {
      const int32_t a = row[x + 1] - row[x - 1], b = row[x + stride] - row[x - stride];
      gx[16 * y + x] = (int16_t)a;
      gy[16 * y + x] = (int16_t)b;
      rxx += a * a;
      ryy += b * b;
      rxy += a * b;
    }
    xx += rxx;
    yy += ryy;
    xy += rxy;
  }
  // Damping of half a squared level a pixel: flat blocks stay where they are. (Gradients are 8 x per pixel.)
  const double dxx = (double)xx + 256 * 32, dyy = (double)yy + 256 * 32, dxy = (double)xy;
  const double determinant = dxx * dyy - dxy * dxy;
  const int16_t *there = s->neighbour->smooth + (s->y + s->dy) * s->neighbour->stride + s->x + s->dx;
  int64_t xe = 0, ye = 0;
  for (int32_t y = 0; y < 16; y++) {
    const int16_t *row = there + y * s->neighbour->stride, *here = at + y * stride;
    int32_t sx = 0, sy = 0;
    for (int32_t x = 0; x < 16; x++) {
      const int32_t e = here[x] - row[x];
      sx += gx[16 * y + x] * e;
      sy += gy[16 * y + x] * e;
    }
    xe += sx;
    ye += sy;
  }
  // Gradients are central differences, twice the slope: a pixel is 16 sixteenths.
  const double ex = (double)xe * 2, ey = (double)ye * 2;
  const double rx = (dyy * ex - dxy * ey) / determinant * 16;
  const double ry = (dxx * ey - dxy * ex) / determinant * 16;
  const int32_t qx = nearest(rx), qy = nearest(ry);
  vector->rx = (int8_t)qx;
  vector->ry = (int8_t)qy;
}

void ve_motion_search(const ve_motion_plane *reference, const ve_motion_plane *neighbour,
                      const ve_motion_vector *prior, int32_t prior_factor, ve_motion_vector *vectors) {
  const int32_t columns = ve_motion_blocks(reference->width), rows = ve_motion_blocks(reference->height);
  // Coarse vectors of this pair of rows of blocks, found when first wanted. Eight thousand squares span 128,000 pixels.
  enum { most = 8192 };
  static const int16_t unknown = INT16_MIN;
  int16_t coarse[most][2];
  for (int32_t by = 0; by < rows; by++) {
    if (by % 2 == 0)
      for (int32_t i = 0; i < most && i <= columns / 2; i++) coarse[i][0] = unknown;
    for (int32_t bx = 0; bx < columns; bx++) {
      const int32_t x = bx * block - 4, y = by * block - 4;
      search s = {.reference = reference, .neighbour = neighbour, .x = x, .y = y, .best_cost = INT32_MAX};
      s.at = reference->luma + y * reference->stride + x;
      ve_motion_vector *here = vectors + by * columns + bx;
      try_vector(&s, 0, 0);
      if (bx > 0) try_vector(&s, here[-1].dx, here[-1].dy);
      if (by > 0) try_vector(&s, here[-columns].dx, here[-columns].dy);
      if (by > 0 && bx + 1 < columns) try_vector(&s, here[1 - columns].dx, here[1 - columns].dy);
      if (prior) {
        const ve_motion_vector *p = prior + by * columns + bx;
        try_vector(&s, (p->dx * 16 + p->rx) * prior_factor / 16, (p->dy * 16 + p->ry) * prior_factor / 16);
      }
      // A block that matches to two levels has no need of the coarse search.
      if (s.best_error > 2 * window * window) {
        int16_t *vector = coarse[clamp(bx / 2, 0, most - 1)];
        if (vector[0] == unknown) {
          int32_t dx = 0, dy = 0;
          coarse_search(reference, neighbour, bx, by, &dx, &dy);
          vector[0] = (int16_t)dx;
          vector[1] = (int16_t)dy;
        }
        try_vector(&s, vector[0], vector[1]);
      }
      refine(&s);
      here->dx = (int16_t)s.dx;
      here->dy = (int16_t)s.dy;
      here->error = (uint16_t)s.best_error;
      remainder_of(&s, here);
    }
  }
}

// MARK: - Planes for the network

static uint8_t code(int32_t value) { return (uint8_t)clamp(128 + value, 0, 255); }

enum { unit = VE_MOTION_REMAINDER * VE_MOTION_REMAINDER };

// Codes of (sample - 128) * factor / unit, rounded to nearest, halves away from zero, for every factor from -unit to unit: a
// look-up is a third of the time of the arithmetic.
static uint8_t modulated[2 * unit + 1][256];

static void fill_modulated(void) {
  for (int32_t factor = -unit; factor <= unit; factor++)
    for (int32_t sample = 0; sample < 256; sample++) {
      const int32_t product = (sample - 128) * factor;
      modulated[factor + unit][sample] = code((product + (product < 0 ? -unit / 2 : unit / 2)) / unit);
    }
}

// A chroma sample at a luma vector: halves of a sample are means.
static int32_t chroma_at(const uint8_t *plane, int32_t width, int32_t height, int32_t x, int32_t y, int32_t dx,
                         int32_t dy) {
  const int32_t fx = 2 * x + dx, fy = 2 * y + dy; // in half samples
  const int32_t x0 = clamp(fx >> 1, 0, width - 1), y0 = clamp(fy >> 1, 0, height - 1);
  const int32_t x1 = clamp((fx + 1) >> 1, 0, width - 1), y1 = clamp((fy + 1) >> 1, 0, height - 1);
  return (plane[y0 * width + x0] + plane[y0 * width + x1] + plane[y1 * width + x0] + plane[y1 * width + x1] + 2) >> 2;
}

void ve_motion_neighbour(const ve_motion_plane *reference, const ve_motion_plane *neighbour,
                         const uint8_t *const chroma[2], const ve_motion_vector *vectors, uint8_t *result,
                         ptrdiff_t pixel_stride, ptrdiff_t row_stride, int32_t row_begin, int32_t row_end) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, fill_modulated);
  const int32_t columns = ve_motion_blocks(reference->width), grid_width = reference->width / 2;
  const int32_t chroma_height = reference->height / 2, limit = VE_MOTION_REMAINDER;
  for (int32_t y = row_begin; y < row_end; y++) {
    const ve_motion_vector *row = vectors + (2 * y / block) * columns;
    for (int32_t x = 0; x < grid_width; x++) {
      const ve_motion_vector v = row[2 * x / block];
      const uint8_t *there = neighbour->luma + (2 * y + v.dy) * neighbour->stride + 2 * x + v.dx;
      const uint8_t *here = reference->luma + 2 * y * reference->stride + 2 * x;
      uint8_t *to = result + y * row_stride + x * pixel_stride;
      const uint8_t samples[6] = {there[0],
                                  there[1],
                                  there[neighbour->stride],
                                  there[neighbour->stride + 1],
                                  (uint8_t)chroma_at(chroma[0], grid_width, chroma_height, x, y, v.dx, v.dy),
                                  (uint8_t)chroma_at(chroma[1], grid_width, chroma_height, x, y, v.dx, v.dy)};
      const uint8_t *by_x = modulated[unit + v.rx * limit], *by_y = modulated[unit + v.ry * limit];
      const uint8_t *by_xy = modulated[unit + v.rx * v.ry];
      const uint8_t *by_xx = modulated[unit + v.rx * v.rx], *by_yy = modulated[unit + v.ry * v.ry];
      for (int32_t c = 0; c < 6; c++) {
        to[c] = samples[c];
        to[6 + c] = by_x[samples[c]];
        to[12 + c] = by_y[samples[c]];
        to[18 + c] = by_xy[samples[c]];
        to[24 + c] = by_xx[samples[c]];
        to[30 + c] = by_yy[samples[c]];
      }
      // Means of absolute differences, times 8 over the block and times 4 at the point.
      const int32_t mismatch = abs(here[0] - samples[0]) + abs(here[1] - samples[1]) +
                               abs(here[reference->stride] - samples[2]) +
                               abs(here[reference->stride + 1] - samples[3]);
      to[36] = code(clamp(v.error / 32, 0, 127));
      to[37] = code(clamp(mismatch, 0, 127));
    }
  }
}
