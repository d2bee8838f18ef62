// SPDX-License-Identifier: Apache-2.0
// Motion search between two frames, compiled for each instruction set: candidates, their order and the winner are the same
// for all. Include once per file, after
//
//   VE_NAME(job)     the function's name
//   difference(a, a_stride, b, b_stride): the sum of absolute differences over 8 x 8
//   vicinity         the vectors around a block, and
//     make_vicinity(four vectors), distance(&vicinity, v): the sum over them of the lesser of 16 and |dx| + |dy|
//   patch            VE_INTERP_PATCH squared samples times 16, and
//     fill_patch(&patch, from, stride, fx, fy): by bilinear interpolation at sixteenths
//     patch_difference(&a, &b), patch_sums(&a, &b): over the window inside
#if !defined(VE_NAME)
#error "define VE_NAME and the primitives first"
#endif

enum { border = VE_INTERP_BORDER, coarsest = VE_INTERP_LEVELS - 1, side = VE_INTERP_SIDE, window = 8 };

// MARK: - Whole pixels of a level

// When a block's vector last changed, and when the block was last examined without improvement, as counts of all changes
// so far, starting at one.
typedef struct history {
  uint32_t changed, settled;
} history;

// The search on one level, with windows of `window` x `window` pixels around blocks of `block` x `block`. On the last level
// these are the blocks themselves, so that vectors change at the edges of objects.
typedef struct level_search {
  const ve_interp_plane *first, *second;
  int32_t level, block, columns, rows, time;
  int32_t smoothness;  // cost per pixel of difference from a neighbour's vector
  vector *vectors;
  history *histories;
  uint32_t changes;
} level_search;

// The distance by which a span at `at` must move to be within an extent and a margin around it; 0 if it is.
static int32_t way_inside(int32_t at, int32_t span, int32_t extent, int32_t margin) {
  return at < -margin ? -margin - at : at + span > extent + margin ? extent + margin - span - at : 0;
}

// The distance by which two spans must move together. Content beyond the edge is unknown, so a vector that points there is
// evaluated next to the block. Vectors longer than the picture would have to move in both directions; they use the border.
static int32_t way_inside_both(int32_t a, int32_t b, int32_t span, int32_t extent, int32_t margin) {
  const int32_t first = way_inside(a, span, extent, margin), second = way_inside(b, span, extent, margin);
  return abs(first) > abs(second) ? first : second;
}

// A window's corner at a displacement, clamped to the border.
static const uint8_t *window_at(const ve_interp_plane *p, const level_search *s, int32_t x, int32_t y) {
  x = ve_clamp(x, -border, p->width[s->level] + border - window);
  y = ve_clamp(y, -border, p->height[s->level] + border - window);
  return p->luma[s->level] + y * p->stride[s->level] + x;
}

static int32_t match(const level_search *s, int32_t bx, int32_t by, vector v) {
  const int32_t margin = (window - s->block) / 2;
  const int32_t x = bx * s->block - margin, y = by * s->block - margin;
  const int32_t ax = ve_interp_first_part(v.x, s->time), ay = ve_interp_first_part(v.y, s->time);
  const int32_t dx = way_inside_both(x + ax, x + ax + v.x, window, s->first->width[s->level], margin);
  const int32_t dy = way_inside_both(y + ay, y + ay + v.y, window, s->first->height[s->level], margin);
  const uint8_t *a = window_at(s->first, s, x + ax + dx, y + ay + dy);
  const uint8_t *b = window_at(s->second, s, x + ax + v.x + dx, y + ay + v.y + dy);
  // Four levels per pixel for each pixel moved: otherwise a moving picture drags static content at its edge along (measured
  // on training and validation films, docs/lab/networks.md).
  const int32_t moved = abs(dx) + abs(dy);
  const int32_t extra = 4 * (moved > 8 ? 8 : moved) * window * window;
  return difference(a, s->first->stride[s->level], b, s->second->stride[s->level]) + extra;
}

