/* The contract between C and GLSL: bindings, specialization constants, push constants. Included by both.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_ABI_H
#define SHK_ABI_H

#ifdef VULKAN /* GLSL */
#define SHK_UINT uint
#define SHK_INT  int
#define SHK_FLOAT float
#define SHK_STRUCT(name) name
#else
#include <stdint.h>
#define SHK_UINT uint32_t
#define SHK_INT  int32_t
#define SHK_FLOAT float
#define SHK_STRUCT(name) struct name
#endif

/* One descriptor set for every shader. */
#define SHK_BINDING_ARENA   0 /* storage buffer: uint words[], activations */
#define SHK_BINDING_PARAMS  1 /* storage buffer: uint words[], weights, quantization, tables */
#define SHK_BINDING_UNIFORM 2 /* dynamic uniform buffer: uvec4[], a window into the same parameter bytes */
#define SHK_BINDING_FRAME   3 /* storage buffer: uint words[], what the frame's planes are in (preprocess); candidates (select, suppress) */
#define SHK_BINDING_HEADER  4 /* storage buffer: struct shk_frame_header and tables (preprocess); what is read back (suppress) */
#define SHK_BINDING_TEXELS  5 /* uniform texel buffer: the arena again, a word per texel */
#define SHK_BINDING_WEIGHTS 6 /* uniform texel buffer: the parameters again, a uvec4 per texel */

#define SHK_UNIFORM_ALIGNMENT 256   /* the largest minUniformBufferOffsetAlignment there is */
#define SHK_TEXEL_ALIGNMENT   256   /* the largest minTexelBufferOffsetAlignment there is */
#define SHK_UNIFORM_MIN       16384 /* every device can bind this many bytes */
#define SHK_UNIFORM_MAX       65536 /* what we ask for where the device can */

/* Specialization constants: 0, 1, 2 are the workgroup size, 3 is the distance of the arena's lanes in words (one lane
 * per frame of a batch; 0: there is one only), 4 whether activations are read as texels, the rest belongs to the shader. */
#define SHK_SPEC_LOCAL_X     0
#define SHK_SPEC_LOCAL_Y     1
#define SHK_SPEC_LOCAL_Z     2
#define SHK_SPEC_LANE_STRIDE 3
#define SHK_SPEC_TEXELS      4
#define SHK_SPEC_FIRST       5
#define SHK_MAX_SPEC     13

#define SHK_MAX_PUSH_BYTES 128

/* ---- preprocess ---- */

/* How the bytes of a frame are laid out; red and blue are told apart elsewhere. */
#define SHK_LAYOUT_PACKED3 0 /* three bytes per pixel */
#define SHK_LAYOUT_PACKED4 1 /* four, the last ignored */
#define SHK_LAYOUT_GRAY    2
#define SHK_LAYOUT_NV12    3
#define SHK_LAYOUT_I420    4
#define SHK_LAYOUT_YUY2    5

#define SHK_PREPROCESS_WEIGHT_BITS 11 /* of a bilinear weight */
#define SHK_PREPROCESS_VALUE_BITS  6  /* fractional bits of a resampled component */
#define SHK_PREPROCESS_MATRIX_BITS 14 /* fractional bits of a matrix coefficient */
#define SHK_PREPROCESS_PAD         114 /* the level around a letterboxed frame */
/* Luma of R'G'B' by BT.601: 0.299, 0.587, 0.114. */
#define SHK_LUMA_R 4899
#define SHK_LUMA_G 9617
#define SHK_LUMA_B 1868

/* Behind it: width + 1 words that say where the columns of the rectangle sample, room for the model's width + 1 in
 * all; the same for rows. */
struct shk_frame_header {
    SHK_UINT left, top, width, height; /* the rectangle of the model's input that shows the frame */
    SHK_UINT crop_x, crop_y;
    SHK_UINT shift_x, shift_y; /* area: fractional bits of the column and row tables */
    SHK_UINT plane_offset[3], plane_stride[3]; /* words of SHK_BINDING_FRAME */
};

