/* The plugin: shrikedetect, shriketrack, shrikeoverlay and shrikejson.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/gst.h>

#include "detect_element.h"
#include "detect_meta.h"
#include "json_element.h"
#include "overlay_element.h"
#include "track_element.h"

/* Looks again when Vulkan drivers come or go. That there is none is said by the element, not here. */
static void watch_drivers(GstPlugin *plugin)
{
    gst_plugin_add_dependency_simple(
        plugin,
        "VK_ICD_FILENAMES:VK_DRIVER_FILES:VK_ADD_DRIVER_FILES:VK_LOADER_DRIVERS_SELECT:"
        "VK_LOADER_DRIVERS_DISABLE:VK_LAYER_PATH",
        "/etc/vulkan/icd.d:/usr/local/etc/vulkan/icd.d:/usr/local/share/vulkan/icd.d:"
        "/usr/share/vulkan/icd.d",
        ".json",
        GST_PLUGIN_DEPENDENCY_FLAG_FILE_NAME_IS_SUFFIX | GST_PLUGIN_DEPENDENCY_FLAG_PATHS_ARE_DEFAULT_ONLY);
}

static gboolean plugin_init(GstPlugin *plugin)
{
    watch_drivers(plugin);
    detect_meta_register();
    return gst_element_register(plugin, "shrikedetect", GST_RANK_NONE, GST_TYPE_SHRIKE_DETECT) &&
           gst_element_register(plugin, "shriketrack", GST_RANK_NONE, GST_TYPE_SHRIKE_TRACK) &&
           gst_element_register(plugin, "shrikeoverlay", GST_RANK_NONE, GST_TYPE_SHRIKE_OVERLAY) &&
           gst_element_register(plugin, "shrikejson", GST_RANK_NONE, GST_TYPE_SHRIKE_JSON);
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, shrike, "Object detection with Vulkan compute",
                  plugin_init, SHRIKE_VERSION, "LGPL", "Shrike", "Unknown package origin")
