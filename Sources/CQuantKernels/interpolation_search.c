// SPDX-License-Identifier: Apache-2.0
#include "include/VEInterpolation.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { levels = VE_INTERP_LEVELS, border = VE_INTERP_BORDER, coarsest = VE_INTERP_LEVELS - 1 };

static int32_t clamp(int32_t value, int32_t low, int32_t high) { return value < low ? low : value > high ? high : value; }

// MARK: - Pyramid

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

static ve_interp_plane layout(int32_t width, int32_t height, uint8_t *memory, size_t *total) {
  ve_interp_plane p;
  size_t at = 0;
  for (int32_t i = 0; i < levels; i++) {
    p.width[i] = i ? (p.width[i - 1] + 1) / 2 : width;
    p.height[i] = i ? (p.height[i - 1] + 1) / 2 : height;
    p.stride[i] = (ptrdiff_t)aligned((size_t)(p.width[i] + 2 * border));
    p.luma[i] = memory ? memory + at + border * p.stride[i] + border : NULL;
    at += aligned((size_t)p.stride[i] * (size_t)(p.height[i] + 2 * border));
  }
  // Vector loads at the last pixel of the last row.
  *total = at + 64;
  return p;
}

size_t ve_interp_plane_bytes(int32_t width, int32_t height) {
  size_t total;
  layout(width, height, NULL, &total);
  return total;
}

static void extend(uint8_t *plane, ptrdiff_t stride, int32_t width, int32_t height) {
  for (int32_t y = 0; y < height; y++) {
    uint8_t *row = plane + y * stride;
    memset(row - border, row[0], border);
    memset(row + width, row[width - 1], border);
  }
  const size_t bytes = (size_t)(width + 2 * border);
  for (int32_t y = 1; y <= border; y++) {
    memcpy(plane - y * stride - border, plane - border, bytes);
    memcpy(plane + (height - 1 + y) * stride - border, plane + (height - 1) * stride - border, bytes);
  }
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
    extend(p.luma[i], p.stride[i], p.width[i], p.height[i]);
  }
  return p;
}

// MARK: - Whole pixels of a level

typedef struct vector {
  int16_t x, y;
} vector;

// The search of one level: `window` pixels square around every `block` pixels square.
typedef struct level_search {
  const ve_interp_plane *first, *second;
  int32_t level, block, window, columns, rows, time;
  int32_t smoothness;  // what a pixel of difference from a neighbour's vector costs
  vector *vectors;
} level_search;

static int32_t difference(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride, int32_t window) {
#if defined(__SSE2__)
  __m128i total = _mm_setzero_si128();
  if (window == 8) {
    for (int32_t y = 0; y < 8; y++)
      total = _mm_add_epi64(
          total, _mm_sad_epu8(_mm_loadl_epi64((const __m128i *)(const void *)(a + y * a_stride)),
                              _mm_loadl_epi64((const __m128i *)(const void *)(b + y * b_stride))));
    return _mm_cvtsi128_si32(total);
  }
  for (int32_t y = 0; y < 16; y++)
    total = _mm_add_epi64(
        total, _mm_sad_epu8(_mm_loadu_si128((const __m128i *)(const void *)(a + y * a_stride)),
                            _mm_loadu_si128((const __m128i *)(const void *)(b + y * b_stride))));
  return _mm_cvtsi128_si32(total) + _mm_cvtsi128_si32(_mm_srli_si128(total, 8));
#else
  int32_t sum = 0;
  for (int32_t y = 0; y < window; y++)
    for (int32_t x = 0; x < window; x++) sum += abs(a[y * a_stride + x] - b[y * b_stride + x]);
  return sum;
#endif
}

// A window's corner at a displacement, held inside the border.
static const uint8_t *window_at(const ve_interp_plane *p, const level_search *s, int32_t x, int32_t y) {
  x = clamp(x, -border, p->width[s->level] + border - s->window);
  y = clamp(y, -border, p->height[s->level] + border - s->window);
  return p->luma[s->level] + y * p->stride[s->level] + x;
}

