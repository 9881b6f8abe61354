/* The pointwise convolution at the end of conv2d_pair.comp and conv2d_inverted.comp, whose inputs, TILE_ROWS pixels with all
 * of their channels, are in shared memory. An invocation computes four channels of ROWS pixels. The push constants are `p`.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

const uint TILE_ROWS = SHK_PAIR_ROWS;
const uint TILE_CHANNELS = SHK_PAIR_CHANNELS;
const uint TILE_QUADS = TILE_CHANNELS / 4u;
const uint ROWS = TILE_ROWS * TILE_QUADS / LOCAL;
const uint ROW_STRIDE = WORDS + 1u; /* the next rows are in other banks */
const uint TAP_WORDS = (KERNEL_WIDTH + 3u) / 4u * 4u; /* of the depthwise convolution, per row of the kernel */
const uint SLICE_WORDS = 4u * SHK_CONV_HEADER + 3u * TILE_CHANNELS + WORDS * TILE_CHANNELS;

shared uint middle[TILE_ROWS * ROW_STRIDE]; /* what is past a pixel's channels is 0 */
shared int window_sum[TILE_ROWS];

int zero_point(uint i)
{
    return shk_byte(p.zero_points, i);
}

ivec4 load_ivec4(uint at)
{
    return ivec4(params[at], params[at + 1u], params[at + 2u], params[at + 3u]);
}

/* Which bytes of word `word` of `middle` are channels. */
uint channel_mask(uint word)
{
    return word == WORDS - 1u ? params[p.pointwise + 3u] : 0xffffffffu;
}

/* Where in the parameters the depthwise filters of word `word` are. */
uint depthwise_filters(uint word)
{
    return p.depthwise + word * 4u * (SHK_DEPTHWISE_HEADER + KERNEL_HEIGHT * TAP_WORDS / 4u);
}

/* The products of a word and of tap (ky, kx) of the filters at `filters`. */
ivec4 multiply_tap(uint values, uint filters, uint ky, uint kx)
{
    uint tap = params[filters + 4u * SHK_DEPTHWISE_HEADER + ky * TAP_WORDS + kx];
    return shk_unpack4(values) * (shk_unpack4(tap) - p.depthwise_zero_point);
}

/* The word that the depthwise convolution makes of the sums of its products. */
uint requantize_depthwise(ivec4 sum, uint filters)
{
    int zero = zero_point(1u);
    ivec4 y = shk_mbqm(sum, load_ivec4(filters + 4u), load_ivec4(filters + 8u));
    y = clamp(y, shk_byte(p.limits, 0u) - zero, shk_byte(p.limits, 1u) - zero) + zero;
    return shk_pack4(y.x, y.y, y.z, y.w);
}

/* Of four signed bytes. */
int sum_bytes(uint word)
{
    word ^= 0x80808080u;
    uint pairs = (word & 0x00ff00ffu) + (word >> 8 & 0x00ff00ffu);
    return int((pairs & 0xffffu) + (pairs >> 16)) - 4 * 128;
}

void sum_windows()
{
    for (uint r = gl_LocalInvocationID.x; r < TILE_ROWS; r += LOCAL) {
        window_sum[r] = 0;
        for (uint k = 0u; k < WORDS; k++)
            window_sum[r] += sum_bytes(middle[r * ROW_STRIDE + k]);
    }
}

/* Writes the output of pixel `r` of the tile, which is pixel `row` of the output. */
void write_pixel(ivec4 acc, uint quant, uint r, uint row, uint word)
{
    int zero = zero_point(2u);
    if (WINDOW_SUM != 0u)
        acc -= zero_point(3u) * window_sum[r];
    ivec4 y = shk_mbqm(acc, load_ivec4(quant + TILE_CHANNELS), load_ivec4(quant + 2u * TILE_CHANNELS));
    y = clamp(y, shk_byte(p.limits, 2u) - zero, shk_byte(p.limits, 3u) - zero) + zero;
    uint residual = 0u;
    if ((EPILOGUE & SHK_EPILOGUE_ADD) != 0u)
        residual = SHK_LOAD(shk_add.residual_offset + row * shk_add.residual_stride + word);
    y = shk_epilogue(p.epilogue, y, residual);
    SHK_ARENA(p.output_offset + row * p.output_stride + word) = shk_pack4(y.x, y.y, y.z, y.w);
}

/* Products of four inputs, summed, for each of four channels. */
ivec4 multiply(uint values, ivec4 weights)
{
#ifdef SHK_DOT
    uvec4 w = uvec4(weights);
    return ivec4(shk_dot4(values, w.x), shk_dot4(values, w.y), shk_dot4(values, w.z), shk_dot4(values, w.w));
#else
    ivec4 sum = ivec4(0);
    [[unroll]] for (uint j = 0u; j < 4u; j++)
        sum += shk_byte(values, j) * bitfieldExtract(weights, int(j * 8u), 8);
    return sum;
#endif
}

/* Pixel `r` of the tile as a pixel of the output. False: there is none. */
bool find_row(uint r, out uint row);

void pointwise(uint slice)
{
    uint quad = gl_LocalInvocationID.x % TILE_QUADS, first_row = gl_LocalInvocationID.x / TILE_QUADS * ROWS;
    uint word = slice * TILE_QUADS + quad;
    uint quant = p.pointwise + slice * SLICE_WORDS + 4u * SHK_CONV_HEADER + quad * 4u;
    uint weights = quant + 3u * TILE_CHANNELS;
    ivec4 acc[ROWS];
    [[unroll]] for (uint i = 0u; i < ROWS; i++)
        acc[i] = load_ivec4(quant);
    for (uint k = 0u; k < WORDS; k++) {
        ivec4 w = load_ivec4(weights + k * TILE_CHANNELS);
        [[unroll]] for (uint i = 0u; i < ROWS; i++) {
            uint values = middle[(first_row + i) * ROW_STRIDE + k];
            acc[i] += multiply(values, w);
        }
    }
    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
        uint row;
        if (word < p.output_words && find_row(first_row + i, row))
            write_pixel(acc[i], quant, first_row + i, row, word);
    }
}
