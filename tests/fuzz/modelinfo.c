/* Takes the bytes for the sidecar of each of a few models that are nothing but heads, and decodes with what
 * it is told. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/builder.h>

#include "fuzz.h"
#include "model.h"
#include "support.h"
#include "utf8.h"

#define require(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

#define MODELS          4
#define MAX_OUTPUT_SIZE 8192

struct output {
    const char *name;
    uint32_t rank;
    int32_t dims[4];
    bool is_float;
};

static const struct output outputs_of[MODELS][2] = {
    {{"coarse", 4, {1, 2, 2, 14}, false}, {"fine", 4, {1, 4, 4, 7}, true}},
    {{"boxes", 3, {1, 80, 4}, true}, {"scores", 3, {1, 80, 3}, false}},
    {{"rows", 3, {1, 260, 7}, true}},
    {{"classes", 2, {1, 5}, false}},
};

/* An output that comes from zeros. */
static int32_t add_output(struct shk_builder *b, const struct output *o)
{
    static const uint8_t zeros[MAX_OUTPUT_SIZE];
    static const float scale = 0.125f;
    static const int32_t zero_point = 0;
    size_t size = 1;
    for (uint32_t i = 0; i < o->rank; i++)
        size *= (size_t)o->dims[i];
    int32_t constant = shk_builder_tensor(b, "zeros", SHK_DTYPE_INT8, o->rank, o->dims, 1, &scale,
                                          &zero_point, 0, zeros, size);
    int32_t quantized = shk_builder_tensor(b, o->is_float ? "quantized" : o->name, SHK_DTYPE_INT8, o->rank,
                                           o->dims, 1, &scale, &zero_point, 0, NULL, 0);
    shk_builder_op(b, "QUANTIZE", &constant, 1, &quantized, 1, NULL);
    if (!o->is_float)
        return quantized;
    int32_t real =
        shk_builder_tensor(b, o->name, SHK_DTYPE_FLOAT32, o->rank, o->dims, 0, NULL, NULL, 0, NULL, 0);
    shk_builder_op(b, "DEQUANTIZE", &quantized, 1, &real, 1, NULL);
    return real;
}

static struct shk_model *make(const struct output *outputs)
{
    static const float scale = 1.0f / 255;
    static const int32_t zero_point = -128, dims[] = {1, 64, 64, 3};
    struct shk_builder *b = shk_builder_create();
    struct shk_model *model = NULL;
    struct shk_error error;
    void *data = NULL;
    size_t size = 0;
    int32_t out[2], count = 0;
    int32_t image =
        shk_builder_tensor(b, "image", SHK_DTYPE_INT8, 4, dims, 1, &scale, &zero_point, 0, NULL, 0);
    for (; count < 2 && outputs[count].name; count++)
        out[count] = add_output(b, &outputs[count]);
    shk_builder_set_inputs(b, &image, 1);
    shk_builder_set_outputs(b, out, (uint32_t)count);
    if (shk_builder_serialize(b, &data, &size, &error) ||
        shk_model_load_memory(data, size, "fuzz", &model, &error)) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    shk_builder_destroy(&b);
    free(data);
    return model;
}

/* Made once, for the life of the process. */
static struct shk_model *get_model(int i)
{
    static struct shk_model *made[MODELS];
    if (!made[i])
        made[i] = make(outputs_of[i]);
    return made[i];
}

static void check(const struct shk_detector *detector, const struct shk_detection *d, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        require(d[i].class_id < detector->class_count && d[i].confidence >= 0 && d[i].confidence <= 1);
        require(i == 0 || d[i].confidence <= d[i - 1].confidence);
        require(0 <= d[i].x_min && d[i].x_min < d[i].x_max && d[i].x_max <= 1);
        require(0 <= d[i].y_min && d[i].y_min < d[i].y_max && d[i].y_max <= 1);
    }
}

static void decode(const struct shk_model *model, uint64_t seed)
{
    static uint8_t bytes[2][MAX_OUTPUT_SIZE];
    static struct shk_detection detections[1000];
    const void *outputs[] = {bytes[0], bytes[1]};
    const struct shk_detector *detector = &model->detector;
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct test_rng rng = {seed};
    struct shk_nms *nms;
    params.score_threshold = 0.01f;
    params.max_detections = 1000;
    test_random_bytes(&rng, bytes, sizeof(bytes));
    require(shk_nms_create(detector->candidates, &nms, NULL) == SHK_OK);
    struct shk_decode frame = {detector, model->graph, &params, outputs, SHK_PLACEMENT_IDENTITY, nms};
    require(detector->def->capacity(detector, model->graph, &params) <= 1000);
    check(detector, detections, detector->def->decode(&frame, detections));
    shk_nms_destroy(&nms);
}

static void apply(struct shk_model *model, const uint8_t *data, size_t size)
{
    struct shk_modelinfo info;
    struct shk_error error = {0};
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    enum shk_status status = shk_modelinfo_parse(text, size, "fuzz.modelinfo", model->graph, &info, &error);
    if (!status)
        status = shk_detector_init(&model->detector, model->graph, &info, &error);
    free(text);
    if (status) {
        require(status == SHK_ERROR_BAD_MODEL && error.status == status);
        require(strncmp(error.message, "fuzz.modelinfo:", 15) == 0);
        require(shk_utf8_is_line(error.message, strlen(error.message)));
    } else if (model->detector.def) {
        decode(model, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int i = 0; i < MODELS; i++)
        apply(get_model(i), data, size);
    return 0;
}
