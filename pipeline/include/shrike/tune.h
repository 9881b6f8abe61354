/* Shrike: tuning. The fastest kernel for a layer depends on the device and its driver. This measures, on the device and
 * for each kind of layer of a model, the kernel variants that there are, and writes what won into the cache folder, where
 * every later shk_session_create() with that folder finds it. All variants give the same bytes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_TUNE_H
#define SHRIKE_TUNE_H

#include <shrike/device.h>
#include <shrike/model.h>

#ifdef __cplusplus
extern "C" {
#endif

enum shk_tune_mode {
    SHK_TUNE_OFF,  /* measures nothing */
    SHK_TUNE_FAST, /* the variants that won somewhere, a few runs each; layers that were tuned before are left alone */
    SHK_TUNE_FULL, /* all variants, more runs, everything anew */
};

struct shk_tune_params {
    enum shk_tune_mode mode;
    const char *cache_dir; /* where choices are read and written; NULL: nowhere, the report is all there is */
    /* Before each kind of layer: `done` of `total`, and what it is. From the calling thread. Returning false ends the
     * search; what was measured so far counts. May be NULL. */
    bool (*progress)(void *user, uint32_t done, uint32_t total, const char *layer);
    void *user;
    struct shk_log log;
};
#define SHK_TUNE_PARAMS_DEFAULT ((struct shk_tune_params){.mode = SHK_TUNE_FAST})

/* A kind of layer: same op, shapes and attributes. Behind all of them, as layers of their own, chains that one kernel
 * may compute: depthwise convolutions together with the pointwise one behind them (SHK_FUSION_PAIR; `rule` is "two
 * kernels"), and these with the pointwise one in front of them, too (SHK_FUSION_INVERTED; "three kernels"). */
struct shk_tune_layer {
    char layer[256];         /* "CONV_2D 1x38x38x192 * ..."; "PAIR ..."; "INVERTED ..." */
    uint32_t op;             /* the first of its ops in the model; of chains the last of the first chain */
    uint32_t ops;            /* that are computed together: 1, of pairs 2, of inverted residuals 3 */
    uint32_t count;          /* its ops */
    char rule[32];           /* the variant that the rule of thumb takes */
    char variant[32];        /* the one that won; the same where none was faster by more than the noise */
    uint64_t rule_ns, ns;    /* medians of one run of both */
    uint64_t beaten_ns; /* what a chain had to beat: its ops, and the pair in it, in kernels of their own as tuned */
    uint32_t candidates;     /* variants measured besides the rule's; 0: known from before */
};

struct shk_tune_report {
    struct shk_tune_layer *layers; /* in the order of the model */
    uint32_t count;
};

/* Takes seconds to minutes; nothing else should keep the device busy meanwhile. A candidate runs beside the rule of
 * thumb, in turns; it counts as faster if it won three of four runs or more, and by 3 % in the median and in the best run.
 * *report (may be NULL) is to be freed with shk_tune_report_free(). Sessions that exist already are not touched.
 * Errors: SHK_ERROR_INVALID_ARGUMENT (no device or model, a mode that is none), out of memory, SHK_ERROR_DEVICE_LOST,
 * SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_tune(struct shk_device *device, struct shk_model *model, const struct shk_tune_params *params,
                                 struct shk_tune_report *report, struct shk_error *error);

/* Leaves an empty report. NULL is fine. */
SHK_API void shk_tune_report_free(struct shk_tune_report *report);

#ifdef __cplusplus
}
#endif

#endif
