// SPDX-License-Identifier: Apache-2.0
// Overlapped block warping, in a form that the compiler can vectorise for any instruction set. Include once per file,
// inside its target attribute, with
//
//   VE_NAME(job)      the function's name
#if !defined(VE_NAME)
#error "define VE_NAME first"
#endif

// Three-lobe Lanczos filters at sixteenths, in units of 1/128.
static const int16_t taps[16][6] = {
    {0, 0, 128, 0, 0, 0},     {1, -6, 128, 7, -2, 0},   {3, -11, 125, 15, -4, 0}, {3, -15, 120, 25, -6, 1},
    {4, -17, 114, 35, -9, 1}, {4, -18, 107, 45, -11, 1}, {4, -19, 99, 56, -14, 2}, {4, -19, 89, 67, -16, 3},
    {3, -17, 78, 78, -17, 3}, {3, -16, 67, 89, -19, 4}, {2, -14, 56, 99, -19, 4}, {1, -11, 45, 107, -18, 4},
    {1, -9, 35, 114, -17, 4}, {1, -6, 25, 120, -15, 3}, {0, -4, 15, 125, -11, 3}, {0, -2, 7, 128, -6, 1}};

// The weights of the vectors of the block before, of the block itself and of the block after, in units of 1/32, by the
// sample's position: triangles three blocks wide. In uncertain motion the mean of many vectors is nearer to the truth than
// the best of them (measured on training and validation films, docs/lab/networks.md).
static const int32_t weights8[3][8] = {
    {15, 12, 10, 7, 6, 4, 3, 1}, {16, 17, 18, 19, 19, 18, 17, 16}, {1, 3, 4, 6, 7, 10, 12, 15}};
static const int32_t weights4[3][4] = {{13, 8, 5, 2}, {17, 19, 19, 17}, {2, 5, 8, 13}};

enum { cell = VE_INTERP_BLOCK, rows_read = cell + 5, pitch = 16 };

// The kind of samples, a constant after inlining. Sums of 16-bit samples exceed 32 bits, those of 15-bit samples do not,
// since filters have a gain of at most 198 / 128.
typedef enum kind { NARROW, WIDE, DEEP } kind;

VE_INLINE int32_t sample(const ve_interp_source *s, const kind kind, ptrdiff_t at) {
  return kind == NARROW ? ((const uint8_t *)s->samples)[at] : ((const uint16_t *)s->samples)[at];
}

// Reads `width` + 5 x `height` + 5 samples from (x, y) on; edges are replicated.
VE_INLINE void read_samples(const ve_interp_source *s, const kind kind, int32_t x, int32_t y, const int width,
                            const int height, int32_t *to) {
  const bool is_inside = x >= 0 && y >= 0 && x + width + 5 <= s->width && y + height + 5 <= s->height;
  if (is_inside) {
    for (int32_t j = 0; j < height + 5; j++) {
      const ptrdiff_t at = (y + j) * s->stride + x;
      VE_UNROLL for (int i = 0; i < width + 5; i++) to[j * pitch + i] = sample(s, kind, at + i);
    }
    return;
  }
  for (int32_t j = 0; j < height + 5; j++) {
    const ptrdiff_t row = ve_clamp(y + j, 0, s->height - 1) * s->stride;
    for (int32_t i = 0; i < width + 5; i++)
      to[j * pitch + i] = sample(s, kind, row + ve_clamp(x + i, 0, s->width - 1));
  }
}

// Filters 8-bit samples. Centred, their filtered rows fit 16 bits, since filters have a gain of at most 198 / 128.
VE_INLINE void filter_narrow(const int32_t *from, const int16_t *tx, const int16_t *ty, const int width,
                             const int height, int32_t *result) {
  int16_t centred[rows_read * pitch], across[rows_read * cell];
  for (int32_t j = 0; j < height + 5; j++)
    VE_UNROLL for (int i = 0; i < width + 5; i++) centred[j * pitch + i] = (int16_t)(from[j * pitch + i] - 128);
  for (int32_t j = 0; j < height + 5; j++)
    VE_UNROLL for (int i = 0; i < width; i++) {
      const int16_t *p = centred + j * pitch + i;
      across[j * cell + i] =
          (int16_t)(p[0] * tx[0] + p[1] * tx[1] + p[2] * tx[2] + p[3] * tx[3] + p[4] * tx[4] + p[5] * tx[5]);
    }
  for (int32_t j = 0; j < height; j++)
    VE_UNROLL for (int i = 0; i < width; i++) {
      const int16_t *p = across + j * cell + i;
      int32_t sum = (128 << 14) + (1 << 13);
      VE_UNROLL for (int k = 0; k < 6; k++) sum += p[k * cell] * ty[k];
      result[j * cell + i] = ve_clamp(sum >> 14, 0, 255);
    }
}

