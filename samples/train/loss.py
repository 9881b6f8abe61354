# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the detector should say about a batch, and how wrong it is."""
import torch
from torch.nn import functional as F

from network import CENTRE_SCALE, CLASSES, SIZE_SCALE

POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4


def overlap(a, b):
    """IoU of N,A,1,4 and N,1,M,4 corners (y0, x0, y1, x1)."""
    h = (torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])).clamp_(min=0)
    w = (torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])).clamp_(min=0)
    inter = h * w
    area_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    area_b = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return inter / (area_a + area_b - inter).clamp_(min=1e-9)


def assign(anchors, objects):
    """Per anchor: class (len(CLASSES): background, -1: leave out) and the encoded box it should give."""
    most = max(1, max(len(o) for o in objects))
    padded = torch.zeros(len(objects), most, 5)
    padded[..., 0] = -1
    for row, o in zip(padded, objects):
        row[:len(o)] = torch.from_numpy(o)
    exists = padded[..., 0] >= 0
    boxes = padded[..., [2, 1, 4, 3]]
    half = anchors[:, 2:] / 2
    corners = torch.cat([anchors[:, :2] - half, anchors[:, :2] + half], 1)
    iou = overlap(corners[None, :, None], boxes[:, None]) * exists[:, None]
    # The best anchor of an object is its own, whatever the overlap
    best = iou.argmax(1)
    iou.scatter_add_(1, best[:, None], 2.0 * exists[:, None])
    value, which = iou.max(2)
    matched = torch.gather(boxes, 1, which[..., None].expand(-1, -1, 4))
    target = torch.gather(padded[..., 0], 1, which).long()
    target[value < POSITIVE_IOU] = -1
    target[value < NEGATIVE_IOU] = len(CLASSES)
    centre, size = (matched[..., :2] + matched[..., 2:]) / 2, (matched[..., 2:] - matched[..., :2]).clamp(min=1e-3)
    encoded = torch.cat([(centre - anchors[:, :2]) / anchors[:, 2:] * CENTRE_SCALE,
                         torch.log(size / anchors[:, 2:]) * SIZE_SCALE], 2)
    return target, encoded


def detection_loss(logits, boxes, target, encoded):
    """Focal loss on the classes and smooth L1 on the boxes of the matched anchors, per matched anchor."""
    positive = (target >= 0) & (target < len(CLASSES))
    count = positive.sum().clamp(min=1).float()
    used = target >= 0
    truth = F.one_hot(target[used], len(CLASSES) + 1)[:, :-1].float()
    z = logits[used]
    p = torch.sigmoid(z)
    wrong = torch.abs(truth - p)
    focal = F.binary_cross_entropy_with_logits(z, truth, reduction="none") * wrong.pow(1.5)
    box = F.smooth_l1_loss(boxes[positive], encoded[positive], reduction="sum", beta=0.5)
    return focal.sum() / count, box / count