/* R = y' * luma + cr_r * Cr' and so on, with y' = Y - black and Cb', Cr' around 0. */
struct shk_frame_matrix {
    SHK_INT black;
    SHK_INT luma;
    SHK_INT cr_r, cb_g, cr_g, cb_b;
};

struct shk_preprocess_push {
    SHK_UINT output_offset, output_stride; /* words */
    SHK_UINT table; /* words */
    SHK_UINT width, height; /* of the model's input */
    SHK_STRUCT(shk_frame_matrix) matrix;
};

/* ---- detection_postprocess ---- */

/* Offsets and strides in words; scratch_* and out_* in the arena, tables in the parameters. */
struct shk_detection_push {
    SHK_UINT boxes, boxes_stride, scores, scores_stride;
    SHK_UINT count; /* boxes */
    SHK_UINT classes, label_offset;
    SHK_UINT scratch_boxes, scratch_keys, scratch_heads, scratch_taken, scratch_list;
    SHK_UINT max_selected; /* per group */
    SHK_UINT max_detections, max_classes, rows;
    SHK_UINT min_rank; /* lowest q + 128 whose score reaches the threshold; 256: none */
    SHK_UINT iou_mantissa;
    SHK_INT iou_exponent;
    SHK_FLOAT box_inverse; /* 1 / scale, and zero point + 128: back from float to q + 128 */
    SHK_INT box_zero;
    SHK_FLOAT score_inverse;
    SHK_INT score_zero;
    SHK_UINT score_table, tables, refs;
    SHK_UINT out_boxes, out_boxes_stride, out_classes, out_scores, out_count;
};

/* A divisor with what replaces the division by it: x / n == (high32(x * magic) + x) >> shift for x < 2^31 (Granlund
 * and Montgomery, Division by Invariant Integers using Multiplication). Integer division is slow on GPUs and, one
 * lane at a time, slower still on Vulkan drivers for CPUs. */
struct shk_divisor {
    SHK_UINT n, magic, shift;
};

/* ---- select: the boxes of detection heads that reach the score threshold ---- */

#define SHK_SELECT_BYTES  0 /* what an element of the outputs is: an int8 */
#define SHK_SELECT_FLOATS 1 /* or a word */
#define SHK_SELECT_HEADS  8
/* Words of the parameters, for each head: floats that a value becomes, for -128 first, as a coordinate of the centre, x and y, a
 * size, width and height, a probability or, of a softmax, a term, for the highest value first; then for each anchor what they
 * are multiplied with, in this order. */
#define SHK_SELECT_CENTER      0
#define SHK_SELECT_SIZE        512
#define SHK_SELECT_PROBABILITY 1024
#define SHK_SELECT_ANCHORS     1280
/* An output, of boxes or of their scores, which may be the same. */
struct shk_select_rows {
    SHK_UINT src;        /* elements */
    SHK_UINT row_stride; /* elements to the next row of the output */
    SHK_UINT stride;     /* to the next box in it */
    SHK_FLOAT inverse; /* FLOATS: 1 / scale, to find the value out of which DEQUANTIZE made an element */
    SHK_INT zero;      /* likewise: its zero point + 128 */
    SHK_UINT across_n, across_magic, across_shift; /* shk_divisor: boxes in a row of the output */
};
/* A head, in uniform buffers; one workgroup after the other is of the first, the second ... */
struct shk_select_head {
    SHK_STRUCT(shk_select_rows) boxes, scores;
    SHK_UINT count; /* boxes */
    SHK_UINT first; /* boxes of the output in front of them */
    SHK_UINT step;  /* elements to the next value of a box */
    SHK_UINT anchors_n, anchors_magic, anchors_shift; /* of a cell */
    SHK_UINT columns_n, columns_magic, columns_shift; /* cells in a row of the picture */
    SHK_FLOAT per_cell, middle; /* of the cell's number, plus the middle of one: 1 or 0 */
    SHK_FLOAT cell_x, cell_y;   /* what this is multiplied with and added to the centre */
    SHK_FLOAT threshold;
    SHK_FLOAT lowest;     /* of a score's elements, that reaches it by itself */
    SHK_UINT tables;      /* words */
    SHK_UINT first_group; /* workgroups of the heads before it */
    SHK_UINT order;       /* boxes of the heads before it */
    SHK_UINT unused0, unused1;
};
struct shk_select_box {
    SHK_FLOAT score;
    SHK_UINT class_id;
    SHK_FLOAT x_min, y_min, x_max, y_max; /* normalised to the model's input */
};
#define SHK_SELECT_BOX_WORDS 6
/* What SHK_BINDING_FRAME has for a lane, words: how many candidates there are, boxes that reach the threshold; two words for
 * each, in any order, its score and its place among the boxes of all heads; a shk_select_box for each of these boxes; and
 * room for a second list. */
