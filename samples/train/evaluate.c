/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shrike-evaluate: mean average precision of a detector of the generated shapes, measured through libshrike.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/shrike.h>

#include "precision.h"

#define LEAST_IOU        0.5f
#define LOWEST_SCORE     0.02f /* the curve needs the unlikely detections too */
#define REPORT_THRESHOLD 0.5f

struct options {
    const char *model, *device;
    uint64_t seed, count;
    int width, height;
    bool reference, json;
};

struct evaluation {
    struct options options;
    struct shk_device *device;
    struct shk_model *model;
    struct shk_session *session;
    struct scene scene;
    uint8_t *rgb;
    struct class_record records[SCENE_CLASSES];
};

static const char usage[] =
    "Usage: shrike-evaluate [options] [MODEL.tflite]\n"
    "mAP@0.5 of a detector of generated shapes (default: the embedded model) on scenes that shrike-scenes "
    "makes.\n"
    "  --seed N       series of scenes (default 2; the default model is trained on series 1)\n"
    "  --count N      number of scenes (default 1000)\n"
    "  --size WxH     size of the scenes in pixels (default 256x192)\n"
    "  --device D     index, UUID or part of the name of the Vulkan device\n"
    "  --reference    run the C reference on the CPU\n"
    "  --json         print JSON instead of a table\n";

static bool parse_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"seed", 1, NULL, 's'},      {"count", 1, NULL, 'n'},
        {"size", 1, NULL, 'z'},      {"device", 1, NULL, 'd'},
        {"reference", 0, NULL, 'r'}, {"json", 0, NULL, 'j'},
        {"help", 0, NULL, 'h'},      {0},
    };
    int option;
    char after;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 's' && sscanf(optarg, "%" SCNu64 "%c", &o->seed, &after) == 1)
            continue;
        if (option == 'n' && sscanf(optarg, "%" SCNu64 "%c", &o->count, &after) == 1 && o->count > 0)
            continue;
        if (option == 'z' && sscanf(optarg, "%dx%d%c", &o->width, &o->height, &after) == 2 &&
            o->width >= 16 && o->height >= 16 && o->width <= 8192 && o->height <= 8192)
            continue;
        if (option == 'd')
            o->device = optarg;
        else if (option == 'r')
            o->reference = true;
        else if (option == 'j')
            o->json = true;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
        }
    }
    o->model = optind < argc ? argv[optind] : NULL;
    return argc - optind <= 1;
}

static enum shk_status open_session(struct evaluation *e, struct shk_error *error)
{
    const struct options *o = &e->options;
    struct shk_device_params device_params = SHK_DEVICE_PARAMS_DEFAULT;
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_frame_format format = {.format = SHK_FORMAT_RGB, .width = (uint32_t)o->width};
    enum shk_status status;

    format.height = (uint32_t)o->height;
    device_params.select = o->device;
    params.score_threshold = LOWEST_SCORE;
    status =
        o->model ? shk_model_load_file(o->model, &e->model, error) : shk_model_load_default(&e->model, error);
    if (status == SHK_OK && !o->reference)
        status = shk_device_create(&device_params, &e->device, error);
    if (status == SHK_OK)
        status = shk_session_create(e->device, e->model, &params, &e->session, error);
    if (status == SHK_OK)
        status = shk_session_configure(e->session, &format, error);
    return status;
}

static enum shk_status evaluate_frame(struct evaluation *e, uint64_t index, struct shk_error *error)
{
    const struct options *o = &e->options;
    struct scene_object truths[SCENE_MAX_SPRITES];
    struct shk_frame frame = {.plane = {e->rgb}, .stride = {(uint32_t)o->width * 3}};
    struct shk_result result;
    enum shk_status status;

    frame.plane_size[0] = (size_t)o->width * (size_t)o->height * 3;
    scene_compose(&e->scene, o->seed, index, false);
    int count = scene_render(&e->scene, e->rgb, truths);
    status = shk_session_submit(e->session, &frame, NULL, error);
    if (status == SHK_OK)
        status = shk_session_wait(e->session, UINT64_MAX, &result, error);
    if (status != SHK_OK)
        return status;
    if (!record_frame(e->records, LEAST_IOU, result.detections, result.detection_count, truths, count)) {
        *error = (struct shk_error){SHK_ERROR_OUT_OF_HOST_MEMORY, "out of memory for the detections"};
        status = SHK_ERROR_OUT_OF_HOST_MEMORY;
    }
    shk_session_release(e->session, result.ticket);
    return status;
}

static void report(struct evaluation *e)
{
    bool json = e->options.json;
    double sum = 0;

    if (json)
        printf("{\"scenes\": %" PRIu64 ", \"seed\": %" PRIu64 ", \"classes\": {", e->options.count,
               e->options.seed);
    else
        printf("%-10s %8s %8s   at confidence %.1f: %s %s\n", "class", "objects", "AP@0.5",
               (double)REPORT_THRESHOLD, "precision", "recall");
    for (int c = 0; c < SCENE_CLASSES; c++) {
        double precision, recall, ap = average_precision(&e->records[c]);

        precision_recall(&e->records[c], REPORT_THRESHOLD, &precision, &recall);
        sum += ap;
        printf(json ? "%s\"%s\": {\"objects\": %zu, \"ap\": %.4f, \"precision\": %.4f, \"recall\": %.4f}"
                    : "%s%-10s %8zu %8.4f %28.4f %6.4f\n",
               json && c ? ", " : "", scene_class_name(c), e->records[c].truths, ap, precision, recall);
    }
    printf(json ? "}, \"map\": %.4f}\n" : "mAP@0.5 %.4f\n", sum / SCENE_CLASSES);
}

int main(int argc, char **argv)
{
    struct evaluation e = {.options = {.seed = 2, .count = 1000, .width = 256, .height = 192}};
    struct shk_error error = {SHK_ERROR_OUT_OF_HOST_MEMORY, "out of memory for frames"};
    enum shk_status status;

    if (!parse_options(argc, argv, &e.options)) {
        fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    status = open_session(&e, &error);
    if (status != SHK_OK)
        goto out;
    e.rgb = malloc((size_t)e.options.width * (size_t)e.options.height * 3);
    if (!e.rgb || !scene_init(&e.scene, e.options.width, e.options.height)) {
        status = SHK_ERROR_OUT_OF_HOST_MEMORY;
        goto out;
    }
    for (uint64_t i = 0; i < e.options.count && status == SHK_OK; i++)
        status = evaluate_frame(&e, i, &error);
    if (status == SHK_OK)
        report(&e);
out:
    if (status != SHK_OK)
        fprintf(stderr, "shrike-evaluate: %s\n", error.message);
    shk_session_destroy(&e.session);
    shk_model_destroy(&e.model);
    shk_device_destroy(&e.device);
    scene_finish(&e.scene);
    record_finish(e.records);
    free(e.rgb);
    return status == SHK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
