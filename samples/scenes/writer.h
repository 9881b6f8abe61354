/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames to files. Every function returns false with errno set when the write fails. */
#ifndef SCENE_WRITER_H
#define SCENE_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "scene.h"

bool write_png(const char *path, const uint8_t *rgb, int width, int height);

/* YUV4MPEG2, 4:2:0, BT.601 limited range, 30 frames a second. Width and height must be even. */
bool write_y4m_header(FILE *to, int width, int height);
bool write_y4m_frame(FILE *to, const uint8_t *rgb, int width, int height);

/* One text line per object: frame number, class name, x_min y_min x_max y_max. */
bool write_labels(FILE *to, uint64_t frame, const struct scene_object *objects, int count);

/* A frame and its labels in one binary record, native byte order: uint32 count; count times uint32 class and
 * float x_min, y_min, x_max, y_max; width*height*3 bytes. */
bool write_record(FILE *to, const uint8_t *rgb, int width, int height, const struct scene_object *objects,
                  int count);

#endif
