/* Detection heads: boxes that reach the score threshold are found, decoded and suppressed on the device, and what is
 * left is all that is read back. The detections are those that the decoder finds. SPDX-License-Identifier:
 * LGPL-2.1-or-later */
#ifndef SHK_SELECT_H
#define SHK_SELECT_H

#include "session.h"

/* Of a session whose detector's heads the device decodes. */
struct shk_selection {
    struct shk_select_head heads[SHK_SELECT_HEADS];
    uint32_t boxes;               /* of all heads */
    struct shk_buffer buffer;     /* of the heads, and what they look up */
    struct shk_buffer candidates; /* of each lane, one frame after the other */
    uint64_t kept_offset;         /* bytes, in a lane's part of a slot's output buffer */
    struct shk_lowered dispatches[2];
};

/* Sets session->selection; NULL if all outputs are read whole: they may be asked for (struct
 * shk_session_params.detections_only), the decoder needs them, or they are small. The plan is known. */
enum shk_status shk_select_init(struct shk_session *session, struct shk_error *error);
void shk_select_finish(struct shk_session *session);

/* Whether output `i` of the model is one of heads, and not read. */
bool shk_select_covers(const struct shk_session *session, uint32_t i);
/* Where in a lane's part of a slot's output buffer what is kept shall be. Returns its bytes, 0 without a selection. */
uint64_t shk_select_place(struct shk_session *session, uint64_t offset);

/* Once session->output_bytes is known, of a session with a selection: the dispatches and their buffers. */
enum shk_status shk_select_build(struct shk_session *session, struct shk_error *error);

/* Sets lane->found to what the dispatches left in `bytes`, the lane's part of the slot's output buffer. */
void shk_select_read(const struct shk_session *session, struct shk_lane *lane, const void *bytes);

#endif
