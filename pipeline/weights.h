/* Parameters on the device: packed weights, quantization, tables. Sessions of one model whose parameters are the same bytes
 * share one copy. SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHK_WEIGHTS_H
#define SHK_WEIGHTS_H

#include "device.h"
#include "model.h"
#include "pool.h"

struct shk_weights {
    struct shk_buffer buffer; /* the bytes, and room for a uniform window behind them */
    /* Under the device's mutex: */
    struct shk_weights *next;
    const struct shk_model *model;
    uint64_t hash[2];
    size_t size;
    uint32_t users;
    bool ready, failed;
};

/* Uploads `bytes`, or finds them where another session of the model has them; *shared says which. Waits while another
 * thread uploads the same. `window`: bytes that may be bound behind them. The model must live until shk_weights_put().
 * Errors: of shk_pool_alloc() and shk_buffer_write(). From any thread. */
enum shk_status shk_weights_get(struct shk_device *device, const struct shk_model *model, const void *bytes, size_t size,
                                VkDeviceSize window, struct shk_weights **weights, bool *shared, struct shk_error *error);
/* The device no longer uses them for this session. Frees them with the last one. NULL is fine. */
void shk_weights_put(struct shk_device *device, struct shk_weights **weights);

#endif
