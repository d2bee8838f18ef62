// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // RTLD_DEFAULT
#include "CDNNL.h"

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>


#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t descriptor; // opaque, owned
#define DESCRIPTOR_OF(d) (d)
#else
typedef dnnl_memory_desc_t descriptor; // a plain struct
#define DESCRIPTOR_OF(d) (&(d))
#endif

enum { forward, backward_data, backward_weights, primitive_count };

typedef struct {
  dnnl_primitive_desc_t description;
  dnnl_primitive_t primitive;
  dnnl_memory_t source, weights, bias, destination;
  bool converts_weights;  // the primitive's weight layout or type differs from f32 OIHW
  dnnl_primitive_t reorder;
} stage;

struct ve_dnn_convolution {
  ve_dnn_convolution_description shape;
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  stage stages[primitive_count];
  dnnl_memory_t plain_weights; // f32 OIHW, of the caller
};

#define TRY(call)                                                                                                      \
  do {                                                                                                                 \
    dnnl_status_t status_ = (call);                                                                                    \
    if (status_ != dnnl_success) return (int32_t)status_;                                                              \
  } while (0)

static int32_t describe(descriptor *result, int rank, const dnnl_dim_t *dimensions, dnnl_data_type_t type,
                        dnnl_format_tag_t tag) {
#if DNNL_VERSION_MAJOR >= 3
  TRY(dnnl_memory_desc_create_with_tag(result, rank, dimensions, type, tag));
#else
  TRY(dnnl_memory_desc_init_by_tag(result, rank, dimensions, type, tag));
#endif
  return 0;
}

static int32_t memory_of(dnnl_memory_t *memory, dnnl_primitive_desc_t primitive, dnnl_query_t what, dnnl_engine_t engine,
                         void *handle) {
#if DNNL_VERSION_MAJOR >= 3
  const_dnnl_memory_desc_t wanted = dnnl_primitive_desc_query_md(primitive, what, 0);
#else
  const dnnl_memory_desc_t *wanted = dnnl_primitive_desc_query_md(primitive, what, 0);
#endif
  TRY(dnnl_memory_create(memory, wanted, engine, handle));
  return 0;
}

static bool same_layout(dnnl_memory_t a, dnnl_memory_t b) {
#if DNNL_VERSION_MAJOR >= 3
  const_dnnl_memory_desc_t first, second;
#else
  const dnnl_memory_desc_t *first, *second;
#endif
  return dnnl_memory_get_memory_desc(a, &first) == dnnl_success &&
         dnnl_memory_get_memory_desc(b, &second) == dnnl_success && dnnl_memory_desc_equal(first, second);
}

static int32_t make_reorder(dnnl_primitive_t *reorder, dnnl_memory_t from, dnnl_memory_t to, dnnl_engine_t engine) {
#if DNNL_VERSION_MAJOR >= 3
  const_dnnl_memory_desc_t first, second;
#else
  const dnnl_memory_desc_t *first, *second;
#endif
  TRY(dnnl_memory_get_memory_desc(from, &first));
  TRY(dnnl_memory_get_memory_desc(to, &second));
  dnnl_primitive_desc_t description;
  TRY(dnnl_reorder_primitive_desc_create(&description, first, engine, second, engine, NULL));
  dnnl_status_t status = dnnl_primitive_create(reorder, description);
  dnnl_primitive_desc_destroy(description);
  return (int32_t)status;
}

