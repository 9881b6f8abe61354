/* What becomes of the metadata in GStreamer's own elements. The table in the README says it, and this suite
 * checks the table: where an element of a new version treats them better, or worse, the README is wrong from
 * then on. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "detect_meta.h"
#include "shrike_meta.h"

#ifdef SHRIKE_HAVE_ANALYTICS
#include <gst/analytics/analytics.h>
#endif

#define WIDTH  160
#define HEIGHT 120
#define CAPS   "video/x-raw,format=RGB,width=160,height=120,framerate=25/1"
#define LEFT   20 /* that videocrop takes away */
#define TOP    10

/* The table's words. */
#define RIGHT "right" /* says where the objects are in the new frame */
#define STALE "stale" /* says where they were in the old one */
#define WRONG "wrong" /* says neither */
#define LOST  "lost"

enum change { SAME, HALVED, CROPPED, MIRRORED };

static const struct element_case {
    const char *element; /* as the table names it */
    const char *launch;
    enum change change;
    guint output; /* which buffer is looked at: videorate's second one is a copy */
} cases[] = {
    {"queue", "queue", SAME, 0},
    {"tee", "tee ! identity", SAME, 0},
    {"videorate", "videorate ! capsfilter caps=video/x-raw,framerate=50/1", SAME, 1},
    {"videoconvert", "videoconvert ! capsfilter caps=video/x-raw,format=NV12", SAME, 0},
    {"videoscale", "videoscale ! capsfilter caps=video/x-raw,width=80,height=60", HALVED, 0},
    {"videocrop", "videocrop left=20 top=10", CROPPED, 0},
    {"videoflip", "videoflip video-direction=horiz", MIRRORED, 0},
    {"compositor", "identity ! compositor ! capsfilter caps=video/x-raw,format=RGB,width=160,height=120",
     SAME, 0},
};

enum { COLUMN_ROI, COLUMN_PARAMS, COLUMN_LATENCY, COLUMN_ANALYTICS, COLUMNS };
static const char *const columns[COLUMNS] = {"ROI boxes", "ROI parameters", "ShrikeLatency", "GstAnalytics"};

/* Inside of what videocrop leaves; whole pixels also when halved. */
static const struct shk_detection objects[] = {
    {0, 0.875f, 0.25f, 0.25f, 0.5f, 0.5f},
    {1, 0.625f, 0.5f, 0.3f, 0.75f, 0.8f},
};

/* ---- In and out ---- */

static GstBuffer *make_buffer(guint number)
{
    GQuark names[] = {g_quark_from_string("ball"), g_quark_from_string("box")};
    const struct engine_labels labels = {.names = names, .count = 2, .decoder = SHK_DECODER_SSD};
    const struct detect_meta_context context = {
        .labels = &labels, .device = "none", .stream = "detector", .kinds = detect_meta_kinds_default()};
    const struct detect_meta_part part = {objects, G_N_ELEMENTS(objects), -1};
    struct detect_meta_frame frame = {.parts = &part,
                                      .part_count = 1,
                                      .area = {WIDTH, HEIGHT, 0, 0, WIDTH, HEIGHT},
                                      .in_flight = 1,
                                      .batch_size = 1};
    for (guint i = 0; i < SHK_STAGE_COUNT; i++)
        frame.stages[i] = (struct shk_stage_time){1000 + i, 100 + i};
    GstBuffer *buffer = elements_picture(CAPS, number);
    detect_meta_attach(buffer, &context, &frame);
    return buffer;
}

static GstBuffer *pass(const struct element_case *c)
{
    GstBus *bus;
    GstHarness *harness = elements_harness(c->launch, CAPS, &bus);
    for (guint i = 0; i < 2; i++)
        ck_assert_int_eq(gst_harness_push(harness, make_buffer(i)), GST_FLOW_OK);
    ck_assert(gst_harness_push_event(harness, gst_event_new_eos()));
    for (guint i = 0; i < c->output; i++)
        gst_buffer_unref(gst_harness_pull(harness));
    GstBuffer *buffer = gst_harness_pull(harness);
    ck_assert_ptr_nonnull(buffer);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
    return buffer;
}

/* ---- What is found ---- */

struct box {
    double left, top, right, bottom; /* pixels */
};

static void frame_size(enum change change, double *width, double *height)
{
    *width = change == HALVED ? WIDTH / 2 : change == CROPPED ? WIDTH - LEFT : WIDTH;
    *height = change == HALVED ? HEIGHT / 2 : change == CROPPED ? HEIGHT - TOP : HEIGHT;
}

static struct box old_box(const struct shk_detection *d)
{
    return (struct box){d->x_min * WIDTH, d->y_min * HEIGHT, d->x_max * WIDTH, d->y_max * HEIGHT};
}

