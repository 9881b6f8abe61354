/* Sidecars: what they may say, and what is refused. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "head.h"
#include "session.h"

static const struct head_output outputs[2] = {{"coarse", {4, {1, 2, 2, 12}}, 0.125f, 0, 0, false},
                                              {"fine", {4, {1, 4, 4, 6}}, 0.125f, 0, 0, false}};

static const char good[] = "# all of it\r\n"
                           "\n"
                           "[modelinfo]\n"
                           "  version = 1.1 \n"
                           "group-id=head-out\n"
                           "decoder=yolov3\n"
                           "[image]\n"
                           "dir=input\n"
                           "type=int8\n"
                           "dims=-1,64,64,3\n"
                           "dims-order=row-major\n"
                           "caps=video/x-raw, format=(string)BGR\n"
                           "ranges=0.0,255.0;-1,1;0,1\n"
                           "[coarse]\n"
                           "dir=output\n"
                           "id=head-coarse\n"
                           "dims=1, 2, 2, 12\n"
                           "anchors=8,16;32,16.5\n"
                           "strides=32\n"
                           "scores=logits\n"
                           "[fine]\n"
                           "dims-order=col-major\n"
                           "scores=logits\n"
                           "anchors=4,4";

static struct shk_error error;
static struct shk_model *model;

static void setup(void)
{
    model = head_model(64, outputs, 2);
}

static void teardown(void)
{
    shk_model_destroy(&model);
}

START_TEST(everything)
{
    struct shk_modelinfo info;
    test_ok(head_sidecar(model, good, &info, &error), &error);
    ck_assert(info.has_decoder && info.decoder == SHK_DECODER_YOLOV3 && info.bgr && info.has_ranges);
    ck_assert(info.std[0] == 1.0f && info.mean[0] == 0.0f);
    ck_assert(info.std[1] == 127.5f && info.mean[1] == 127.5f);
    ck_assert(info.std[2] == 255.0f && info.mean[2] == 0.0f);
    ck_assert(info.outputs[0].line == 14 && info.outputs[0].anchor_lists == 1);
    const struct shk_anchor_list *anchors = &info.outputs[0].anchors[0];
    ck_assert(anchors->count == 2 && anchors->sizes[1][0] == 32.0f && anchors->sizes[1][1] == 16.5f);
    ck_assert_uint_eq(model->detector.candidates, 24);
}
END_TEST

/* `line` replaces the one of that number in the good file; 0: the whole file. */
static const struct {
    unsigned line;
    const char *text, *part;
} refused[] = {
    {0, "", "version=1.0"},
    {0, "[modelinfo]\n[image]\ndir=input\n", "version=1.0"},
    {0, "dir=input\n", ":1: a section"},
    {0, "[modelinfo]\nversion=1.0\n[coarse]\nanchors=8,16;32,16\n", "name one in [modelinfo]"},
    {0, "[modelinfo]\nversion=1.0\ndecoder=none\n[coarse]\nstrides=32\n", "key strides"},
    {0, "[modelinfo]\nversion=1.0\ndecoder=yolov3\n", "anchors=W,H"},
    {0, "[modelinfo]\nversion=1.0\ndecoder=yolov3\n[coarse]\nanchors=8,16;32,16\n", "[fine]"},
    {0, "[modelinfo]\nversion=1.0\ndecoder=yolox\n", "5 + classes"},
    {0, "[modelinfo]\nversion=1.0\ndecoder=yolov8\n", "4 + classes"},
    {0, "[modelinfo]\nversion=1.0\ndecoder=ssd\n", "TFLite_Detection_PostProcess"},
    {0, "[modelinfo]\nversion=1.0\ndecoder=classification\n", "vector"},
    {0, "[modelinfo]\nversion=1.0\n[fine]\nid=yolox-out\n", "decoder yolox"},
    {4, "version=2.0", "found '2.0'"},
    {4, "version=1", "found '1'"},
    {4, "version=1.0.1", "found '1.0.1'"},
    {6, "decoder=yolov99",
     "expected none, ssd, classification, yolox, yolov3, yolov5, "
     "yolov8, ssd-anchors, found 'yolov99'"},
    {6, "decodr=yolov3", ":6: unknown key; this section may have version, group-id, decoder, found 'decodr'"},
    {6, "version=1.0", "twice"},
    {6, "decoder", "found 'decoder'"},
    {7, "[imag]",
     ":7: [imag] is no input or output of the model; expected [modelinfo], [image], [coarse], [fine]"},
    {7, "[image", "']'"},
    {7, "[image]]", "']'"},
    {8, "dir=output", ":8: dir: expected input, found 'output'"},
    {9, "type=uint8", "type: expected int8, found 'uint8'"},
    {10, "dims=1,64,32,3", "dims: expected 1,64,64,3, found '1,64,32,3'"},
    {10, "dims=1,64,64", "found '1,64,64'"},
    {10, "dims=1,64,64,3,1", "found"},
    {10, "dims=", "found ''"},
    {11, "dims-order=up", "row-major"},
    {11, "anchors=1,2", "unknown key"},
    {12, "caps=video/x-raw,format=NV12", "format=RGB"},
    {12, "caps=video/x-raw", "format=RGB"},
    {13, "ranges=0,1;0,1", "as many as the input has channels"},
    {13, "ranges=0,1;0,1;0,1;0,1", "channels"},
    {13, "ranges=1,0", "min below max"},
    {13, "ranges=PLACEHOLDER", "found 'PLACEHOLDER'"},
    {13, "ranges=0,nan", "found"},
    {13, "ranges=-3e38,3e38", "found"},
    {18, "anchors=8,16;32", "width,height"},
    {18, "anchors=8,16", "as many anchors"},
    {18, "anchors=8,16;0,16", "width,height"},
    {18, "anchors=8,16;1e9,16", "width,height"},
    {18, "anchors=1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1;1,1", "up to 16"},
    {19, "strides=16", "one stride"},
    {19, "strides=16,32", "one stride"},
    {19, "strides=0", "1 to 4096"},
    {19, "strides=2.5", "whole"},
    {19, "boxes=cells", "key boxes, which decoder yolov3 does not read"},
    {19, "boxes=metres", "cells, pixels or normalized"},
    {0,
     "[modelinfo]\nversion=1.0\ndecoder=yolov3\n[coarse]\nanchors=8,16;32,16\nscores=softmax\n"
     "[fine]\nanchors=4,4\nscores=softmax\n",
     "yolov3 expects scores=logits or probabilities, found softmax"},
    {18, "anchors=8,16|32,16", "a section with anchors=W,H"},
    {20, "scores=high", "probabilities, logits or softmax"},
    {20, "scores=probabilities", "same scores="},
    {0, "[modelinfo]\nversion=1.0\n[coarse]\nanchors=8,16;32,16\n[fine]\nanchors=4,4\n",
     "name one in [modelinfo]"},
    {0, "[modelinfo]\nversion=1.0\n[fine]\nid=ssd-mobilenet-v1-variant-1-out-scores\n", "decoder ssd needs"},
    {0, "[modelinfo]\nversion=1.0\n[fine]\nid=classification-generic-softmaxed-out\n",
     "decoder classification"},
    {20, "\xff\xfe", ":20: not UTF-8"},
};

