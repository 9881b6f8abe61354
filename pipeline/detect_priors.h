/* Anchors (priors, default boxes) of raw SSD heads, out of a sidecar. SPDX-License-Identifier:
 * LGPL-2.1-or-later
 *
 * As MediaPipe's SsdAnchorsCalculator and TensorFlow's create_ssd_anchors() make them, after Liu et al. 2016:
 * a grid of ceil(height / stride) x ceil(width / stride) cells for each stride; the i-th of n has the scale
 * min + (max - min) * i / (n - 1). Each aspect ratio r gives an anchor of width scale * sqrt(r) and height
 * scale / sqrt(r), in parts of the input, and then there is one of the scale sqrt(scale_i * scale_i+1), 1
 * after the last. Strides that follow each other and are equal share one grid. Or the sizes themselves are
 * given, for each stride. */
#ifndef SHK_DETECT_PRIORS_H
#define SHK_DETECT_PRIORS_H

#include "detect.h"

/* Fills in detector->heads from `own`, whose strides are given; detector->width and height are set. *reason
 * is then NULL, or says what is wrong with the keys. Returns how many anchors there are, in the order grid,
 * row, column, anchor; at most 2^31. */
uint32_t shk_priors_fill(struct shk_detector *detector, const struct shk_output_info *own,
                         const char **reason);

#endif
