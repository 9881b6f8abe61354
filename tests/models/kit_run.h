/* Models and reference outputs of the kit: what the zoo and the golden suites share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_TEST_KIT_RUN_H
#define SHK_TEST_KIT_RUN_H

#include <shrike/model.h>
#include <shrike/session.h>

#define KIT_MAX_TENSORS 16
#define KIT_BATCH       3

/* One inference, kept until kit_run_finish() so that tensors can be read. */
struct kit_run {
    struct shk_model *model;
    struct shk_session *session;
    uint64_t ticket;
    uint32_t output_count;
    void *outputs[KIT_MAX_TENSORS];
    size_t output_bytes[KIT_MAX_TENSORS];
};

/* Loads `model_path` and runs it on `device` (NULL: the CPU reference) with `in_<k>.bin`, or `in.bin` for a
 * single input, of `folder`. Aborts the test on any failure. */
struct kit_run kit_run(const char *model_path, const char *folder, struct shk_device *device,
                       bool keep_tensors);
void kit_run_finish(struct kit_run *run);

/* Aborts the test, naming the first difference, unless output `index` equals `out_<index>.bin` of `folder`.
 * Models that end in TFLite_Detection_PostProcess: classes and count equal, boxes and scores within one unit
 * in the last place, rows past the count ignored. */
void kit_run_check_output(const struct kit_run *run, const char *folder, uint32_t index, const char *where);

/* The same for KIT_BATCH frames that run as one batch: each with the input and the outputs of its folder. */
void kit_run_check_batch(const char *model_path, char folders[KIT_BATCH][512], struct shk_device *device);

/* "reference" or the device's name. */
const char *kit_where(struct shk_device *device);

#endif
