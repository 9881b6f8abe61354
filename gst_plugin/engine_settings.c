/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine_settings.h"

GType engine_tune_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {SHK_TUNE_OFF, "What was measured before, else rules of thumb", "off"},
        {SHK_TUNE_FAST, "Measure what was not measured before; seconds", "fast"},
        {SHK_TUNE_FULL, "Measure everything, thoroughly; minutes", "full"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_enum_register_static("GstShrikeDetectTune", values));
    return type;
}

GType engine_fusion_get_type(void)
{
    static gsize type;
    static const GFlagsValue values[] = {
        {SHK_FUSION_PAD, "PAD into what reads it", "pad"},
        {SHK_FUSION_ADD, "ADD into the convolution in front of it", "add"},
        {SHK_FUSION_TABLE, "LEAKY_RELU, LOGISTIC and the like into the convolution in front of them", "table"},
        {SHK_FUSION_RESHAPE, "RESHAPE of channels into the convolution in front of it", "reshape"},
        {SHK_FUSION_INPUT, "QUANTIZE of the input into preprocessing", "input"},
        {SHK_FUSION_PAIR, "DEPTHWISE_CONV_2D into the pointwise one behind it, where the tuner chose so", "pair"},
        {SHK_FUSION_INVERTED, "Such a pair and the pointwise CONV_2D in front into one, where the tuner chose so",
         "inverted"},
        {SHK_FUSION_HEADS, "Small convolutions that do not depend on each other into one dispatch", "heads"},
        {SHK_FUSION_PARTS, "CONCATENATION and SPLIT into what writes or reads the parts", "parts"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_flags_register_static("GstShrikeDetectFusion", values));
    return type;
}

gboolean engine_settings_is_set(const char *text)
{
    return text && *text;
}

void engine_settings_copy(struct engine_settings *to, const struct engine_settings *from)
{
    *to = *from;
    to->engine_id = g_strdup(from->engine_id);
    to->model_file = g_strdup(from->model_file);
    to->label_file = g_strdup(from->label_file);
    to->device = g_strdup(from->device);
    to->cache_dir = g_strdup(from->cache_dir);
}

void engine_settings_clear(struct engine_settings *settings)
{
    g_clear_pointer(&settings->engine_id, g_free);
    g_clear_pointer(&settings->model_file, g_free);
    g_clear_pointer(&settings->label_file, g_free);
    g_clear_pointer(&settings->device, g_free);
    g_clear_pointer(&settings->cache_dir, g_free);
}

const char *engine_settings_model_name(const struct engine_settings *settings)
{
    return engine_settings_is_set(settings->model_file) ? settings->model_file : "the built-in model";
}

static char *text_difference(const char *property, const char *theirs, const char *ours)
{
    const char *a = theirs ? theirs : "", *b = ours ? ours : "";
    if (g_strcmp0(a, b) == 0)
        return NULL;
    return g_strdup_printf("%s is \"%s\" there and \"%s\" here", property, a, b);
}

static char *number_difference(const char *property, double theirs, double ours)
{
    return theirs == ours ? NULL : g_strdup_printf("%s is %g there and %g here", property, theirs, ours);
}

char *engine_settings_difference(const struct engine_settings *theirs, const struct engine_settings *ours)
{
    char *line = text_difference("model-file", theirs->model_file, ours->model_file);
    if (!line)
        line = text_difference("label-file", theirs->label_file, ours->label_file);
    if (!line)
        line = text_difference("device", theirs->device, ours->device);
    if (!line)
        line = number_difference("score-threshold", theirs->score_threshold, ours->score_threshold);
    if (!line)
        line = number_difference("iou-threshold", theirs->iou_threshold, ours->iou_threshold);
    if (!line)
        line = number_difference("max-detections", theirs->max_detections, ours->max_detections);
    if (!line)
        line = number_difference("batch-size", theirs->batch_size, ours->batch_size);
    if (!line)
        line = number_difference("batch-timeout", (double)theirs->batch_timeout, (double)ours->batch_timeout);
    if (!line)
        line = number_difference("latency-budget", (double)theirs->latency_budget, (double)ours->latency_budget);
    if (!line)
        line = number_difference("tune", theirs->tune, ours->tune);
    if (!line)
        line = number_difference("fusion", theirs->fusion, ours->fusion);
    if (!line)
        line = number_difference("trace-ops", theirs->profile_ops, ours->profile_ops);
    return line;
}
