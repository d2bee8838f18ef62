// SPDX-License-Identifier: Apache-2.0
// The convolutions of CDNNL in all three directions against reference sums, for versions of oneDNN that
// Swift's tests are not linked to (Scripts/test-onednn.sh). Operands are small integers, whose sums are exact
// in every order and type.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CDNNL.h"

typedef ve_dnn_convolution_description shape;

static uint32_t state = 1;

static float random_number(void) {
  state = state * 1664525u + 1013904223u;
  return (float)((int32_t)(state >> 24) % 9 - 4);
}

static float *numbers(size_t count) {
  float *values = malloc(count * sizeof *values);
  if (!values) abort();
  for (size_t i = 0; i < count; i++) values[i] = random_number();
  return values;
}

// Operands in the type of the convolution; bf16 is the upper half of a float.
static void *operands(const float *values, size_t count, ve_dnn_type type) {
  uint8_t *result = malloc(count * sizeof(float));
  if (!result) abort();
  for (size_t i = 0; i < count; i++)
    if (type == VE_DNN_F32)
      memcpy(result + 4 * i, &values[i], 4);
    else
      memcpy(result + 2 * i, (const uint8_t *)&values[i] + 2, 2);
  return result;
}

static int failures = 0, compared = 0;

static void compare(const char *what, const shape *s, const float *found, const float *expected, size_t count) {
  compared++;
  for (size_t i = 0; i < count; i++)
    if (found[i] != expected[i]) {
      failures++;
      printf("DIFFERS: %s, %d x %dx%d, %d -> %d, kernel %d, stride %d, type %d: %g instead of %g at %zu\n", what,
             s->batch, s->height, s->width, s->channels_in, s->channels_out, s->kernel, s->stride, s->type, found[i],
             expected[i], i);
      return;
    }
}

static void succeed(int32_t status, const char *what) {
  if (status == 0) return;
  failures++;
  printf("FAILED: %s, status %d\n", what, status);
}

typedef struct product {
  size_t source, weight, result;
} product;

// Calls `body` with the indices of every product of a convolution.
static void each_product(const shape *s, void (*body)(product, void *), void *context) {
  const int32_t out_height = (s->height - 1) / s->stride + 1, out_width = (s->width - 1) / s->stride + 1;
  for (int32_t n = 0; n < s->batch; n++)
    for (int32_t y = 0; y < out_height; y++)
      for (int32_t x = 0; x < out_width; x++)
        for (int32_t tap = 0; tap < s->kernel * s->kernel; tap++) {
          const int32_t sy = y * s->stride + tap / s->kernel - s->kernel / 2;
          const int32_t sx = x * s->stride + tap % s->kernel - s->kernel / 2;
          if (sy < 0 || sy >= s->height || sx < 0 || sx >= s->width) continue;
          for (int32_t o = 0; o < s->channels_out; o++)
            for (int32_t i = 0; i < s->channels_in; i++)
              body((product){(size_t)(((n * s->height + sy) * s->width + sx) * s->channels_in + i),
                             (size_t)((o * s->channels_in + i) * s->kernel * s->kernel + tap),
                             (size_t)(((n * out_height + y) * out_width + x) * s->channels_out + o)},
                   context);
        }
}

// Operands of all directions, and the expected sums.
typedef struct sums {
  const float *source, *weights, *difference;
  float *result, *source_difference, *weight_difference;
} sums;

static void add(product p, void *context) {
  const sums *s = context;
  s->result[p.result] += s->source[p.source] * s->weights[p.weight];
  s->source_difference[p.source] += s->difference[p.result] * s->weights[p.weight];
  s->weight_difference[p.weight] += s->difference[p.result] * s->source[p.source];
}

