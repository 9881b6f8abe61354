/* Shrike: what a device can do at best, measured: the bytes that it copies and the multiply-accumulates that it
 * calculates, per second. What a network's ops achieve is to be compared with that, and not with a data sheet.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_CEILING_H
#define SHRIKE_CEILING_H

#include <shrike/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Ways to multiply int8 values and add the products up. All give the same sums as long as they stay exact. */
enum shk_mac_way {
    SHK_MAC_INT,   /* 32-bit integer multiply and add */
    SHK_MAC_FLOAT, /* fused multiply-add of 32-bit floats */
    SHK_MAC_DOT,   /* four at a time: VK_KHR_shader_integer_dot_product */
    SHK_MAC_WAY_COUNT,
};
/* "int32", "float32", "dot4". */
SHK_API const char *shk_mac_way_string(enum shk_mac_way way);

/* Bytes read and bytes written both count: copying a megabyte in a millisecond is 2 GB/s. */
struct shk_ceiling {
    double copy_bytes_per_second; /* of buffers that are larger than caches, where the device can bind such */
    uint64_t copy_bytes;          /* both buffers together */
    double cached_bytes_per_second; /* of buffers of the size that the activations of a small network have */
    uint64_t cached_bytes;
    double macs_per_second[SHK_MAC_WAY_COUNT]; /* 0: the device has no such way */
    enum shk_mac_way mac_way;                  /* the fastest */
    double dispatch_ns; /* an empty dispatch and the barrier before it: no layer takes less */
};

struct shk_ceiling_params {
    uint64_t time_ns;      /* about as long as it may take, without the creation of pipelines; at least a millisecond */
    uint32_t runs;         /* of each kernel, the fastest of which counts; 1 to 1000 */
    const char *cache_dir; /* as in struct shk_session_params */
    struct shk_log log;
};
#define SHK_CEILING_PARAMS_DEFAULT ((struct shk_ceiling_params){.time_ns = 600000000u, .runs = 7})

/* Measures on `device`, which should have nothing else to do meanwhile. `params` may be NULL. The first quarter of the
 * time warms the device up; each kernel is repeated until it takes long enough to be measured. Device memory: up to
 * 256 MiB, a quarter of what is free at most, given back at the end. Threads: as shk_session_create().
 * Errors: SHK_ERROR_INVALID_ARGUMENT (device NULL, a parameter out of its range), out of memory, SHK_ERROR_DEVICE_LOST,
 * SHK_ERROR_DRIVER. */
SHK_API enum shk_status shk_measure_ceiling(struct shk_device *device, const struct shk_ceiling_params *params,
                                            struct shk_ceiling *ceiling, struct shk_error *error);

#ifdef __cplusplus
}
#endif
#endif
