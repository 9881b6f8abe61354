/* What shrikedetect and shriketrack write on every buffer, for those who read it. No library is needed to read it: this
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
 *    A classifier that looked at regions of an element upstream (inference-region=roi-list) makes no regions of its
 *    own: it adds a param structure "classification" {label_id, label (string), confidence}, of the most confident class,
 *    to those, and the same as a field "classification" to their detections in 2. drop-policy=hold holds no such classes.
 *
 *    shriketrack adds a param structure "object_id" {id gint}, as DL Streamer's gvatrack does, and to "detection":
 *        track_id                    gint      number of the object, from 1 on; absent: it has none
 *        predicted                   gboolean  TRUE: no detector saw it in this frame, it should be here; else absent
 *
 * 2. One GstCustomMeta "ShrikeLatency". It has no tags, so converters and scalers keep it. In C:
 *        GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, "ShrikeLatency");
 *        GstStructure *fields = gst_custom_meta_get_structure(meta);
 *    in Python: buffer.get_custom_meta("ShrikeLatency").get_structure(). Its fields:
 *        <stage>-start     guint64  nanoseconds, see below
 *        <stage>-duration  guint64  nanoseconds
 *        status            string   "inferred": the network saw this frame; "held": the detections are those of an
 *                                   earlier frame; "passed": it did not, and there are none
 *        reason            string   why it did not: "policy" (max-in-flight frames were on the device: drop-policy),
 *                                   "interval" (inference-interval), "qos" (it would have come too late downstream),
 *                                   "device-lost"; "" if it did
 *        age               guint64  of held detections: nanoseconds between that frame's time stamp and this one's
 *        stream            string   name of the element that wrote this
 *        frame             guint64  number of the frame in its stream, from 0
 *        dropped           guint    frames dropped since the last buffer
 *        in-flight         guint    frames on the device when this one was submitted, itself included
 *        batch-size        guint    frames that shared the device's work with this one, itself included
 *        device            string   name of the Vulkan device, or "cpu-reference"
 *        detections        GST_TYPE_ARRAY of GstStructure "detection", with the fields of the param structure
 *                          above and label (string). They survive where ROI params do not (videoscale). After
 *                          several shrikedetect in a row: of all of them; the other fields are the last one's.
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
#define SHRIKE_CLASS_PARAMS     "classification"
#define SHRIKE_STATUS_INFERRED  "inferred"
#define SHRIKE_STATUS_HELD      "held"
#define SHRIKE_STATUS_PASSED    "passed"
#define SHRIKE_FIELD_LABEL_ID   "label_id"
#define SHRIKE_FIELD_LABEL      "label"
#define SHRIKE_FIELD_CONFIDENCE "confidence"
#define SHRIKE_FIELD_X_MIN      "x_min"
#define SHRIKE_FIELD_Y_MIN      "y_min"
#define SHRIKE_FIELD_X_MAX      "x_max"
#define SHRIKE_FIELD_Y_MAX      "y_max"
#define SHRIKE_TRACK_PARAMS     "object_id"
#define SHRIKE_FIELD_ID         "id"
#define SHRIKE_FIELD_TRACK_ID   "track_id"
#define SHRIKE_FIELD_PREDICTED  "predicted"
#define SHRIKE_FIELD_STATUS     "status"
#define SHRIKE_FIELD_REASON     "reason"
#define SHRIKE_FIELD_AGE        "age"
#define SHRIKE_FIELD_STREAM     "stream"
#define SHRIKE_FIELD_FRAME      "frame"
#define SHRIKE_FIELD_DROPPED    "dropped"
#define SHRIKE_FIELD_IN_FLIGHT  "in-flight"
#define SHRIKE_FIELD_BATCH_SIZE "batch-size"
#define SHRIKE_FIELD_DEVICE     "device"
#define SHRIKE_FIELD_DETECTIONS "detections"

#endif
