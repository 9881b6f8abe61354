/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"

bool shk_device_calibrate(struct shk_device *device, struct shk_clock_map *map)
{
    if (!device->get_calibrated_timestamps || !device->timestamp_mask)
        return false;

    const VkCalibratedTimestampInfoEXT domains[2] = {
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_DEVICE_EXT},
        {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT,
         .timeDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT},
    };
    uint64_t values[2];
    uint64_t deviation;
    if (device->get_calibrated_timestamps(device->device, 2, domains, values, &deviation) != VK_SUCCESS)
        return false;
    map->ticks = values[0] & device->timestamp_mask;
    map->ns = values[1];
    map->uncertainty_ns = deviation;
    return true;
}

uint64_t shk_ticks_to_ns(const struct shk_device *device, uint64_t ticks)
{
    /* the period is 1 on most devices, and a double holds only 53 bits */
    if (device->limits.timestampPeriod == 1.0f)
        return ticks;
    return (uint64_t)((double)ticks * (double)device->limits.timestampPeriod + 0.5);
}

uint64_t shk_clock_to_ns(const struct shk_device *device, const struct shk_clock_map *map, uint64_t ticks)
{
    /* The counter wraps at its valid bits: the shorter way round is the difference. */
    uint64_t mask = device->timestamp_mask;
    uint64_t ahead = (ticks - map->ticks) & mask;
    if (ahead <= mask / 2)
        return map->ns + shk_ticks_to_ns(device, ahead);

    uint64_t back = shk_ticks_to_ns(device, (map->ticks - ticks) & mask);
    return back < map->ns ? map->ns - back : 0;
}