#define SHK_CANDIDATES_COUNT 0 /* 0 before select, and after suppress */
#define SHK_CANDIDATES_LIST  4
#define SHK_CANDIDATE_WORDS  2
struct shk_select_push {
    SHK_UINT lane_words; /* to the next lane's */
    SHK_UINT boxes;      /* where they begin */
};

/* ---- suppress: non-maximum suppression of what select found ---- */

/* What is read back, at `dst`: how many boxes were kept; from SHK_KEPT_BOXES on the shk_select_box of each. */
#define SHK_KEPT_COUNT 0
#define SHK_KEPT_BOXES 2
#define SHK_SUPPRESS_LOCAL 128 /* invocations: every device has as many */
/* Mesa's CPU driver ends a loop when an invocation has gone through 65535 iterations of all its loops
 * (LP_MAX_TGSI_LOOP_ITERATIONS). Of so many boxes suppress takes 60,000, if 1000 of 4096 candidates are kept. */
#define SHK_SUPPRESS_MAX_BOXES 65536
struct shk_suppress_push {
    SHK_UINT lane_words, boxes;   /* as shk_select_push */
    SHK_UINT dst, dst_lane_words; /* of SHK_BINDING_HEADER */
    SHK_UINT max_kept;
    SHK_UINT max_candidates; /* the best of them take part... */
    SHK_UINT best;           /* ...in a list of their own */
    SHK_UINT iou_mantissa;   /* shk_iou_split() */
    SHK_INT iou_exponent;
};
/* Boxes that reach farther are none; and two overlap only by more than this each way: so no product leaves the range of
 * floats, or that of normal ones, on any device. Widths of the model's input. */
#define SHK_MAX_COORDINATE 1e15f
#define SHK_MIN_OVERLAP    1e-15f

/* A loop nest: dimensions outermost first; operands dst, a and b move by so many words or bytes for each step along
 * dimension k (modulo 2^32: steps may be negative). In uniform buffers. See pipeline/grid.h and grid.glsl. */
#define SHK_GRID_RANK   6
#define SHK_GRID_LINEAR 0 /* instead of the rank: one dimension and steps of 1 */
struct shk_grid_dim {
    SHK_UINT n, magic, shift, unused0;
    SHK_UINT dst, a, b, unused1;
};
struct shk_grid {
    SHK_STRUCT(shk_grid_dim) dims[SHK_GRID_RANK];
    SHK_UINT rank, unused0, unused1, unused2; /* at least 1; the shader has it as a specialization constant */
};

/* ---- elementwise: operands dst, a, b; all in words ---- */
#define SHK_ELEMENTWISE_ADD   0
#define SHK_ELEMENTWISE_SUB   1
#define SHK_ELEMENTWISE_MUL   2
#define SHK_ELEMENTWISE_MAX   3
#define SHK_ELEMENTWISE_MIN   4
#define SHK_ELEMENTWISE_PRELU 5
#define SHK_SPLAT_A 1 /* the first byte of the word stands for all channels */
#define SHK_SPLAT_B 2
struct shk_elementwise_push {
    SHK_UINT items;
    SHK_UINT dst, a, b; /* words */
    SHK_UINT splat;
};
struct shk_elementwise_uniform {
    SHK_STRUCT(shk_grid) grid;
    SHK_INT zero_a, zero_b, zero_out, min;
    SHK_INT multiplier_a, shift_a, multiplier_b, shift_b;
    SHK_INT multiplier_out, shift_out, max, unused;
};