static struct box new_box(const struct shk_detection *d, enum change change)
{
    struct box box = old_box(d);
    switch (change) {
    case SAME:
        return box;
    case HALVED:
        return (struct box){box.left / 2, box.top / 2, box.right / 2, box.bottom / 2};
    case CROPPED:
        return (struct box){box.left - LEFT, box.top - TOP, box.right - LEFT, box.bottom - TOP};
    case MIRRORED:
        return (struct box){WIDTH - box.right, box.top, WIDTH - box.left, box.bottom};
    }
    g_assert_not_reached();
}

static gboolean close_to(struct box a, struct box b)
{
    return fabs(a.left - b.left) <= 1.01 && fabs(a.top - b.top) <= 1.01 && fabs(a.right - b.right) <= 1.01 &&
           fabs(a.bottom - b.bottom) <= 1.01;
}

/* The word for boxes in pixels, one for each object. */
static const char *judge_pixels(const struct box *found, guint count, enum change change)
{
    gboolean right = TRUE, stale = TRUE;
    if (count == 0)
        return LOST;
    if (count != G_N_ELEMENTS(objects))
        return WRONG;
    for (guint i = 0; i < count; i++) {
        right = right && close_to(found[i], new_box(&objects[i], change));
        stale = stale && close_to(found[i], old_box(&objects[i]));
    }
    return right ? RIGHT : stale ? STALE : WRONG;
}

/* The same for normalised boxes: they are right if they are when taken as parts of the new frame. */
static const char *judge_normalised(const struct box *found, guint count, enum change change)
{
    struct box in_new[G_N_ELEMENTS(objects)], in_old[G_N_ELEMENTS(objects)];
    double width, height;
    frame_size(change, &width, &height);
    for (guint i = 0; i < MIN(count, G_N_ELEMENTS(objects)); i++) {
        const struct box *box = &found[i];
        in_new[i] =
            (struct box){box->left * width, box->top * height, box->right * width, box->bottom * height};
        in_old[i] =
            (struct box){box->left * WIDTH, box->top * HEIGHT, box->right * WIDTH, box->bottom * HEIGHT};
    }
    const char *word = judge_pixels(in_new, count, change);
    return strcmp(word, WRONG) == 0 && strcmp(judge_pixels(in_old, count, SAME), RIGHT) == 0 ? STALE : word;
}

static gboolean read_normalised(const GstStructure *fields, struct box *box, guint index)
{
    double confidence;
    gint label_id;
    return gst_structure_get(fields, "label_id", G_TYPE_INT, &label_id, "confidence", G_TYPE_DOUBLE,
                             &confidence, "x_min", G_TYPE_DOUBLE, &box->left, "y_min", G_TYPE_DOUBLE,
                             &box->top, "x_max", G_TYPE_DOUBLE, &box->right, "y_max", G_TYPE_DOUBLE,
                             &box->bottom, NULL) &&
           label_id == (gint)objects[index].class_id && confidence == (double)objects[index].confidence;
}

static void judge_regions(GstBuffer *buffer, enum change change, const char **words)
{
    struct box boxes[G_N_ELEMENTS(objects)], params[G_N_ELEMENTS(objects)];
    guint count = 0, param_count = 0;
    gpointer state = NULL;
    GstMeta *meta;
    while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state,
                                                    GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *)meta;
        const GstStructure *fields =
            gst_video_region_of_interest_meta_get_param(region, SHRIKE_DETECTION_PARAMS);
        ck_assert_uint_lt(count, G_N_ELEMENTS(objects));
        if (fields && read_normalised(fields, &params[param_count], count))
            param_count++;
        boxes[count++] = (struct box){region->x, region->y, region->x + region->w, region->y + region->h};
    }
    words[COLUMN_ROI] = judge_pixels(boxes, count, change);
    words[COLUMN_PARAMS] = judge_normalised(params, param_count, change);
}

static void judge_latency(GstBuffer *buffer, enum change change, const char **words)
{
    struct box boxes[G_N_ELEMENTS(objects)];
    guint64 duration;
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, SHRIKE_LATENCY_META);
    words[COLUMN_LATENCY] = LOST;
    if (!meta)
        return;
    GstStructure *fields = gst_custom_meta_get_structure(meta);
    const GValue *list = gst_structure_get_value(fields, SHRIKE_FIELD_DETECTIONS);
    ck_assert(gst_structure_get_uint64(fields, "inference-duration", &duration));
    ck_assert_uint_eq(duration, 100 + SHK_STAGE_INFERENCE);
    ck_assert_uint_eq(gst_value_array_get_size(list), G_N_ELEMENTS(objects));
    for (guint i = 0; i < G_N_ELEMENTS(objects); i++)
        ck_assert(read_normalised(gst_value_get_structure(gst_value_array_get_value(list, i)), &boxes[i], i));
    words[COLUMN_LATENCY] = judge_normalised(boxes, G_N_ELEMENTS(objects), change);
}

