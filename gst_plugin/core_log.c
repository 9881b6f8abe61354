/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core_log.h"

GST_DEBUG_CATEGORY_STATIC(core_debug);
#define GST_CAT_DEFAULT core_debug

static gpointer create_category(gpointer unused)
{
    GST_DEBUG_CATEGORY_INIT(core_debug, "shrikecore", 0, "libshrike: devices, memory, planning, sessions");
    return NULL;
}

static void log_message(void *user, enum shk_log_level level, const char *message)
{
    static const GstDebugLevel levels[] = {
        [SHK_LOG_ERROR] = GST_LEVEL_ERROR,
        [SHK_LOG_WARNING] = GST_LEVEL_WARNING,
        [SHK_LOG_INFO] = GST_LEVEL_INFO,
        [SHK_LOG_DEBUG] = GST_LEVEL_DEBUG,
    };
    GST_CAT_LEVEL_LOG(core_debug, levels[level], user, "%s", message);
}

struct shk_log core_log(GstObject *object)
{
    static GOnce once = G_ONCE_INIT;
    g_once(&once, create_category, NULL);
    return (struct shk_log){log_message, object};
}

static void error_code(enum shk_status status, GQuark *domain, gint *code)
{
    *domain = GST_RESOURCE_ERROR;
    switch (status) {
    case SHK_ERROR_IO:
        *code = GST_RESOURCE_ERROR_OPEN_READ;
        break;
    case SHK_ERROR_NO_DEVICE:
        *code = GST_RESOURCE_ERROR_NOT_FOUND;
        break;
    case SHK_ERROR_OUT_OF_HOST_MEMORY:
    case SHK_ERROR_OUT_OF_DEVICE_MEMORY:
        *code = GST_RESOURCE_ERROR_NO_SPACE_LEFT;
        break;
    case SHK_ERROR_BAD_MODEL:
        *domain = GST_STREAM_ERROR;
        *code = GST_STREAM_ERROR_WRONG_TYPE;
        break;
    case SHK_ERROR_UNSUPPORTED:
        *domain = GST_STREAM_ERROR;
        *code = GST_STREAM_ERROR_NOT_IMPLEMENTED;
        break;
    case SHK_ERROR_INVALID_ARGUMENT:
        *domain = GST_LIBRARY_ERROR;
        *code = GST_LIBRARY_ERROR_SETTINGS;
        break;
    default:
        *code = GST_RESOURCE_ERROR_FAILED;
        break;
    }
}

static void post(GstElement *element, GstMessageType type, const struct shk_error *error, const char *doing)
{
    GQuark domain;
    gint code;
    error_code(error->status, &domain, &code);
    gst_element_message_full(element, type, domain, code, g_strdup(error->message),
                             g_strdup_printf("while %s: %s", doing, shk_status_string(error->status)),
                             __FILE__, G_STRFUNC, __LINE__);
}

void core_log_post_error(GstElement *element, const struct shk_error *error, const char *doing)
{
    post(element, GST_MESSAGE_ERROR, error, doing);
}

void core_log_post_warning(GstElement *element, const struct shk_error *error, const char *doing)
{
    post(element, GST_MESSAGE_WARNING, error, doing);
}
