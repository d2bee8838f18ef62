// SPDX-License-Identifier: Apache-2.0
// FFmpeg's headers, and wrappers for what Swift cannot import: macros, arrays
// inside structs, variadic callbacks. All differences between FFmpeg 5.1 and 8
// are handled here.
#ifndef CFFMPEG_H
#define CFFMPEG_H

#include <errno.h>
#ifdef __linux__
#include <malloc.h>
#endif
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/channel_layout.h>
#include <libavutil/cpu.h>
#include <libavutil/dict.h>
#include <libavutil/display.h>
#include <libavutil/error.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/mathematics.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <libavutil/video_enc_params.h>
#include <libswscale/swscale.h>

// MARK: Macros that Swift does not import

static inline int cffmpeg_error_end_of_file(void) { return AVERROR_EOF; }
static inline int cffmpeg_error_again(void) { return AVERROR(EAGAIN); }
static inline int cffmpeg_error_invalid_data(void) { return AVERROR_INVALIDDATA; }
static inline int cffmpeg_error_option_not_found(void) { return AVERROR_OPTION_NOT_FOUND; }
static inline int cffmpeg_error_patch_welcome(void) { return AVERROR_PATCHWELCOME; }
static inline int cffmpeg_error_from_errno(int code) { return AVERROR(code); }

// MARK: Log

typedef void (*cffmpeg_line_handler)(int level, const char *line);

// One copy per object file that uses it; only LibavLog.swift does. Local to a
// function, as Swift does not emit a header's static variables.
static inline cffmpeg_line_handler *cffmpeg_line_handler_slot(void) {
  static cffmpeg_line_handler slot;
  return &slot;
}

// av_log's callback takes a va_list, which Swift cannot format portably.
static inline void cffmpeg_log_callback(
    void *source, int level, const char *format, va_list arguments) {
  cffmpeg_line_handler handler = *cffmpeg_line_handler_slot();
  if (level > AV_LOG_WARNING || !handler) return;
  char line[1024];
  int wants_prefix = 0;
  av_log_format_line2(source, level, format, arguments, line, sizeof line, &wants_prefix);
  handler(level, line);
}

static inline void cffmpeg_set_line_handler(cffmpeg_line_handler handler) {
  *cffmpeg_line_handler_slot() = handler;
  av_log_set_callback(cffmpeg_log_callback);
}

// pthread_t is an integer on Linux and a pointer on macOS.
static inline uintptr_t cffmpeg_thread_identity(void) { return (uintptr_t)pthread_self(); }

// MARK: Frames

// Arrays inside structs become tuples in Swift.
static inline uint8_t *cffmpeg_frame_plane(const AVFrame *frame, int index) {
  return frame->data[index];
}

static inline int cffmpeg_frame_bytes_per_row(const AVFrame *frame, int index) {
  return frame->linesize[index];
}

// `duration` came with libavutil 57.30 (FFmpeg 6.0); before it was `pkt_duration`.
static inline int64_t cffmpeg_frame_duration(const AVFrame *frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  return frame->duration;
#else
  return frame->pkt_duration;
#endif
}

static inline void cffmpeg_frame_set_duration(AVFrame *frame, int64_t duration) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  frame->duration = duration;
#else
  frame->pkt_duration = duration;
#endif
}

// A frame flag since libavutil 58.7 (FFmpeg 6.1); before it was a field.
static inline int cffmpeg_frame_is_interlaced(const AVFrame *frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
  return (frame->flags & AV_FRAME_FLAG_INTERLACED) != 0;
#else
  return frame->interlaced_frame;
#endif
}

// MARK: Scaling

// SwsContext is opaque up to FFmpeg 7 and a public struct from 8 on; Swift would
// see two types.
typedef struct cffmpeg_scaler cffmpeg_scaler;

typedef struct cffmpeg_picture {
  int width, height;
  int format;         // AVPixelFormat
  int full_range;     // 0 or 1
  int matrix;         // AVColorSpace
  int chroma_x, chroma_y;  // in 1/256 of a luma sample; -513 is unspecified
} cffmpeg_picture;

static inline void cffmpeg_scaler_free(cffmpeg_scaler *scaler) {
  sws_freeContext((struct SwsContext *)scaler);
}

