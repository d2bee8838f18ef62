// SPDX-License-Identifier: Apache-2.0
// Winograd's F(4x4, 3x3) in floats (VEFloatConvolution.h) for vectors of any width. Include once per file, inside its target
// attribute, with
//
//   VE_LANES          floats of a vector, of which numbers of channels must be multiples
//   VE_TILES_AT_ONCE  tiles of a register tile of the forward direction, whose width is two vectors of outputs
//   VE_INPUTS_AT_ONCE inputs of a register tile of the gradient by the weights, likewise
//   VE_KERNELS        the name of the table of kernels
//
// A tile of 6x6 inputs yields 4x4 results: inputs and weights are evaluated as polynomials at 0, 1, -1, 2, -2 and
// infinity along each axis, so there are 36 points, and at each of them a plain product of matrices
// [tile][input] x [input][output]. The gradient by the weights has the same points: 6x6 inputs and 4x4 gradients yield
// 3x3 taps. Sums are added in the same order for all widths, so results are equal.
#if !defined(VE_LANES) || !defined(VE_TILES_AT_ONCE) || !defined(VE_INPUTS_AT_ONCE) || !defined(VE_KERNELS)
#error "define VE_LANES, VE_TILES_AT_ONCE, VE_INPUTS_AT_ONCE and VE_KERNELS first"
#endif

#include <string.h>

#include "float_convolution.h"

enum {
  POINTS = VE_FLOAT_POINTS,
  TILES = VE_FLOAT_TILES,
  TILES_AT_ONCE = VE_TILES_AT_ONCE,
  INPUTS_AT_ONCE = VE_INPUTS_AT_ONCE,
  LANES = VE_LANES,
  BLOCK = 2 * LANES,
};
_Static_assert(TILES % TILES_AT_ONCE == 0, "whole register tiles");

typedef float floats __attribute__((ext_vector_type(VE_LANES)));

static const float zeros[VE_FLOAT_MAX_CHANNELS];

VE_INLINE floats number(float value) { return (floats)value; }
VE_INLINE floats madd(floats a, floats b, floats c) { return __builtin_elementwise_fma(a, b, c); }   // a * b + c
VE_INLINE floats msub(floats a, floats b, floats c) { return __builtin_elementwise_fma(-a, b, c); }  // c - a * b

VE_INLINE floats load(const float *from) {
  floats value;
  memcpy(&value, from, sizeof value);
  return value;
}

VE_INLINE void store(float *to, floats value) { memcpy(to, &value, sizeof value); }

/// Sample (`row`, `column`) of an image; zeros outside of it.
VE_INLINE const float *sample(
    ve_float_convolution shape, const float *tensor, int32_t channels, int32_t image, int32_t row, int32_t column) {
  if (row < 0 || column < 0 || row >= shape.height || column >= shape.width) return zeros;
  return tensor + (((ptrdiff_t)image * shape.height + row) * shape.width + column) * channels;
}

/// Image, and top left sample of the results of a tile.
typedef struct {
  int32_t image, row, column;
} place;

VE_INLINE place place_of(ve_float_convolution shape, int32_t tile) {
  const int32_t across = (shape.width + 3) / 4, down = (shape.height + 3) / 4;
  return (place){tile / across / down, tile / across % down * 4, tile % across * 4};
}

// MARK: - Transforms along one axis

/// Six inputs to six points.
VE_INLINE void input_points(const floats *d, floats *result) {
  const floats two = number(2), four = number(4), five = number(5);
  const floats a = msub(four, d[2], d[4]), b = msub(four, d[1], d[3]);
  const floats c = d[4] - d[2], e = (d[3] - d[1]) * two;
  result[0] = madd(four, d[0], msub(five, d[2], d[4]));
  result[1] = a + b;
  result[2] = a - b;
  result[3] = c + e;
  result[4] = c - e;
  result[5] = madd(four, d[1], msub(five, d[3], d[5]));
}

