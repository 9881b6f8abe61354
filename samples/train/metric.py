# SPDX-License-Identifier: LGPL-2.1-or-later
"""Detections from raw scores, and mean average precision."""
import numpy as np

from network import CENTRE_SCALE, CLASSES, SIZE_SCALE

NMS_IOU = 0.5


def iou(one, many):
    h = np.clip(np.minimum(one[2], many[:, 2]) - np.maximum(one[0], many[:, 0]), 0, None)
    w = np.clip(np.minimum(one[3], many[:, 3]) - np.maximum(one[1], many[:, 1]), 0, None)
    inter = h * w
    area = (one[2] - one[0]) * (one[3] - one[1]) + (many[:, 2] - many[:, 0]) * (many[:, 3] - many[:, 1])
    return inter / np.maximum(area - inter, 1e-9)


def detect(scores, encoded, anchors, threshold, most):
    """The fast path of TFLite_Detection_PostProcess: rows of class, score, y_min, x_min, y_max, x_max."""
    best, score = scores.argmax(1), scores.max(1)
    order = np.argsort(-score, kind="stable")
    order = order[score[order] >= threshold]
    a, e = anchors[order], encoded[order]
    centre = e[:, :2] / CENTRE_SCALE * a[:, 2:] + a[:, :2]
    half = 0.5 * np.exp(e[:, 2:] / SIZE_SCALE) * a[:, 2:]
    boxes = np.concatenate([centre - half, centre + half], 1)
    kept, alive = [], np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i] and len(kept) < most:
            kept.append(i)
            alive[i + 1:] &= iou(boxes[i], boxes[i + 1:]) <= NMS_IOU
    return np.column_stack([best[order[kept]], score[order[kept]], boxes[kept]])


def average_precision(detections, truths, least_iou=0.5):
    """detections, truths: one array per frame; truths as in scenes.py. Returns the area under the precision-recall
    curve (every point, precision made monotonic) per class."""
    results = []
    for c in range(len(CLASSES)):
        hits, total = [], 0
        for found, truth in zip(detections, truths):
            boxes = truth[truth[:, 0] == c][:, [2, 1, 4, 3]]
            free = np.ones(len(boxes), bool)
            total += len(boxes)
            for row in found[found[:, 0] == c]:
                overlaps = iou(row[2:], boxes) * free
                hit = len(boxes) > 0 and overlaps.max() >= least_iou
                if hit:
                    free[overlaps.argmax()] = False
                hits.append((row[1], hit))
        hits.sort(key=lambda h: -h[0])
        right = np.cumsum([h[1] for h in hits]) if hits else np.zeros(0)
        precision = right / np.arange(1, len(hits) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        recall = np.concatenate([[0], right / max(total, 1)])
        results.append(float(np.sum(np.diff(recall) * precision)))
    return results
