// SPDX-License-Identifier: Apache-2.0
// Attention over frame slots: scalar reference and row loop.
#include "attention.h"

#include <assert.h>

// A literal, since Swift does not import macros with expressions.
_Static_assert(VE_MAX_ATTENTION_INPUTS == 1 + 2 * VE_MAX_ATTENDED, "query, keys and values");

// rne(32768 * e^(-d / 64)); the last entry, for all larger differences, is zero.
const int32_t ve_attention_exponentials[VE_EXPONENTIALS] = {
    32768, 32260, 31760, 31267, 30783, 30305, 29836, 29373, 28918, 28469, 28028, 27593, 27166, 26744, 26330, 25922,
    25520, 25124, 24735, 24351, 23974, 23602, 23236, 22876, 22521, 22172, 21828, 21490, 21157, 20829, 20506, 20188,
    19875, 19567, 19263, 18965, 18671, 18381, 18096, 17816, 17539, 17268, 17000, 16736, 16477, 16221, 15970, 15722,
    15479, 15239, 15002, 14770, 14541, 14315, 14093, 13875, 13660, 13448, 13239, 13034, 12832, 12633, 12437, 12245,
    12055, 11868, 11684, 11503, 11324, 11149, 10976, 10806, 10638, 10473, 10311, 10151, 9994, 9839, 9686, 9536,
    9388, 9243, 9099, 8958, 8819, 8683, 8548, 8416, 8285, 8157, 8030, 7906, 7783, 7662, 7544, 7427,
    7312, 7198, 7087, 6977, 6869, 6762, 6657, 6554, 6452, 6352, 6254, 6157, 6061, 5967, 5875, 5784,
    5694, 5606, 5519, 5433, 5349, 5266, 5185, 5104, 5025, 4947, 4871, 4795, 4721, 4647, 4575, 4505,
    4435, 4366, 4298, 4232, 4166, 4101, 4038, 3975, 3914, 3853, 3793, 3734, 3676, 3619, 3563, 3508,
    3454, 3400, 3347, 3296, 3244, 3194, 3145, 3096, 3048, 3001, 2954, 2908, 2863, 2819, 2775, 2732,
    2690, 2648, 2607, 2567, 2527, 2488, 2449, 2411, 2374, 2337, 2301, 2265, 2230, 2195, 2161, 2128,
    2095, 2062, 2030, 1999, 1968, 1937, 1907, 1878, 1849, 1820, 1792, 1764, 1737, 1710, 1683, 1657,
    1631, 1606, 1581, 1557, 1533, 1509, 1485, 1462, 1440, 1417, 1395, 1374, 1352, 1332, 1311, 1291,
    1271, 1251, 1231, 1212, 1194, 1175, 1157, 1139, 1121, 1104, 1087, 1070, 1053, 1037, 1021, 1005,
    990, 974, 959, 944, 930, 915, 901, 887, 873, 860, 846, 833, 820, 808, 795, 783,
    771, 759, 747, 735, 724, 713, 702, 691, 680, 670, 659, 649, 639, 629, 619, 610,
    600, 591, 582, 573, 564, 555, 546, 538, 530, 521, 513, 505, 498, 490, 482, 475,
    467, 460, 453, 446, 439, 432, 426, 419, 412, 406, 400, 394, 387, 381, 376, 370,
    364, 358, 353, 347, 342, 337, 331, 326, 321, 316, 311, 307, 302, 297, 292, 288,
    283, 279, 275, 271, 266, 262, 258, 254, 250, 246, 242, 239, 235, 231, 228, 224,
    221, 217, 214, 211, 207, 204, 201, 198, 195, 192, 189, 186, 183, 180, 177, 175,
    172, 169, 167, 164, 162, 159, 157, 154, 152, 149, 147, 145, 143, 140, 138, 136,
    134, 132, 130, 128, 126, 124, 122, 120, 118, 116, 115, 113, 111, 109, 108, 106,
    104, 103, 101, 100, 98, 96, 95, 93, 92, 91, 89, 88, 86, 85, 84, 83,
    81, 80, 79, 78, 76, 75, 74, 73, 72, 71, 69, 68, 67, 66, 65, 64,
    63, 62, 61, 60, 59, 59, 58, 57, 56, 55, 54, 53, 52, 52, 51, 50,
    49, 49, 48, 47, 46, 46, 45, 44, 43, 43, 42, 41, 41, 40, 40, 39,
    38, 38, 37, 37, 36, 35, 35, 34, 34, 33, 33, 32, 32, 31, 31, 30,
    30, 29, 29, 29, 28, 28, 27, 27, 26, 26, 26, 25, 25, 24, 24, 24,
    23, 23, 23, 22, 22, 22, 21, 21, 21, 20, 20, 20, 19, 19, 19, 18,
    18, 18, 18, 17, 17, 17, 17, 16, 16, 16, 16, 15, 15, 15, 15, 14,
    14, 14, 14, 13, 13, 13, 13, 13, 12, 12, 12, 12, 12, 12, 11, 0,
};

