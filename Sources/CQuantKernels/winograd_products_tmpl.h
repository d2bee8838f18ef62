// SPDX-License-Identifier: Apache-2.0
// Operations on Winograd products for vectors of any width: only additions and shifts, which the compiler's vector types
// express for all instruction sets. Include once per file, inside its target attribute, with
//
//   VE_VECTOR_BYTES   16, 32 or 64
//
// and, if the epilogue is fused, VE_FUSES_EPILOGUE, with writer and write_pixel() of that instruction set.
#if !defined(VE_VECTOR_BYTES)
#error "define VE_VECTOR_BYTES first"
#endif

#include <string.h>

#include "winograd.h"

typedef uint32_t words __attribute__((vector_size(VE_VECTOR_BYTES)));
enum { WORDS = VE_VECTOR_BYTES / 4 };

VE_INLINE words load_words(const int32_t *from) {
  words value;
  memcpy(&value, from, sizeof value);
  return value;
}

VE_INLINE void store_words(int32_t *to, words value) { memcpy(to, &value, sizeof value); }

// Prefetches the share of `tiles` tiles, each line once. Lines that will be written are prefetched too, since stores to
// lines that are not in cache would delay later ones.
VE_INLINE void fetch(const ve_winograd_products_args *args, int32_t tile, int32_t tiles) {
  VE_UNROLL for (int f = 0; f < VE_FETCHES; f++) {
    const ve_winograd_fetch read = args->reads[f], write = args->writes[f];
    VE_NO_UNROLL for (ptrdiff_t i = (tile * read.step + 63) & -64; i < (tile + tiles) * read.step; i += 64) {
      __builtin_prefetch(read.rows[0] + i, 0, 2);
      __builtin_prefetch(read.rows[1] + i, 0, 2);
    }
    VE_NO_UNROLL for (ptrdiff_t i = (tile * write.step + 63) & -64; i < (tile + tiles) * write.step; i += 64) {
      __builtin_prefetch(write.rows[0] + i, 1);
      __builtin_prefetch(write.rows[1] + i, 1);
    }
  }
}

// MARK: - Steps

// Receives the sums of the last steps.
typedef struct finisher {
#if defined(VE_FUSES_EPILOGUE)
  writer writers[2][2];  // [output][row]
  bool codes_only;
#else
  int32_t *sums;
#endif
} finisher;

// Finishes the sums of `vectors` vectors of one pixel, starting at vector `first` of the block.
VE_INLINE void finish_pixel(
    const ve_winograd_products_args *args, const finisher *finisher, const int output,
    const int row, int32_t tile, int32_t first, const words *sums, const int vectors,
    const bool codes_only) {
#if defined(VE_FUSES_EPILOGUE)
  (void)args, (void)first;
  const writer *writer = &finisher->writers[output][row];
  if (tile < writer->pixels) write_pixel(writer, tile, (const __m512i *)sums, vectors, codes_only);
#else
  (void)codes_only;
  int32_t *to = finisher->sums + (2 * output + row) * VE_ROW +
                ((ptrdiff_t)tile * args->vectors + first) * WORDS;
  VE_UNROLL for (int j = 0; j < vectors; j++) store_words(to + j * WORDS, sums[j]);
#endif
}

