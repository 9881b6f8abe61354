/* The driver's pipeline cache on disk. Untrusted: some drivers crash on a cache that is not theirs, so the
 * header (Vulkan specification, "Pipeline Cache Header") is checked before they see it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_CACHE_BYTES ((size_t)256 << 20)

static bool header_matches(const struct shk_device *device, const void *data, size_t size)
{
    VkPhysicalDeviceProperties properties;
    VkPipelineCacheHeaderVersionOne header;
    if (size < sizeof(header))
        return false;
    memcpy(&header, data, sizeof(header));
    vkGetPhysicalDeviceProperties(device->physical, &properties);
    return header.headerSize >= sizeof(header) && header.headerSize <= size &&
           header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == properties.vendorID && header.deviceID == properties.deviceID &&
           memcmp(header.pipelineCacheUUID, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

void *shk_pipeline_cache_read(const struct shk_device *device, const char *path, const struct shk_log *log,
                              size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    void *data = NULL;
    *size = 0;
    if (!file) {
        if (errno != ENOENT)
            shk_log(log, SHK_LOG_WARNING, "pipeline cache %s: %s; starting without", path, strerror(errno));
        return NULL;
    }
    if (fstat(fileno(file), &st) == 0 && st.st_size > 0 && (size_t)st.st_size <= MAX_CACHE_BYTES)
        data = malloc((size_t)st.st_size);
    if (data && fread(data, 1, (size_t)st.st_size, file) == (size_t)st.st_size &&
        header_matches(device, data, (size_t)st.st_size)) {
        *size = (size_t)st.st_size;
    } else {
        shk_log(log, SHK_LOG_WARNING, "pipeline cache %s: not a cache of this driver; starting without", path);
        free(data);
        data = NULL;
    }
    fclose(file);
    return data;
}

/* mkdir -p. */
static bool make_directory(const char *dir)
{
    char path[1024];
    size_t length = strlen(dir);
    if (length == 0 || length >= sizeof(path))
        return false;
    memcpy(path, dir, length + 1);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        mkdir(path, 0755);
        *p = '/';
    }
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

char *shk_pipeline_cache_path(const struct shk_device *device, const char *dir, const struct shk_log *log)
{
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(device->physical, &properties);
    char uuid[2 * VK_UUID_SIZE + 1];
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++)
        snprintf(uuid + 2 * i, 3, "%02x", properties.pipelineCacheUUID[i]);
    size_t size = strlen(dir) + sizeof(uuid) + 32;
    char *path = malloc(size);
    if (!path || !make_directory(dir)) {
        shk_log(log, SHK_LOG_WARNING, "pipeline cache directory %s: %s; starting without", dir, strerror(errno));
        free(path);
        return NULL;
    }
    snprintf(path, size, "%s/shrike-%s-%08x.bin", dir, uuid, properties.driverVersion);
    return path;
}

void shk_pipeline_cache_write(const struct shk_device *device, const char *path, const void *data, size_t size,
                              const struct shk_log *log)
{
    /* lavapipe of Mesa 26 has no cache and gives 20 bytes */
    if (!header_matches(device, data, size))
        return;
    char temporary[1200];
    int n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    int fd = n > 0 && (size_t)n < sizeof(temporary) ? mkstemp(temporary) : -1;
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    bool ok = file && fwrite(data, 1, size, file) == size;
    if (file)
        ok = fclose(file) == 0 && ok;
    else if (fd >= 0)
        close(fd);
    if (ok)
        ok = rename(temporary, path) == 0;
    if (!ok) {
        shk_log(log, SHK_LOG_WARNING, "pipeline cache %s: could not be written: %s", path, strerror(errno));
        if (fd >= 0)
            unlink(temporary);
    }
}