// Predicts `width` x `height` samples at (x, y) displaced by (dx, dy) sixteenths of a sample.
VE_INLINE void predict(const ve_interp_source *s, const kind kind, int32_t x, int32_t y, int32_t dx, int32_t dy,
                       const int width, const int height, int32_t *result) {
  int32_t from[rows_read * pitch], across[rows_read * cell];
  read_samples(s, kind, x + (dx >> 4) - 2, y + (dy >> 4) - 2, width, height, from);
  if ((dx & 15) == 0 && (dy & 15) == 0) {
    for (int32_t j = 0; j < height; j++)
      VE_UNROLL for (int i = 0; i < width; i++) result[j * cell + i] = from[(j + 2) * pitch + i + 2];
    return;
  }
  const int16_t *tx = taps[dx & 15], *ty = taps[dy & 15];
  if (kind == NARROW) {
    filter_narrow(from, tx, ty, width, height, result);
    return;
  }
  for (int32_t j = 0; j < height + 5; j++)
    VE_UNROLL for (int i = 0; i < width; i++) {
      const int32_t *p = from + j * pitch + i;
      across[j * cell + i] =
          p[0] * tx[0] + p[1] * tx[1] + p[2] * tx[2] + p[3] * tx[3] + p[4] * tx[4] + p[5] * tx[5];
    }
  const int32_t most = (1 << s->depth) - 1;
  for (int32_t j = 0; j < height; j++)
    VE_UNROLL for (int i = 0; i < width; i++) {
      const int32_t *p = across + j * cell + i;
      int32_t value;
      if (kind == DEEP) {
        int64_t sum = 1 << 13;
        VE_UNROLL for (int k = 0; k < 6; k++) sum += (int64_t)p[k * cell] * ty[k];
        value = (int32_t)(sum >> 14);
      } else {
        int32_t sum = 1 << 13;
        VE_UNROLL for (int k = 0; k < 6; k++) sum += p[k * cell] * ty[k];
        value = sum >> 14;
      }
      result[j * cell + i] = ve_clamp(value, 0, most);
    }
}

VE_INLINE bool equal(ve_interp_vector a, ve_interp_vector b) { return a.x == b.x && a.y == b.y; }

// A vector's displacement into one frame in sixteenths of a sample.
VE_INLINE int32_t displacement(int32_t v, int32_t time, int32_t is_second, int32_t log2) {
  const int32_t first = ve_interp_first_part(v, time);
  const int32_t luma = is_second ? v + first : first;
  return log2 ? (luma + 1) >> 1 : luma;
}

// The share of the unmoved frame in a block, in units of 1/64, by its error: where nothing matches, the vector is a guess.
VE_INLINE int32_t unmoved_share(ve_interp_vector v) {
  enum { first = 2 * 16, step = 10, most = 10 };
  return ve_clamp((v.error - first) / step, 0, most);
}

// Vectors without repetition, with the weights of each, in units of 1/65536; there are at least two.
typedef struct mixture {
  int32_t count;
  ve_interp_vector vectors[10];
  uint16_t weights[10][cell * cell];
} mixture;

VE_INLINE void add_to_mixture(mixture *m, ve_interp_vector v, const int32_t *wx, const int32_t *wy, int32_t share,
                              const int width, const int height) {
  int32_t k = 0;
  while (k < m->count && !equal(m->vectors[k], v)) k++;
  if (k == m->count) {
    m->vectors[m->count++] = v;
    for (int32_t i = 0; i < cell * cell; i++) m->weights[k][i] = 0;
  }
  uint16_t *to = m->weights[k];
  for (int32_t j = 0; j < height; j++)
    VE_UNROLL for (int i = 0; i < width; i++) to[j * cell + i] = (uint16_t)(to[j * cell + i] + wy[j] * share * wx[i]);
}

