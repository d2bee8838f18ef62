// SPDX-License-Identifier: Apache-2.0
// Compares kernels with the scalar ones where the Swift tests do not run: compiled for another processor,
// under an emulator (Scripts/test-arm.sh). A small version of Tests/KernelTests' convolution tests: shapes
// around every block size, all bits, borders, streams, extremes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CQuantKernels.h"

static uint32_t state = 1;

static int32_t random_below(int32_t limit) {
  state = state * 1664525u + 1013904223u;
  return (int32_t)(((uint64_t)(state >> 8) * (uint64_t)limit) >> 24);
}

// ENDS: minima, maxima and zeros, at random.
typedef enum fill { RANDOM, LEAST, MOST, ENDS } fill;

typedef struct problem {
  int32_t slots, channels_in, channels_out, bits, weight_bits, width, height;
  bool has_stream;
  fill fill;
  ve_conv3x3_algorithm algorithm;
} problem;

typedef struct result {
  uint8_t *codes;
  int16_t *stream;
  size_t code_bytes, stream_bytes;
} result;

static void *memory(size_t bytes) {
  void *block = aligned_alloc(64, (bytes + 64 + 63) / 64 * 64);
  if (!block) abort();
  memset(block, 0x5A, bytes);
  return block;
}

static int32_t weight(fill fill, int32_t half) {
  switch (fill) {
    case RANDOM: return random_below(2 * half) - half;
    case LEAST: return -half;
    case MOST: return half - 1;
    case ENDS: return random_below(4) == 0 ? 0 : random_below(2) == 0 ? -half : half - 1;
  }
  return 0;
}

// Runs a problem; equal seeds give equal operands. The result's codes are NULL if the plan does not exist.
static result run(const problem *p, uint32_t seed, ve_isa isa, const char **name) {
  state = seed;
  const int32_t levels = (1 << p->bits) - 1, half = 1 << (p->weight_bits - 1);
  const size_t weight_count = (size_t)(p->channels_out * p->slots * p->channels_in * 9);
  int8_t *weights = memory(weight_count);
  for (size_t i = 0; i < weight_count; i++)
    weights[i] = (int8_t)weight(p->fill, half);
  int32_t bias[VE_MAX_CHANNELS];
  float multiplier[VE_MAX_CHANNELS];
  for (int32_t i = 0; i < p->channels_out; i++) {
    bias[i] = random_below(4000) - 2000;
    multiplier[i] = (float)(1 + random_below(1000)) / (float)(1000 * half);
  }
  const ve_conv3x3_description d = {p->slots, p->channels_in, p->channels_out, levels, half - 1, p->algorithm};
  ve_conv3x3 *plan = ve_conv3x3_create(&d, weights, bias, multiplier, isa);
  result r = {0};
  if (!plan) {
    free(weights);
    return r;
  }
  *name = ve_conv3x3_algorithm_name(plan);
  ve_codes_input inputs[VE_MAX_SLOTS];
  uint8_t *tensors[VE_MAX_SLOTS];
  const ptrdiff_t row = (p->width + 2) * p->channels_in;
  for (int32_t s = 0; s < p->slots; s++) {
    const size_t bytes = (size_t)row * (size_t)(p->height + 2);
    tensors[s] = memory(bytes + VE_SLACK_BYTES);
    for (size_t i = 0; i < bytes; i++)
      tensors[s][i] = (uint8_t)(p->fill == RANDOM ? random_below(levels + 1)
                                : p->fill == ENDS ? random_below(2) * levels
                                                  : levels);
    inputs[s] = (ve_codes_input){.data = tensors[s] + row + p->channels_in, .row_stride = row};
  }
  r.code_bytes = (size_t)((p->width + 2) * (p->height + 2) * p->channels_out);
  r.stream_bytes = (size_t)(p->width * p->height * p->channels_out) * 2;
  r.codes = memory(r.code_bytes);
  r.stream = memory(r.stream_bytes);
  for (size_t i = 0; i < r.stream_bytes / 2; i++) r.stream[i] = (int16_t)(random_below(65536) - 32768);
  const ptrdiff_t code_row = (p->width + 2) * p->channels_out;
  const ve_codes_output output = {
      .data = r.codes + code_row + p->channels_out,
      .row_stride = code_row,
      .multiplier = p->has_stream ? 0.01f : 1,
      .zero_point = 3,
      .levels = levels < 4 ? 3 : levels,
  };
  const ve_conv3x3_io io = {
      .width = p->width, .height = p->height, .inputs = inputs,
      .stream_in = p->has_stream ? r.stream : NULL, .stream_in_stride = p->width * p->channels_out * 2,
      .stream_out = p->has_stream ? r.stream : NULL, .stream_out_stride = p->width * p->channels_out * 2,
      .outputs = &output, .output_count = 1};
  void *scratch = memory(ve_conv3x3_scratch_bytes(plan) + 64);
  // Two bands.
  const int32_t middle = p->height / 4 * 2;
  ve_conv3x3_run(plan, &io, 0, middle, scratch);
  ve_conv3x3_run(plan, &io, middle, p->height, scratch);
  for (int32_t s = 0; s < p->slots; s++) free(tensors[s]);
  free(scratch);
  free(weights);
  ve_conv3x3_destroy(plan);
  return r;
}

