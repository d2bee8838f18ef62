// SPDX-License-Identifier: Apache-2.0
#include "kernels.h"

#include <string.h>

#if defined(__x86_64__) && defined(__linux__)
#define VERSIONS __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define VERSIONS
#endif

// Nearest integer, ties to even, for magnitudes below 2^22: adding 1.5 x 2^23 discards the fraction.
VE_INLINE float rounded(float value) {
  value = value < -0x1p22f ? -0x1p22f : value > 0x1p22f ? 0x1p22f : value;
  return (value + 0x1.8p23f) - 0x1.8p23f;
}

VE_INLINE float limited(float value, float low, float high) { return value < low ? low : value > high ? high : value; }

VE_INLINE void convert(const float *values, ptrdiff_t count, float floor, uint16_t *result) {
  for (ptrdiff_t i = 0; i < count; i++) {
    const float value = values[i] > floor ? values[i] : floor;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    result[i] = (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
}

VERSIONS
void ve_to_bfloat16(const float *values, ptrdiff_t pixels, ptrdiff_t channels, int32_t rectified, uint16_t *result,
                    ptrdiff_t result_stride) {
  const float floor = rectified ? 0.0f : -__builtin_inff();
  if (channels == result_stride) {
    convert(values, pixels * channels, floor, result);
  } else {
    for (ptrdiff_t p = 0; p < pixels; p++) convert(values + p * channels, channels, floor, result + p * result_stride);
  }
}

VERSIONS
void ve_scale_channels(float *values, ptrdiff_t pixels, ptrdiff_t channels, const float *multiplier) {
  for (ptrdiff_t p = 0; p < pixels; p++)
    for (ptrdiff_t c = 0; c < channels; c++) values[p * channels + c] *= multiplier[c];
}

VERSIONS
void ve_fake_stream(float *values, ptrdiff_t count, const float *addend) {
  if (addend) {
    for (ptrdiff_t i = 0; i < count; i++) values[i] = limited(rounded(values[i]) + addend[i], -32768, 32767);
  } else {
    for (ptrdiff_t i = 0; i < count; i++) values[i] = limited(rounded(values[i]), -32768, 32767);
  }
}

VERSIONS
float ve_round(float *values, ptrdiff_t count) {
  enum { lanes = 16 };
  float greatest[lanes] = {0};
  ptrdiff_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (ptrdiff_t k = 0; k < lanes; k++) {
      const float result = rounded(values[i + k]), distance = __builtin_fabsf(values[i + k] - result);
      values[i + k] = result;
      greatest[k] = distance > greatest[k] ? distance : greatest[k];
    }
  for (; i < count; i++) {
    const float result = rounded(values[i]), distance = __builtin_fabsf(values[i] - result);
    values[i] = result;
    greatest[0] = distance > greatest[0] ? distance : greatest[0];
  }
  float total = 0;
  for (ptrdiff_t k = 0; k < lanes; k++) total = greatest[k] > total ? greatest[k] : total;
  return total;
}

VERSIONS
void ve_fake_quantize(const float *values, ptrdiff_t count, float multiplier, float low, float high, float *unrounded,
                      float *codes) {
  for (ptrdiff_t i = 0; i < count; i++) {
    const float value = values[i] * multiplier;
    unrounded[i] = value;
    codes[i] = limited(rounded(value), low, high);
  }
}

VERSIONS
double ve_fake_quantize_backward(const float *gradient, const float *unrounded, ptrdiff_t count, float multiplier,
                                 float low, float high, float *target) {
  enum { lanes = 16, stretch = 1024 };
  double total = 0;
  for (ptrdiff_t begin = 0; begin < count; begin += stretch) {
    const ptrdiff_t end = begin + stretch < count ? begin + stretch : count;
    float sums[lanes] = {0};
    ptrdiff_t i = begin;
    for (; i + lanes <= end; i += lanes)
      for (ptrdiff_t k = 0; k < lanes; k++) {
        const float x = unrounded[i + k], g = gradient[i + k];
        const float passed = x >= low && x <= high ? g : 0;
        target[i + k] += passed * multiplier;
        sums[k] += g * limited(rounded(x), low, high) - passed * x;
      }
    for (; i < end; i++) {
      const float x = unrounded[i], g = gradient[i];
      const float passed = x >= low && x <= high ? g : 0;
      target[i] += passed * multiplier;
      sums[0] += g * limited(rounded(x), low, high) - passed * x;
    }
    for (ptrdiff_t k = 0; k < lanes; k++) total += (double)sums[k];
  }
  return total;
}
