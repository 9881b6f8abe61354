/* Convolution with one group as a product of matrices: output pixels x the words of their windows, times the words of
 * filters x output channels. A workgroup takes TILE_ROWS pixels and TILE_CHANNELS channels, and goes through the windows
 * TILE_WORDS words at a time, which it first loads into shared memory. What the kernels for that have in common.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The includer defines TILE_ROWS, TILE_CHANNELS, TILE_WORDS, ROW_STRIDE (of the pixels' words in shared memory),
 * FILTER_AT(channel, word), and as specialization constants EPILOGUE and WINDOW_SUM (weights have a zero point). */
#include "epilogue.glsl"

layout(push_constant, std430) uniform push_block { shk_conv_tile_push p; };

const uint TILE_QUADS = TILE_CHANNELS / 4u;

shared uint tile_pixels[TILE_ROWS * ROW_STRIDE];
shared uint tile_filters[TILE_CHANNELS * TILE_WORDS];

/* Where the windows of the tile's pixels start in the input. */
shared int window_y[TILE_ROWS];
shared int window_x[TILE_ROWS];
shared int image[TILE_ROWS];

shared int window_sum[TILE_ROWS]; /* WINDOW_SUM */

/* Of the slice, in words: its header, and bias, multipliers, shifts, filters behind it. */
uint slice_header()
{
    uint slice_words = 4u * SHK_CONV_HEADER + 3u * TILE_CHANNELS + p.depth * TILE_CHANNELS;
    return p.params + gl_WorkGroupID.y * slice_words;
}

uint slice_params()
{
    return slice_header() + 4u * SHK_CONV_HEADER;
}

void locate_tile()
{
    for (uint r = gl_LocalInvocationID.x; r < TILE_ROWS; r += gl_WorkGroupSize.x) {
        uint row = min(gl_WorkGroupID.x * TILE_ROWS + r, p.rows - 1u);
        uint x = shk_take_remainder(row, p.output_width);
        uint y = shk_take_remainder(row, p.output_height);
        window_x[r] = int(x) * p.stride_width - p.pad_left;
        window_y[r] = int(y) * p.stride_height - p.pad_top;
        image[r] = int(row) * p.input_height;
        window_sum[r] = 0;
    }
}

/* Word `k` of the window of the tile's pixel `r`; past the edges of the picture the input's zero point. Bytes that are no
 * channels have weights of 0, but do not belong into sums: `last` masks them in the last word of a pixel. */
uint window_word(uint r, uint k, uint last)
{
    uint y = k;
    uint word = shk_take_remainder(y, p.words);
    uint x = shk_take_remainder(y, p.kernel_width);
    int input_y = window_y[r] + int(y) * p.dilation_height;
    int input_x = window_x[r] + int(x) * p.dilation_width;
    if (uint(input_y) >= uint(p.input_height) || uint(input_x) >= uint(p.input_width))
        return (p.zero_points & 0xffu) * 0x01010101u & (word == p.words.n - 1u ? last : 0xffffffffu);
    uint pixel = uint((image[r] + input_y) * p.input_width + input_x);
    return SHK_LOAD(p.input_offset + pixel * p.input_stride + word) & (word == p.words.n - 1u ? last : 0xffffffffu);
}

/* Of four signed bytes. */
int sum_bytes(uint word)
{
    word ^= 0x80808080u;
    uint pairs = (word & 0x00ff00ffu) + (word >> 8 & 0x00ff00ffu);
    return int((pairs & 0xffffu) + (pairs >> 16)) - 4 * 128;
}

/* WINDOW_SUM: of the words that load_tile() loaded, after a barrier. */
void sum_windows()
{
    for (uint r = gl_LocalInvocationID.x; r < TILE_ROWS; r += gl_WorkGroupSize.x)
        for (uint k = 0u; k < TILE_WORDS; k++)
            window_sum[r] += sum_bytes(tile_pixels[r * ROW_STRIDE + k]);
}

/* Words [first, first + TILE_WORDS) of windows and filters; past the last there are zeros. Neighbours load neighbours. */
void load_tile(uint first)
{
    uint filters = slice_params() + 3u * TILE_CHANNELS;
    uint last = params[slice_header() + 3u];
    for (uint i = gl_LocalInvocationID.x; i < TILE_ROWS * TILE_WORDS; i += gl_WorkGroupSize.x) {
        uint r = i / TILE_WORDS;
        uint k = i - r * TILE_WORDS;
        tile_pixels[r * ROW_STRIDE + k] = first + k < p.depth ? window_word(r, first + k, last) : 0u;
    }
    for (uint i = gl_LocalInvocationID.x; i < TILE_CHANNELS * TILE_WORDS; i += gl_WorkGroupSize.x) {
        uint k = i / TILE_CHANNELS;
        uint c = i - k * TILE_CHANNELS;
        tile_filters[FILTER_AT(c, k)] = first + k < p.depth ? params[filters + (first + k) * TILE_CHANNELS + c] : 0u;
    }
}

/* Requantizes the sums of four channels of the tile's pixel `r` and writes their word. Before it: shk_load_epilogue() and,
 * with WINDOW_SUM, a barrier. */
void store_quad(uint r, uint quad, ivec4 sum)
{
    uint row = gl_WorkGroupID.x * TILE_ROWS + r;
    uint word = gl_WorkGroupID.y * TILE_QUADS + quad;
    if (row >= p.rows || word >= p.output_words)
        return;
    uint at = slice_params() + quad * 4u;
    ivec4 bias, multiplier, shift;
    [[unroll]] for (uint j = 0u; j < 4u; j++) {
        bias[j] = int(params[at + j]);
        multiplier[j] = int(params[at + TILE_CHANNELS + j]);
        shift[j] = int(params[at + 2u * TILE_CHANNELS + j]);
    }
    if (WINDOW_SUM != 0u)
        sum -= shk_byte(p.zero_points, 2u) * window_sum[r];
    ivec4 y = clamp(shk_mbqm(sum + bias, multiplier, shift), p.output_min, p.output_max) + shk_byte(p.zero_points, 1u);
    uint residual = 0u;
    if ((EPILOGUE & SHK_EPILOGUE_ADD) != 0u)
        residual = SHK_LOAD(shk_add.residual_offset + row * shk_add.residual_stride + word);
    y = shk_epilogue(p.epilogue, y, residual);
    SHK_ARENA(p.output_offset + row * p.output_stride + word) = shk_pack4(y.x, y.y, y.z, y.w);
}
