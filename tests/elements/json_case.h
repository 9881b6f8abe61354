/* What the suites of shrikejson need: a folder, frames with the meta, lines read back, messages, readers.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_JSON_CASE_H
#define TEST_JSON_CASE_H

#include <json-glib/json-glib.h>

#include "elements.h"

#define JSON_CAPS "video/x-raw,format=GRAY8,width=640,height=480,framerate=25/1"

/* A fixture for every test: an empty folder. json_path() and json_launch() return memory to be freed; a
 * launch line's %s is the folder. */
void json_make_folder(void);
void json_remove_folder(void);
char *json_path(const char *name);
char *json_launch(const char *launch);

/* "shrikejson" with JSON_CAPS, whose messages go to *bus. */
GstHarness *json_harness(const char *launch, GstBus **bus);

/* A buffer with one detection, with all that shrikedetect and shriketrack write. Its size is not that of a
 * frame. */
GstBuffer *json_frame(guint64 number, const char *label);
GstStructure *json_fields(GstBuffer *buffer);

/* Pushes frames `first` to `first + count - 1`, which must leave as the same buffers. */
void json_push(GstHarness *harness, guint64 first, guint64 count);

/* The text as objects, one for each line; free with g_ptr_array_unref(). The test fails if a line is torn or
 * no JSON. */
GPtrArray *json_parse_lines(const char *text, gsize size);
GPtrArray *json_read_file(const char *path);
/* Until its end. */
GPtrArray *json_read_descriptor(int fd);
gint64 json_frame_number(GPtrArray *lines, guint index);
/* Asserts that the lines are those of the frames `first` to `first + count - 1`. */
void json_check_frames(GPtrArray *lines, guint64 first, guint64 count);

guint64 json_stat(GstElement *element, const char *field);
/* Asserts accepted = written + dropped. */
void json_check_counts(GstElement *element);
/* Returns when the element has `count` readers. */
void json_wait_readers(GstElement *element, guint count);

/* Asserts that this is the only error or warning, that it has that text, and names its `path` where not NULL.
 */
void json_expect_message(GstBus *bus, GstMessageType type, const char *text, const char *path);

int json_listen(const char *path);
int json_connect(const char *path);

#endif