// Source, weights, bias, destination of one direction; results of every direction are f32.
static int32_t make_description(ve_dnn_convolution *c, int kind) {
  const ve_dnn_convolution_description *s = &c->shape;
  const dnnl_dim_t pad = s->kernel / 2;
  const dnnl_dim_t out_height = (s->height + 2 * pad - s->kernel) / s->stride + 1;
  const dnnl_dim_t out_width = (s->width + 2 * pad - s->kernel) / s->stride + 1;
  const dnnl_dim_t source_dims[] = {s->batch, s->channels_in, s->height, s->width};
  const dnnl_dim_t weight_dims[] = {s->channels_out, s->channels_in, s->kernel, s->kernel};
  const dnnl_dim_t bias_dims[] = {s->channels_out};
  const dnnl_dim_t destination_dims[] = {s->batch, s->channels_out, out_height, out_width};
  const dnnl_dim_t strides[] = {s->stride, s->stride}, dilates[] = {0, 0}, padding[] = {pad, pad};
  const dnnl_data_type_t operand = s->type == VE_DNN_BF16 ? dnnl_bf16 : dnnl_f32;
  descriptor source, weights, bias, destination;
  TRY(describe(&source, 4, source_dims, kind == backward_data ? dnnl_f32 : operand, dnnl_nhwc));
  TRY(describe(&weights, 4, weight_dims, kind == backward_weights ? dnnl_f32 : operand, dnnl_format_tag_any));
  TRY(describe(&bias, 1, bias_dims, dnnl_f32, dnnl_a));
  TRY(describe(&destination, 4, destination_dims, kind == forward ? dnnl_f32 : operand, dnnl_nhwc));
  stage *stage = &c->stages[kind];
  dnnl_primitive_desc_t hint = kind == forward ? NULL : c->stages[forward].description;
  const dnnl_prop_kind_t direction = s->training ? dnnl_forward_training : dnnl_forward_inference;
  dnnl_status_t status;
#if DNNL_VERSION_MAJOR >= 3
  if (kind == forward)
    status = dnnl_convolution_forward_primitive_desc_create(&stage->description, c->engine, direction,
                                                            dnnl_convolution_direct, source, weights, bias, destination,
                                                            strides, dilates, padding, padding, NULL);
  else if (kind == backward_data)
    status = dnnl_convolution_backward_data_primitive_desc_create(&stage->description, c->engine,
                                                                  dnnl_convolution_direct, source, weights, destination,
                                                                  strides, dilates, padding, padding, hint, NULL);
  else
    status = dnnl_convolution_backward_weights_primitive_desc_create(
        &stage->description, c->engine, dnnl_convolution_direct, source, weights, bias, destination, strides, dilates,
        padding, padding, hint, NULL);
  dnnl_memory_desc_destroy(source);
  dnnl_memory_desc_destroy(weights);
  dnnl_memory_desc_destroy(bias);
  dnnl_memory_desc_destroy(destination);
#else
  dnnl_convolution_desc_t operation;
  if (kind == forward)
    status = dnnl_dilated_convolution_forward_desc_init(&operation, direction, dnnl_convolution_direct, &source,
                                                        &weights, &bias, &destination, strides, dilates, padding,
                                                        padding);
  else if (kind == backward_data)
    status = dnnl_dilated_convolution_backward_data_desc_init(&operation, dnnl_convolution_direct, &source, &weights,
                                                              &destination, strides, dilates, padding, padding);
  else
    status = dnnl_dilated_convolution_backward_weights_desc_init(&operation, dnnl_convolution_direct, &source, &weights,
                                                                 &bias, &destination, strides, dilates, padding,
                                                                 padding);
  if (status == dnnl_success)
    status = dnnl_primitive_desc_create(&stage->description, &operation, NULL, c->engine, hint);
#endif
  return (int32_t)status;
}

static int32_t make_stage(ve_dnn_convolution *c, int kind) {
  stage *stage = &c->stages[kind];
  int32_t status = make_description(c, kind);
  if (status) return status;
  TRY(dnnl_primitive_create(&stage->primitive, stage->description));
  const dnnl_query_t source = kind == backward_data ? dnnl_query_diff_src_md : dnnl_query_src_md;
  const dnnl_query_t weights = kind == backward_weights ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
  const dnnl_query_t destination = kind == forward ? dnnl_query_dst_md : dnnl_query_diff_dst_md;
  TRY(memory_of(&stage->source, stage->description, source, c->engine, DNNL_MEMORY_NONE));
  TRY(memory_of(&stage->destination, stage->description, destination, c->engine, DNNL_MEMORY_NONE));
  TRY(memory_of(&stage->weights, stage->description, weights, c->engine, DNNL_MEMORY_NONE));
  stage->converts_weights = !same_layout(stage->weights, c->plain_weights);
  if (stage->converts_weights) {
    dnnl_memory_destroy(stage->weights);
    TRY(memory_of(&stage->weights, stage->description, weights, c->engine, DNNL_MEMORY_ALLOCATE));
    const bool out = kind == backward_weights;
    TRY(make_reorder(&stage->reorder, out ? stage->weights : c->plain_weights, out ? c->plain_weights : stage->weights,
                     c->engine));
  }
  if (kind != backward_data) {
    // Bias inputs are copied into our own memory; bias gradients are written to the caller's.
    const bool out = kind == backward_weights;
    descriptor bias;
    const dnnl_dim_t dims[] = {c->shape.channels_out};
    TRY(describe(&bias, 1, dims, dnnl_f32, dnnl_a));
    dnnl_status_t created =
        dnnl_memory_create(&stage->bias, DESCRIPTOR_OF(bias), c->engine, out ? DNNL_MEMORY_NONE : DNNL_MEMORY_ALLOCATE);
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_destroy(bias);
#endif
    TRY(created);
  }
  return 0;
}

