/* SPIR-V modules as data. meson generates one `shk_shader_<name>` per entry of its shader list.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_SHADER_H
#define SHK_SHADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shk_shader {
    const char *name;
    const uint32_t *code;
    size_t code_size; /* bytes */
    bool full_subgroups; /* no invocation of a subgroup may be missing */
};

/* All of them; ends with NULL. */
extern const struct shk_shader *const shk_shaders[];

/* For those that not every glslang can compile. NULL: not there. */
const struct shk_shader *shk_shader_find(const char *name);

#define SHK_SHADER_DECLARE(id) extern const struct shk_shader shk_shader_##id

#endif
