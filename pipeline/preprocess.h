/* Preprocessing: from a video frame as it comes to the model's input tensor, in one dispatch.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The planes are read where they are: each is a byte offset and a stride, both multiples of 4, in some memory. All that
 * depends on the frame (offsets, strides, crop) travels in a header: struct shk_frame_header (abi.h) and the two
 * sampling tables. So command buffers are replayed for as long as the memory is the same.
 *
 * What is computed, for every pixel of the model's input:
 *  1. The crop rectangle is stretched over the whole input, or over its largest centred rectangle with the
 * crop's aspect ratio (letterbox); what is left is grey, level SHK_PREPROCESS_PAD.
 *  2. The frame's own components (R, G, B or Y, Cb, Cr) are resampled. Pixel centres are at half coordinates;
 *     outside the crop its edge repeats. Bilinear: two taps per axis. Area: the mean over the pixel's
 * footprint. A luma position takes the chroma sample of its 2x2 (4:2:0) or 2x1 (4:2:2) block.
 *  3. Y'CbCr becomes R'G'B' by ITU-R BT.601 or BT.709 (limited range: luma 16 to 235, chroma 16 to 240),
 * clamped and rounded to 8 bits, halves up. One-channel models take the expanded luma; of RGB frames that of
 * BT.601.
 *  4. A 256-entry table per channel normalises and quantizes (struct shk_session_params.mean and std).
 * All of 2 and 3 is integer arithmetic, so that every device and shk_preprocess_run() give the same bytes.
 * They are within one level of the equations in floating point.
 *
 * Threads: a shk_preprocess is read-only once initialised. */
#ifndef SHK_PREPROCESS_H
#define SHK_PREPROCESS_H

#include <shrike/session.h>

#include "lower.h"

/* Words of the tables: three channels, one word per level (int8 in the low byte, or the bits of a float). */
#define SHK_PREPROCESS_TABLE_WORDS (3 * 256)

/* Maps the model's normalised coordinates to the frame's: frame = offset + scale * model. */
struct shk_placement {
    float x_offset, x_scale;
    float y_offset, y_scale;
};
#define SHK_PLACEMENT_IDENTITY ((struct shk_placement){0.0f, 1.0f, 0.0f, 1.0f})

struct shk_frame_plane {
    uint32_t rows;
    uint32_t row_bytes; /* that count */
    uint32_t stride;    /* bytes, staged: a multiple of 4 */
    uint32_t offset;    /* bytes, staged: likewise */
};

struct shk_preprocess {
    struct shk_frame_format format;
    enum shk_resize resize;
    enum shk_filter filter;
    uint32_t width, height, channels; /* of the model's input */
    bool float_output;
    bool swap; /* the frame's and the model's order of red and blue differ */
    uint32_t plane_count;
    struct shk_frame_plane planes[3];
    struct shk_frame_matrix matrix;
    size_t header_bytes; /* of the header and its tables */
    size_t staged_bytes; /* of all planes with their rows packed to words */
    struct shk_preprocess_push push;
};

/* SHK_LAYOUT_* (abi.h) of the frames. */
uint32_t shk_preprocess_layout(const struct shk_preprocess *p);

/* Is model input 0 an image: the only input, rank 4, batch 1, 1 or 3 channels, int8, uint8 or float32?
 * Else SHK_ERROR_UNSUPPORTED, with what it is. */
enum shk_status shk_preprocess_check_model(const struct shk_graph *graph, struct shk_error *error);

/* Bytes of a header with its tables: the same for every format. The model must have passed the check. */
size_t shk_preprocess_header_bytes(const struct shk_graph *graph);

/* Step 4's tables, for shk_lower_params() once per session. The model must have passed the check.
 * Errors: SHK_ERROR_INVALID_ARGUMENT (mean or std not finite, std zero for some channels only or negative).
 */
enum shk_status shk_preprocess_tables(const struct shk_graph *graph, const struct shk_session_params *params,
                                      uint32_t tables[SHK_PREPROCESS_TABLE_WORDS], struct shk_error *error);

/* Everything that follows from the stream's format. Allocates nothing.
 * Errors: SHK_ERROR_UNSUPPORTED (not an image model; a frame of 4 GiB or more; an area filter that shrinks by
 * 2048 or more), SHK_ERROR_INVALID_ARGUMENT (format unknown, size not in 1 to 16384). */
enum shk_status shk_preprocess_init(struct shk_preprocess *p, const struct shk_graph *graph,
                                    const struct shk_session_params *params,
                                    const struct shk_frame_format *format, struct shk_error *error);

/* Copies the planes that `frame` points to into `memory`, `p->staged_bytes` bytes, written only, in order. *staged is
 * the same frame by offsets and strides.
 * Errors: SHK_ERROR_INVALID_ARGUMENT (a plane missing or smaller than its stride says, a stride below the
 * bytes of a row, a crop that is empty or not inside the frame); `memory` is then untouched. */
enum shk_status shk_preprocess_stage(const struct shk_preprocess *p, const struct shk_frame *frame, void *memory,
                                     struct shk_frame *staged, struct shk_error *error);

/* Checks a frame by offsets and strides in a memory of `size` bytes, and its crop.
 * Errors: SHK_ERROR_INVALID_ARGUMENT as above, SHK_ERROR_UNSUPPORTED (an offset or stride that is no multiple of 4). */
enum shk_status shk_preprocess_check(const struct shk_preprocess *p, const struct shk_frame *frame, size_t size,
                                     struct shk_error *error);

/* Writes the header and tables of a frame that passed the check: `p->header_bytes` bytes aligned to 4. The planes'
 * memory begins at word `first_word` of what will be bound at SHK_BINDING_FRAME. *placement is for the frame's
 * detections. */
void shk_preprocess_write(const struct shk_preprocess *p, const struct shk_frame *frame, uint32_t first_word,
                          void *header, struct shk_placement *placement);

/* The dispatch that fills `input` (the view of model input 0) from what is bound at SHK_BINDING_FRAME and
 * SHK_BINDING_HEADER. `table_offset` is what shk_lower_params() returned for the tables. Keeps push constants
 * in *p: the dispatch is valid as long as *p. */
void shk_preprocess_dispatch(struct shk_preprocess *p, const struct shk_view *input, uint32_t table_offset,
                             struct shk_dispatch *dispatch);

/* The same in C, for sessions without a device and as the shader's oracle: reads what shk_preprocess_write() left in
 * `header` and the planes from `words`, writes the dense input tensor (int8_t or float, NHWC). */
void shk_preprocess_run(const struct shk_preprocess *p, const uint32_t tables[SHK_PREPROCESS_TABLE_WORDS],
                        const void *header, const void *words, void *tensor);

#endif