// Returns null if swscale does not support the conversion.
static inline cffmpeg_scaler *cffmpeg_scaler_make(
    const cffmpeg_picture *source, const cffmpeg_picture *target, int flags) {
  struct SwsContext *scaler = sws_alloc_context();
  if (!scaler) return NULL;
  av_opt_set_int(scaler, "srcw", source->width, 0);
  av_opt_set_int(scaler, "srch", source->height, 0);
  av_opt_set_int(scaler, "src_format", source->format, 0);
  av_opt_set_int(scaler, "src_range", source->full_range, 0);
  av_opt_set_int(scaler, "src_h_chr_pos", source->chroma_x, 0);
  av_opt_set_int(scaler, "src_v_chr_pos", source->chroma_y, 0);
  av_opt_set_int(scaler, "dstw", target->width, 0);
  av_opt_set_int(scaler, "dsth", target->height, 0);
  av_opt_set_int(scaler, "dst_format", target->format, 0);
  av_opt_set_int(scaler, "dst_range", target->full_range, 0);
  av_opt_set_int(scaler, "dst_h_chr_pos", target->chroma_x, 0);
  av_opt_set_int(scaler, "dst_v_chr_pos", target->chroma_y, 0);
  av_opt_set_int(scaler, "sws_flags", flags, 0);
  if (sws_init_context(scaler, NULL, NULL) < 0) {
    sws_freeContext(scaler);
    return NULL;
  }
  // Fails if neither matrix nor range matters, which is harmless.
  (void)sws_setColorspaceDetails(
      scaler, sws_getCoefficients(source->matrix), source->full_range,
      sws_getCoefficients(target->matrix), target->full_range, 0, 1 << 16, 1 << 16);
  return (cffmpeg_scaler *)scaler;
}

static inline int cffmpeg_scaler_run(
    cffmpeg_scaler *scaler, const AVFrame *source, AVFrame *target) {
  return sws_scale((struct SwsContext *)scaler, (const uint8_t *const *)source->data,
                   source->linesize, 0, source->height, target->data, target->linesize);
}

// MARK: Filters

// Builds source -> description -> sink in `graph`, which owns everything, for pictures or for sound.
// Returns 0 or an AVERROR.
static inline int cffmpeg_filter_chain(
    AVFilterGraph *graph, int is_sound, const char *arguments, const char *description,
    AVFilterContext **source, AVFilterContext **sink) {
  int result = avfilter_graph_create_filter(
      source, avfilter_get_by_name(is_sound ? "abuffer" : "buffer"), "in", arguments, NULL, graph);
  if (result < 0) return result;
  result = avfilter_graph_create_filter(
      sink, avfilter_get_by_name(is_sound ? "abuffersink" : "buffersink"), "out", NULL, NULL, graph);
  if (result < 0) return result;
  AVFilterInOut *outputs = avfilter_inout_alloc();
  AVFilterInOut *inputs = avfilter_inout_alloc();
  result = AVERROR(ENOMEM);
  if (outputs && inputs) {
    outputs->name = av_strdup("in");
    outputs->filter_ctx = *source;
    inputs->name = av_strdup("out");
    inputs->filter_ctx = *sink;
    if (outputs->name && inputs->name)
      result = avfilter_graph_parse_ptr(graph, description, &inputs, &outputs, NULL);
  }
  avfilter_inout_free(&inputs);
  avfilter_inout_free(&outputs);
  return result < 0 ? result : avfilter_graph_config(graph, NULL);
}

// MARK: Codecs

// The field is deprecated from libavcodec 61.13 (FFmpeg 7.1) on. Ends with
// AV_PIX_FMT_NONE; null means that the encoder does not list any.
static inline const enum AVPixelFormat *cffmpeg_encoder_formats(
    const AVCodecContext *context, const AVCodec *codec) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
  const void *formats = NULL;
  if (avcodec_get_supported_config(context, codec, AV_CODEC_CONFIG_PIX_FORMAT, 0, &formats, NULL) < 0)
    return NULL;
  return (const enum AVPixelFormat *)formats;
#else
  (void)context;
  return codec->pix_fmts;
#endif
}

// The same for sound. Rates end with 0, sample formats with AV_SAMPLE_FMT_NONE; null means that the encoder
// does not list any.
static inline const int *cffmpeg_encoder_sample_rates(const AVCodecContext *context, const AVCodec *codec) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
  const void *rates = NULL;
  if (avcodec_get_supported_config(context, codec, AV_CODEC_CONFIG_SAMPLE_RATE, 0, &rates, NULL) < 0)
    return NULL;
  return (const int *)rates;
#else
  (void)context;
  return codec->supported_samplerates;
#endif
}

static inline const enum AVSampleFormat *cffmpeg_encoder_sample_formats(
    const AVCodecContext *context, const AVCodec *codec) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
  const void *formats = NULL;
  if (avcodec_get_supported_config(context, codec, AV_CODEC_CONFIG_SAMPLE_FORMAT, 0, &formats, NULL) < 0)
    return NULL;
  return (const enum AVSampleFormat *)formats;
#else
  (void)context;
  return codec->sample_fmts;
#endif
}

// MARK: Sound

// Allocates the samples of a frame and makes them silent; returns 0 or an AVERROR.
static inline int cffmpeg_frame_make_silent(
    AVFrame *frame, int format, int rate, const AVChannelLayout *layout, int samples) {
  frame->format = format;
  frame->sample_rate = rate;
  frame->nb_samples = samples;
  int result = av_channel_layout_copy(&frame->ch_layout, layout);
  if (result >= 0) result = av_frame_get_buffer(frame, 0);
  if (result < 0) return result;
  return av_samples_set_silence(
      frame->extended_data, 0, samples, layout->nb_channels, (enum AVSampleFormat)format);
}

