/* Finds dispatches of a session that touch the same words and have no barrier between them. Naive, and on its own: word
 * by word and pair by pair, from the graph and the plan. On a driver that runs one dispatch after the other a missing
 * barrier shows nowhere else.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_HAZARD_CHECK_H
#define TEST_HAZARD_CHECK_H

#include "session.h"

struct hazard {
    uint32_t before, after; /* ops */
};

/* A device session's. false: there is none. */
bool hazard_find(const struct shk_session *session, struct hazard *found);
/* Aborts the test if there is one. */
void hazard_check(const struct shk_session *session);

#endif
