/* Why frames are not inferred, as enum and as the word in metas, statistics and traces.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_DETECT_REASON_H
#define SHRIKE_GST_DETECT_REASON_H

#include <glib.h>

G_BEGIN_DECLS

enum detect_reason {
    DETECT_REASON_NONE,
    DETECT_REASON_POLICY,   /* all of max-in-flight were taken */
    DETECT_REASON_INTERVAL, /* inference-interval */
    DETECT_REASON_QOS,      /* downstream said that it would come too late */
    DETECT_REASON_LOST,     /* the device was lost */
    DETECT_REASON_COUNT,
};
const char *detect_reason_string(enum detect_reason reason); /* "" for none */

G_END_DECLS
#endif