/* ---- pool: one word of output channels per item ---- */
#define SHK_POOL_MAX         0
#define SHK_POOL_AVERAGE     1 /* of the int8 values, halves away from zero */
#define SHK_POOL_AVERAGE_U8  2 /* of the values + 128, halves upwards */
struct shk_pool_push {
    SHK_UINT items;
    SHK_UINT src, src_stride, dst, dst_stride;
    SHK_STRUCT(shk_divisor) words, out_w, out_h;
    SHK_INT in_h, in_w;
    SHK_INT filter_h, filter_w, stride_h, stride_w, pad_h, pad_w;
    SHK_INT min, max;
};

/* ---- move: copies of strided blocks; operands dst, a (source) ---- */
#define SHK_MOVE_WORDS 0 /* everything in words; the grid has every dimension */
#define SHK_MOVE_BYTES 1 /* dst steps in words, source in bytes; the grid has all dimensions but the last */
#define SHK_TABLE_NONE    0
#define SHK_TABLE_UNIFORM 1 /* entry i is what i - 128 becomes: shifted to byte k of a word in component k */
#define SHK_TABLE_STORAGE 2 /* the same without the shift, one word each */
struct shk_move_push {
    SHK_UINT items;
    SHK_UINT dst; /* words */
    SHK_UINT src; /* words or bytes */
    SHK_STRUCT(shk_divisor) words; /* BYTES: of the destination that a row touches */
    SHK_UINT lead; /* BYTES: of the first word, in front of the first element */
    SHK_UINT count; /* BYTES: elements along the last dimension */
    SHK_UINT src_step; /* BYTES: between them */
    SHK_UINT table; /* STORAGE: words into the parameters */
};

/* ---- reshape: the same elements in rows of another length ---- */
struct shk_reshape_push {
    SHK_UINT items;
    SHK_UINT src, src_stride;
    SHK_UINT dst, dst_stride, dst_channels;
    SHK_STRUCT(shk_divisor) src_channels, dst_words;
    SHK_UINT bytes; /* per element: 1 or 4 */
};

/* ---- pad: one word per item; specialization constants: how many dims are in use, and
 * whether the last dimension is left alone, so that words stay words ---- */
struct shk_pad_dim { /* all but the last */
    SHK_UINT n, magic, shift; /* of the output */
    SHK_UINT before, inner;   /* inner: of the input */
    SHK_UINT src_step; /* words */
    SHK_UINT unused0, unused1;
};
struct shk_pad_uniform {
    SHK_STRUCT(shk_pad_dim) dims[SHK_GRID_RANK - 1];
};
struct shk_pad_push {
    SHK_UINT items;
    SHK_UINT src, dst, dst_stride; /* words */
    SHK_STRUCT(shk_divisor) dst_words;
    SHK_UINT last_before, last_inner; /* elements */
    SHK_UINT value; /* of a word, all four bytes */
    SHK_UINT bytes; /* per element: 1 or 4 */
};

/* ---- quantize, dequantize: one word of int8 values per item ---- */
struct shk_quantize_push {
    SHK_UINT items;
    SHK_UINT src, src_stride, dst, dst_stride;
    SHK_STRUCT(shk_divisor) words; /* per row of the output */
    SHK_UINT channels;
    SHK_UINT table; /* words into the parameters: 256 thresholds, ordered as integers */
    SHK_FLOAT inverse_scale, zero; /* of a guess at the threshold's number */
};
struct shk_dequantize_push {
    SHK_UINT items;
    SHK_UINT src, src_stride, dst, dst_stride;
    SHK_STRUCT(shk_divisor) words; /* per row of the input */
    SHK_UINT channels;
    SHK_UINT table; /* words into the parameters: 256 floats, for -128 first */
};

