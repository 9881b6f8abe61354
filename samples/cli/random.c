/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "random.h"

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014) */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void random_bytes(void *bytes, size_t size, uint64_t *state)
{
    uint8_t *out = bytes;
    for (size_t i = 0; i < size; i++)
        out[i] = next(state) >> 56;
}

GPtrArray *random_inputs(const struct shk_model *model, uint64_t seed)
{
    uint64_t state = seed;
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    for (uint32_t k = 0; k < shk_model_input_count(model); k++) {
        struct shk_tensor_info info;
        shk_model_get_tensor(model, shk_model_input(model, k), &info);
        void *bytes = g_malloc(info.bytes);
        g_ptr_array_add(list, bytes);
        if (info.dtype == SHK_DTYPE_FLOAT32) {
            float *values = bytes;
            for (size_t i = 0; i < info.bytes / sizeof(float); i++)
                values[i] = (float)(next(&state) >> 40) / (float)(1 << 23) - 1.0f;
        } else {
            random_bytes(bytes, info.bytes, &state);
        }
    }
    return list;
}