static void test(const shape *s) {
  int32_t status = 0;
  ve_dnn_convolution *convolution = ve_dnn_convolution_create(s, &status);
  if (!convolution) {
    // Without AVX-512, some versions have no bf16 convolutions.
    if (s->type == VE_DNN_F32) succeed(status ? status : -1, "creation");
    return;
  }
  const size_t out = (size_t)s->channels_out;
  const size_t pixels = (size_t)(((s->height - 1) / s->stride + 1) * ((s->width - 1) / s->stride + 1));
  const size_t result_count = (size_t)s->batch * pixels * out;
  const size_t source_count = (size_t)(s->batch * s->height * s->width * s->channels_in);
  const size_t weight_count = (size_t)(s->channels_out * s->channels_in * s->kernel * s->kernel);
  float *found = calloc(result_count + source_count + weight_count + out, sizeof *found);
  if (!found) abort();
  // Twice, with different weights: those of the first round must not be reused.
  for (int round = 0; round < 2; round++) {
    float *source = numbers(source_count), *weights = numbers(weight_count), *bias = numbers(out);
    float *difference = numbers(result_count), *bias_difference = calloc(out, sizeof *bias_difference);
    const sums expected = {source, weights, difference, calloc(result_count, sizeof(float)),
                           calloc(source_count, sizeof(float)), calloc(weight_count, sizeof(float))};
    if (!bias_difference || !expected.result || !expected.source_difference || !expected.weight_difference) abort();
    for (size_t i = 0; i < result_count; i++) {
      expected.result[i] = bias[i % out];
      bias_difference[i % out] += difference[i];
    }
    each_product(s, add, (void *)&expected);
    void *source_operands = operands(source, source_count, s->type);
    void *difference_operands = operands(difference, result_count, s->type);

    succeed(ve_dnn_convolution_set_weights(convolution, weights, bias), "weights");
    succeed(ve_dnn_convolution_forward(convolution, source_operands, found), "forward");
    compare("forward", s, found, expected.result, result_count);
    succeed(ve_dnn_convolution_backward_data(convolution, difference_operands, found), "backward to the source");
    compare("backward to the source", s, found, expected.source_difference, source_count);
    float *found_bias = found + weight_count;
    succeed(ve_dnn_convolution_backward_weights(convolution, source_operands, difference_operands, found, found_bias),
            "backward to the weights");
    compare("backward to the weights", s, found, expected.weight_difference, weight_count);
    compare("backward to the bias", s, found_bias, bias_difference, out);

    free(source), free(weights), free(bias), free(difference), free(bias_difference);
    free(expected.result), free(expected.source_difference), free(expected.weight_difference);
    free(source_operands), free(difference_operands);
  }
  free(found);
  ve_dnn_convolution_destroy(convolution);
}

int main(int count, char **arguments) {
  // batch, height, width, inputs, outputs, kernel, stride
  static const int32_t shapes[][7] = {{1, 5, 7, 6, 8, 3, 1}, {2, 4, 4, 16, 24, 3, 1}, {1, 1, 1, 8, 8, 3, 1},
                                      {2, 7, 6, 8, 16, 3, 2}, {1, 6, 5, 8, 8, 5, 1}, {1, 3, 5, 5, 7, 1, 1},
                                      {4, 16, 16, 64, 64, 3, 1}};
  const int32_t version = ve_dnn_version();
  const int32_t threads = ve_dnn_set_threads(2);
  if (count > 1 && version / 10000 != atoi(arguments[1])) {
    printf("linked to version %d instead of %s\n", version / 10000, arguments[1]);
    return 1;
  }
  int types = 0;
  for (int type = VE_DNN_F32; type <= VE_DNN_BF16; type++) {
    const int before = compared;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
      const int32_t *n = shapes[i];
      const shape s = {n[0], n[1], n[2], n[3], n[4], n[5], n[6], (ve_dnn_type)type, true};
      test(&s);
    }
    types += compared > before;
  }
  printf("oneDNN %d.%d.%d, %s, %d types: %d comparisons, ", version / 10000, version / 100 % 100, version % 100,
         threads ? "OpenMP" : "no OpenMP", types, compared);
  if (compared < 4 * 2 * 7) failures++;  // at least those of f32
  printf(failures ? "%d FAILED\n" : "all equal\n", failures);
  return failures != 0;
}
