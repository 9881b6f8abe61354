/* The core library's messages and failures, as GStreamer users know them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_GST_CORE_LOG_H
#define SHRIKE_GST_CORE_LOG_H

#include <gst/gst.h>
#include <shrike/status.h>

G_BEGIN_DECLS

/* For struct shk_*_params.log: everything goes to the debug category "shrikecore", as from `object`, which
 * must outlive what was created with it. */
struct shk_log core_log(GstObject *object);

/* Posts one error message on the bus, in the domain and with the code that fits error->status, with
 * error->message as its text. `doing` says in the debug string what was going on ("opening the model"). */
void core_log_post_error(GstElement *element, const struct shk_error *error, const char *doing);
/* The same as a warning: the stream goes on. */
void core_log_post_warning(GstElement *element, const struct shk_error *error, const char *doing);

G_END_DECLS
#endif
