// SPDX-License-Identifier: Apache-2.0
// Block motion search, compiled for each instruction set: candidates, their order and the winner are the same for all.
// Include once per file, after
//
//   VE_NAME(job)     the function's name
//   block16          a 16 x 16 block of the reference, and
//     load_block16(from, stride), difference16(block, there, stride, enough): the sum of absolute differences, or any
//     partial sum that has reached `enough`
//   block8           an 8 x 8 block, and
//     load_block8(from, stride), nearest_in_row(block, there, stride, first, last, row_cost, best): the offset i in
//     first ... last of least difference at there + i plus 2 |i| + row_cost, the first of equals, if that is less than
//     *best, which then becomes it; else INT32_MIN
//   motion_sums(here, here_stride, there, there_stride)
#if !defined(VE_NAME)
#error "define VE_NAME and the primitives first"
#endif

enum {
  block = VE_MOTION_BLOCK,
  border = VE_MOTION_BORDER,
  window = 16,
  coarse_border = VE_MOTION_COARSE_BORDER,
  reach = VE_MOTION_REACH,
  span = 2 * reach + 1,
};

// MARK: - Whole pixels

typedef struct search {
  const ve_motion_plane *reference, *neighbour;
  block16 at;
  int32_t x, y;  // top left of the 16 x 16
  int32_t best_cost, best_error, dx, dy;
  // Marks vectors that have been tried for this block.
  uint32_t stamp;
  uint32_t *tried;
} search;

static bool try_vector(search *s, int32_t dx, int32_t dy) {
  dx = ve_clamp(dx, -reach, reach);
  dy = ve_clamp(dy, -reach, reach);
  // The 16 x 16 must stay inside the border.
  dx = ve_clamp(dx, -border + 2 - s->x, s->neighbour->width + border - 18 - s->x);
  dy = ve_clamp(dy, -border + 2 - s->y, s->neighbour->height + border - 18 - s->y);
  if (dx >= -reach && dx <= reach && dy >= -reach && dy <= reach) {
    uint32_t *tried = s->tried + (dy + reach) * span + dx + reach;
    if (*tried == s->stamp) return false;
    *tried = s->stamp;
  }
  const uint8_t *there = s->neighbour->luma + (s->y + dy) * s->neighbour->stride + s->x + dx;
  // Prefers small vectors by about 0.02 levels per pixel, which decides in flat areas.
  const int32_t extra = 5 * (abs(dx) + abs(dy));
  const int32_t error = difference16(&s->at, there, s->neighbour->stride, s->best_cost - extra);
  const int32_t cost = error + extra;
  if (cost >= s->best_cost) return false;
  s->best_cost = cost;
  s->best_error = error;
  s->dx = dx;
  s->dy = dy;
  return true;
}

// Full search at a quarter of the extents, with a vector per square of four blocks from windows of 32 x 32 pixels: initial
// values for fast motion.
static void coarse_search(const ve_motion_plane *r, const ve_motion_plane *n, int32_t bx, int32_t by, int32_t *dx,
                          int32_t *dy) {
  // The square covers 4 x 4 coarse pixels; the window around it 8 x 8.
  enum { coarse_reach = reach / 4 };
  const int32_t x = ve_clamp(4 * (bx / 2) - 2, -coarse_border, r->coarse_width + coarse_border - 8);
  const int32_t y = ve_clamp(4 * (by / 2) - 2, -coarse_border, r->coarse_height + coarse_border - 8);
  const block8 at = load_block8(r->coarse + y * r->coarse_stride + x, r->coarse_stride);
  const int32_t first = ve_clamp(-coarse_border - x, -coarse_reach, coarse_reach + 1);
  const int32_t last = ve_clamp(n->coarse_width + coarse_border - 8 - x, -coarse_reach - 1, coarse_reach);
  int32_t best = INT32_MAX;
  for (int32_t j = -coarse_reach; j <= coarse_reach; j++) {
    if (y + j < -coarse_border || y + j + 8 > n->coarse_height + coarse_border) continue;
    const uint8_t *there = n->coarse + (y + j) * n->coarse_stride + x;
    const int32_t i = nearest_in_row(&at, there, n->coarse_stride, first, last, 2 * abs(j), &best);
    if (i == INT32_MIN) continue;
    *dx = 4 * i;
    *dy = 4 * j;
  }
}

