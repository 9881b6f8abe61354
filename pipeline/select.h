/* Detection heads: which of their candidates may become detections is decided on the device, and only those are read
 * back. What the decoder finds is the same. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_SELECT_H
#define SHK_SELECT_H

#include "session.h"

/* Which of a session's outputs are selected from, all by one dispatch: they are of one type. */
struct shk_selection {
    struct shk_select_head heads[SHK_SELECT_HEADS];
    uint32_t outputs[SHK_SELECT_HEADS]; /* model outputs, rising */
    uint32_t count;
    struct shk_buffer buffer; /* of the heads */
    struct shk_lowered dispatch;
};

/* Chooses and sets session->selection; NULL if all outputs are read whole: they may be asked for (struct
 * shk_session_params.detections_only), the decoder needs them, or every candidate counts. The plan is known. */
enum shk_status shk_select_init(struct shk_session *session, struct shk_error *error);
void shk_select_finish(struct shk_session *session);

/* The head that output `i` of the model is; NULL: it is read whole. */
const struct shk_select_head *shk_select_head(const struct shk_session *session, uint32_t i);
/* Of a lane's part of a slot's output buffer, if all candidates survive. */
uint64_t shk_select_bytes(const struct shk_select_head *head);

/* Once session->output_offsets are known, of a session with a selection: the dispatch and what it reads. */
enum shk_status shk_select_build(struct shk_session *session, struct shk_error *error);

/* Room for the survivors of a lane. */
enum shk_status shk_select_create_lane(const struct shk_session *session, struct shk_lane *lane,
                                       struct shk_error *error);
void shk_select_finish_lane(const struct shk_session *session, struct shk_lane *lane);

/* What the dispatch left at `words`, the lane's part of the slot's output buffer, for output `i`, a head: the lane's
 * survivors, which point there. */
void shk_select_read(const struct shk_session *session, struct shk_lane *lane, uint32_t i, const void *words);

#endif