static int32_t build(ve_dnn_convolution *c) {
  TRY(dnnl_engine_create(&c->engine, dnnl_cpu, 0));
  TRY(dnnl_stream_create(&c->stream, c->engine, dnnl_stream_default_flags));
  descriptor plain;
  const dnnl_dim_t dims[] = {c->shape.channels_out, c->shape.channels_in, c->shape.kernel, c->shape.kernel};
  TRY(describe(&plain, 4, dims, dnnl_f32, dnnl_oihw));
  dnnl_status_t status = dnnl_memory_create(&c->plain_weights, DESCRIPTOR_OF(plain), c->engine, DNNL_MEMORY_NONE);
#if DNNL_VERSION_MAJOR >= 3
  dnnl_memory_desc_destroy(plain);
#endif
  TRY(status);
  for (int kind = forward; kind < (c->shape.training ? primitive_count : backward_data); kind++) {
    int32_t made = make_stage(c, kind);
    if (made) return made;
  }
  return 0;
}

ve_dnn_convolution *ve_dnn_convolution_create(const ve_dnn_convolution_description *description, int32_t *status) {
  ve_dnn_convolution *c = calloc(1, sizeof *c);
  int32_t result = (int32_t)dnnl_out_of_memory;
  if (c) {
    c->shape = *description;
    result = build(c);
    if (result) {
      ve_dnn_convolution_destroy(c);
      c = NULL;
    }
  }
  if (status) *status = result;
  return c;
}

void ve_dnn_convolution_destroy(ve_dnn_convolution *c) {
  if (!c) return;
  for (int kind = 0; kind < primitive_count; kind++) {
    stage *stage = &c->stages[kind];
    if (stage->primitive) dnnl_primitive_destroy(stage->primitive);
    if (stage->reorder) dnnl_primitive_destroy(stage->reorder);
    if (stage->source) dnnl_memory_destroy(stage->source);
    if (stage->weights) dnnl_memory_destroy(stage->weights);
    if (stage->bias) dnnl_memory_destroy(stage->bias);
    if (stage->destination) dnnl_memory_destroy(stage->destination);
  }
  // Backward descriptions refer to the forward one, which is freed last.
  for (int kind = primitive_count - 1; kind >= 0; kind--)
    if (c->stages[kind].description) dnnl_primitive_desc_destroy(c->stages[kind].description);
  if (c->plain_weights) dnnl_memory_destroy(c->plain_weights);
  if (c->stream) dnnl_stream_destroy(c->stream);
  if (c->engine) dnnl_engine_destroy(c->engine);
  free(c);
}

static int32_t reorder(ve_dnn_convolution *c, dnnl_primitive_t primitive, dnnl_memory_t from, dnnl_memory_t to) {
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  TRY(dnnl_primitive_execute(primitive, c->stream, 2, arguments));
  TRY(dnnl_stream_wait(c->stream));
  return 0;
}

int32_t ve_dnn_convolution_set_weights(ve_dnn_convolution *c, const float *weights, const float *bias) {
  TRY(dnnl_memory_set_data_handle(c->plain_weights, (void *)weights));
  for (int kind = forward; kind <= backward_data; kind++) {
    stage *stage = &c->stages[kind];
    if (!stage->primitive) continue;
    if (stage->converts_weights) {
      int32_t status = reorder(c, stage->reorder, c->plain_weights, stage->weights);
      if (status) return status;
    } else {
      TRY(dnnl_memory_set_data_handle(stage->weights, (void *)weights));
    }
  }
  void *own;
  TRY(dnnl_memory_get_data_handle(c->stages[forward].bias, &own));
  memcpy(own, bias, sizeof(float) * (size_t)c->shape.channels_out);
  return 0;
}