static void refine(search *s) {
  // Eight positions around the best, at distances of two pixels and then one.
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

// Rounds to sixteenths, clamped.
static int32_t nearest(double value) {
  const double limit = VE_MOTION_REMAINDER;
  const double limited = value < -limit ? -limit : value > limit ? limit : value;
  return (int32_t)(limited < 0 ? limited - 0.5 : limited + 0.5);
}

// One step of Lucas-Kanade with the reference's gradients over the 16 x 16 around the block. A second step, which needs
// interpolated samples, is more accurate for pans but did not improve the network (docs/lab/networks.md).
static void remainder_of(const search *s, ve_motion_vector *vector) {
  const ptrdiff_t stride = s->reference->stride, there_stride = s->neighbour->stride;
  const ve_motion_sums sums =
      motion_sums(s->reference->smooth + s->y * stride + s->x, stride,
                  s->neighbour->smooth + (s->y + s->dy) * there_stride + s->x + s->dx, there_stride);
  // Damping of half a squared level per pixel keeps flat blocks in place. (Gradients are 8 x per pixel.)
  const double dxx = (double)sums.xx + 256 * 32, dyy = (double)sums.yy + 256 * 32, dxy = (double)sums.xy;
  const double determinant = dxx * dyy - dxy * dxy;
  // Gradients are central differences, twice the slope: a pixel is 16 sixteenths.
  const double ex = (double)sums.xe * 2, ey = (double)sums.ye * 2;
  const double rx = (dyy * ex - dxy * ey) / determinant * 16;
  const double ry = (dxx * ey - dxy * ex) / determinant * 16;
  vector->rx = (int8_t)nearest(rx);
  vector->ry = (int8_t)nearest(ry);
}

// MARK: - All together

void VE_NAME(search)(const ve_motion_plane *reference, const ve_motion_plane *neighbour,
                     const ve_motion_vector *prior, int32_t prior_factor, ve_motion_vector *vectors) {
  const int32_t columns = ve_motion_blocks(reference->width), rows = ve_motion_blocks(reference->height);
  // Coarse vectors of this pair of block rows, computed on demand. Eight thousand squares span 128,000 pixels.
  enum { most = 8192 };
  static const int16_t unknown = INT16_MIN;
  int16_t coarse[most][2];
  uint32_t tried[span * span] = {0};
  search s = {.reference = reference, .neighbour = neighbour, .tried = tried};
  for (int32_t by = 0; by < rows; by++) {
    if (by % 2 == 0)
      for (int32_t i = 0; i < most && i <= columns / 2; i++) coarse[i][0] = unknown;
    for (int32_t bx = 0; bx < columns; bx++) {
      s.x = bx * block - 4;
      s.y = by * block - 4;
      s.best_cost = INT32_MAX;
      s.stamp++;
      s.at = load_block16(reference->luma + s.y * reference->stride + s.x, reference->stride);
      ve_motion_vector *here = vectors + by * columns + bx;
      try_vector(&s, 0, 0);
      if (bx > 0) try_vector(&s, here[-1].dx, here[-1].dy);
      if (by > 0) try_vector(&s, here[-columns].dx, here[-columns].dy);
      if (by > 0 && bx + 1 < columns) try_vector(&s, here[1 - columns].dx, here[1 - columns].dy);
      if (prior) {
        const ve_motion_vector *p = prior + by * columns + bx;
        try_vector(&s, (p->dx * 16 + p->rx) * prior_factor / 16, (p->dy * 16 + p->ry) * prior_factor / 16);
      }
      // A block that matches within two levels does not need the coarse search.
      if (s.best_error > 2 * window * window) {
        int16_t *vector = coarse[ve_clamp(bx / 2, 0, most - 1)];
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
