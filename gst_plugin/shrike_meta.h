/* What shrikedetect writes on every buffer, for those who read it. No library is needed to read it: this
 * header names the fields, and the README has the same table.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The property `meta` of shrikedetect selects 1, 3 or both; 2 is always there.
 *
 * 1. One GstVideoRegionOfInterestMeta per detection, highest confidence first. `roi_type` is the label, or
 *    "class <id>" without labels; x, y, w, h are pixels. It has a param structure "detection":
 *        label_id                    gint      class index
 *        confidence                  gdouble   0 to 1
 *        x_min, y_min, x_max, y_max  gdouble   0 is the left or top edge of the frame, 1 the right or bottom
 *
 * 2. One GstCustomMeta "ShrikeLatency". It has no tags, so converters and scalers keep it. In C:
 *        GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, "ShrikeLatency");
 *        GstStructure *fields = gst_custom_meta_get_structure(meta);
 *    in Python: buffer.get_custom_meta("ShrikeLatency").get_structure(). Its fields:
 *        <stage>-start     guint64  nanoseconds, see below
 *        <stage>-duration  guint64  nanoseconds
 *        dropped           guint    frames dropped since the last buffer
 *        in-flight         guint    frames on the device when this one was submitted, itself included
 *        batch-size        guint    frames that shared the device's work with this one, itself included
 *        device            string   name of the Vulkan device, or "cpu-reference"
 *        detections        GST_TYPE_ARRAY of GstStructure "detection", with the fields of the param structure
 *                          above and label (string). They survive where ROI params do not (videoscale).
 *    <stage> is one of
 *        queue       from the buffer's arrival in the element until the device starts on it, upload excluded
 *        upload      copying the frame to memory that the device reads
 *        preprocess  colour conversion, scaling, quantization, on the device
 *        inference   the network, on the device
 *        readback    copying the network's outputs to memory that the CPU reads
 *        decode      from the network's outputs to detections
 *        total       from the buffer's arrival until it leaves with its result; what the other stages do not
 *                    explain is waiting for downstream
 *    Times are those of the pipeline's clock where that is a monotonic system clock, GStreamer's default, so
 *    that they compare with gst_clock_get_time(); with any other clock they are CLOCK_MONOTONIC.
 *
 * 3. One GstAnalyticsRelationMeta, where the plugin was built with GStreamer 1.24 or newer. Detectors: a
 *    GstAnalyticsODMtd per detection (label, box in pixels, confidence), in the order of 1. Classifiers: one
 *    GstAnalyticsClsMtd with the classes found, no ODMtd. What others have put into it stays.
 *
 * The name ShrikeLatency is registered when the plugin is loaded, that is with the first element from it. */
#ifndef SHRIKE_GST_META_H
#define SHRIKE_GST_META_H

#define SHRIKE_LATENCY_META     "ShrikeLatency"
#define SHRIKE_DETECTION_PARAMS "detection"
#define SHRIKE_FIELD_LABEL_ID   "label_id"
#define SHRIKE_FIELD_LABEL      "label"
#define SHRIKE_FIELD_CONFIDENCE "confidence"
#define SHRIKE_FIELD_X_MIN      "x_min"
#define SHRIKE_FIELD_Y_MIN      "y_min"
#define SHRIKE_FIELD_X_MAX      "x_max"
#define SHRIKE_FIELD_Y_MAX      "y_max"
#define SHRIKE_FIELD_DROPPED    "dropped"
#define SHRIKE_FIELD_IN_FLIGHT  "in-flight"
#define SHRIKE_FIELD_BATCH_SIZE "batch-size"
#define SHRIKE_FIELD_DEVICE     "device"
#define SHRIKE_FIELD_DETECTIONS "detections"

#endif
