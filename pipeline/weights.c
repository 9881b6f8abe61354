/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "weights.h"

#include <stdlib.h>
#include <string.h>

#include "slot.h"

/* Two multiply-and-rotate hashes, of words. They tell apart what sessions of one model packed: whoever could make two of
 * those collide wrote the model and spoils its own results. */
static void hash_bytes(const uint8_t *bytes, size_t size, uint64_t hash[2])
{
    const uint64_t factors[2] = {UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xc2b2ae3d27d4eb4f)};
    hash[0] = size;
    hash[1] = ~(uint64_t)size;
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, SHK_MIN(size - at, sizeof(word)));
        for (uint32_t k = 0; k < 2; k++) {
            hash[k] = (hash[k] ^ word) * factors[k];
            hash[k] = hash[k] << 29 | hash[k] >> 35;
        }
    }
}

static struct shk_weights *find(const struct shk_device *device, const struct shk_weights *like)
{
    struct shk_weights *w = device->weights;
    while (w && (w->failed || w->model != like->model || w->size != like->size || w->hash[0] != like->hash[0] ||
                 w->hash[1] != like->hash[1]))
        w = w->next;
    return w;
}

static void forget(struct shk_device *device, struct shk_weights *weights)
{
    struct shk_weights **at = &device->weights;
    while (*at != weights)
        at = &(*at)->next;
    *at = weights->next;
}

/* Under the mutex, which is released while another thread uploads. Whose upload failed, fails as well. */
static struct shk_weights *join(struct shk_device *device, const struct shk_weights *like)
{
    struct shk_weights *found = find(device, like);
    if (!found)
        return NULL;
    found->users++;
    while (!found->ready && !found->failed)
        pthread_cond_wait(&device->weights_ready, &device->weights_mutex);
    return found;
}

static enum shk_status upload(struct shk_device *device, struct shk_weights *weights, const void *bytes,
                              VkDeviceSize window, struct shk_error *error)
{
    enum shk_status status = shk_pool_alloc(device->pool, SHK_MEMORY_DEVICE, weights->size + window,
                                            SHK_UNIFORM_ALIGNMENT, &weights->buffer, error);
    if (!status && weights->size)
        status = shk_buffer_write(device, &weights->buffer, 0, bytes, weights->size, error);
    return status;
}

enum shk_status shk_weights_get(struct shk_device *device, const struct shk_model *model, const void *bytes, size_t size,
                                VkDeviceSize window, struct shk_weights **weights, bool *shared, struct shk_error *error)
{
    struct shk_weights *own = calloc(1, sizeof(*own));
    if (!own)
        return shk_fail_oom(error, sizeof(*own), "weights");
    *own = (struct shk_weights){.model = model, .size = size, .users = 1};
    hash_bytes(bytes, size, own->hash);
    pthread_mutex_lock(&device->weights_mutex);
    struct shk_weights *found = join(device, own);
    if (!found) {
        own->next = device->weights;
        device->weights = own;
    }
    bool failed = found && found->failed;
    pthread_mutex_unlock(&device->weights_mutex);
    if (found) {
        free(own);
        *shared = true;
        *weights = found;
        return failed ? shk_fail(error, SHK_ERROR_OUT_OF_DEVICE_MEMORY,
                                 "%zu bytes of weights could not be uploaded by another session of the model", size)
                      : SHK_OK;
    }
    enum shk_status status = upload(device, own, bytes, window, error);
    pthread_mutex_lock(&device->weights_mutex);
    own->ready = !status;
    own->failed = status;
    pthread_cond_broadcast(&device->weights_ready);
    pthread_mutex_unlock(&device->weights_mutex);
    *shared = false;
    *weights = own;
    return status;
}

void shk_weights_put(struct shk_device *device, struct shk_weights **weights)
{
    struct shk_weights *w = *weights;
    *weights = NULL;
    if (!w)
        return;
    pthread_mutex_lock(&device->weights_mutex);
    bool last = --w->users == 0;
    if (last)
        forget(device, w);
    pthread_mutex_unlock(&device->weights_mutex);
    if (!last)
        return;
    shk_pool_free(device->pool, &w->buffer);
    free(w);
}