// An attempt to improve a block.
typedef struct attempt {
  const level_search *s;
  int32_t bx, by;
  vicinity around;
  vector best;
  int32_t cost;
  // Vectors already tried: the initial one, zero, eight neighbours, four rounds of eight.
  int32_t count;
  int32_t tried[48];
} attempt;

static bool is_new(attempt *a, vector v) {
  const int32_t key = (int32_t)((uint32_t)(uint16_t)v.x | (uint32_t)(uint16_t)v.y << 16);
  bool known = false;
  for (int32_t i = 0; i < 48; i++) known |= a->tried[i] == key;
  if (!known) a->tried[a->count++] = key;
  return !known;
}

// The cost of a vector's deviation from those around it; it saturates, because objects have edges. Zero wins ties, so that
// noise does not make static content jitter.
static int32_t disagreement(const attempt *a, vector v) {
  return (distance(&a->around, v) + (v.x || v.y)) * a->s->smoothness;
}

static void try_vector(attempt *a, vector v) {
  if (!is_new(a, v)) return;
  const int32_t extra = disagreement(a, v);
  if (extra >= a->cost) return;
  const int32_t cost = match(a->s, a->bx, a->by, v) + extra;
  if (cost >= a->cost) return;
  a->best = v;
  a->cost = cost;
}