/* Replaces a line of the good file. */
static char *replace(unsigned number, const char *text)
{
    const char *begin = good;
    for (unsigned i = 1; i < number; i++)
        begin = strchr(begin, '\n') + 1;
    char *result = malloc(sizeof(good) + strlen(text) + 1);
    sprintf(result, "%.*s%s%s", (int)(begin - good), good, text, strchr(begin, '\n'));
    return result;
}

START_TEST(one_mistake)
{
    struct shk_modelinfo info;
    char *text = refused[_i].line ? replace(refused[_i].line, refused[_i].text) : strdup(refused[_i].text);
    error = (struct shk_error){0};
    ck_assert_msg(head_sidecar(model, text, &info, &error) == SHK_ERROR_BAD_MODEL, "accepted: %s",
                  refused[_i].text);
    ck_assert_msg(strstr(error.message, refused[_i].part) && strstr(error.message, "head.modelinfo"),
                  "'%s' is not in: %s", refused[_i].part, error.message);
    ck_assert_int_eq(shk_model_decoder(model), SHK_DECODER_NONE);
    ck_assert_int_eq(head_sidecar(model, text, &info, NULL), SHK_ERROR_BAD_MODEL);
    free(text);
}
END_TEST

/* Changes of the good file either give a detector that decodes, or an error. */
START_TEST(mutations)
{
    static const char marks[] = "[]=;,#\n\r\t .-0129e\xc3\x80";
    struct test_rng rng = {11};
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    static struct shk_detection d[1000];
    int8_t zeros[96] = {0};
    const void *heads[] = {zeros, zeros};
    unsigned accepted = 0;
    params.score_threshold = 0;
    for (int run = 0; run < 20000; run++) {
        struct shk_modelinfo info;
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        for (uint32_t n = 1 + test_random_below(&rng, 3); n; n--)
            text[test_random_below(&rng, sizeof(good) - 1)] =
                marks[test_random_below(&rng, sizeof(marks) - 1)];
        if (test_random_below(&rng, 8) == 0)
            text[test_random_below(&rng, sizeof(good))] = '\0';
        if (head_sidecar(model, text, &info, &error) || !model->detector.def)
            continue;
        accepted++;
        head_decode(model, &params, heads, d);
    }
    ck_assert_uint_gt(accepted, 100);
}
END_TEST

