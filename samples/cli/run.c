/* shrike run: one picture, or one set of raw tensors, through a model.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <glib/gstdio.h>

#include "cli.h"
#include "image.h"
#include "json.h"
#include "output.h"
#include "table.h"

static const struct cli_help help = {
    .name = "run",
    .usage = "MODEL [PICTURE]",
    .summary = "Runs a model once: on a picture (PNG, JPEG, BMP, PGM or PPM), or on raw tensors, one --input for\n"
               "each input of the model. Prints the detections, or the outputs of a model that has none.",
    .description =
        "Raw tensors are the dense bytes of the tensor in the model's own type, rows outermost first. --dump\n"
        "writes out_0.bin, out_1.bin ... in the same layout.\n"
        "\n"
        "A classifier prints its five best classes unless --threshold or --max-detections say otherwise.\n"
        "\n"
        "Examples:\n"
        "  shrike run default picture.png --annotate boxes.png\n"
        "  shrike run ssd.tflite street.jpg --labels coco.txt --threshold 0.4 --json\n"
        "  shrike run model.tflite --input in_0.bin --input in_1.bin --dump results\n\n" CLI_HELP_TAIL,
};

struct run {
    struct cli cli;
    gboolean json, reference, letterbox, area, bgr;
    char *labels, *annotate, *dump;
    char **inputs;
    double threshold, iou;
    int max_detections;

    struct image image; /* rgb NULL: raw tensors */
    GPtrArray *tensors;
    struct shk_session *session;
    struct shk_result result;
};

static int check_options(struct run *run)
{
    const char *picture = run->cli.args[1];
    if (!picture == !run->inputs)
        return cli_fail(CLI_USAGE, "give either a picture or --input (once per model input); see shrike run --help");
    if (run->annotate && !picture)
        return cli_fail(CLI_USAGE, "--annotate needs a picture to draw on");
    if (!isnan(run->threshold) && !(run->threshold >= 0 && run->threshold <= 1))
        return cli_fail(CLI_USAGE, "--threshold %g is outside 0 to 1", run->threshold);
    if (!isnan(run->iou) && !(run->iou >= 0 && run->iou <= 1))
        return cli_fail(CLI_USAGE, "--iou %g is outside 0 to 1", run->iou);
    if (run->max_detections < 0 || run->max_detections > 1000)
        return cli_fail(CLI_USAGE, "--max-detections %d is outside 1 to 1000", run->max_detections);
    return CLI_OK;
}

static int open_session(struct run *run)
{
    struct shk_session_params params = cli_session_params(&run->cli);
    bool classifier = shk_model_decoder(run->cli.model) == SHK_DECODER_CLASSIFICATION;
    params.frames_in_flight = 1;
    params.resize = run->letterbox ? SHK_RESIZE_LETTERBOX : SHK_RESIZE_STRETCH;
    params.filter = run->area ? SHK_FILTER_AREA : SHK_FILTER_BILINEAR;
    params.bgr = run->bgr;
    params.score_threshold = !isnan(run->threshold) ? run->threshold : classifier ? 0.0f : -1.0f;
    params.iou_threshold = !isnan(run->iou) ? run->iou : -1.0f;
    params.max_detections = run->max_detections > 0 ? run->max_detections : classifier ? 5 : 0;
    struct shk_error error;
    if (shk_session_create(run->cli.device, run->cli.model, &params, &run->session, &error))
        return cli_fail_status(&error);
    return CLI_OK;
}

static int submit(struct run *run)
{
    struct shk_error error;
    if (run->tensors) {
        if (shk_session_submit_tensors(run->session, (const void *const *)run->tensors->pdata, run->tensors->len, NULL,
                                       NULL, &error))
            return cli_fail_status(&error);
        return CLI_OK;
    }
    const struct image *image = &run->image;
    const struct shk_frame_format format = {SHK_FORMAT_RGB, image->width, image->height};
    const struct shk_frame frame = {
        .plane = {image->rgb},
        .plane_size = {(size_t)image->width * image->height * 3},
        .stride = {image->width * 3},
    };
    if (shk_session_configure(run->session, &format, &error) || shk_session_submit(run->session, &frame, NULL, &error))
        return cli_fail_status(&error);
    return CLI_OK;
}