// Halves round away from the first frame; the second frame takes the rest.
static int32_t first_part(int32_t v, int32_t time) { return -((v * time + VE_INTERP_ONE / 2) >> 8); }

static int32_t match(const level_search *s, int32_t bx, int32_t by, vector v) {
  const int32_t margin = (s->window - s->block) / 2;
  const int32_t x = bx * s->block - margin, y = by * s->block - margin;
  const int32_t ax = first_part(v.x, s->time), ay = first_part(v.y, s->time);
  const uint8_t *a = window_at(s->first, s, x + ax, y + ay);
  const uint8_t *b = window_at(s->second, s, x + ax + v.x, y + ay + v.y);
  return difference(a, s->first->stride[s->level], b, s->second->stride[s->level], s->window);
}

// What a vector's disagreement with those around it costs; far ones cost no more than moderately far ones, for objects
// have edges.
static int32_t disagreement(const level_search *s, int32_t bx, int32_t by, vector v) {
  static const int8_t around[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
  int32_t sum = 0;
  for (int32_t i = 0; i < 4; i++) {
    const int32_t x = clamp(bx + around[i][0], 0, s->columns - 1), y = clamp(by + around[i][1], 0, s->rows - 1);
    const vector n = s->vectors[y * s->columns + x];
    const int32_t distance = abs(n.x - v.x) + abs(n.y - v.y);
    sum += distance > 16 ? 16 : distance;
  }
  return sum * s->smoothness;
}

typedef struct best {
  vector v;
  int32_t cost;
} best;

static void try_vector(const level_search *s, int32_t bx, int32_t by, vector v, best *b) {
  if (v.x == b->v.x && v.y == b->v.y) return;
  // Rest wins ties: noise must not make still things tremble.
  const int32_t extra = disagreement(s, bx, by, v) + (v.x || v.y ? s->smoothness : 0);
  if (extra >= b->cost) return;
  const int32_t cost = match(s, bx, by, v) + extra;
  if (cost < b->cost) *b = (best){v, cost};
}

static void improve(const level_search *s, int32_t bx, int32_t by, bool steps) {
  vector *here = s->vectors + by * s->columns + bx;
  best b = {*here, 0};
  b.cost = match(s, bx, by, b.v) + disagreement(s, bx, by, b.v) + (b.v.x || b.v.y ? s->smoothness : 0);
  try_vector(s, bx, by, (vector){0, 0}, &b);
  for (int32_t j = -1; j <= 1; j++)
    for (int32_t i = -1; i <= 1; i++) {
      const int32_t x = bx + i, y = by + j;
      if ((i || j) && x >= 0 && y >= 0 && x < s->columns && y < s->rows)
        try_vector(s, bx, by, s->vectors[y * s->columns + x], &b);
    }
  for (int32_t round = 0; steps && round < 4; round++) {
    const vector from = b.v;
    for (int32_t j = -1; j <= 1; j++)
      for (int32_t i = -1; i <= 1; i++)
        try_vector(s, bx, by, (vector){(int16_t)(from.x + i), (int16_t)(from.y + j)}, &b);
    if (b.v.x == from.x && b.v.y == from.y) break;
  }
  *here = b.v;
}

// There and back, so that good vectors spread both ways.
static void improve_all(const level_search *s) {
  for (int32_t by = 0; by < s->rows; by++)
    for (int32_t bx = 0; bx < s->columns; bx++) improve(s, bx, by, true);
  for (int32_t by = s->rows - 1; by >= 0; by--)
    for (int32_t bx = s->columns - 1; bx >= 0; bx--) improve(s, bx, by, true);
  for (int32_t by = 0; by < s->rows; by++)
    for (int32_t bx = 0; bx < s->columns; bx++) improve(s, bx, by, false);
}

// Every vector within reach, at the coarsest level.
static void search_all(const level_search *s) {
  enum { reach = 10 };
  for (int32_t by = 0; by < s->rows; by++)
    for (int32_t bx = 0; bx < s->columns; bx++) {
      best b = {{0, 0}, match(s, bx, by, (vector){0, 0})};
      for (int32_t y = -reach; y <= reach; y++)
        for (int32_t x = -reach; x <= reach; x++) {
          const vector v = {(int16_t)x, (int16_t)y};
          const int32_t cost = match(s, bx, by, v) + s->smoothness * (abs(x) + abs(y)) / 2;
          if (cost < b.cost) b = (best){v, cost};
        }
      s->vectors[by * s->columns + bx] = b.v;
    }
}

// MARK: - Fractions of a pixel

enum { side = 16, fine = 18 };

// Samples at sixteenths by bilinear interpolation, times 16.
static void patch_at(const ve_interp_plane *p, int32_t x, int32_t y, int16_t *patch) {
  const int32_t fx = x & 15, fy = y & 15;
  const int32_t ix = clamp(x >> 4, -border, p->width[0] + border - fine - 1);
  const int32_t iy = clamp(y >> 4, -border, p->height[0] + border - fine - 1);
  const uint8_t *from = p->luma[0] + iy * p->stride[0] + ix;
  for (int32_t j = 0; j < fine; j++, from += p->stride[0])
    for (int32_t i = 0; i < fine; i++) {
      const int32_t above = from[i] * (16 - fx) + from[i + 1] * fx;
      const int32_t below = from[i + p->stride[0]] * (16 - fx) + from[i + 1 + p->stride[0]] * fx;
      patch[j * fine + i] = (int16_t)((above * (16 - fy) + below * fy + 8) >> 4);
    }
}

// Both frames' patches, one pixel wider than the window all around, at a vector in sixteenths.
// Returns their sum of absolute differences over the window, in sixteenths of a level.
static int32_t patches(const level_search *s, int32_t bx, int32_t by, vector v, int16_t *a, int16_t *b) {
  const int32_t x = 16 * (bx * s->block - 5), y = 16 * (by * s->block - 5);
  const int32_t ax = first_part(v.x, s->time), ay = first_part(v.y, s->time);
  patch_at(s->first, x + ax, y + ay, a);
  patch_at(s->second, x + ax + v.x, y + ay + v.y, b);
  int32_t sum = 0;
  for (int32_t j = 1; j <= side; j++)
    for (int32_t i = 1; i <= side; i++) sum += abs(a[j * fine + i] - b[j * fine + i]);
  return sum;
}

static int32_t nearest(double value, double limit) {
  const double limited = value < -limit ? -limit : value > limit ? limit : value;
  return (int32_t)(limited < 0 ? limited - 0.5 : limited + 0.5);
}

// One step of Lucas-Kanade with the mean gradients of both patches.
static vector step_of(const int16_t *a, const int16_t *b) {
  int64_t xx = 0, yy = 0, xy = 0, xe = 0, ye = 0;
  for (int32_t j = 1; j <= side; j++) {
    int32_t rxx = 0, ryy = 0, rxy = 0, rxe = 0, rye = 0;
    for (int32_t i = 1; i <= side; i++) {
      const int32_t at = j * fine + i;
      const int32_t gx = (a[at + 1] - a[at - 1] + b[at + 1] - b[at - 1]) >> 2;
      const int32_t gy = (a[at + fine] - a[at - fine] + b[at + fine] - b[at - fine]) >> 2;
      const int32_t e = a[at] - b[at];
      rxx += gx * gx;
      ryy += gy * gy;
      rxy += gx * gy;
      rxe += gx * e;
      rye += gy * e;
    }
    xx += rxx;
    yy += ryy;
    xy += rxy;
    xe += rxe;
    ye += rye;
  }
  // Damping of a squared level a pixel; levels are counted in sixteenths.
  const double damping = 256.0 * 256;
  const double dxx = (double)xx + damping, dyy = (double)yy + damping, dxy = (double)xy;
  const double determinant = dxx * dyy - dxy * dxy;
  const double x = (dyy * (double)xe - dxy * (double)ye) / determinant;
  const double y = (dxx * (double)ye - dxy * (double)xe) / determinant;
  return (vector){(int16_t)nearest(16 * x, 16), (int16_t)nearest(16 * y, 16)};
}

static int32_t refine(const level_search *s, int32_t bx, int32_t by, vector *v) {
  int16_t a[fine * fine], b[fine * fine];
  int32_t error = patches(s, bx, by, *v, a, b);
  for (int32_t round = 0; round < 3; round++) {
    const vector step = step_of(a, b);
    if (step.x == 0 && step.y == 0) break;
    const vector next = {(int16_t)(v->x + step.x), (int16_t)(v->y + step.y)};
    const int32_t there = patches(s, bx, by, next, a, b);
    // A fraction is taken for a clear gain only: interpolated samples are smoother, which alone makes errors less. Rest is
    // left for a quarter of a level a pixel at least.
    const int32_t least = v->x == 0 && v->y == 0 ? side * side : 0;
    if (there + there / 8 + least >= error) break;
    error = there;
    *v = next;
  }
  return error;
}

// MARK: - All together

static int32_t largest_difference(const ve_interp_vector *vectors, int32_t columns, int32_t rows, int32_t bx, int32_t by) {
  const ve_interp_vector here = vectors[by * columns + bx];
  int32_t most = 0;
  for (int32_t j = -1; j <= 1; j++)
    for (int32_t i = -1; i <= 1; i++) {
      const int32_t x = clamp(bx + i, 0, columns - 1), y = clamp(by + j, 0, rows - 1);
      const ve_interp_vector n = vectors[y * columns + x];
      const int32_t dx = abs(n.x - here.x), dy = abs(n.y - here.y);
      most = dx > most ? dx : most;
      most = dy > most ? dy : most;
    }
  return most;
}

int ve_interp_search(const ve_interp_plane *first, const ve_interp_plane *second, int32_t time,
                     ve_interp_vector *result) {
  const int32_t columns = ve_interp_blocks(first->width[0]), rows = ve_interp_blocks(first->height[0]);
  const size_t count = (size_t)columns * (size_t)rows;
  vector *memory = malloc(2 * count * sizeof *memory);
  if (!memory) return -1;
  level_search s = {.first = first, .second = second, .time = time, .vectors = memory};
  for (s.level = coarsest; s.level >= 0; s.level--) {
    const level_search above = s;
    s.block = s.level == 0 ? 8 : 4;
    s.window = 2 * s.block;
    s.smoothness = s.window * s.window;
    // Blocks of a whole number of blocks of the level below: of 32, 16, 8 and 8 pixels.
    const int32_t factor = s.level == 0 ? 1 : 1 << (s.level - 1);
    s.columns = (columns + factor - 1) / factor;
    s.rows = (rows + factor - 1) / factor;
    s.vectors = above.vectors == memory ? memory + count : memory;
    if (s.level == coarsest) {
      search_all(&s);
    } else {
      const int32_t halving = s.level == 0 ? 1 : 2;
      for (int32_t by = 0; by < s.rows; by++)
        for (int32_t bx = 0; bx < s.columns; bx++) {
          const vector parent = above.vectors[by / halving * above.columns + bx / halving];
          s.vectors[by * s.columns + bx] = (vector){(int16_t)(2 * parent.x), (int16_t)(2 * parent.y)};
        }
    }
    improve_all(&s);
  }
  s.level = 0;
  for (int32_t by = 0; by < rows; by++)
    for (int32_t bx = 0; bx < columns; bx++) {
      const vector whole = s.vectors[by * columns + bx];
      vector v = {(int16_t)(16 * whole.x), (int16_t)(16 * whole.y)};
      const int32_t error = refine(&s, bx, by, &v);
      result[by * columns + bx] =
          (ve_interp_vector){v.x, v.y, (uint16_t)(error / (side * side)), 0};
    }
  for (int32_t by = 0; by < rows; by++)
    for (int32_t bx = 0; bx < columns; bx++)
      result[by * columns + bx].disorder = (uint16_t)largest_difference(result, columns, rows, bx, by);
  free(memory);
  return 0;
}