/// Three weights to six points.
VE_INLINE void weight_points(const floats *g, floats *result) {
  const floats sixth = number(1.0f / 6), twelfth = number(1.0f / 12), part = number(1.0f / 24);
  const floats a = (g[0] + g[2]) * sixth, b = g[1] * sixth;
  const floats c = madd(part, g[0], g[2] * sixth), e = g[1] * twelfth;
  result[0] = g[0] * number(0.25f);
  result[1] = number(0) - (a + b);
  result[2] = b - a;
  result[3] = c + e;
  result[4] = c - e;
  result[5] = g[2];
}

/// Six points to four results.
VE_INLINE void results(const floats *m, floats *result) {
  const floats a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  result[0] = m[0] + a + c;
  result[1] = madd(number(2), d, b);
  result[2] = madd(number(4), c, a);
  result[3] = madd(number(8), d, b) + m[5];
}

/// Four gradients to six points, with the factors of `weight_points`.
VE_INLINE void gradient_points(const floats *g, floats *result) {
  const floats sixth = number(-1.0f / 6), part = number(1.0f / 24), two = number(2), four = number(4);
  const floats a = g[0] + g[2], b = g[1] + g[3], c = madd(four, g[2], g[0]), d = two * madd(four, g[3], g[1]);
  result[0] = g[0] * number(0.25f);
  result[1] = sixth * (a + b);
  result[2] = sixth * (a - b);
  result[3] = part * (c + d);
  result[4] = part * (c - d);
  result[5] = g[3];
}

/// Six points to three taps.
VE_INLINE void taps(const floats *m, floats *result) {
  const floats a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
  result[0] = m[0] + a + c;
  result[1] = madd(number(2), d, b);
  result[2] = madd(number(4), c, a) + m[5];
}

// MARK: - Transforms of tensors

/// points[point][tile][channel] of the inputs of `count` tiles; zeros for further ones, up to whole register tiles.
static void transform_source(
    ve_float_convolution shape, const float *source, int32_t first, int32_t count, float *points) {
  const ptrdiff_t channels = shape.inputs, step = TILES * channels;
  for (int32_t tile = 0; tile < count; tile++) {
    const place at = place_of(shape, first + tile);
    const float *from[6][6];
    for (int i = 0; i < 6; i++)
      for (int j = 0; j < 6; j++)
        from[i][j] = sample(shape, source, shape.inputs, at.image, at.row + i - 1, at.column + j - 1);
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
      floats half[6][6];  // [column][point]
      VE_UNROLL for (int j = 0; j < 6; j++) {
        floats column[6];
        VE_UNROLL for (int i = 0; i < 6; i++) column[i] = load(from[i][j] + c);
        input_points(column, half[j]);
      }
      float *to = points + tile * channels + c;
      VE_UNROLL for (int i = 0; i < 6; i++) {
        floats row[6], result[6];
        VE_UNROLL for (int j = 0; j < 6; j++) row[j] = half[j][i];
        input_points(row, result);
        VE_UNROLL for (int j = 0; j < 6; j++) store(to + (i * 6 + j) * step, result[j]);
      }
    }
  }
  const int32_t whole = (count + TILES_AT_ONCE - 1) / TILES_AT_ONCE * TILES_AT_ONCE;
  for (int p = 0; p < POINTS; p++)
    memset(points + p * step + count * channels, 0, sizeof(float) * (size_t)((whole - count) * channels));
}