static attempt make_attempt(const level_search *s, int32_t bx, int32_t by) {
  attempt a = {.s = s, .bx = bx, .by = by, .best = s->vectors[by * s->columns + bx]};
  static const int8_t around[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
  vector vectors[4];
  for (int32_t i = 0; i < 4; i++) {
    const int32_t x = ve_clamp(bx + around[i][0], 0, s->columns - 1);
    const int32_t y = ve_clamp(by + around[i][1], 0, s->rows - 1);
    vectors[i] = s->vectors[y * s->columns + x];
  }
  a.around = make_vicinity(vectors);
  // An impossible vector.
  for (int32_t i = 0; i < 48; i++) a.tried[i] = INT32_MIN;
  is_new(&a, a.best);
  a.cost = match(s, bx, by, a.best) + disagreement(&a, a.best);
  return a;
}

// Whether examining a block again would have the same result, because nothing around it has changed.
static bool is_settled(const level_search *s, int32_t bx, int32_t by) {
  const uint32_t since = s->histories[by * s->columns + bx].settled;
  if (since == 0) return false;
  for (int32_t y = by > 0 ? by - 1 : 0; y <= by + 1 && y < s->rows; y++)
    for (int32_t x = bx > 0 ? bx - 1 : 0; x <= bx + 1 && x < s->columns; x++)
      if ((x != bx || y != by) && s->histories[y * s->columns + x].changed > since) return false;
  return true;
}

static void improve(level_search *s, int32_t bx, int32_t by, bool steps) {
  if (is_settled(s, bx, by)) return;
  vector *here = s->vectors + by * s->columns + bx;
  history *history = s->histories + by * s->columns + bx;
  attempt a = make_attempt(s, bx, by);
  try_vector(&a, (vector){0, 0});
  for (int32_t j = -1; j <= 1; j++)
    for (int32_t i = -1; i <= 1; i++) {
      const int32_t x = bx + i, y = by + j;
      if ((i || j) && x >= 0 && y >= 0 && x < s->columns && y < s->rows)
        try_vector(&a, s->vectors[y * s->columns + x]);
    }
  bool is_final = false;
  for (int32_t round = 0; steps && !is_final && round < 4; round++) {
    const vector from = a.best;
    for (int32_t j = -1; j <= 1; j++)
      for (int32_t i = -1; i <= 1; i++)
        if (i || j) try_vector(&a, (vector){(int16_t)(from.x + i), (int16_t)(from.y + j)});
    is_final = a.best.x == from.x && a.best.y == from.y;
  }
  const bool has_changed = a.best.x != here->x || a.best.y != here->y;
  *here = a.best;
  if (has_changed) history->changed = ++s->changes;
  // At the edge, a block is its own neighbour, so its own change matters.
  const bool is_rim = bx == 0 || by == 0 || bx == s->columns - 1 || by == s->rows - 1;
  history->settled = is_final && !(is_rim && has_changed) ? s->changes : 0;
}

// Forward and backward passes, so that good vectors spread in both directions.
static void improve_all(level_search *s) {
  memset(s->histories, 0, (size_t)s->columns * (size_t)s->rows * sizeof *s->histories);
  s->changes = 1;
  for (int32_t by = 0; by < s->rows; by++)
    for (int32_t bx = 0; bx < s->columns; bx++) improve(s, bx, by, true);
  for (int32_t by = s->rows - 1; by >= 0; by--)
    for (int32_t bx = s->columns - 1; bx >= 0; bx--) improve(s, bx, by, true);
  for (int32_t by = 0; by < s->rows; by++)
    for (int32_t bx = 0; bx < s->columns; bx++) improve(s, bx, by, false);
}

// Full search at the coarsest level.
static void search_all(const level_search *s) {
  enum { reach = 10 };
  for (int32_t by = 0; by < s->rows; by++)
    for (int32_t bx = 0; bx < s->columns; bx++) {
      vector best = {0, 0};
      int32_t best_cost = match(s, bx, by, best);
      for (int32_t y = -reach; y <= reach; y++)
        for (int32_t x = -reach; x <= reach; x++) {
          const vector v = {(int16_t)x, (int16_t)y};
          const int32_t extra = s->smoothness * (abs(x) + abs(y)) / 2;
          if (extra >= best_cost) continue;
          const int32_t cost = match(s, bx, by, v) + extra;
          if (cost >= best_cost) continue;
          best_cost = cost;
          best = v;
        }
      s->vectors[by * s->columns + bx] = best;
    }
}

static level_search level_below(const level_search *above, int32_t columns, int32_t rows) {
  level_search s = *above;
  s.level = above->level - 1;
  s.block = s.level == 0 ? 8 : 4;
  s.smoothness = s.level == 0 ? window * window * 3 / 2 : window * window;
  // Blocks are multiples of those of the level below: 32, 16, 8 and 8 pixels.
  const int32_t factor = s.level == 0 ? 1 : 1 << (s.level - 1);
  s.columns = (columns + factor - 1) / factor;
  s.rows = (rows + factor - 1) / factor;
  return s;
}

static void begin_with_vectors_of(const level_search *above, level_search *s) {
  const int32_t halving = s->level == 0 ? 1 : 2;
  for (int32_t by = 0; by < s->rows; by++)
    for (int32_t bx = 0; bx < s->columns; bx++) {
      const vector parent = above->vectors[by / halving * above->columns + bx / halving];
      s->vectors[by * s->columns + bx] = (vector){(int16_t)(2 * parent.x), (int16_t)(2 * parent.y)};
    }
}

int VE_NAME(search)(const ve_interp_plane *first, const ve_interp_plane *second, int32_t time,
                    ve_interp_vector *result) {
  const int32_t columns = ve_interp_blocks(first->width[0]), rows = ve_interp_blocks(first->height[0]);
  const size_t count = (size_t)columns * (size_t)rows;
  vector *memory = malloc(2 * count * sizeof *memory);
  history *histories = malloc(count * sizeof *histories);
  if (!memory || !histories) {
    free(memory);
    free(histories);
    return -1;
  }
  level_search s = {.first = first, .second = second, .level = coarsest + 1, .time = time, .vectors = memory + count,
                    .histories = histories};
  while (s.level > 0) {
    const level_search above = s;
    s = level_below(&above, columns, rows);
    s.vectors = above.vectors == memory ? memory + count : memory;
    if (s.level == coarsest)
      search_all(&s);
    else
      begin_with_vectors_of(&above, &s);
    improve_all(&s);
  }
  for (size_t i = 0; i < count; i++)
    result[i] = (ve_interp_vector){(int16_t)(16 * s.vectors[i].x), (int16_t)(16 * s.vectors[i].y), 0, 0};
  free(memory);
  free(histories);
  return 0;
}

// MARK: - Fractions of a pixel

typedef struct pair {
  const ve_interp_plane *first, *second;
  int32_t x, y, time;  // of the window's patch, in sixteenths
} pair;

static void patch_at(const ve_interp_plane *p, int32_t x, int32_t y, patch *result) {
  const int32_t ix = ve_clamp(x >> 4, -border, p->width[0] + border - VE_INTERP_PATCH - 1);
  const int32_t iy = ve_clamp(y >> 4, -border, p->height[0] + border - VE_INTERP_PATCH - 1);
  fill_patch(result, p->luma[0] + iy * p->stride[0] + ix, p->stride[0], x & 15, y & 15);
}

// Fills both frames' patches at a vector in sixteenths. Returns their sum of absolute differences, in sixteenths of a level.
static int32_t patches(const pair *p, vector v, patch *a, patch *b) {
  const int32_t ax = ve_interp_first_part(v.x, p->time), ay = ve_interp_first_part(v.y, p->time);
  const int32_t x = p->x + ax, y = p->y + ay, span = VE_INTERP_PATCH + 1, margin = 6;
  const int32_t dx = 16 * way_inside_both(x >> 4, (x + v.x) >> 4, span, p->first->width[0], margin);
  const int32_t dy = 16 * way_inside_both(y >> 4, (y + v.y) >> 4, span, p->first->height[0], margin);
  patch_at(p->first, x + dx, y + dy, a);
  patch_at(p->second, x + v.x + dx, y + v.y + dy, b);
  return patch_difference(a, b);
}

static int32_t nearest(double value, double limit) {
  const double limited = value < -limit ? -limit : value > limit ? limit : value;
  return (int32_t)(limited < 0 ? limited - 0.5 : limited + 0.5);
}

// One step of Lucas-Kanade with the mean gradients of both patches.
static vector step_of(const patch *a, const patch *b) {
  const ve_interp_sums sums = patch_sums(a, b);
  // Damping of a squared level per pixel; levels are in sixteenths.
  const double damping = 256.0 * 256;
  const double dxx = (double)sums.xx + damping, dyy = (double)sums.yy + damping, dxy = (double)sums.xy;
  const double determinant = dxx * dyy - dxy * dxy;
  const double x = (dyy * (double)sums.xe - dxy * (double)sums.ye) / determinant;
  const double y = (dxx * (double)sums.ye - dxy * (double)sums.xe) / determinant;
  return (vector){(int16_t)nearest(16 * x, 16), (int16_t)nearest(16 * y, 16)};
}

static int32_t refine(const pair *p, vector *v) {
  patch a, b;
  int32_t error = patches(p, *v, &a, &b);
  for (int32_t round = 0; error > 0 && round < 6; round++) {
    const vector step = step_of(&a, &b);
    if (step.x == 0 && step.y == 0) break;
    const vector next = {(int16_t)(v->x + step.x), (int16_t)(v->y + step.y)};
    const int32_t there = patches(p, next, &a, &b);
    // A zero vector changes only for at least a quarter of a level per pixel, so that static content does not jitter.
    const int32_t least = v->x == 0 && v->y == 0 ? side * side : 0;
    if (there + least >= error) break;
    error = there;
    *v = next;
  }
  return error;
}

void VE_NAME(refine)(const ve_interp_plane *first, const ve_interp_plane *second, int32_t time,
                     ve_interp_vector *vectors, int32_t row_begin, int32_t row_end) {
  const int32_t columns = ve_interp_blocks(first->width[0]);
  for (int32_t by = row_begin; by < row_end; by++)
    for (int32_t bx = 0; bx < columns; bx++) {
      ve_interp_vector *here = vectors + by * columns + bx;
      const pair p = {first, second, 16 * (bx * VE_INTERP_BLOCK - 5), 16 * (by * VE_INTERP_BLOCK - 5), time};
      vector v = {here->x, here->y};
      const int32_t error = refine(&p, &v);
      *here = (ve_interp_vector){v.x, v.y, (uint16_t)(error / (side * side)), 0};
    }
}
