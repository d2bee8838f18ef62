// SPDX-License-Identifier: Apache-2.0
// One 64 -> 64 layer with a stream, for instruction counts under an emulator (Scripts/test-arm.sh count):
//
//   layer INSTRUCTION-SET BITS direct|automatic REPEATS
//
// Computes 96 x 4 pixels REPEATS times, and prints the algorithm.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CQuantKernels.h"

enum { WIDTH = 96, HEIGHT = 4, CHANNELS = 64, ROW = (WIDTH + 2) * CHANNELS };

static void *memory(size_t bytes) {
  void *block = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!block) abort();
  return memset(block, 1, bytes);
}

int main(int count, char **arguments) {
  if (count != 5) return 64;
  int isa = 0;
  while (isa < VE_ISA_COUNT && strcmp(ve_isa_name((ve_isa)isa), arguments[1]) != 0) isa++;
  const int32_t bits = atoi(arguments[2]), half = 1 << (bits - 1);
  static int8_t weights[CHANNELS * CHANNELS * 9];
  static int32_t bias[CHANNELS];
  static float multiplier[CHANNELS];
  for (int i = 0; i < CHANNELS * CHANNELS * 9; i++) weights[i] = (int8_t)(i * 7 % (2 * half) - half);
  for (int i = 0; i < CHANNELS; i++) multiplier[i] = 0.01f;
  const ve_conv3x3_description d = {
      1, CHANNELS, CHANNELS, (1 << bits) - 1, half - 1,
      strcmp(arguments[3], "direct") == 0 ? VE_CONV3X3_DIRECT : VE_CONV3X3_AUTO};
  ve_conv3x3 *plan = ve_conv3x3_create(&d, weights, bias, multiplier, (ve_isa)isa);
  if (!plan) {
    fprintf(stderr, "layer: %s is not supported\n", arguments[1]);
    return 1;
  }
  uint8_t *from = memory(ROW * (HEIGHT + 2) + VE_SLACK_BYTES), *to = memory(ROW * (HEIGHT + 2));
  int16_t *stream = memory(WIDTH * HEIGHT * CHANNELS * sizeof *stream);
  void *scratch = memory(ve_conv3x3_scratch_bytes(plan) + 64);
  const ve_codes_input input = {.data = from + ROW + CHANNELS, .row_stride = ROW};
  const ve_codes_output output = {
      .data = to + ROW + CHANNELS, .row_stride = ROW, .multiplier = 0.1f, .levels = (1 << bits) - 1};
  const ve_conv3x3_io io = {
      .width = WIDTH, .height = HEIGHT, .inputs = &input,
      .stream_in = stream, .stream_in_stride = WIDTH * CHANNELS * 2,
      .stream_out = stream, .stream_out_stride = WIDTH * CHANNELS * 2,
      .outputs = &output, .output_count = 1};
  for (int i = 0; i < atoi(arguments[4]); i++) ve_conv3x3_run(plan, &io, 0, HEIGHT, scratch);
  puts(ve_conv3x3_algorithm_name(plan));
  return 0;
}
