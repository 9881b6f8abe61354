/* Detection heads: which of their boxes reach the score threshold is decided on the device, which decodes these, and
 * only these are read back. What the decoder finds is the same. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_SELECT_H
#define SHK_SELECT_H

#include "session.h"

/* The heads of a session's detector that the device decodes, all by one dispatch: their outputs are of one type. */
struct shk_selection {
    struct shk_select_head heads[SHK_SELECT_HEADS];
    uint32_t which[SHK_SELECT_HEADS]; /* heads of the detector, by rising output */
    uint32_t count;
    struct shk_buffer buffer; /* of the heads, and what they look up */
    struct shk_lowered dispatch;
};

/* Chooses and sets session->selection; NULL if all outputs are read whole: they may be asked for (struct
 * shk_session_params.detections_only), the decoder needs them, or every box counts. The plan is known. */
enum shk_status shk_select_init(struct shk_session *session, struct shk_error *error);
void shk_select_finish(struct shk_session *session);

/* Whether output `i` of the model is one of heads, and not read. */
bool shk_select_covers(const struct shk_session *session, uint32_t i);
/* What a lane's part of a slot's output buffer holds instead: of the heads whose boxes are in it. */
uint64_t shk_select_bytes(const struct shk_session *session, uint32_t i);

/* Once session->output_offsets are known, of a session with a selection: the dispatch and what it reads. */
enum shk_status shk_select_build(struct shk_session *session, struct shk_error *error);

/* Sets lane->found to what the dispatch left at `words`, the lane's part of the slot's output buffer. */
void shk_select_read(const struct shk_session *session, struct shk_lane *lane, const void *words);

#endif
