/* What comes after an op's own output, for the ops that its kernel absorbed: a table of 256 values, the sum with a
 * residual, another table; any of them may be missing. The intermediate values are the bytes that the ops by themselves
 * would have written. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * EPILOGUE says which, a specialization constant of the shader that includes this. */

ivec4 shk_look_up(uint table, ivec4 y)
{
    return ivec4(params[table + uint(y.x + 128)], params[table + uint(y.y + 128)], params[table + uint(y.z + 128)],
                 params[table + uint(y.w + 128)]);
}

shk_epilogue_add shk_add;

/* Once per invocation, before the first sum. `at`: words into the parameters. */
void shk_load_epilogue(uint at)
{
    if ((EPILOGUE & SHK_EPILOGUE_ADD) == 0u)
        return;
    shk_add.zero_a = int(params[at]);
    shk_add.zero_b = int(params[at + 1u]);
    shk_add.multiplier_a = int(params[at + 2u]);
    shk_add.shift_a = int(params[at + 3u]);
    shk_add.multiplier_b = int(params[at + 4u]);
    shk_add.shift_b = int(params[at + 5u]);
    shk_add.multiplier_out = int(params[at + 6u]);
    shk_add.shift_out = int(params[at + 7u]);
    shk_add.zero_out = int(params[at + 8u]);
    shk_add.min = int(params[at + 9u]);
    shk_add.max = int(params[at + 10u]);
    shk_add.residual_offset = params[at + 11u];
    shk_add.residual_stride = params[at + 12u];
}

ivec4 shk_sum(ivec4 a, ivec4 b)
{
    a = shk_mbqm((a - shk_add.zero_a) << 20, ivec4(shk_add.multiplier_a), ivec4(shk_add.shift_a));
    b = shk_mbqm((b - shk_add.zero_b) << 20, ivec4(shk_add.multiplier_b), ivec4(shk_add.shift_b));
    ivec4 y = shk_mbqm(a + b, ivec4(shk_add.multiplier_out), ivec4(shk_add.shift_out));
    return clamp(y + shk_add.zero_out, shk_add.min, shk_add.max);
}

/* `residual`: a word, of the values that are added. */
ivec4 shk_epilogue(uint at, ivec4 y, uint residual)
{
    if ((EPILOGUE & SHK_EPILOGUE_BEFORE) != 0u)
        y = shk_look_up(at + SHK_EPILOGUE_BEFORE_AT, y);
    if ((EPILOGUE & SHK_EPILOGUE_ADD) != 0u)
        y = shk_sum(y, shk_unpack4(residual));
    if ((EPILOGUE & SHK_EPILOGUE_AFTER) != 0u)
        y = shk_look_up(at + SHK_EPILOGUE_AFTER_AT, y);
    return y;
}