// Copies all samples of a frame to the beginning of another of the same shape.
static inline void cffmpeg_frame_copy_samples(AVFrame *target, const AVFrame *source) {
  av_samples_copy(target->extended_data, source->extended_data, 0, 0, source->nb_samples,
                  source->ch_layout.nb_channels, (enum AVSampleFormat)source->format);
}

// Cuts off samples at the beginning of a frame.
static inline void cffmpeg_frame_drop_samples(AVFrame *frame, int samples) {
  const enum AVSampleFormat format = (enum AVSampleFormat)frame->format;
  const int channels = frame->ch_layout.nb_channels;
  const int planes = av_sample_fmt_is_planar(format) ? channels : 1;
  const int bytes = av_get_bytes_per_sample(format) * (planes == 1 ? channels : 1) * samples;
  for (int i = 0; i < planes; i++) frame->extended_data[i] += bytes;
  if (frame->extended_data != frame->data)
    for (int i = 0; i < planes && i < AV_NUM_DATA_POINTERS; i++) frame->data[i] = frame->extended_data[i];
  frame->nb_samples -= samples;
}

// Gives channels that are merely counted the usual meaning of so many; returns whether there is one.
static inline int cffmpeg_name_channels(AVChannelLayout *layout) {
  if (layout->order == AV_CHANNEL_ORDER_NATIVE) return 1;
  const int count = layout->nb_channels;
  av_channel_layout_uninit(layout);
  av_channel_layout_default(layout, count);
  return layout->order == AV_CHANNEL_ORDER_NATIVE;
}

// Replaces a layout by the nearest one that AAC has a number for: few players understand others, which are
// described speaker by speaker.
static inline void cffmpeg_choose_numbered_layout(AVChannelLayout *layout) {
  static const uint64_t numbered[] = {
      AV_CH_LAYOUT_MONO, AV_CH_LAYOUT_STEREO, AV_CH_LAYOUT_SURROUND, AV_CH_LAYOUT_4POINT0,
      AV_CH_LAYOUT_5POINT0_BACK, AV_CH_LAYOUT_5POINT1_BACK};
  const int count = layout->nb_channels;
  if (layout->order == AV_CHANNEL_ORDER_NATIVE)
    for (unsigned i = 0; i < sizeof numbered / sizeof *numbered; i++)
      if (layout->u.mask == numbered[i]) return;
  av_channel_layout_uninit(layout);
  av_channel_layout_from_mask(layout, count >= 6   ? AV_CH_LAYOUT_5POINT1_BACK
                                      : count == 5 ? AV_CH_LAYOUT_5POINT0_BACK
                                                   : AV_CH_LAYOUT_STEREO);
}

// MARK: Streams

// Side data of a stream moved into its codec parameters with libavcodec 60.31
// and libavformat 60.16 (FFmpeg 6.1).
#define CFFMPEG_SIDE_DATA_IN_PARAMETERS (LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 16, 100))

static inline int cffmpeg_stream_side_data_count(const AVStream *stream) {
#if CFFMPEG_SIDE_DATA_IN_PARAMETERS
  return stream->codecpar->nb_coded_side_data;
#else
  return stream->nb_side_data;
#endif
}

static inline const AVPacketSideData *cffmpeg_stream_side_data(const AVStream *stream, int index) {
#if CFFMPEG_SIDE_DATA_IN_PARAMETERS
  return &stream->codecpar->coded_side_data[index];
#else
  return &stream->side_data[index];
#endif
}

// Adds or replaces side data; returns 0 or an AVERROR.
static inline int cffmpeg_stream_set_side_data(
    AVStream *stream, enum AVPacketSideDataType type, const uint8_t *bytes, size_t count) {
#if CFFMPEG_SIDE_DATA_IN_PARAMETERS
  AVCodecParameters *parameters = stream->codecpar;
  AVPacketSideData *entry = av_packet_side_data_new(
      &parameters->coded_side_data, &parameters->nb_coded_side_data, type, count, 0);
  if (!entry) return AVERROR(ENOMEM);
  if (count) memcpy(entry->data, bytes, count);
#else
  uint8_t *copy = av_stream_new_side_data(stream, type, count);
  if (!copy) return AVERROR(ENOMEM);
  if (count) memcpy(copy, bytes, count);
#endif
  return 0;
}

static inline int cffmpeg_input_has_timestamp_jumps(const AVFormatContext *context) {
  return (context->iformat->flags & AVFMT_TS_DISCONT) != 0;
}

// MARK: Memory

// Swift does not import the C library's macros and functions for this.
static inline void cffmpeg_return_large_blocks(int bytes) {
#ifdef M_MMAP_THRESHOLD
  mallopt(M_MMAP_THRESHOLD, bytes);
#else
  (void)bytes;
#endif
}

#endif
