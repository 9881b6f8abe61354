/* What the sidecar's keys share: the parser's state, and how values are read.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_MODELINFO_PARSER_H
#define SHK_MODELINFO_PARSER_H

#include "modelinfo.h"

enum shk_section {
    SHK_SECTION_NONE = 0,
    SHK_SECTION_MODEL = 1,
    SHK_SECTION_INPUT = 2,
    SHK_SECTION_OUTPUT = 4
};

struct shk_parser {
    const char *path;
    const struct shk_graph *graph;
    struct shk_modelinfo *info;
    struct shk_error *error;
    uint32_t line; /* from 1 */
    enum shk_section section;
    uint32_t index;                  /* of the section's input or output */
    const struct shk_tensor *tensor; /* likewise */
    uint64_t seen;                   /* keys of this section, by index */
    bool has_version;
    const char *key; /* that is being read */
    bool id_chooses;
    enum shk_decoder id_decoder;
};

/* `value` has no blanks around it. Returns SHK_OK or what shk_parser_fail() does. */
struct shk_parser_key {
    const char *name;
    unsigned sections; /* SHK_SECTION_*: where it may be */
    enum shk_status (*read)(struct shk_parser *p, const char *value);
    uint32_t bit; /* SHK_KEY_*; 0: not for decoders */
};

/* GStreamer's, and ours for decoders. Each table ends with a NULL name. */
extern const struct shk_parser_key shk_parser_tensor_keys[];
extern const struct shk_parser_key shk_parser_decoder_keys[];

enum shk_status shk_parser_fail(const struct shk_parser *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "KEY: expected EXPECTED, found 'FOUND'" */
enum shk_status shk_parser_fail_value(const struct shk_parser *p, const char *expected, const char *found);

/* Moves *text past a finite number and blanks. */
bool shk_parser_number(const char **text, float *value);
/* Moves *text past `c` and blanks. */
bool shk_parser_take(const char **text, char c);

/* The described output. */
static inline struct shk_output_info *shk_parser_output(struct shk_parser *p)
{
    return &p->info->outputs[p->index];
}

#endif
