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

// A raised cosine between two blocks' centres, in units of 1/64, by their distance in samples.
static const int32_t rise8[8] = {1, 5, 14, 26, 38, 50, 59, 63}, rise4[4] = {2, 20, 44, 62};

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

// Blends the samples of a cell between the centres of four blocks with vectors v.
VE_INLINE void blend(const ve_interp_warp_args *args, const kind kind, int32_t x, int32_t y, const ve_interp_vector *v,
                     const int width, const int height, int32_t *result) {
  const ve_interp_source *s = args->source;
  int32_t predictions[4][cell * cell];
  const int32_t *of[4];
  int32_t distinct = 0;
  for (int32_t k = 0; k < 4; k++) {
    int32_t same = 0;
    while (same < k && !equal(v[same], v[k])) same++;
    if (same == k) {
      distinct++;
      predict(s, kind, x, y, displacement(v[k].x, args->time, args->is_second, s->log2_x),
              displacement(v[k].y, args->time, args->is_second, s->log2_y), width, height,
              k == 0 ? result : predictions[k]);
    }
    of[k] = same == k ? (k == 0 ? result : predictions[k]) : of[same];
  }
  // Weights add up to 64 in either direction, so equal predictions are unchanged.
  if (distinct == 1) return;
  const int32_t *rise_x = width == 4 ? rise4 : rise8, *rise_y = height == 4 ? rise4 : rise8;
  for (int32_t j = 0; j < height; j++)
    VE_UNROLL for (int i = 0; i < width; i++) {
      const int32_t wx = rise_x[i], wy = rise_y[j], at = j * cell + i;
      const int32_t top = of[0][at] * (64 - wx) + of[1][at] * wx, bottom = of[2][at] * (64 - wx) + of[3][at] * wx;
      result[at] = (top * (64 - wy) + bottom * wy + 2048) >> 12;
    }
}

VE_INLINE void store(const ve_interp_warp_args *args, const kind kind, ptrdiff_t at, int32_t value) {
  if (kind == NARROW)
    ((uint8_t *)args->result)[at] = (uint8_t)value;
  else
    ((uint16_t *)args->result)[at] = (uint16_t)value;
}

// Cells lie between the centres of four blocks; each sample is in one cell.
VE_INLINE void warp_cells(const ve_interp_warp_args *args, const kind kind, const int width, const int height) {
  const int32_t columns = args->columns, rows = args->rows, row_begin = args->row_begin, row_end = args->row_end;
  int32_t values[cell * cell];
  for (int32_t cy = (row_begin - height / 2) / height - 1; cy < rows; cy++) {
    const int32_t y = cy * height + height / 2;
    const int32_t y_begin = y < row_begin ? row_begin : y, y_end = y + height < row_end ? y + height : row_end;
    if (y_begin >= y_end) continue;
    const ve_interp_vector *above = args->vectors + (ptrdiff_t)ve_clamp(cy, 0, rows - 1) * columns;
    const ve_interp_vector *below = args->vectors + (ptrdiff_t)ve_clamp(cy + 1, 0, rows - 1) * columns;
    for (int32_t cx = -1; cx < columns; cx++) {
      const int32_t x = cx * width + width / 2;
      const int32_t x_begin = x < 0 ? 0 : x, x_end = x + width < args->source->width ? x + width : args->source->width;
      if (x_begin >= x_end) continue;
      const int32_t left = ve_clamp(cx, 0, columns - 1), right = ve_clamp(cx + 1, 0, columns - 1);
      const ve_interp_vector v[4] = {above[left], above[right], below[left], below[right]};
      blend(args, kind, x, y, v, width, height, values);
      for (int32_t py = y_begin; py < y_end; py++) {
        const int32_t *from = values + (py - y) * cell - x;
        const ptrdiff_t row = py * args->result_stride;
        if (x_end - x_begin == width) {
          VE_UNROLL for (int i = 0; i < width; i++) store(args, kind, row + x + i, from[x + i]);
        } else {
          for (int32_t px = x_begin; px < x_end; px++) store(args, kind, row + px, from[px]);
        }
      }
    }
  }
}

VE_INLINE void warp_kind(const ve_interp_warp_args *args, const kind kind) {
  switch (args->source->log2_x * 2 + args->source->log2_y) {
    case 0: warp_cells(args, kind, 8, 8); break;
    case 1: warp_cells(args, kind, 8, 4); break;
    case 2: warp_cells(args, kind, 4, 8); break;
    default: warp_cells(args, kind, 4, 4); break;
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
