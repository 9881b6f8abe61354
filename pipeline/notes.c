/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "kernel.h"

#define MAX_BYTES ((size_t)1 << 20)
#define TITLE     "shrike-notes 1 "

/* FNV-1a, of words. */
static uint64_t hash_shaders(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const struct shk_shader *const *shader = shk_shaders; *shader; shader++)
        for (size_t i = 0; i < (*shader)->code_size / 4; i++)
            hash = (hash ^ (*shader)->code[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void describe(const struct shk_device *device, char *text, size_t size)
{
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(device->physical, &properties);
    size_t at = 0;
    for (uint32_t i = 0; i < SHK_ARRAY_LEN(device->info.uuid); i++)
        at += (size_t)snprintf(text + at, size - at, "%02x", device->info.uuid[i]);
    snprintf(text + at, size - at, "-%08x-%016llx", properties.driverVersion, (unsigned long long)hash_shaders());
}

/* What the notes are true of. Found out once, as the shaders are many words; does not change after that. */
static const char *key_of(struct shk_device *device)
{
    pthread_mutex_lock(&device->notes_mutex);
    if (!device->notes_key[0])
        describe(device, device->notes_key, sizeof(device->notes_key));
    pthread_mutex_unlock(&device->notes_mutex);
    return device->notes_key;
}

char *shk_notes_path(struct shk_device *device, const char *dir, const char *kind)
{
    const char *key = key_of(device);
    size_t size = strlen(dir) + strlen(kind) + strlen(key) + 16;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/shrike-%s-%s.txt", dir, kind, key);
    return path;
}

static bool is_text(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != '\n' && bytes[i] != '\t' && (bytes[i] < ' ' || bytes[i] > '~'))
            return false;
    return size > 0 && bytes[size - 1] == '\n';
}

char *shk_notes_read(struct shk_device *device, const char *path, const struct shk_log *log)
{
    uint8_t *data;
    size_t size;
    char title[128];
    if (access(path, F_OK) != 0)
        return NULL;
    struct shk_error error;
    if (shk_file_read(path, MAX_BYTES, &data, &size, &error)) {
        shk_log(log, SHK_LOG_WARNING, "%s; going on without", error.message);
        return NULL;
    }
    int length = snprintf(title, sizeof(title), TITLE "%s\n", key_of(device));
    if (size < (size_t)length || memcmp(data, title, (size_t)length) != 0 || !is_text((char *)data, size)) {
        shk_log(log, SHK_LOG_WARNING, "%s: damaged, or not of this device and version; going on without", path);
        free(data);
        return NULL;
    }
    memmove(data, data + length, size - (size_t)length + 1); /* with the NUL */
    return (char *)data;
}

void shk_notes_write(struct shk_device *device, const char *dir, const char *path, const char *lines,
                     const struct shk_log *log)
{
    const char *key = key_of(device);
    struct shk_error error;
    size_t size = strlen(lines) + sizeof(TITLE) + strlen(key) + 2;
    char *whole = malloc(size);
    free(shk_pipeline_cache_path(device, dir, log)); /* makes the folder */
    if (!whole)
        return;
    int length = snprintf(whole, size, TITLE "%s\n%s", key, lines);
    if (shk_file_write(path, whole, (size_t)length, &error))
        shk_log(log, SHK_LOG_WARNING, "%s", error.message);
    free(whole);
}

/* ---- in memory ---- */

static bool has(const struct shk_device *device, const char *line, size_t length)
{
    for (const char *at = device->notes; at; at = strchr(at + 1, '\n'))
        if (strncmp(at + 1, line, length) == 0 && at[1 + length] == '\n')
            return true;
    return false;
}

bool shk_notes_has(struct shk_device *device, const char *line)
{
    pthread_mutex_lock(&device->notes_mutex);
    bool found = has(device, line, strlen(line));
    pthread_mutex_unlock(&device->notes_mutex);
    return found;
}

static void add(struct shk_device *device, const char *line, size_t length)
{
    if (length == 0 || has(device, line, length))
        return;
    char *larger = realloc(device->notes, device->notes_size + length + 3);
    if (!larger)
        return;
    if (!device->notes)
        larger[device->notes_size++] = '\n';
    memcpy(larger + device->notes_size, line, length);
    memcpy(larger + device->notes_size + length, "\n", 2);
    device->notes = larger;
    device->notes_size += length + 1;
}

void shk_notes_add(struct shk_device *device, const char *lines)
{
    pthread_mutex_lock(&device->notes_mutex);
    for (size_t length; *lines; lines += length + (lines[length] != '\0')) {
        length = strcspn(lines, "\n");
        add(device, lines, length);
    }
    pthread_mutex_unlock(&device->notes_mutex);
}

char *shk_notes_copy(struct shk_device *device)
{
    pthread_mutex_lock(&device->notes_mutex);
    char *copy = device->notes ? strdup(device->notes + 1) : NULL;
    pthread_mutex_unlock(&device->notes_mutex);
    return copy;
}