static int dump_outputs(const struct run *run, GPtrArray *outputs)
{
    if (g_mkdir_with_parents(run->dump, 0777) != 0)
        return cli_fail(CLI_FAILED, "%s: cannot create the folder: %s", run->dump, g_strerror(errno));
    for (guint i = 0; i < outputs->len; i++) {
        struct shk_tensor_info info;
        GError *error = NULL;
        shk_model_get_tensor(run->cli.model, shk_model_output(run->cli.model, i), &info);
        char *file = g_strdup_printf("out_%u.bin", i), *path = g_build_filename(run->dump, file, NULL);
        g_file_set_contents(path, outputs->pdata[i], info.bytes, &error);
        g_free(file);
        g_free(path);
        if (error)
            return cli_fail_gerror(CLI_FAILED, error);
    }
    return CLI_OK;
}

static int annotate(const struct run *run)
{
    const struct shk_result *result = &run->result;
    char **captions = g_new0(char *, result->detection_count + 1);
    for (uint32_t i = 0; i < result->detection_count; i++) {
        char buffer[32];
        captions[i] = g_strdup_printf("%s %.2f", cli_label(&run->cli, result->detections[i].class_id, buffer),
                                      result->detections[i].confidence);
    }
    GError *error = NULL;
    image_annotate(run->annotate, &run->image, result->detections, captions, result->detection_count, &error);
    g_strfreev(captions);
    return error ? cli_fail_gerror(CLI_FAILED, error) : CLI_OK;
}

static void print_detections(const struct run *run)
{
    const struct shk_result *result = &run->result;
    double width = run->image.rgb ? run->image.width : 1, height = run->image.rgb ? run->image.height : 1;
    int digits = run->image.rgb ? 0 : 3;
    if (result->detection_count == 0) {
        printf("nothing found\n");
        return;
    }
    struct table *table = table_new(">#|label|>score|>x|>y|>width|>height");
    for (uint32_t i = 0; i < result->detection_count; i++) {
        const struct shk_detection *d = &result->detections[i];
        char buffer[32];
        table_cell(table, "%u", i);
        table_cell(table, "%s", cli_label(&run->cli, d->class_id, buffer));
        table_cell(table, "%.3f", d->confidence);
        table_cell(table, "%.*f", digits, d->x_min * width);
        table_cell(table, "%.*f", digits, d->y_min * height);
        table_cell(table, "%.*f", digits, (d->x_max - d->x_min) * width);
        table_cell(table, "%.*f", digits, (d->y_max - d->y_min) * height);
    }
    table_finish(table);
}

static const char *device_name(const struct run *run, struct shk_device_info *info)
{
    if (!run->cli.device)
        return "CPU reference";
    shk_device_get_info(run->cli.device, info);
    return info->name;
}

static void print_text(const struct run *run, GPtrArray *outputs)
{
    struct shk_device_info device;
    printf("%s on %s", shk_model_name(run->cli.model), device_name(run, &device));
    if (run->image.rgb)
        printf(", %s %ux%u", run->cli.args[1], run->image.width, run->image.height);
    printf("\n\n");
    if (shk_model_decoder(run->cli.model) == SHK_DECODER_NONE)
        output_print(run->cli.model, outputs);
    else
        print_detections(run);
    printf("\n");
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++)
        printf("%s%s %.2f ms", stage ? ", " : "", shk_stage_string(stage), run->result.stages[stage].duration / 1e6);
    printf("\n");
    if (run->annotate)
        printf("picture with boxes: %s\n", run->annotate);
    if (run->dump)
        printf("raw outputs: %s\n", run->dump);
}