/* ---- softmax: one row per item ---- */
struct shk_softmax_push {
    SHK_UINT items;
    SHK_UINT src, src_stride, dst, dst_stride;
    SHK_UINT words, channels; /* per row */
    SHK_UINT table; /* words into the parameters: 256 exponentials in Q0.31, by distance from the maximum */
};

/* ---- mean: one word of the output per item; operands dst (words), a (source, words or bytes) ---- */
#define SHK_MEAN_WORDS 0 /* the last dimension is kept: four sums at once */
#define SHK_MEAN_BYTES 1 /* it is not; the grid has the output's dimensions but the last */
struct shk_mean_push {
    SHK_UINT items;
    SHK_UINT dst, src;
    SHK_STRUCT(shk_divisor) words; /* BYTES: of the output's last dimension */
    SHK_UINT count, src_step; /* BYTES: the output's last dimension and what it steps over in the input */
};
struct shk_mean_uniform {
    SHK_STRUCT(shk_grid) grid;
    SHK_UINT n0, n1, n2, n3; /* the dimensions summed over */
    SHK_UINT step0, step1, step2, step3;
    SHK_INT multiplier, shift, zero_in, zero_out; /* zero_in: of the whole sum */
};

/* ---- resize: one word per item ---- */
#define SHK_RESIZE_NEAREST 0
#define SHK_RESIZE_INT8    1 /* bilinear; weights are integers of 10 bits */
#define SHK_RESIZE_UINT8   2 /* bilinear; weights are floats, values int8 + 128 */
struct shk_resize_push {
    SHK_UINT items;
    SHK_UINT src, src_stride, dst, dst_stride;
    SHK_STRUCT(shk_divisor) words, out_w, out_h;
    SHK_UINT in_h, in_w;
    SHK_UINT map_y, map_x; /* words into the parameters: lower, upper, weight of upper for each coordinate */
};

/* ---- loads ---- */
#define SHK_LOADS 64 /* of an invocation */
struct shk_loads_push {
    SHK_UINT words; /* of the arena; a power of two */
};

/* ---- epilogue: what conv2d and depthwise do with their output for ops that they absorbed, in this order ---- */
#define SHK_EPILOGUE_BEFORE 1 /* a table */
#define SHK_EPILOGUE_ADD    2 /* the sum with a residual */
#define SHK_EPILOGUE_AFTER  4 /* a table */
#define SHK_EPILOGUE_BEFORE_AT 13  /* words after the shk_epilogue_add: a word for each value, -128 first */
#define SHK_EPILOGUE_AFTER_AT  269
struct shk_epilogue_add { /* a: the op's own output, b: the residual */
    SHK_INT zero_a, zero_b;
    SHK_INT multiplier_a, shift_a, multiplier_b, shift_b;
    SHK_INT multiplier_out, shift_out, zero_out, min, max;
    SHK_UINT residual_offset, residual_stride; /* words of the arena, per pixel */
};

/* ---- conv2d ---- */

/* Weights are packed for slices of CHANNELS output channels (a specialization constant). A slice, in uvec4:
 * header; CHANNELS / 4 each of bias, multiplier, shift; then for every part, tap and input word CHANNELS words.
 * Header: first input word, number of input words per tap, and which bytes of the first and of the last of them
 * belong to the channels (for the window's sum). */
#define SHK_CONV_HEADER 1

struct shk_conv_push {
    SHK_UINT input_offset, input_stride; /* words; stride is per pixel */
    SHK_UINT output_offset, output_stride, output_words; /* words per pixel */
    SHK_UINT rows; /* output pixels, batch included */
    SHK_INT input_height, input_width;
    SHK_STRUCT(shk_divisor) output_height, output_width;
    SHK_INT kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width;
    SHK_INT pad_top, pad_left;
    SHK_INT zero_points; /* the input's, in the low byte; above it that of the weights */
    SHK_INT output_zero_point, output_min, output_max; /* limits: before the zero point is added */
    SHK_UINT parts;  /* weights of more than 8 bits are sums of this many */
    SHK_UINT params; /* of slice 0, in words (storage variant) */
    SHK_UINT slice_stride; /* uvec4 */
    SHK_UINT first_slice;  /* the number of the dispatch's first slice */
    SHK_UINT slices;       /* of the dispatch, in a lane */
    SHK_UINT epilogue;     /* words into the parameters */
};

