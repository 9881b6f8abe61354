/* How kernels read activations: by storage buffer or by texel buffer. Which is faster is up to the device and its driver
 * (on lavapipe a load by storage buffer is a loop over the lanes), so it is measured, once.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_LOADS_H
#define SHK_LOADS_H

#include "device.h"

/* Whether texels are faster. From the environment variable SHRIKE_FORCE_LOADS ("texels" or "storage"), else from the
 * device's notes (notes.h), else measured, in a few milliseconds, and noted; *measured says so. False when that fails,
 * with a log line. From any thread. */
bool shk_loads_are_texels(struct shk_device *device, const char *cache_dir, const struct shk_log *log, bool *measured);

#endif