// Applies `step` to one vector of a row; see winograd.c. The step is a constant after inlining.
// Sums of outputs that it completes are stored in `finished`.
VE_INLINE void apply_step(
    const ve_winograd_products_args *args, const ve_winograd_step step, ptrdiff_t at,
    const int32_t *constants, words m, words finished[2]) {
  const ptrdiff_t output = 2 * args->constants_row;
  words q = args->before ? m + load_words(args->before + at) : m;
  switch (step) {
    case VE_STEP_KEEP: store_words(args->to + at, q); break;
    case VE_STEP_BUTTERFLY_2X2: {
      const words q1 = load_words(args->a + at);
      store_words(args->a + at, q1 + q + load_words(constants));
      store_words(args->b + at, q1 - q + load_words(constants + output));
      break;
    }
    case VE_STEP_BUTTERFLY_2X4: {
      const words q1 = load_words(args->a + at);
      store_words(args->a + at, q1 + q);
      store_words(args->b + at, q1 - q);
      break;
    }
    case VE_STEP_MIDDLE_2X4: {
      const words t = load_words(args->a + at), u = load_words(args->b + at);
      const words c = load_words(args->c + at) + q, d = load_words(args->c + at) - q;
      store_words(args->a + at, c - (t << 2) + load_words(constants));
      store_words(args->b + at, (d << 1) - u + load_words(constants + 3 * output));
      finished[0] = (d - (u << 1) + load_words(constants + output)) * (2 * VE_THIRD);
      finished[1] = (c - t + load_words(constants + 2 * output)) * (4 * VE_THIRD);
      break;
    }
    case VE_STEP_FINISH:
      if (args->constants) q += load_words(constants);
      finished[0] = args->factor == 1 ? q : q * args->factor;
      break;
  }
}

// The same for a register tile of `tiles` x `vectors` pairs of sums, starting
// at vector `first` of the block.
VE_INLINE void apply_constant_step(
    const ve_winograd_products_args *args, const finisher *finisher, const ve_winograd_step step,
    int32_t tile, int32_t first, const words *m0, const words *m1, const int tiles,
    const int vectors, const bool codes_only) {
  VE_UNROLL for (int i = 0; i < tiles; i++)
    VE_UNROLL for (int row = 0; row < 2; row++) {
      words finished[2][4];
      VE_UNROLL for (int j = 0; j < vectors; j++) {
        const int32_t lane = (first + j) * WORDS;
        const ptrdiff_t at = row * VE_ROW + (ptrdiff_t)(tile + i) * args->vectors * WORDS + lane;
        const int32_t *constants =
            args->constants ? args->constants + row * args->constants_row + lane : NULL;
        words results[2];
        apply_step(
            args, step, at, constants, row == 0 ? m0[i * vectors + j] : m1[i * vectors + j], results);
        finished[0][j] = results[0], finished[1][j] = results[1];
      }
      const int count = step == VE_STEP_FINISH ? 1 : step == VE_STEP_MIDDLE_2X4 ? 2 : 0;
      VE_UNROLL for (int output = 0; output < count; output++)
        finish_pixel(
            args, finisher, output, row, tile + i, first, finished[output], vectors, codes_only);
    }
}

VE_INLINE void apply_steps(
    const ve_winograd_products_args *args, const finisher *finisher, int32_t tile, int32_t first,
    const words *m0, const words *m1, const int tiles, const int vectors) {
#define VE_APPLY(step, codes_only) \
  apply_constant_step(args, finisher, step, tile, first, m0, m1, tiles, vectors, codes_only)
#if defined(VE_FUSES_EPILOGUE)
#define VE_APPLY_LAST(step) finisher->codes_only ? VE_APPLY(step, true) : VE_APPLY(step, false)
#else
#define VE_APPLY_LAST(step) VE_APPLY(step, false)
#endif
  switch (args->step) {
    case VE_STEP_KEEP: VE_APPLY(VE_STEP_KEEP, false); break;
    case VE_STEP_BUTTERFLY_2X2: VE_APPLY(VE_STEP_BUTTERFLY_2X2, false); break;
    case VE_STEP_BUTTERFLY_2X4: VE_APPLY(VE_STEP_BUTTERFLY_2X4, false); break;
    case VE_STEP_MIDDLE_2X4: VE_APPLY_LAST(VE_STEP_MIDDLE_2X4); break;
    case VE_STEP_FINISH: VE_APPLY_LAST(VE_STEP_FINISH); break;
  }
#undef VE_APPLY_LAST
#undef VE_APPLY
}