int32_t ve_attention_exponential(int32_t difference) { return ve_exponential(difference); }

void ve_attention_scalar(const ve_attention_args *args) {
  const ve_attention *a = args->attention;
  const ptrdiff_t channels = (ptrdiff_t)a->heads * VE_HEAD_CHANNELS;
  for (ptrdiff_t pixel = 0; pixel < args->pixels; pixel++)
    for (ptrdiff_t head = 0; head < a->heads; head++) {
      const ptrdiff_t at = pixel * channels + head * VE_HEAD_CHANNELS;
      int32_t scores[VE_MAX_ATTENDED], weights[VE_MAX_ATTENDED];
      int32_t greatest = INT32_MIN, total = 0;
      for (int32_t s = 0; s < a->slots; s++) {
        int32_t sum = 0;
        for (ptrdiff_t c = at; c < at + VE_HEAD_CHANNELS; c++)
          sum += (args->query[c] - a->query_zero) * (args->keys[s][c] - a->key_zero[s]);
        scores[s] = ve_score(sum, a->score_multiplier[s]);
        greatest = scores[s] > greatest ? scores[s] : greatest;
      }
      for (int32_t s = 0; s < a->slots; s++) {
        weights[s] = ve_exponential(greatest - scores[s]);
        total += weights[s];
      }
      const int32_t reciprocal = ve_reciprocal(total);
      for (int32_t s = 0; s < a->slots; s++)
        weights[s] = ve_weight_code((float)(weights[s] * reciprocal) * a->weight_multiplier[s], a->weight_levels[s]);
      for (ptrdiff_t c = at; c < at + VE_HEAD_CHANNELS; c++) {
        int32_t sum = 0;
        for (int32_t s = 0; s < a->slots; s++)
          sum += weights[s] * a->value_factor[s] * (args->values[s][c] - a->value_zero[s]);
        const int32_t code = ve_nearest(ve_limited((float)sum * a->multiplier)) + args->zero_point;
        args->codes[c] = (uint8_t)(code < 0 ? 0 : code > args->levels ? args->levels : code);
      }
    }
}

void ve_attention_run(const ve_attention *attention, const ve_conv3x3_io *io, int32_t row_begin, int32_t row_end,
                      ve_isa isa) {
  assert(attention->slots >= 1 && attention->slots <= VE_MAX_ATTENDED && attention->heads >= 1 &&
         attention->heads <= VE_MAX_HEADS && io->output_count == 1);
  const ve_kernels *kernels = ve_kernels_for(isa);
  ve_attention_fn *run = kernels ? kernels->attention : ve_attention_scalar;
  const int32_t slots = attention->slots;
  const ve_codes_output *output = &io->outputs[0];
  ve_attention_args args = {
      .attention = attention, .pixels = io->width, .zero_point = output->zero_point, .levels = output->levels};
  for (int32_t y = row_begin; y < row_end; y++) {
    const ve_codes_input *input = io->inputs;
    args.query = input->data + ve_row(y, input->row_stride, input->wrap);
    for (int32_t s = 0; s < slots; s++) {
      input = &io->inputs[1 + s];
      args.keys[s] = input->data + ve_row(y, input->row_stride, input->wrap);
      input = &io->inputs[1 + slots + s];
      args.values[s] = input->data + ve_row(y, input->row_stride, input->wrap);
    }
    args.codes = output->data + ve_row(y, output->row_stride, output->wrap);
    run(&args);
  }
}
