// SPDX-License-Identifier: Apache-2.0
// Sums of a direct 3x3 convolution: scalar reference.
#include "kernels.h"

void ve_accumulate_scalar(const ve_accumulate_args *args) {
  enum { lanes = 8 };
  const int32_t width = args->vectors * lanes;
  // The three taps of a row are contiguous in memory.
  const int32_t quads = 3 * args->channels_in / 4;
  for (int32_t pixel = 0; pixel < args->pixels; pixel++) {
    int32_t sums[VE_BLOCK_LANES];
    const int8_t *weights = args->weights;
    for (int32_t lane = 0; lane < width; lane++) sums[lane] = args->bias[lane];
    for (int32_t row = 0; row < args->slots * 3; row++) {
      const uint8_t *codes = args->rows[row] + (ptrdiff_t)pixel * args->channels_in;
      for (int32_t quad = 0; quad < quads; quad++, codes += 4)
        for (int32_t lane = 0; lane < width; lane++, weights += 4)
          sums[lane] += codes[0] * weights[0] + codes[1] * weights[1] + codes[2] * weights[2] +
                        codes[3] * weights[3];
    }
    for (int32_t lane = 0; lane < width; lane++) args->sums[pixel * width + lane] = sums[lane];
  }
}
