/* The kit's real models on its images: the reference layer by layer, every device by its outputs and, to say
 * where it goes wrong if it does, layer by layer as well.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit_run.h"
#include "op_case.h"
#include "support.h"

static JsonArray *goldens;

/* IEEE 802.3, as zlib's. */
static uint32_t crc32(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

static JsonParser *parse(const char *path)
{
    GError *error = NULL;
    JsonParser *parser = json_parser_new();
    if (!json_parser_load_from_file(parser, path, &error))
        ck_abort_msg("%s: %s", path, error->message);
    return parser;
}

/* Checksums of every layer but the detections, whose floats may be off by one unit in the last place. */
static void check_layers(const struct kit_run *run, const char *folder, const char *where)
{
    char path[512];
    struct shk_error error;
    snprintf(path, sizeof(path), "%s/layers.json", folder);
    JsonParser *parser = parse(path);
    JsonArray *layers = json_node_get_array(json_parser_get_root(parser));
    for (guint i = 0; i < json_array_get_length(layers); i++) {
        JsonObject *layer = json_array_get_object_element(layers, i);
        JsonObject *out = json_object_get_object_member(layer, "out");
        const char *type = json_object_get_string_member(layer, "type");
        size_t bytes = (size_t)json_object_get_int_member(out, "bytes");
        uint32_t tensor = (uint32_t)json_object_get_int_member(out, "tensor");
        uint8_t *values = malloc(bytes);
        test_ok(shk_session_read_tensor(run->session, run->ticket, tensor, values, bytes, &error), &error);
        uint32_t want = (uint32_t)strtoul(json_object_get_string_member(layer, "crc32"), NULL, 16);
        if (crc32(values, bytes) != want && strcmp(type, "TFLite_Detection_PostProcess") != 0)
            ck_abort_msg("%s on %s: op %d %s is the first whose output differs (%s)", folder, where,
                         (int)json_object_get_int_member(layer, "op"), type,
                         json_object_get_string_member(out, "name"));
        free(values);
    }
    g_object_unref(parser);
}

static void run(const char *model, const char *folder, struct shk_device *device, bool keep_tensors)
{
    struct kit_run r = kit_run(model, folder, device, keep_tensors);
    if (keep_tensors)
        check_layers(&r, folder, kit_where(device));
    for (uint32_t i = 0; i < r.output_count; i++)
        kit_run_check_output(&r, folder, i, kit_where(device));
    kit_run_finish(&r);
}

/* SHRIKE_TEST_MODELS, files separated by anything, leaves out the others. */
static bool is_wanted(const char *model)
{
    const char *wanted = getenv("SHRIKE_TEST_MODELS");
    return !wanted || strstr(wanted, model);
}

START_TEST(test_golden)
{
    char model[512], folder[512];
    JsonObject *entry = json_array_get_object_element(goldens, (guint)_i);
    if (!is_wanted(json_object_get_string_member(entry, "model")))
        return;
    snprintf(model, sizeof(model), "%s",
             test_kit("models/%s", json_object_get_string_member(entry, "model")));
    snprintf(folder, sizeof(folder), "%s",
             test_kit("goldens/%s", json_object_get_string_member(entry, "dir")));
    run(model, folder, NULL, true);
    for (uint32_t d = 0; d < op_device_count(); d++) {
        run(model, folder, op_device(d), true);
        run(model, folder, op_device(d), false);
    }
    op_device_check_validation();
}
END_TEST

/* One with detections, one with many ops, and a small one. */
static const char *const batched[] = {"qeng_detect.tflite", "yolox_nano_320_dw.tflite", "person_detect.tflite"};

/* All goldens of a model in one batch, the first of them once more where there are only two. */
START_TEST(test_batch_of_goldens)
{
    char model[512], folders[KIT_BATCH][512];
    uint32_t count = 0;
    if (!is_wanted(batched[_i]))
        return;
    for (guint i = 0; i < 2 * json_array_get_length(goldens) && count < KIT_BATCH; i++) {
        JsonObject *entry = json_array_get_object_element(goldens, i % json_array_get_length(goldens));
        if (strcmp(json_object_get_string_member(entry, "model"), batched[_i]) == 0)
            snprintf(folders[count++], sizeof(folders[0]), "%s",
                     test_kit("goldens/%s", json_object_get_string_member(entry, "dir")));
    }
    if (count < KIT_BATCH)
        return; /* a kit without the model */
    snprintf(model, sizeof(model), "%s", test_kit("models/%s", batched[_i]));
    for (uint32_t d = 0; d < op_device_count(); d++)
        kit_run_check_batch(model, folders, op_device(d));
    op_device_check_validation();
}
END_TEST

int main(void)
{
    const char *path = test_kit("goldens/index.json");
    GError *error = NULL;
    JsonParser *index_parser = json_parser_new();
    if (!path || !json_parser_load_from_file(index_parser, path, &error)) {
        fprintf(stderr, "no models to test: %s\n", error ? error->message : "no kit");
        return TEST_SKIP;
    }
    Suite *suite = suite_create("goldens");
    TCase *tcase = tcase_create("goldens");
    tcase_set_timeout(tcase, 0);
    goldens = json_node_get_array(json_parser_get_root(index_parser));
    tcase_add_loop_test(tcase, test_golden, 0, (int)json_array_get_length(goldens));
    tcase_add_loop_test(tcase, test_batch_of_goldens, 0, (int)SHK_ARRAY_LEN(batched));
    suite_add_tcase(suite, tcase);
    int status = op_case_main(suite);
    g_object_unref(index_parser);
    return status;
}