static void judge_analytics(GstBuffer *buffer, enum change change, const char **words)
{
    words[COLUMN_ANALYTICS] = NULL;
#ifdef SHRIKE_HAVE_ANALYTICS
    GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta(buffer);
    GstAnalyticsODMtd mtd;
    gpointer state = NULL;
    struct box boxes[G_N_ELEMENTS(objects)];
    guint count = 0;
    while (meta &&
           gst_analytics_relation_meta_iterate(meta, &state, gst_analytics_od_mtd_get_mtd_type(), &mtd)) {
        gint x, y, w, h;
        gfloat confidence;
        ck_assert_uint_lt(count, G_N_ELEMENTS(objects));
        ck_assert(gst_analytics_od_mtd_get_location(&mtd, &x, &y, &w, &h, &confidence));
        boxes[count++] = (struct box){x, y, x + w, y + h};
    }
    words[COLUMN_ANALYTICS] = judge_pixels(boxes, count, change);
#endif
}

/* ---- What the README says ---- */

/* A row's cells, to be freed with g_strfreev(), of the table that has these columns; NULL: it has no such
 * row. */
static char **find_row(const char *element)
{
    char *text, **row = NULL,
                *header = g_strdup_printf("| element | %s | %s | %s | %s |", columns[0], columns[1],
                                          columns[2], columns[3]);
    ck_assert_msg(g_file_get_contents(SHRIKE_README, &text, NULL, NULL), "cannot read " SHRIKE_README);
    char **lines = g_strsplit(text, "\n", -1), *start = g_strdup_printf("| `%s` |", element);
    guint i = 0;
    while (lines[i] && strcmp(lines[i], header) != 0)
        i++;
    ck_assert_msg(lines[i] != NULL, "the README has no table \"%s\"", header);
    for (i++; lines[i] && lines[i][0] == '|' && !row; i++)
        if (g_str_has_prefix(lines[i], start))
            row = g_strsplit(lines[i] + strlen(start), "|", -1);
    for (i = 0; row && row[i]; i++)
        g_strstrip(row[i]);
    g_strfreev(lines);
    g_free(start);
    g_free(text);
    g_free(header);
    return row;
}

/* A cell is a word, or "1.22: word, 1.26: word" with the versions that it was seen on. The word of
 * GStreamer 1.`minor`, to be freed; NULL: it lies between two versions. */
static char *cell_word(const char *cell, guint minor)
{
    char *word = NULL;
    if (!strchr(cell, ':'))
        return g_strdup(cell);
    char **parts = g_strsplit(cell, ", ", -1);
    for (guint i = 0; parts[i]; i++) {
        guint seen;
        char found[16];
        ck_assert_msg(sscanf(parts[i], "1.%u: %15s", &seen, found) == 2, "cell \"%s\"", cell);
        if (seen == minor || (!parts[i + 1] && minor > seen))
            word = g_strdup(found);
    }
    g_strfreev(parts);
    return word;
}

START_TEST(test_cell)
{
    static const struct {
        const char *cell;
        guint minor;
        const char *word;
    } examples[] = {{"right", 22, "right"},
                    {"1.22: lost, 1.26: right", 22, "lost"},
                    {"1.22: lost, 1.26: right", 24, NULL},
                    {"1.22: lost, 1.26: right", 26, "right"},
                    {"1.22: lost, 1.26: right", 28, "right"}};
    for (gsize i = 0; i < G_N_ELEMENTS(examples); i++) {
        char *word = cell_word(examples[i].cell, examples[i].minor);
        ck_assert(g_strcmp0(word, examples[i].word) == 0);
        g_free(word);
    }
}
END_TEST

START_TEST(test_element)
{
    const struct element_case *c = &cases[_i];
    const char *words[COLUMNS];
    guint major, minor, micro, nano;
    GstElementFactory *factory = gst_element_factory_find(c->element);
    if (!factory) {
        printf("%s is not there: not tested\n", c->element);
        return;
    }
    gst_object_unref(factory);
    GstBuffer *buffer = pass(c);
    judge_regions(buffer, c->change, words);
    judge_latency(buffer, c->change, words);
    judge_analytics(buffer, c->change, words);
    gst_buffer_unref(buffer);
    g_print("%s:", c->element);
    for (guint i = 0; i < COLUMNS; i++)
        g_print(" %s%s", words[i] ? words[i] : "-", i + 1 < COLUMNS ? "," : "\n");
    gst_version(&major, &minor, &micro, &nano);
    char **row = find_row(c->element);
    ck_assert_msg(row && g_strv_length(row) >= COLUMNS, "no row for %s in the README's table", c->element);
    for (guint i = 0; i < COLUMNS; i++) {
        char *word = words[i] ? cell_word(row[i], minor) : NULL;
        ck_assert_msg(!word || strcmp(word, words[i]) == 0, "%s, %s: the README says %s, found %s",
                      c->element, columns[i], word, words[i]);
        g_free(word);
    }
    g_strfreev(row);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("meta-survival");
    TCase *tcase = tcase_create("elements");
    detect_meta_register();
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_cell);
    tcase_add_loop_test(tcase, test_element, 0, G_N_ELEMENTS(cases));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, 0);
}