/* Several dispatches in one (pipeline/join.h). In the parameters, from word `at` on, for each of them: its first workgroup,
 * its workgroups in x and y together (z counts slices), and its push constants. */
#define SHK_JOINED_HEADER 2
struct shk_joined_push {
    SHK_UINT parts, at;
};

/* conv2d by tiles of neighbouring outputs, packed as above. Workgroups: x and y tiles, z slices. */
struct shk_conv_rows_push {
    SHK_UINT input_offset, input_stride; /* words; stride is per pixel */
    SHK_UINT output_offset, output_stride, output_words; /* words per pixel */
    SHK_UINT items; /* tiles, batch included */
    SHK_STRUCT(shk_divisor) tiles_per_row, tiles_per_column;
    SHK_INT input_height, input_width, output_height, output_width;
    SHK_INT pad_top, pad_left;
    SHK_INT zero_points; /* as above */
    SHK_INT output_zero_point, output_min, output_max;
    SHK_UINT params, slice_stride, first_slice, slices, epilogue; /* as above */
};

/* conv2d in tiles that a workgroup keeps in shared memory, one group only: packed as above in slices of as many channels
 * as a tile has. Workgroups: x tiles of pixels, y slices. */
struct shk_conv_tile_push {
    SHK_UINT input_offset, input_stride; /* words; stride is per pixel */
    SHK_UINT output_offset, output_stride, output_words; /* words per pixel */
    SHK_UINT rows; /* output pixels, batch included */
    SHK_INT input_height, input_width;
    SHK_STRUCT(shk_divisor) output_height, output_width;
    SHK_STRUCT(shk_divisor) words, kernel_width; /* words: of the input, per tap */
    SHK_INT stride_height, stride_width, dilation_height, dilation_width;
    SHK_INT pad_top, pad_left;
    SHK_UINT depth; /* words of the input that an output depends on: taps * words */
    SHK_UINT zero_points; /* a byte each: of the input, the output, the weights */
    SHK_INT output_min, output_max; /* before the zero point is added */
    SHK_UINT params; /* of slice 0, in words */
    SHK_UINT epilogue; /* words into the parameters */
};

/* ---- depthwise ---- */

/* Packed for words of four output channels. A word, in uvec4: bias, multiplier, shift; then for every row of
 * the kernel its taps, one word each, padded to whole uvec4. */
#define SHK_DEPTHWISE_HEADER 3

struct shk_depthwise_push {
    SHK_UINT input_offset, input_stride;
    SHK_UINT output_offset, output_stride;
    SHK_UINT items;       /* invocations */
    SHK_STRUCT(shk_divisor) words; /* of the output rows, that this dispatch computes ... */
    SHK_UINT first_word;  /* ... from this one on */
    SHK_STRUCT(shk_divisor) tiles_per_row, tiles_per_column;
    SHK_INT input_height, input_width, output_height, output_width;
    SHK_INT pad_top, pad_left;
    SHK_UINT padding;
    SHK_INT weight_zero_point;
    SHK_INT output_zero_point, output_min, output_max;
    SHK_UINT params; /* words (storage variant) */
    SHK_UINT word_stride; /* uvec4 */
    SHK_UINT epilogue; /* words into the parameters; no sum */
};

struct shk_depthwise_any_push {
    SHK_UINT input_offset, input_stride;
    SHK_UINT output_offset, output_stride;
    SHK_UINT items; /* invocations */
    SHK_UINT words; /* of an output row */
    SHK_INT input_height, input_width, output_height, output_width;
    SHK_INT kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width;
    SHK_INT pad_top, pad_left;
    SHK_UINT padding;
    SHK_INT weight_zero_point;
    SHK_INT output_zero_point, output_min, output_max;
    SHK_UINT params; /* words (storage variant) */
    SHK_UINT word_stride; /* uvec4 */
    SHK_UINT input_channels, multiplier; /* output channels per input channel */
    SHK_UINT epilogue; /* words into the parameters; no sum */
};