// Blends the samples of a block at (x, y), predicted with its vector and those of the eight blocks around, v.
VE_INLINE void blend(const ve_interp_warp_args *args, const kind kind, int32_t x, int32_t y, const ve_interp_vector *v,
                     const int width, const int height, int32_t *result) {
  const ve_interp_source *s = args->source;
  bool is_uniform = true;
  for (int32_t k = 0; k < 9; k++) is_uniform &= equal(v[k], v[4]);
  mixture m = {.count = 1, .vectors = {v[4]}};
  if (!is_uniform) {
    m.count = 0;
    for (int32_t k = 0; k < 9; k++) {
      const int32_t *wx = width == 4 ? weights4[k % 3] : weights8[k % 3];
      const int32_t *wy = height == 4 ? weights4[k / 3] : weights8[k / 3];
      const int32_t share = unmoved_share(v[k]);
      add_to_mixture(&m, v[k], wx, wy, 64 - share, width, height);
      if (share) add_to_mixture(&m, (ve_interp_vector){0, 0, 0, 0}, wx, wy, share, width, height);
    }
  }
  // Samples of 16 bits times 65536, rounded, just fit.
  uint32_t sums[cell * cell];
  for (int32_t i = 0; i < cell * cell; i++) sums[i] = 1 << 15;
  for (int32_t k = 0; k < m.count; k++) {
    predict(s, kind, x, y, displacement(m.vectors[k].x, args->time, args->is_second, s->log2_x),
            displacement(m.vectors[k].y, args->time, args->is_second, s->log2_y), width, height, result);
    if (is_uniform) return;
    for (int32_t j = 0; j < height; j++)
      VE_UNROLL for (int i = 0; i < width; i++)
        sums[j * cell + i] += (uint32_t)m.weights[k][j * cell + i] * (uint32_t)result[j * cell + i];
  }
  for (int32_t j = 0; j < height; j++)
    VE_UNROLL for (int i = 0; i < width; i++) result[j * cell + i] = (int32_t)(sums[j * cell + i] >> 16);
}

VE_INLINE void store(const ve_interp_warp_args *args, const kind kind, ptrdiff_t at, int32_t value) {
  if (kind == NARROW)
    ((uint8_t *)args->result)[at] = (uint8_t)value;
  else
    ((uint16_t *)args->result)[at] = (uint16_t)value;
}

VE_INLINE void warp_blocks(const ve_interp_warp_args *args, const kind kind, const int width, const int height) {
  const int32_t columns = args->columns, rows = args->rows;
  int32_t values[cell * cell];
  for (int32_t by = args->row_begin / height; by < rows && by * height < args->row_end; by++) {
    const int32_t y = by * height;
    const int32_t y_begin = y < args->row_begin ? args->row_begin : y;
    const int32_t y_end = y + height < args->row_end ? y + height : args->row_end;
    const ve_interp_vector *around[3];
    for (int32_t j = 0; j < 3; j++) around[j] = args->vectors + (ptrdiff_t)ve_clamp(by + j - 1, 0, rows - 1) * columns;
    for (int32_t bx = 0; bx < columns && bx * width < args->source->width; bx++) {
      const int32_t x = bx * width;
      const int32_t x_end = x + width < args->source->width ? x + width : args->source->width;
      const int32_t left = ve_clamp(bx - 1, 0, columns - 1), right = ve_clamp(bx + 1, 0, columns - 1);
      ve_interp_vector v[9];
      for (int32_t j = 0; j < 3; j++) {
        v[3 * j] = around[j][left];
        v[3 * j + 1] = around[j][bx];
        v[3 * j + 2] = around[j][right];
      }
      blend(args, kind, x, y, v, width, height, values);
      for (int32_t py = y_begin; py < y_end; py++) {
        const int32_t *from = values + (py - y) * cell - x;
        const ptrdiff_t row = py * args->result_stride;
        if (x_end - x == width) {
          VE_UNROLL for (int i = 0; i < width; i++) store(args, kind, row + x + i, from[x + i]);
        } else {
          for (int32_t px = x; px < x_end; px++) store(args, kind, row + px, from[px]);
        }
      }
    }
  }
}

VE_INLINE void warp_kind(const ve_interp_warp_args *args, const kind kind) {
  switch (args->source->log2_x * 2 + args->source->log2_y) {
    case 0: warp_blocks(args, kind, 8, 8); break;
    case 1: warp_blocks(args, kind, 8, 4); break;
    case 2: warp_blocks(args, kind, 4, 8); break;
    default: warp_blocks(args, kind, 4, 4); break;
  }
}

void VE_NAME(warp)(const ve_interp_warp_args *shared_args) {
  const ve_interp_warp_args args = *shared_args;
  if (!args.source->is_wide)
    warp_kind(&args, NARROW);
  else if (args.source->depth < 16)
    warp_kind(&args, WIDE);
  else
    warp_kind(&args, DEEP);
}
