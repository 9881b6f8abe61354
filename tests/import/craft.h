/* Files that no converter would write, byte by byte: one RESHAPE from tensor 0 to tensor 1, and an odd
 * tensor 2. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_IMPORT_CRAFT_H
#define TEST_IMPORT_CRAFT_H

#include "support.h"

struct craft {
    const char *identifier;
    uint32_t version;
    uint32_t subgraphs;
    /* the operator code */
    int8_t deprecated_builtin;
    int32_t builtin;
    int32_t op_version;
    const char *custom;
    /* the op */
    int32_t code_index, op_input, options_type;
    /* tensor 0, the input: dimension 2 in its signature */
    int32_t signature;
    /* tensor 2 */
    const char *name;
    int8_t type;
    uint32_t rank;
    int32_t dims[8];
    uint32_t scales, zero_points;
    float scale;
    int64_t zero_point;
    int32_t axis;
    bool variable, sparse, custom_quantization;
    uint32_t buffer;          /* 0 or 1 are there */
    uint32_t data_bytes;      /* of buffer 1 */
    uint64_t external_offset; /* of buffer 1 */
    /* how many times the list of tensors names tensor 2 */
    uint32_t repeats;
};

/* One that loads. */
struct craft craft_defaults(void);
/* Malloc'd. */
uint8_t *craft_file(const struct craft *c, size_t *size);

#endif