/* ---- as files ---- */

static char folder[] = "/tmp/shrike-modelinfo-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[2][sizeof(folder) + 64];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(in_folder(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_folder(void)
{
    size_t size;
    uint8_t *shapes = test_read_file(SHAPES, &size);
    strcpy(folder, "/tmp/shrike-modelinfo-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_ptr_nonnull(shapes);
    write_file("shapes.tflite", shapes, size);
    free(shapes);
}

static void remove_folder(void)
{
    static const char *const names[] = {"shapes.tflite", "shapes.modelinfo", "shapes.tflite.modelinfo"};
    for (size_t i = 0; i < SHK_ARRAY_LEN(names); i++)
        unlink(in_folder(names[i]));
    ck_assert_int_eq(rmdir(folder), 0);
}

static enum shk_status load(struct shk_model **loaded)
{
    *loaded = NULL;
    return shk_model_load_file(in_folder("shapes.tflite"), loaded, &error);
}

static void refuse(const char *part)
{
    struct shk_model *loaded;
    ck_assert_int_eq(load(&loaded), SHK_ERROR_BAD_MODEL);
    ck_assert_ptr_null(loaded);
    ck_assert_msg(strstr(error.message, part) != NULL, "'%s' is not in: %s", part, error.message);
}

START_TEST(next_to_the_model)
{
    static const char none[] = "[modelinfo]\nversion=1.0\ndecoder=none\n",
                      wrong[] = "[modelinfo]\nversio=1.0\n";
    struct shk_model *loaded;
    test_ok(load(&loaded), &error);
    ck_assert_int_eq(shk_model_decoder(loaded), SHK_DECODER_SSD);
    shk_model_destroy(&loaded);
    write_file("shapes.modelinfo", none, strlen(none));
    test_ok(load(&loaded), &error);
    ck_assert_int_eq(shk_model_decoder(loaded), SHK_DECODER_NONE);
    shk_model_destroy(&loaded);
    write_file("shapes.tflite.modelinfo", wrong, strlen(wrong)); /* the longer name goes first */
    refuse("shapes.tflite.modelinfo:2: unknown key");
}
END_TEST

START_TEST(bad_files)
{
    static char large[70000];
    memset(large, '#', sizeof(large));
    write_file("shapes.modelinfo", large, sizeof(large));
    refuse("70000 bytes");
    write_file("shapes.modelinfo", "[modelinfo]\0\nversion=1.0\n", 25);
    refuse("shapes.modelinfo:1: not UTF-8");
    write_file("shapes.modelinfo", "", 0);
    refuse("version is missing");
}
END_TEST

/* The session's own parameters win. */
START_TEST(normalisation)
{
    static const char text[] = "[modelinfo]\nversion=1.0\n[%s]\nranges=-2,3\ncaps=video/x-raw,format=BGR\n";
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_model *loaded;
    struct shk_session *session = NULL;
    char info[512];
    test_ok(load(&loaded), &error);
    size_t size =
        (size_t)snprintf(info, sizeof(info), text, loaded->graph->tensors[loaded->graph->inputs[0]].name);
    shk_model_destroy(&loaded);
    write_file("shapes.modelinfo", info, size);
    test_ok(load(&loaded), &error);
    test_ok(shk_session_create(NULL, loaded, &params, &session, &error), &error);
    ck_assert(session->params.bgr && session->params.std[2] == 51.0f && session->params.mean[0] == 102.0f);
    shk_session_destroy(&session);
    for (int c = 0; c < 3; c++)
        params.std[c] = 1.0f;
    test_ok(shk_session_create(NULL, loaded, &params, &session, &error), &error);
    ck_assert(session->params.std[2] == 1.0f && session->params.mean[0] == 0.0f);
    shk_session_destroy(&session);
    shk_model_destroy(&loaded);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("modelinfo");
    TCase *text = tcase_create("text"), *files = tcase_create("files");
    tcase_set_timeout(text, 120);
    tcase_add_checked_fixture(text, setup, teardown);
    tcase_add_test(text, everything);
    tcase_add_loop_test(text, one_mistake, 0, (int)SHK_ARRAY_LEN(refused));
    tcase_add_test(text, mutations);
    suite_add_tcase(suite, text);
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, next_to_the_model);
    tcase_add_test(files, bad_files);
    tcase_add_test(files, normalisation);
    suite_add_tcase(suite, files);
    return suite;
}

int main(void)
{
    return test_run(make_suite);
}
