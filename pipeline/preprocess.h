/* Preprocessing: from a video frame as it comes to the model's input tensor, in one dispatch.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The frame travels in the slot's input buffer: struct shk_frame_header (abi.h), the two sampling tables,
 * then the planes with their rows packed to whole words. All that depends on the crop is in there, so command
 * buffers are recorded once per format and replayed.
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
    uint32_t stride;    /* in the slot, words */
    uint32_t offset;    /* in the slot, words after the header */
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
    size_t bytes; /* of the slot's input buffer */
    struct shk_preprocess_push push;
};

/* SHK_LAYOUT_* (abi.h) of the frames. */
uint32_t shk_preprocess_layout(const struct shk_preprocess *p);

/* Is model input 0 an image: the only input, rank 4, batch 1, 1 or 3 channels, int8, uint8 or float32?
 * Else SHK_ERROR_UNSUPPORTED, with what it is. */
enum shk_status shk_preprocess_check_model(const struct shk_graph *graph, struct shk_error *error);

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

/* Checks the frame and copies it, with header and tables, to `slot`: `p->bytes` bytes aligned to 4, written
 * only, in order. *placement is for the frame's detections.
 * Errors: SHK_ERROR_INVALID_ARGUMENT (a plane missing or smaller than its stride says, a stride below the
 * bytes of a row, a crop that is empty or not inside the frame); `slot` is then untouched. */
enum shk_status shk_preprocess_write(const struct shk_preprocess *p, const struct shk_frame *frame,
                                     void *slot, struct shk_placement *placement, struct shk_error *error);

/* The dispatch that fills `input` (the view of model input 0) from the slot's buffer bound at
 * SHK_BINDING_FRAME. `table_offset` is what shk_lower_params() returned for the tables. Keeps push constants
 * in *p: the dispatch is valid as long as *p. */
void shk_preprocess_dispatch(struct shk_preprocess *p, const struct shk_view *input, uint32_t table_offset,
                             struct shk_dispatch *dispatch);

/* The same in C, for sessions without a device and as the shader's oracle: reads what shk_preprocess_write()
 * left in `slot`, writes the dense input tensor (int8_t or float, NHWC). */
void shk_preprocess_run(const struct shk_preprocess *p, const uint32_t tables[SHK_PREPROCESS_TABLE_WORDS],
                        const void *slot, void *tensor);

#endif
