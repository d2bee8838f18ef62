// SPDX-License-Identifier: Apache-2.0
// From sums to streams and codes, four values at a time.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include "../kernels.h"

VE_INLINE int32x4_t round_clamped(float32x4_t value) {
  return vcvtnq_s32_f32(vminq_f32(vmaxq_f32(value, vdupq_n_f32(VE_SUM_MIN)), vdupq_n_f32(VE_SUM_MAX)));
}

VE_INLINE int32x4_t scaled(int32x4_t value, float32x4_t multiplier) {
  return round_clamped(vmulq_f32(vcvtq_f32_s32(value), multiplier));
}

// Stores four codes from integers of at most 24 bits.
VE_INLINE void store_codes(uint8_t *to, int32x4_t steps, const ve_codes_output *output) {
  const int32x4_t offset = vdupq_n_s32(output->zero_point), most = vdupq_n_s32(output->levels);
  const int32x4_t codes = vminq_s32(vmaxq_s32(vaddq_s32(steps, offset), vdupq_n_s32(0)), most);
  const int16x4_t narrow = vmovn_s32(codes);
  const uint8x8_t bytes = vmovn_u16(vreinterpretq_u16_s16(vcombine_s16(narrow, narrow)));
  const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
  memcpy(to, &four, sizeof four);
}

VE_INLINE void store_codes_of_stream(uint8_t *to, int32x4_t value, const ve_codes_output *output) {
  store_codes(to, scaled(value, vdupq_n_f32(output->multiplier)), output);
}

void ve_epilogue_neondot(const ve_epilogue_args *args) {
  const bool stream = args->stream_in || args->stream_out;
  for (int32_t pixel = 0; pixel < args->pixels; pixel++) {
    const ptrdiff_t base = (ptrdiff_t)pixel * args->pixel_stride;
    const int32_t *sums = args->sums + (ptrdiff_t)pixel * args->sums_stride;
    for (int32_t channel = 0; channel < args->channels; channel += 4) {
      int32x4_t value = scaled(vld1q_s32(sums + channel), vld1q_f32(args->multiplier + channel));
      if (args->stream_in) value = vaddw_s16(value, vld1_s16(args->stream_in + base + channel));
      if (stream) {
        // Narrowing saturates to 16 bits.
        const int16x4_t narrow = vqmovn_s32(value);
        value = vmovl_s16(narrow);
        if (args->stream_out) vst1_s16(args->stream_out + base + channel, narrow);
      }
      for (int32_t i = 0; i < args->output_count; i++) {
        uint8_t *to = args->codes[i] + base + channel;
        if (stream)
          store_codes_of_stream(to, value, &args->outputs[i]);
        else
          store_codes(to, value, &args->outputs[i]);
      }
    }
  }
}

void ve_requantize_neondot(const int16_t *stream, size_t count, const ve_codes_output *output, uint8_t *codes) {
  for (size_t i = 0; i < count; i += 4)
    store_codes_of_stream(codes + i, vmovl_s16(vld1_s16(stream + i)), output);
}
#endif