/// points[point][tile][channel] of the gradients of `count` tiles; their sums by channel are added to `bias`.
static void transform_gradient(
    ve_float_convolution shape, const float *gradient, int32_t first, int32_t count, float *points, float *bias) {
  const ptrdiff_t channels = shape.outputs, step = TILES * channels;
  for (int32_t tile = 0; tile < count; tile++) {
    const place at = place_of(shape, first + tile);
    const float *from[4][4];
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++)
        from[i][j] = sample(shape, gradient, shape.outputs, at.image, at.row + i, at.column + j);
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
      floats half[4][6], sum = load(bias + c);
      VE_UNROLL for (int j = 0; j < 4; j++) {
        floats column[4];
        VE_UNROLL for (int i = 0; i < 4; i++) column[i] = load(from[i][j] + c);
        sum += (column[0] + column[1]) + (column[2] + column[3]);
        gradient_points(column, half[j]);
      }
      store(bias + c, sum);
      float *to = points + tile * channels + c;
      VE_UNROLL for (int i = 0; i < 6; i++) {
        floats row[4], result[6];
        VE_UNROLL for (int j = 0; j < 4; j++) row[j] = half[j][i];
        gradient_points(row, result);
        VE_UNROLL for (int j = 0; j < 6; j++) store(to + (i * 6 + j) * step, result[j]);
      }
    }
  }
}

/// Results of `count` tiles from products[point][tile][channel].
static void transform_products(
    ve_float_convolution shape, const float *products, const float *bias, float *result, int32_t first,
    int32_t count) {
  const ptrdiff_t channels = shape.outputs, step = TILES * channels;
  for (int32_t tile = 0; tile < count; tile++) {
    const place at = place_of(shape, first + tile);
    const int32_t rows = shape.height - at.row < 4 ? shape.height - at.row : 4;
    const int32_t columns = shape.width - at.column < 4 ? shape.width - at.column : 4;
    float *to = result + (((ptrdiff_t)at.image * shape.height + at.row) * shape.width + at.column) * channels;
    for (ptrdiff_t c = 0; c < channels; c += LANES) {
      const float *from = products + tile * channels + c;
      const floats start = bias ? load(bias + c) : number(0);
      floats half[6][4];  // [column of points][row]
      VE_UNROLL for (int j = 0; j < 6; j++) {
        floats column[6];
        VE_UNROLL for (int i = 0; i < 6; i++) column[i] = load(from + (i * 6 + j) * step);
        results(column, half[j]);
      }
      for (int32_t i = 0; i < rows; i++) {
        floats row[6], made[4];
        VE_UNROLL for (int j = 0; j < 6; j++) row[j] = half[j][i];
        results(row, made);
        for (int32_t j = 0; j < columns; j++)
          store(to + ((ptrdiff_t)i * shape.width + j) * channels + c, made[j] + start);
      }
    }
  }
}

// MARK: - Weights

// [point][block of outputs][input][output of the block]; the last block may have one vector of outputs instead of two.

static void transform_weights(
    ve_float_convolution shape, const float *weights, ptrdiff_t input_stride, ptrdiff_t output_stride, bool rotated,
    float *transformed) {
  const ptrdiff_t inputs = shape.inputs, outputs = shape.outputs, step = inputs * outputs;
  for (ptrdiff_t o = 0; o < outputs; o += LANES) {
    const ptrdiff_t block = o / BLOCK * BLOCK, lanes = outputs - block < BLOCK ? LANES : BLOCK;
    for (ptrdiff_t i = 0; i < inputs; i++) {
      float tap[9][LANES];
      const float *from = weights + i * input_stride + o * output_stride;
      for (int lane = 0; lane < LANES; lane++)
        for (int t = 0; t < 9; t++) tap[t][lane] = from[lane * output_stride + (rotated ? 8 - t : t)];
      floats half[3][6];
      VE_UNROLL for (int x = 0; x < 3; x++) {
        floats column[3];
        VE_UNROLL for (int y = 0; y < 3; y++) column[y] = load(tap[y * 3 + x]);
        weight_points(column, half[x]);
      }
      float *to = transformed + block * inputs + i * lanes + (o - block);
      VE_UNROLL for (int y = 0; y < 6; y++) {
        floats row[3], result[6];
        VE_UNROLL for (int x = 0; x < 3; x++) row[x] = half[x][y];
        weight_points(row, result);
        VE_UNROLL for (int x = 0; x < 6; x++) store(to + (y * 6 + x) * step, result[x]);
      }
    }
  }
}

