// SPDX-License-Identifier: Apache-2.0
// From sums to streams and codes: scalar reference.
#include "kernels.h"

// Adding 1.5 * 2^52 to a double discards the fraction, rounding to nearest
// even in the default mode; exact for all values that occur here, and without
// a call to the C library.
VE_INLINE int32_t round_to_even(float value) {
  const double shift = 6755399441055744.0;
  return (int32_t)(((double)value + shift) - shift);
}

VE_INLINE float clamp_sum(float value) {
  return value < VE_SUM_MIN ? VE_SUM_MIN : value > VE_SUM_MAX ? VE_SUM_MAX : value;
}

VE_INLINE uint8_t code(int32_t value, const ve_codes_output *output) {
  return (uint8_t)ve_clamp(value + output->zero_point, 0, output->levels);
}

VE_INLINE uint8_t code_of_stream(int32_t value, const ve_codes_output *output) {
  return code(round_to_even(clamp_sum((float)value * output->multiplier)), output);
}

void ve_epilogue_scalar(const ve_epilogue_args *args) {
  const bool stream = args->stream_in || args->stream_out;
  for (int32_t pixel = 0; pixel < args->pixels; pixel++) {
    const ptrdiff_t base = (ptrdiff_t)pixel * args->pixel_stride;
    for (int32_t channel = 0; channel < args->channels; channel++) {
      const int32_t sum = args->sums[(ptrdiff_t)pixel * args->sums_stride + channel];
      int32_t value = round_to_even(clamp_sum((float)sum * args->multiplier[channel]));
      if (args->stream_in) value += args->stream_in[base + channel];
      if (stream) value = ve_clamp(value, INT16_MIN, INT16_MAX);
      if (args->stream_out) args->stream_out[base + channel] = (int16_t)value;
      for (int32_t i = 0; i < args->output_count; i++)
        args->codes[i][base + channel] = stream ? code_of_stream(value, &args->outputs[i])
                                                : code(value, &args->outputs[i]);
    }
  }
}

void ve_requantize_scalar(
    const int16_t *stream, size_t count, const ve_codes_output *output, uint8_t *codes) {
  for (size_t i = 0; i < count; i++) codes[i] = code_of_stream(stream[i], output);
}

void ve_requantize(
    const int16_t *stream, ptrdiff_t stream_stride, int32_t width, int32_t channels,
    const ve_codes_output *outputs, int32_t output_count, int32_t row_begin, int32_t row_end,
    ve_isa isa) {
  const ve_kernels *kernels = ve_kernels_for(isa);
  ve_requantize_fn *requantize = kernels ? kernels->requantize : ve_requantize_scalar;
  for (int32_t y = row_begin; y < row_end; y++) {
    const int16_t *row = (const int16_t *)((const char *)stream + y * stream_stride);
    for (int32_t i = 0; i < output_count; i++)
      requantize(
          row, (size_t)width * (size_t)channels, &outputs[i],
          outputs[i].data + y * outputs[i].row_stride);
  }
}