/* ---- a depthwise convolution and the pointwise one behind it ---- */
#define SHK_PAIR_ROWS     32 /* pixels of a workgroup */
#define SHK_PAIR_CHANNELS 32 /* of the pointwise convolution, at a time: those of a slice */
#define SHK_PAIR_LOCAL    64 /* invocations */

/* Packed as for conv2d and depthwise. Workgroups: x tiles of pixels, y some slices each. */
struct shk_pair_push {
    SHK_UINT input_offset, input_stride;
    SHK_UINT output_offset, output_stride, output_words;
    SHK_UINT rows; /* output pixels, batch included */
    SHK_INT input_height, input_width;
    SHK_STRUCT(shk_divisor) output_height, output_width;
    SHK_INT stride_height, stride_width, dilation_height, dilation_width;
    SHK_INT pad_top, pad_left;
    SHK_UINT zero_points; /* a byte each: of the input, between the two, of the output, of the pointwise weights */
    SHK_INT depthwise_zero_point; /* of its weights */
    SHK_UINT limits; /* a byte each, zero points included: smallest and largest between the two, and of the output */
    SHK_UINT depthwise, pointwise; /* words into the parameters: of word 0, of slice 0 */
    SHK_UINT slices;
    SHK_UINT epilogue; /* words into the parameters */
};

/* ---- an inverted residual: a pointwise convolution in front of such a pair ---- */
#define SHK_INVERTED_WIDTH 8   /* of a workgroup's tile of SHK_PAIR_ROWS pixels */
#define SHK_INVERTED_LOCAL 128 /* invocations */
#define SHK_INVERTED_CHUNK 16  /* expanded channels at a time: those of a slice */
#define SHK_INVERTED_SEEN  224 /* expanded pixels that a tile's windows see, at most */

/* Packed as for conv2d, twice, and depthwise. Workgroups: x tiles. */
struct shk_inverted_push {
    SHK_UINT input_offset, input_stride;
    SHK_UINT output_offset, output_stride, output_words;
    SHK_STRUCT(shk_divisor) tiles_per_row, tiles_per_column;
    SHK_INT input_height, input_width, output_height, output_width; /* of the depthwise convolution */
    SHK_INT stride_height, stride_width, dilation_height, dilation_width;
    SHK_INT pad_top, pad_left;
    SHK_UINT zero_points, limits; /* of the pair, as above; its input is the expanded one, within */
    SHK_UINT expand_limits;       /* these, zero point included: a byte each */
    SHK_INT depthwise_zero_point; /* of its weights */
    SHK_UINT expand, depthwise, pointwise; /* words into the parameters */
    SHK_UINT slices;   /* of the projection */
    SHK_UINT epilogue; /* words into the parameters */
};

/* ---- fully_connected ---- */

/* Packed for words of four output channels. First, per word of output channels, SHK_DENSE_QUANT words: bias,
 * significand (low, high) or multiplier, shift, four each; then for every input word and output word four
 * words of weights. */
#define SHK_DENSE_QUANT 16

struct shk_dense_push {
    SHK_UINT input_offset, input_stride, input_words; /* words per row */
    SHK_UINT input_rows; /* rows that make up one vector */
    SHK_UINT last_mask;  /* which bytes of a row's last word belong to it */
    SHK_INT weight_zero_point;
    SHK_UINT output_offset, output_stride, output_words;
    SHK_UINT items;
    SHK_UINT quant, weights; /* words */
    SHK_INT output_zero_point, output_min, output_max;
};

/* ---- ceiling_mac, ceiling_copy ---- */

#define SHK_CEILING_STEPS  8  /* of each chain per repetition */
#define SHK_CEILING_CHAINS 12 /* per invocation */

struct shk_ceiling_push {
    SHK_UINT repeat;
    SHK_UINT factor, term;    /* mac: of the type that the module calculates with, as bits */
    SHK_UINT half_size, step; /* copy: of 16 bytes; half_size is a power of two */
};

#endif
