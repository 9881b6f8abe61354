#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Read detections and stage latencies off buffers in a Python application.

usage: appsink.py [PIPELINE...]

PIPELINE is written as for gst-launch-1.0 and ends in "appsink name=out"; without one, videotestsrc's ball is
watched. Prints one line per frame. Needs python3-gi and gir1.2-gstreamer-1.0, and no bindings of Shrike's: all
that shrikedetect has to say is in the custom meta "ShrikeLatency" (README, "Metadata").
"""
import sys
import warnings

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

# GstStructure hands out arrays as GValueArray, which PyGObject calls deprecated.
warnings.filterwarnings("ignore", message=".*ValueArray.*")

DEFAULT = "videotestsrc pattern=ball num-buffers=100 ! shrikedetect ! appsink name=out"


def detections(fields):
    """The detections of a frame as dictionaries; x and y are 0 to 1."""
    found, array = fields.get_array("detections")
    for i in range(array.n_values if found else 0):
        detection = array.get_nth(i)
        yield {name: detection.get_value(name)
               for name in ("label", "label_id", "confidence", "x_min", "y_min", "x_max", "y_max")}


def on_sample(sink):
    sample = sink.emit("pull-sample")
    if sample is None:
        return Gst.FlowReturn.EOS
    buffer = sample.get_buffer()
    meta = buffer.get_custom_meta("ShrikeLatency")
    if meta is None:
        return Gst.FlowReturn.OK
    fields = meta.get_structure()
    stages = " ".join(f"{stage} {fields.get_value(stage + '-duration') / 1e6:.2f}"
                      for stage in ("preprocess", "inference", "total"))
    boxes = ", ".join(f"{d['label']} {d['confidence']:.2f} at {d['x_min']:.2f},{d['y_min']:.2f}"
                      for d in detections(fields))
    print(f"{buffer.pts / Gst.SECOND:8.3f} s  {stages} ms  {boxes or 'nothing'}")
    return Gst.FlowReturn.OK


def main():
    Gst.init(None)
    try:
        pipeline = Gst.parse_launchv(sys.argv[1:]) if sys.argv[1:] else Gst.parse_launch(DEFAULT)
    except GLib.Error as error:
        sys.exit(error.message)
    sink = pipeline.get_by_name("out") if isinstance(pipeline, Gst.Bin) else None
    if sink is None:
        sys.exit('the pipeline has no "appsink name=out"')
    sink.set_property("emit-signals", True)
    sink.set_property("sync", False)
    sink.set_property("max-buffers", 4)
    sink.connect("new-sample", on_sample)

    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR | Gst.MessageType.EOS)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        sys.exit(f"{message.src.get_name()}: {message.parse_error()[0].message}")


if __name__ == "__main__":
    main()
