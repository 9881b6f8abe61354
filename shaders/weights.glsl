/* Packed parameters, uvec4 by uvec4: from the uniform window, which is fast but small, from the storage buffer
 * (SHK_STORAGE defined), or from the same as texels (SHK_TEXEL_WEIGHTS).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef SHK_TEXEL_WEIGHTS
layout(set = 0, binding = SHK_BINDING_WEIGHTS) uniform usamplerBuffer shk_weight_texels;
#define SHK_WEIGHTS(params_word, at) texelFetch(shk_weight_texels, int((params_word) / 4u + (at)))
#elif defined(SHK_STORAGE)
#define SHK_WEIGHTS(params_word, at) \
    uvec4(params[(params_word) + (at) * 4u], params[(params_word) + (at) * 4u + 1u], \
          params[(params_word) + (at) * 4u + 2u], params[(params_word) + (at) * 4u + 3u])
#else
layout(set = 0, binding = SHK_BINDING_UNIFORM, std140) uniform shk_uniform_buffer
{
    uvec4 uniforms[SHK_UNIFORM_BYTES / 16];
};
#define SHK_WEIGHTS(params_word, at) uniforms[at]
#endif