// MARK: - Forward

/// Products of a register tile of `vectors` vectors of outputs.
VE_INLINE void multiply_block(
    const float *points, const float *weights, float *products, int32_t inputs, ptrdiff_t outputs, const int vectors) {
  floats sums[TILES_AT_ONCE][2];
  VE_UNROLL for (int t = 0; t < TILES_AT_ONCE; t++) VE_UNROLL for (int j = 0; j < vectors; j++) sums[t][j] = number(0);
  for (int32_t i = 0; i < inputs; i++) {
    floats w[2];
    VE_UNROLL for (int j = 0; j < vectors; j++) w[j] = load(weights + (i * vectors + j) * LANES);
    VE_UNROLL for (int t = 0; t < TILES_AT_ONCE; t++) {
      const floats x = number(points[t * inputs + i]);
      VE_UNROLL for (int j = 0; j < vectors; j++) sums[t][j] = madd(x, w[j], sums[t][j]);
    }
  }
  VE_UNROLL for (int t = 0; t < TILES_AT_ONCE; t++) VE_UNROLL for (int j = 0; j < vectors; j++)
      store(products + t * outputs + j * LANES, sums[t][j]);
}

/// products[tile][output] of one point.
static void multiply(
    ve_float_convolution shape, const float *points, const float *weights, float *products, int32_t count) {
  const int32_t inputs = shape.inputs, outputs = shape.outputs;
  for (int32_t o = 0; o < outputs; o += BLOCK) {
    const float *block = weights + (ptrdiff_t)o * inputs;
    for (int32_t tile = 0; tile < count; tile += TILES_AT_ONCE) {
      const float *from = points + tile * inputs;
      float *to = products + tile * outputs + o;
      if (outputs - o < BLOCK) {
        multiply_block(from, block, to, inputs, outputs, 1);
      } else {
        multiply_block(from, block, to, inputs, outputs, 2);
      }
    }
  }
}

static void convolve(
    ve_float_convolution shape, const float *source, const float *transformed, const float *bias, float *result,
    int32_t first, int32_t end, float *scratch) {
  float *points = scratch, *products = scratch + (ptrdiff_t)POINTS * TILES * shape.inputs;
  for (; first < end; first += TILES) {
    const int32_t count = end - first < TILES ? end - first : TILES;
    transform_source(shape, source, first, count, points);
    for (ptrdiff_t p = 0; p < POINTS; p++)
      multiply(shape, points + p * TILES * shape.inputs, transformed + p * shape.inputs * shape.outputs,
               products + p * TILES * shape.outputs, count);
    transform_products(shape, products, bias, result, first, count);
  }
}

// MARK: - Gradient by the weights

/// Adds the products of `rows` inputs and `vectors` vectors of outputs, over all tiles.
VE_INLINE void add_block(
    ve_float_convolution shape, const float *points, const float *gradients, float *sums, int32_t count, const int rows,
    const int vectors) {
  const ptrdiff_t inputs = shape.inputs, outputs = shape.outputs;
  floats sum[INPUTS_AT_ONCE][2];
  VE_UNROLL for (int r = 0; r < rows; r++) VE_UNROLL for (int j = 0; j < vectors; j++)
      sum[r][j] = load(sums + r * outputs + j * LANES);
  for (int32_t tile = 0; tile < count; tile++) {
    floats g[2];
    VE_UNROLL for (int j = 0; j < vectors; j++) g[j] = load(gradients + tile * outputs + j * LANES);
    VE_UNROLL for (int r = 0; r < rows; r++) {
      const floats x = number(points[tile * inputs + r]);
      VE_UNROLL for (int j = 0; j < vectors; j++) sum[r][j] = madd(x, g[j], sum[r][j]);
    }
  }
  VE_UNROLL for (int r = 0; r < rows; r++) VE_UNROLL for (int j = 0; j < vectors; j++)
      store(sums + r * outputs + j * LANES, sum[r][j]);
}

