/* Shrike: int8 object detection with Vulkan compute. Include this; samples/hello.c is the way in.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_H
#define SHRIKE_H

#include <shrike/batch.h>
#include <shrike/builder.h>
#include <shrike/ceiling.h>
#include <shrike/device.h>
#include <shrike/gather.h>
#include <shrike/memory.h>
#include <shrike/model.h>
#include <shrike/session.h>
#include <shrike/status.h>
#include <shrike/tune.h>

#endif
