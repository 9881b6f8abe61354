/* What every element suite needs: GStreamer with few plugins and the leaks tracer, a bus, pictures, results.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_ELEMENTS_H
#define TEST_ELEMENTS_H

#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include "support.h"

enum {
    ELEMENTS_NEED_DEVICE = 1 << 0,   /* skip the suite where there is no Vulkan device */
    ELEMENTS_STATIC_PLUGIN = 1 << 1, /* the suite brings the plugin with it */
    /* skip the suite where objectdetectionoverlay is not; it leaks, so that no leak is an error in this suite
     */
    ELEMENTS_NEED_OBJECT_OVERLAY = 1 << 2,
    ELEMENTS_VULKAN_PLUGIN = 1 << 3, /* GStreamer's Vulkan elements are there, if they are installed */
};

/* Runs a suite in this process, with the validation layer on. Fails also when the layer had anything to say,
 * when a GStreamer object was leaked, and on criticals. Returns TEST_SKIP where it cannot run. */
int elements_main(Suite *(*make_suite)(void), guint flags);

/* A harness around "shrikedetect" with properties as in gst-launch-1.0, whose messages go to *bus. Caps and
 * segment are pushed if `caps` is not NULL. */
GstHarness *elements_harness(const char *launch, const char *caps, GstBus **bus);
/* The same around an element that is there already: takes the floating reference. */
GstHarness *elements_harness_of(GstElement *element, const char *caps, GstBus **bus);
void elements_teardown(GstHarness **harness, GstBus **bus);

/* Fails the test if there is an error or a warning on the bus. */
void elements_no_error(GstBus *bus);
/* Takes the first error or warning from the bus and returns its text, to be freed; NULL: there is none. Fails
 * the test if it is of the other type. */
char *elements_pop_message(GstBus *bus, GstMessageType type);

/* A buffer for `caps` with shapes on a background, the same for the same seed, and pts = seed * 40 ms. */
GstBuffer *elements_picture(const char *caps, guint seed);

/* A copy with the same pixels, other strides and offsets, in GstVideoMeta, and noise between the rows. */
GstBuffer *elements_padded(GstBuffer *buffer, const char *caps);

GstStructure *elements_latency(GstBuffer *buffer);
guint elements_detection_count(GstBuffer *buffer);
/* Detection `index` of the ShrikeLatency meta: class, confidence, x_min, y_min, x_max, y_max. */
void elements_detection(GstBuffer *buffer, guint index, double values[6]);

/* Asserts that both buffers carry the same detections, within `tolerance`. */
void elements_same_detections(GstBuffer *a, GstBuffer *b, double tolerance);

/* Asserts that the meta has every stage, plausible and in order. */
void elements_check_latency(GstBuffer *buffer);

#endif
