// SPDX-License-Identifier: Apache-2.0
// Integer 3x3 convolution for low-bit networks, exact on every instruction set.
//
// Tensors. Activations are unsigned 8-bit codes, NHWC with one image per
// tensor. `data` always points at pixel (0, 0) of the image; a tensor that is
// read by a convolution has a border of one pixel around the image, filled by
// the caller with the zero point, so that pixel (-1, -1) lies at
// data - row_stride - channels. All strides are in bytes.
//
// Kernels compute whole register tiles and therefore read (never write) past
// the last pixel of a tensor: VE_SLACK_BYTES after the last border pixel must
// be readable. Their contents never affect an output.
#ifndef VE_CQUANTKERNELS_H
#define VE_CQUANTKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "VEAttention.h"
#include "VEElementwise.h"
#include "VEFloatConvolution.h"
#include "VEInstructionSet.h"
#include "VEInterpolation.h"
#include "VEMotion.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Pixels that may be read after the last border pixel of a tensor.
#define VE_SLACK_PIXELS 32
/// The same in bytes, for the widest tensor (256 channels).
#define VE_SLACK_BYTES 8192

#define VE_MAX_SLOTS 16
#define VE_MAX_CHANNELS 256
#define VE_MAX_OUTPUTS 8

// MARK: - Tensors

/// The wrap-around of rows in a ring buffer: from row `row` on, they are `bytes` before their address by the stride.
/// All zeros if rows do not wrap around.
typedef struct ve_wrap {
  int32_t row;
  ptrdiff_t bytes;
} ve_wrap;

typedef struct ve_codes_input {
  const uint8_t *data;
  ptrdiff_t row_stride;
  ve_wrap wrap;
} ve_codes_input;

/// One tensor of codes to write. From a value v it stores
/// clamp(rne(v * multiplier) + zero_point, 0, levels) if v comes from a stream,
/// and clamp(v + zero_point, 0, levels) otherwise. The product is clamped to
/// -2^23 ... 2^23 - 1 before rounding; 0 <= zero_point <= levels <= 255.
typedef struct ve_codes_output {
  uint8_t *data;
  ptrdiff_t row_stride;
  ve_wrap wrap;
  float multiplier;
  int32_t zero_point;
  int32_t levels;
} ve_codes_output;

// MARK: - Convolution

typedef enum ve_conv3x3_algorithm {
  /// The fastest algorithm that is exact for these weights and activation levels.
  VE_CONV3X3_AUTO = 0,
  VE_CONV3X3_DIRECT = 1,
  /// Winograd; creation fails if no transform is exact for these operands.
  VE_CONV3X3_WINOGRAD = 2,
} ve_conv3x3_algorithm;

typedef struct ve_conv3x3_description {
  /// Input tensors summed by one convolution, 1 ... VE_MAX_SLOTS.
  int32_t slots;
  /// Channels of one slot: a multiple of 4, at most VE_MAX_CHANNELS.
  int32_t channels_in;
  /// A multiple of 8, at most VE_MAX_CHANNELS.
  int32_t channels_out;
  /// Largest activation code in any slot, border included: 1 ... 255.
  int32_t activation_levels;
  /// Weights are in -(weight_levels + 1) ... weight_levels: 1 ... 127.
  int32_t weight_levels;
  ve_conv3x3_algorithm algorithm;
} ve_conv3x3_description;

/// Packed weights and everything else that does not change between frames.
/// Immutable after creation, so any number of threads may run one plan.
typedef struct ve_conv3x3 ve_conv3x3;

/// The tensors of one call.
typedef struct ve_conv3x3_io {
  int32_t width;
  int32_t height;
  /// One tensor per slot.
  const ve_codes_input *inputs;
  /// Added to the result if not NULL: channels_out values per pixel, no border.
  const int16_t *stream_in;
  ptrdiff_t stream_in_stride;
  ve_wrap stream_in_wrap;
  /// Receives the sum if not NULL; may be stream_in.
  int16_t *stream_out;
  ptrdiff_t stream_out_stride;
  ve_wrap stream_out_wrap;
  /// Up to VE_MAX_OUTPUTS, all computed from the same sum.
  const ve_codes_output *outputs;
  int32_t output_count;
} ve_conv3x3_io;

/// Creates a plan; copies its arguments.
///
/// - weights: [channels_out][slots][channels_in][3][3].
/// - bias: channels_out values, with -zero_point * sum(w) folded in.
/// - multiplier: channels_out finite values, from accumulators to output steps.
/// Returns NULL if the description or a weight is out of range, an accumulator
/// could exceed 32 bits, the algorithm cannot be exact, the instruction set is
/// not supported, or memory runs out.
ve_conv3x3 *ve_conv3x3_create(
    const ve_conv3x3_description *description, const int8_t *weights, const int32_t *bias,
    const float *multiplier, ve_isa isa);

void ve_conv3x3_destroy(ve_conv3x3 *plan);

/// The algorithm chosen: VE_CONV3X3_DIRECT or VE_CONV3X3_WINOGRAD.
ve_conv3x3_algorithm ve_conv3x3_chosen_algorithm(const ve_conv3x3 *plan);

/// The name of the algorithm: "direct", "winograd-2x2", ...
const char *ve_conv3x3_algorithm_name(const ve_conv3x3 *plan);

/// Bytes of scratch memory per concurrent call of ve_conv3x3_run; may be 0.
size_t ve_conv3x3_scratch_bytes(const ve_conv3x3 *plan);

/// Computes rows row_begin ..< row_end of all outputs. Inputs also need the rows directly above and below.
///
///   acc = bias[oc] + sum over slots, taps, channels of w * q   (exact, int32)
///   s = clamp(float(acc) * multiplier[oc], -2^23, 2^23 - 1);  v = rne(s)
///   v += stream_in, if given
///   v = clamp(v, -32768, 32767), if there is a stream; stream_out = v
///   codes: see ve_codes_output
///
/// float(acc) and the products round to nearest even, and nothing is fused: the
/// result is identical on every instruction set. Calls on disjoint bands of rows
/// may run concurrently, each with its own scratch memory. Outputs must not
/// overlap each other or an input. Bands of an even number of rows are faster,
/// because Winograd computes rows in pairs.
void ve_conv3x3_run(
    const ve_conv3x3 *plan, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end,
    void *scratch);

// MARK: - Streams

/// Rows row_begin ..< row_end of codes from a stream of 16-bit values
/// (`channels` per pixel, a multiple of 8, no border), for up to VE_MAX_OUTPUTS
/// tensors. `stream` is the first pixel of row 0.
/// `stream` and outputs must not be ring buffers.
void ve_requantize(
    const int16_t *stream, ptrdiff_t stream_stride, int32_t width, int32_t channels,
    const ve_codes_output *outputs, int32_t output_count, int32_t row_begin, int32_t row_end,
    ve_isa isa);

// MARK: - Machine peaks

/// u8 x s8 dot products of the widest supported VNNI, in 10^9 multiply-adds per
/// second on the calling thread, measured for about `seconds`; 0 without VNNI.
double ve_peak_vpdpbusd(double seconds);

/// u8 x s8 products of AMX tiles likewise; 0 without AMX.
double ve_peak_tdpbusd(double seconds);

/// 32-bit floating-point fused multiply-adds likewise; 0 if not on x86.
double ve_peak_fp32(double seconds);

#ifdef __cplusplus
}
#endif

#endif
