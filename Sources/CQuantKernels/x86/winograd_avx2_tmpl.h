// SPDX-License-Identifier: Apache-2.0
// The order of products with 16 registers of 256 bits, for any kind of operands. Include once per file, inside its target
// attribute and after winograd_products_tmpl.h, with
//
//   GROUP            pairs of sums per group
//   PART             vectors of a part of a block: 2
//   add_row(sums, args, r, tile, first, tiles, vectors): adds the products of row r to the sums

VE_INLINE void group(
    const ve_winograd_products_args *args, const finisher *finisher, int32_t tile, int32_t first,
    const int tiles, const int vectors) {
  __m256i a[GROUP], b[GROUP];
  VE_UNROLL for (int i = 0; i < tiles * vectors; i++) a[i] = b[i] = _mm256_setzero_si256();
  add_row(a, args, 1, tile, first, tiles, vectors);
  add_row(b, args, 2, tile, first, tiles, vectors);
  VE_UNROLL for (int i = 0; i < tiles * vectors; i++) {
    const __m256i m1 = a[i], m2 = b[i];
    a[i] = _mm256_add_epi32(m1, m2);
    b[i] = _mm256_sub_epi32(m1, m2);
  }
  add_row(a, args, 0, tile, first, tiles, vectors);
  add_row(b, args, 3, tile, first, tiles, vectors);
  words m0[GROUP], m1[GROUP];
  VE_UNROLL for (int i = 0; i < tiles * vectors; i++) m0[i] = (words)a[i], m1[i] = (words)b[i];
  apply_steps(args, finisher, tile, first, m0, m1, tiles, vectors);
}

static void products(const ve_winograd_products_args *shared_args) {
  const ve_winograd_products_args copy = *shared_args, *args = &copy;
  const finisher finisher = {.sums = copy.sums};
  // Prefetch everything with the first vectors.
  for (int32_t tile = 0; tile < args->tiles; tile += 6) fetch(args, tile, 6);
  int32_t first = 0;
  for (; first + PART <= args->vectors; first += PART)
    for (int32_t tile = 0; tile < args->tiles; tile += 6) group(args, &finisher, tile, first, 6, PART);
  if (first < args->vectors)
    for (int32_t tile = 0; tile < args->tiles; tile += 12) group(args, &finisher, tile, first, 12, 1);
}
