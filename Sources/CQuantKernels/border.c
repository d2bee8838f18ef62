// SPDX-License-Identifier: Apache-2.0
// The border around planes prepared for motion search.
#include <string.h>

#include "kernels.h"

void ve_replicate_border(uint8_t *plane, ptrdiff_t stride, int32_t width, int32_t height, int32_t border) {
  for (int32_t y = 0; y < height; y++) {
    uint8_t *row = plane + y * stride;
    memset(row - border, row[0], (size_t)border);
    memset(row + width, row[width - 1], (size_t)border);
  }
  const size_t bytes = (size_t)(width + 2 * border);
  for (int32_t y = 1; y <= border; y++) {
    memcpy(plane - y * stride - border, plane - border, bytes);
    memcpy(plane + (height - 1 + y) * stride - border, plane + (height - 1) * stride - border, bytes);
  }
}
