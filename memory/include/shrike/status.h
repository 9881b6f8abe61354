/* Shrike: status codes and error details, shared by every public header.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHRIKE_STATUS_H
#define SHRIKE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SHK_API __attribute__((visibility("default")))
#else
#define SHK_API
#endif

/* What a call that can fail returns. Nothing is left half done: on any value but SHK_OK the out parameters
 * of the call are NULL or unchanged. */
enum shk_status {
    SHK_OK = 0,
    SHK_ERROR_INVALID_ARGUMENT,     /* the caller passed something the function's comment forbids */
    SHK_ERROR_IO,                   /* a file could not be opened, read or written */
    SHK_ERROR_BAD_MODEL,            /* a model or label file is corrupt: an offset, size or value makes no sense */
    SHK_ERROR_UNSUPPORTED,          /* well-formed, but an op, type, format or size that Shrike does not run */
    SHK_ERROR_NO_DEVICE,            /* no Vulkan loader, no Vulkan device, or none that matches the selection */
    SHK_ERROR_OUT_OF_HOST_MEMORY,   /* malloc failed */
    SHK_ERROR_OUT_OF_DEVICE_MEMORY, /* the device, or the budget set for the pool, has no room */
    SHK_ERROR_DEVICE_LOST,          /* VK_ERROR_DEVICE_LOST: destroy the session and the device, start again */
    SHK_ERROR_DRIVER,               /* any other VkResult; its name is in the message */
    SHK_ERROR_TIMEOUT,              /* a wait ran out of time; the work goes on */
    SHK_ERROR_BUSY,                 /* all frame slots are in use: wait for one, release it, try again */
};

/* Details of a failure. Optional everywhere (pass NULL). On failure `status` equals the returned value and
 * `message` is one line of UTF-8 that names the file, op or pad, what was found, what was expected and what
 * can be done about it. On success it is left alone. */
struct shk_error {
    enum shk_status status;
    char message[1020];
};

/* A short, constant, English name of the status ("out of device memory"). Never NULL. */
SHK_API const char *shk_status_string(enum shk_status status);

enum shk_log_level {
    SHK_LOG_ERROR,
    SHK_LOG_WARNING,
    SHK_LOG_INFO,
    SHK_LOG_DEBUG,
};

/* Where messages that are not failures of a call go (a fast path that is not available, a cache that is
 * ignored, a validation layer message). `fn` may be NULL (silence) and may be called from any thread that
 * calls into Shrike; it must not call back into Shrike. */
struct shk_log {
    void (*fn)(void *user, enum shk_log_level level, const char *message);
    void *user;
};

#ifdef __cplusplus
}
#endif
#endif