static int failures = 0, compared = 0, transformed = 0;

static void compare(const problem *p, ve_isa isa) {
  static uint32_t seed = 1;
  const char *name = "", *scalar_name = "";
  problem direct = *p;
  direct.algorithm = VE_CONV3X3_DIRECT;
  const result expected = run(&direct, ++seed, VE_ISA_SCALAR, &scalar_name), found = run(p, seed, isa, &name);
  if (expected.codes && found.codes) {
    compared++;
    transformed += strcmp(name, "direct") != 0;
    if (memcmp(expected.codes, found.codes, expected.code_bytes) ||
        memcmp(expected.stream, found.stream, expected.stream_bytes)) {
      failures++;
      printf("DIFFERS: %s %s %d x %d -> %d, a%d w%d, %dx%d, stream %d, fill %d\n", ve_isa_name(isa), name, p->slots,
             p->channels_in, p->channels_out, p->bits, p->weight_bits, p->width, p->height, p->has_stream, p->fill);
    }
  }
  free(expected.codes);
  free(expected.stream);
  free(found.codes);
  free(found.stream);
}

static void compare_convolutions(ve_isa isa) {
  static const int32_t bits[][2] = {{8, 8}, {6, 6}, {6, 4}, {4, 4}, {3, 3}, {2, 2}};
  static const int32_t shapes[][3] = {{1, 4, 8}, {1, 12, 16}, {3, 16, 24}, {1, 32, 40}, {2, 36, 64}, {1, 64, 72}};
  static const int32_t extents[][2] = {{1, 1}, {5, 3}, {24, 4}, {49, 7}};
  for (size_t b = 0; b < sizeof bits / sizeof *bits; b++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
      for (size_t e = 0; e < sizeof extents / sizeof *extents; e++)
        for (int kind = RANDOM; kind <= ENDS; kind++)
          for (int algorithm = VE_CONV3X3_DIRECT; algorithm <= VE_CONV3X3_WINOGRAD; algorithm++) {
            const problem p = {shapes[s][0], shapes[s][1], shapes[s][2], bits[b][0], bits[b][1], extents[e][0],
                               extents[e][1], (s + e) % 2, (fill)kind, (ve_conv3x3_algorithm)algorithm};
            compare(&p, isa);
          }
}

static void compare_requantization(ve_isa isa) {
  enum { count = 65536 };
  static int16_t stream[count];
  static uint8_t expected[count], found[count];
  static const float multipliers[] = {1, 0.5f, 0.0037f, -0.01f, 1e6f};
  for (int i = 0; i < count; i++) stream[i] = (int16_t)i;
  for (size_t m = 0; m < sizeof multipliers / sizeof *multipliers; m++) {
    ve_codes_output output = {
        .data = expected, .row_stride = count, .multiplier = multipliers[m], .zero_point = 5, .levels = 31};
    ve_requantize(stream, 0, count / 8, 8, &output, 1, 0, 1, VE_ISA_SCALAR);
    output.data = found;
    ve_requantize(stream, 0, count / 8, 8, &output, 1, 0, 1, isa);
    compared++;
    if (memcmp(expected, found, count)) {
      failures++;
      printf("DIFFERS: %s requantization by %g\n", ve_isa_name(isa), multipliers[m]);
    }
  }
}

static void compare_attention(ve_isa isa) {
  enum { width = 37, height = 2 };
  static const int32_t shapes[][3] = {{1, 1, 255}, {3, 2, 15}, {5, 4, 63}, {5, 8, 255}, {9, 3, 3}};
  for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++)
    for (int kind = RANDOM; kind <= ENDS; kind++) {
      const int32_t slots = shapes[shape][0], heads = shapes[shape][1], levels = shapes[shape][2];
      ve_attention attention = {.slots = slots, .heads = heads, .query_zero = levels / 2, .multiplier = 3e-6f};
      for (int32_t s = 0; s < slots; s++) {
        attention.key_zero[s] = random_below(levels + 1);
        attention.value_zero[s] = random_below(levels + 1);
        attention.score_multiplier[s] = (float)(1 + random_below(1000)) / (float)(levels * levels);
        attention.weight_multiplier[s] = (float)levels / (float)VE_WEIGHT_ONE;
        attention.weight_levels[s] = levels;
        attention.value_factor[s] = s == 0 ? VE_VALUE_ONE : random_below(VE_VALUE_ONE + 1);
      }
      const size_t bytes = (size_t)(width * height * heads * VE_HEAD_CHANNELS);
      ve_codes_input inputs[VE_MAX_ATTENTION_INPUTS];
      uint8_t *tensors[VE_MAX_ATTENTION_INPUTS];
      for (int32_t i = 0; i < 1 + 2 * slots; i++) {
        tensors[i] = memory(bytes);
        for (size_t at = 0; at < bytes; at++)
          tensors[i][at] = (uint8_t)(kind == RANDOM  ? random_below(levels + 1)
                                     : kind == LEAST ? 0
                                     : kind == MOST  ? levels
                                                     : random_below(2) * levels);
        inputs[i] = (ve_codes_input){
            .data = tensors[i], .row_stride = (ptrdiff_t)(bytes / height), .wrap = {.row = height}};
      }
      uint8_t *results[2];
      for (int i = 0; i < 2; i++) {
        results[i] = memory(bytes);
        const ve_codes_output output = {.data = results[i], .row_stride = (ptrdiff_t)(bytes / height),
                                        .wrap = {.row = height}, .zero_point = levels / 3, .levels = levels};
        const ve_conv3x3_io io = {
            .width = width, .height = height, .inputs = inputs, .outputs = &output, .output_count = 1};
        ve_attention_run(&attention, &io, 0, height, i == 0 ? VE_ISA_SCALAR : isa);
      }
      compared++;
      if (memcmp(results[0], results[1], bytes)) {
        failures++;
        printf("DIFFERS: %s attention of %d slots, %d heads\n", ve_isa_name(isa), slots, heads);
      }
      for (int32_t i = 0; i < 1 + 2 * slots; i++) free(tensors[i]);
      for (int i = 0; i < 2; i++) free(results[i]);
    }
}

int main(void) {
  int sets = 0;
  for (int isa = VE_ISA_SCALAR + 1; isa < VE_ISA_COUNT; isa++) {
    if (!ve_isa_supported((ve_isa)isa)) continue;
    sets++;
    compared = transformed = 0;
    compare_convolutions((ve_isa)isa);
    compare_requantization((ve_isa)isa);
    compare_attention((ve_isa)isa);
    printf("%s: %d comparisons, %d of them Winograd\n", ve_isa_name((ve_isa)isa), compared, transformed);
    // If no plan were created, nothing would be compared.
    if (compared < 750 || transformed < 300) failures++;
  }
  if (sets == 0) {
    printf("no instruction set but scalar here\n");
    return 1;
  }
  printf(failures ? "%d FAILED\n" : "all equal\n", failures);
  return failures != 0;
}