/// sums[input][output] of one point, with `vectors` vectors of outputs at a time.
VE_INLINE void add_columns(
    ve_float_convolution shape, const float *points, const float *gradients, float *sums, int32_t count,
    const int vectors) {
  int32_t i = 0;
  for (; i + INPUTS_AT_ONCE <= shape.inputs; i += INPUTS_AT_ONCE)
    add_block(shape, points + i, gradients, sums + (ptrdiff_t)i * shape.outputs, count, INPUTS_AT_ONCE, vectors);
  for (; i < shape.inputs; i += 2)
    add_block(shape, points + i, gradients, sums + (ptrdiff_t)i * shape.outputs, count, 2, vectors);
}

static void add_products(
    ve_float_convolution shape, const float *points, const float *gradients, float *sums, int32_t count) {
  for (int32_t o = 0; o < shape.outputs; o += BLOCK) {
    if (shape.outputs - o < BLOCK) {
      add_columns(shape, points, gradients + o, sums + o, count, 1);
    } else {
      add_columns(shape, points, gradients + o, sums + o, count, 2);
    }
  }
}

/// Weight gradients (OIHW) from sums[point][input][output].
static void transform_sums(ve_float_convolution shape, const float *sums, float *weight_gradient) {
  const ptrdiff_t inputs = shape.inputs, outputs = shape.outputs, step = inputs * outputs;
  for (ptrdiff_t i = 0; i < inputs; i++)
    for (ptrdiff_t o = 0; o < outputs; o += LANES) {
      const float *from = sums + i * outputs + o;
      floats half[6][3];
      VE_UNROLL for (int x = 0; x < 6; x++) {
        floats column[6];
        VE_UNROLL for (int y = 0; y < 6; y++) column[y] = load(from + (y * 6 + x) * step);
        taps(column, half[x]);
      }
      float tap[9][LANES];
      VE_UNROLL for (int y = 0; y < 3; y++) {
        floats row[6], result[3];
        VE_UNROLL for (int x = 0; x < 6; x++) row[x] = half[x][y];
        taps(row, result);
        VE_UNROLL for (int x = 0; x < 3; x++) store(tap[y * 3 + x], result[x]);
      }
      for (int lane = 0; lane < LANES; lane++)
        for (int t = 0; t < 9; t++) weight_gradient[((o + lane) * inputs + i) * 9 + t] = tap[t][lane];
    }
}

static void weight_gradient(
    ve_float_convolution shape, const float *source, const float *gradient, float *gradient_by_weights,
    float *bias_gradient, float *scratch) {
  float *points = scratch, *gradients = points + (ptrdiff_t)POINTS * TILES * shape.inputs;
  float *sums = gradients + (ptrdiff_t)POINTS * TILES * shape.outputs;
  memset(sums, 0, sizeof(float) * ve_float_transformed_count(shape));
  memset(bias_gradient, 0, sizeof(float) * (size_t)shape.outputs);
  const int32_t tiles = ve_float_tiles(shape);
  for (int32_t first = 0; first < tiles; first += TILES) {
    const int32_t count = tiles - first < TILES ? tiles - first : TILES;
    transform_source(shape, source, first, count, points);
    transform_gradient(shape, gradient, first, count, gradients, bias_gradient);
    for (ptrdiff_t p = 0; p < POINTS; p++)
      add_products(shape, points + p * TILES * shape.inputs, gradients + p * TILES * shape.outputs,
                   sums + p * shape.inputs * shape.outputs, count);
  }
  transform_sums(shape, sums, gradient_by_weights);
}

const ve_float_kernels VE_KERNELS = {
    .transform_weights = transform_weights, .convolve = convolve, .weight_gradient = weight_gradient};