int32_t ve_dnn_convolution_forward(ve_dnn_convolution *c, const void *source, float *destination) {
  stage *s = &c->stages[forward];
  TRY(dnnl_memory_set_data_handle(s->source, (void *)source));
  TRY(dnnl_memory_set_data_handle(s->destination, destination));
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, s->source},
                                       {DNNL_ARG_WEIGHTS, s->weights},
                                       {DNNL_ARG_BIAS, s->bias},
                                       {DNNL_ARG_DST, s->destination}};
  TRY(dnnl_primitive_execute(s->primitive, c->stream, 4, arguments));
  TRY(dnnl_stream_wait(c->stream));
  return 0;
}

int32_t ve_dnn_convolution_backward_data(ve_dnn_convolution *c, const void *destination_difference,
                                         float *source_difference) {
  stage *s = &c->stages[backward_data];
  if (!s->primitive) return (int32_t)dnnl_invalid_arguments;
  TRY(dnnl_memory_set_data_handle(s->source, source_difference));
  TRY(dnnl_memory_set_data_handle(s->destination, (void *)destination_difference));
  const dnnl_exec_arg_t arguments[] = {
      {DNNL_ARG_DIFF_SRC, s->source}, {DNNL_ARG_WEIGHTS, s->weights}, {DNNL_ARG_DIFF_DST, s->destination}};
  TRY(dnnl_primitive_execute(s->primitive, c->stream, 3, arguments));
  TRY(dnnl_stream_wait(c->stream));
  return 0;
}

int32_t ve_dnn_convolution_backward_weights(ve_dnn_convolution *c, const void *source,
                                            const void *destination_difference, float *weight_difference,
                                            float *bias_difference) {
  stage *s = &c->stages[backward_weights];
  if (!s->primitive) return (int32_t)dnnl_invalid_arguments;
  TRY(dnnl_memory_set_data_handle(s->source, (void *)source));
  TRY(dnnl_memory_set_data_handle(s->destination, (void *)destination_difference));
  TRY(dnnl_memory_set_data_handle(s->bias, bias_difference));
  if (!s->converts_weights) TRY(dnnl_memory_set_data_handle(s->weights, weight_difference));
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, s->source},
                                       {DNNL_ARG_DIFF_WEIGHTS, s->weights},
                                       {DNNL_ARG_DIFF_BIAS, s->bias},
                                       {DNNL_ARG_DIFF_DST, s->destination}};
  TRY(dnnl_primitive_execute(s->primitive, c->stream, 4, arguments));
  TRY(dnnl_stream_wait(c->stream));
  if (!s->converts_weights) return 0;
  TRY(dnnl_memory_set_data_handle(c->plain_weights, weight_difference));
  return reorder(c, s->reorder, s->weights, c->plain_weights);
}

int32_t ve_dnn_multiply(int64_t rows, int64_t columns, int64_t inner, float scale, const float *left, const float *right,
                        bool transposed, float keep, float *result) {
  return dnnl_sgemm('N', transposed ? 'T' : 'N', rows, columns, inner, scale, left, inner, right,
                    transposed ? inner : columns, keep, result, columns);
}

static _Thread_local int32_t threads = 1;

int32_t ve_dnn_threads(void) { return threads; }

int32_t ve_dnn_set_threads(int32_t count) {
  threads = count > 0 ? count : 1;
  // Debian's oneDNN uses OpenMP, whose thread count is per calling thread. Looked up at run time, because other builds
  // may use TBB or no threads, and a weak reference is resolved to null when a position-independent executable is
  // linked.
  void (*set)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (!set) return 0;
  set(count);
  return count;
}

int32_t ve_dnn_version(void) {
  const dnnl_version_t *v = dnnl_version();
  return v->major * 10000 + v->minor * 100 + v->patch;
}

bool ve_dnn_has_fast_bf16(void) {
#if defined(__x86_64__)
  return dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core_bf16;
#else
  return false;
#endif
}
