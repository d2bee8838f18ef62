// SPDX-License-Identifier: Apache-2.0
// Attention over frame slots, in stages over a strip of heads that the compiler vectorises. Included once per
// instruction set, with VE_NAME(job) defined.

// Heads per strip, over all of its points.
enum { VE_ATTENTION_LANES = 64 };

typedef int16_t VE_NAME(words) __attribute__((vector_size(16)));
typedef int32_t VE_NAME(ints) __attribute__((vector_size(32)));
typedef float VE_NAME(floats) __attribute__((vector_size(32)));
typedef uint8_t VE_NAME(bytes) __attribute__((vector_size(8)));

// Computes scores: the sums of products of `lanes` heads with the keys of one slot.
VE_INLINE void VE_NAME(scores)(const int16_t *query, const uint8_t *keys, int32_t zero, float multiplier,
                               int32_t lanes, int32_t *scores) {
  int32_t sums[VE_ATTENTION_LANES];
  for (int32_t lane = 0; lane < lanes; lane++) {
    int32_t sum = 0;
    for (int32_t c = 0; c < VE_HEAD_CHANNELS; c++)
      sum += query[lane * VE_HEAD_CHANNELS + c] * (int16_t)(keys[lane * VE_HEAD_CHANNELS + c] - zero);
    sums[lane] = sum;
  }
  for (int32_t lane = 0; lane < lanes; lane++) scores[lane] = ve_score(sums[lane], multiplier);
}

// Replaces scores by weights times value factors.
VE_INLINE void VE_NAME(weights)(const ve_attention *a, int32_t lanes, int32_t (*scores)[VE_ATTENTION_LANES]) {
  int32_t greatest[VE_ATTENTION_LANES], totals[VE_ATTENTION_LANES];
  for (int32_t lane = 0; lane < lanes; lane++) {
    greatest[lane] = scores[0][lane];
    totals[lane] = 0;
  }
  for (int32_t s = 1; s < a->slots; s++)
    for (int32_t lane = 0; lane < lanes; lane++)
      greatest[lane] = scores[s][lane] > greatest[lane] ? scores[s][lane] : greatest[lane];
  for (int32_t s = 0; s < a->slots; s++)
    for (int32_t lane = 0; lane < lanes; lane++) {
      scores[s][lane] = ve_exponential(greatest[lane] - scores[s][lane]);
      totals[lane] += scores[s][lane];
    }
  for (int32_t lane = 0; lane < lanes; lane++) totals[lane] = ve_reciprocal(totals[lane]);
  for (int32_t s = 0; s < a->slots; s++) {
    const float multiplier = a->weight_multiplier[s];
    const int32_t levels = a->weight_levels[s], factor = a->value_factor[s];
    for (int32_t lane = 0; lane < lanes; lane++)
      scores[s][lane] = ve_weight_code((float)(scores[s][lane] * totals[lane]) * multiplier, levels) * factor;
  }
}

// Computes the weighted sums of values of `lanes` heads from channel `first` on, as codes.
VE_INLINE void VE_NAME(sums)(const ve_attention_args *args, ptrdiff_t first, int32_t lanes,
                             int32_t (*weights)[VE_ATTENTION_LANES]) {
  const ve_attention *a = args->attention;
  const int32_t slots = a->slots;
  for (int32_t lane = 0; lane < lanes; lane++) {
    const ptrdiff_t at = first + (ptrdiff_t)lane * VE_HEAD_CHANNELS;
    VE_NAME(ints) sum = {0};
    for (int32_t s = 0; s < slots; s++) {
      VE_NAME(bytes) codes;
      memcpy(&codes, args->values[s] + at, sizeof codes);
      sum += (__builtin_convertvector(codes, VE_NAME(ints)) - a->value_zero[s]) * weights[s][lane];
    }
    VE_NAME(floats) real = __builtin_convertvector(sum, VE_NAME(floats)) * a->multiplier;
    // Codes are at most 255 and the limits are integers, so clamping before rounding is equivalent.
    const float low = (float)-args->zero_point, high = (float)(args->levels - args->zero_point);
    uint8_t *to = args->codes + at;
    for (int32_t c = 0; c < VE_HEAD_CHANNELS; c++) {
      const float limited = real[c] < low ? low : real[c] > high ? high : real[c];
      to[c] = (uint8_t)(ve_nearest(limited) + args->zero_point);
    }
  }
}

void VE_NAME(attention)(const ve_attention_args *args) {
  const ve_attention *a = args->attention;
  const int32_t all = args->pixels * a->heads;
  int16_t query[VE_ATTENTION_LANES * VE_HEAD_CHANNELS];
  int32_t scores[VE_MAX_ATTENDED][VE_ATTENTION_LANES];
  for (int32_t lane = 0; lane < all; lane += VE_ATTENTION_LANES) {
    const int32_t lanes = all - lane < VE_ATTENTION_LANES ? all - lane : VE_ATTENTION_LANES;
    const ptrdiff_t first = (ptrdiff_t)lane * VE_HEAD_CHANNELS;
    for (int32_t i = 0; i < lanes * VE_HEAD_CHANNELS; i++)
      query[i] = (int16_t)(args->query[first + i] - a->query_zero);
    for (int32_t s = 0; s < a->slots; s++)
      VE_NAME(scores)(query, args->keys[s] + first, a->key_zero[s], a->score_multiplier[s], lanes, scores[s]);
    VE_NAME(weights)(a, lanes, scores);
    VE_NAME(sums)(args, first, lanes, scores);
  }
}