static void json_detections(JsonBuilder *b, const struct run *run)
{
    json_open_array(b, "detections");
    for (uint32_t i = 0; i < run->result.detection_count; i++) {
        const struct shk_detection *d = &run->result.detections[i];
        char buffer[32];
        json_open_object(b, NULL);
        json_string(b, "label", cli_label(&run->cli, d->class_id, buffer));
        json_integer(b, "label_id", d->class_id);
        json_number(b, "confidence", d->confidence);
        json_number(b, "x_min", d->x_min);
        json_number(b, "y_min", d->y_min);
        json_number(b, "x_max", d->x_max);
        json_number(b, "y_max", d->y_max);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

static void print_json(const struct run *run, GPtrArray *outputs)
{
    struct shk_device_info device;
    JsonBuilder *b = json_builder_new();
    json_open_object(b, NULL);
    json_string(b, "model", shk_model_name(run->cli.model));
    json_string(b, "device", device_name(run, &device));
    if (run->image.rgb) {
        json_string(b, "picture", run->cli.args[1]);
        json_integer(b, "width", run->image.width);
        json_integer(b, "height", run->image.height);
    }
    json_detections(b, run);
    if (shk_model_decoder(run->cli.model) == SHK_DECODER_NONE)
        output_json(b, run->cli.model, outputs);
    json_open_object(b, "stages_ns");
    for (int stage = 0; stage < SHK_STAGE_COUNT; stage++)
        json_integer(b, shk_stage_string(stage), run->result.stages[stage].duration);
    json_builder_end_object(b);
    json_builder_end_object(b);
    json_finish(b);
}

static int report(struct run *run)
{
    GPtrArray *outputs;
    int code = output_read(run->session, run->cli.model, run->result.ticket, &outputs);
    if (code)
        return code;
    if (run->dump)
        code = dump_outputs(run, outputs);
    if (!code && run->annotate)
        code = annotate(run);
    if (!code)
        (run->json ? print_json : print_text)(run, outputs);
    g_ptr_array_unref(outputs);
    return code;
}

static int execute(struct run *run)
{
    struct shk_error error;
    int code = open_session(run);
    if (!code)
        code = submit(run);
    if (code)
        return code;
    if (shk_session_wait(run->session, UINT64_MAX, &run->result, &error))
        return cli_fail_status(&error);
    code = report(run);
    shk_session_release(run->session, run->result.ticket);
    return code;
}

static int load(struct run *run)
{
    GError *error = NULL;
    int code = cli_open_model(&run->cli, run->cli.args[0]);
    if (!code)
        code = cli_open_labels(&run->cli, run->labels);
    if (!code && run->inputs)
        code = cli_read_inputs(&run->cli, run->inputs, &run->tensors);
    else if (!code && !image_load(run->cli.args[1], &run->image, &error))
        code = cli_fail_gerror(error->domain == G_FILE_ERROR ? CLI_FAILED : CLI_BAD_INPUT, error);
    if (!code)
        code = cli_open_device(&run->cli, run->reference);
    return code;
}

int cmd_run(char **argv)
{
    struct run run = {.threshold = NAN, .iou = NAN};
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &run.json, "Print JSON instead of a table", NULL},
        {"annotate", 'a', 0, G_OPTION_ARG_FILENAME, &run.annotate, "Write the picture with boxes", "OUT.png"},
        {"labels", 'l', 0, G_OPTION_ARG_FILENAME, &run.labels, "Class names, one per line", "FILE"},
        {"input", 'i', 0, G_OPTION_ARG_FILENAME_ARRAY, &run.inputs, "Raw bytes of the next input", "FILE"},
        {"dump", 0, 0, G_OPTION_ARG_FILENAME, &run.dump, "Write the raw outputs as DIR/out_<k>.bin", "DIR"},
        {"reference", 0, 0, G_OPTION_ARG_NONE, &run.reference, "Run the plain C reference, not a device", NULL},
        {"threshold", 't', 0, G_OPTION_ARG_DOUBLE, &run.threshold, "Lowest score to report, 0 to 1", "S"},
        {"iou", 0, 0, G_OPTION_ARG_DOUBLE, &run.iou, "Largest overlap of two boxes of a class, 0 to 1", "X"},
        {"max-detections", 'm', 0, G_OPTION_ARG_INT, &run.max_detections, "Most detections to report", "N"},
        {"letterbox", 0, 0, G_OPTION_ARG_NONE, &run.letterbox, "Keep the aspect ratio (default: stretch)", NULL},
        {"area", 0, 0, G_OPTION_ARG_NONE, &run.area, "Average when shrinking (default: bilinear)", NULL},
        {"bgr", 0, 0, G_OPTION_ARG_NONE, &run.bgr, "The model takes blue first", NULL},
        CLI_NO_FUSION,
        {NULL},
    };
    int code = cli_parse(&run.cli, argv, &help, entries, 1, 2);
    if (!code)
        code = check_options(&run);
    if (!code)
        code = load(&run);
    if (!code)
        code = execute(&run);
    shk_session_destroy(&run.session);
    image_clear(&run.image);
    if (run.tensors)
        g_ptr_array_unref(run.tensors);
    g_strfreev(run.inputs);
    g_free(run.labels);
    g_free(run.annotate);
    g_free(run.dump);
    return cli_close(&run.cli, code);
}
