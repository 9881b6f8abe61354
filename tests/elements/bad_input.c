/* Bad input to a pipeline, line by line: sidecars, batches beyond the device's memory, absurd caps, files
 * that cannot be written. A clear message each, no stall, and nothing is lost that was accepted before. This
 * program stands between libshrike and the Vulkan loader and can make the device's memory small.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "elements.h"

#include <dlfcn.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include <shrike/model.h>

#include "shrike_meta.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"

/* ---- A small device ---- */

static VkDeviceSize heap_limit; /* bytes; 0: none. Set while no device is open */

static void shrink(VkPhysicalDeviceMemoryProperties *memory)
{
    for (uint32_t i = 0; heap_limit && i < memory->memoryHeapCount; i++)
        memory->memoryHeaps[i].size = MIN(memory->memoryHeaps[i].size, heap_limit);
}

VKAPI_ATTR void VKAPI_CALL vkGetPhysicalDeviceMemoryProperties(VkPhysicalDevice device,
                                                               VkPhysicalDeviceMemoryProperties *memory)
{
    PFN_vkGetPhysicalDeviceMemoryProperties real =
        (PFN_vkGetPhysicalDeviceMemoryProperties)dlsym(RTLD_NEXT, "vkGetPhysicalDeviceMemoryProperties");
    real(device, memory);
    shrink(memory);
}

VKAPI_ATTR void VKAPI_CALL vkGetPhysicalDeviceMemoryProperties2(VkPhysicalDevice device,
                                                                VkPhysicalDeviceMemoryProperties2 *memory)
{
    PFN_vkGetPhysicalDeviceMemoryProperties2 real =
        (PFN_vkGetPhysicalDeviceMemoryProperties2)dlsym(RTLD_NEXT, "vkGetPhysicalDeviceMemoryProperties2");
    real(device, memory);
    shrink(&memory->memoryProperties);
    for (VkBaseOutStructure *next = memory->pNext; heap_limit && next; next = next->pNext) {
        VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = (VkPhysicalDeviceMemoryBudgetPropertiesEXT *)next;
        if (next->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT)
            continue;
        for (uint32_t i = 0; i < memory->memoryProperties.memoryHeapCount; i++) {
            budget->heapBudget[i] = heap_limit;
            budget->heapUsage[i] = 0;
        }
    }
}

/* ---- Files ---- */

static char *folder;

static char *path_of(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static void write_text(const char *name, const char *text)
{
    char *path = path_of(name);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    g_free(path);
}

/* With the default model as model.tflite in it. */
static void make_folder(void)
{
    gsize size;
    folder = g_dir_make_tmp("shrike-bad-input-XXXXXX", NULL);
    uint8_t *model = test_read_file(SHRIKE_DEFAULT_MODEL, &size);
    char *path = path_of("model.tflite");
    ck_assert_ptr_nonnull(model);
    ck_assert(g_file_set_contents(path, (const char *)model, (gssize)size, NULL));
    g_free(path);
    free(model);
}

static void remove_folder(void)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));) {
        char *path = path_of(name);
        g_unlink(path);
        g_free(path);
    }
    g_dir_close(dir);
    ck_assert_int_eq(g_rmdir(folder), 0);
    g_clear_pointer(&folder, g_free);
}

/* ---- Starting ---- */

static GstElement *make_element(GstBus **bus)
{
    GstElement *element = gst_object_ref_sink(gst_element_factory_make("shrikedetect", NULL));
    *bus = gst_bus_new();
    gst_element_set_bus(element, *bus);
    return element;
}

static void free_element(GstElement *element, GstBus *bus)
{
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    gst_element_set_bus(element, NULL);
    gst_object_unref(element);
    gst_bus_set_flushing(bus, TRUE);
    gst_object_unref(bus);
}

/* It must not start, and say why in one message, which is returned. */
static char *refuse(GstElement *element, GstBus *bus)
{
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    char *text = elements_pop_message(bus, GST_MESSAGE_ERROR);
    ck_assert_msg(text != NULL, "refused without a word");
    elements_no_error(bus);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    return text;
}

static void expect_words(char *text, const char *const *words)
{
    for (; *words; words++)
        ck_assert_msg(strstr(text, *words) != NULL, "no \"%s\" in: %s", *words, text);
    g_free(text);
}

#define WORDS(...)                                                                                           \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

/* ---- Sidecars ---- */

static char *name_of_input(void)
{
    struct shk_model *model = NULL;
    struct shk_tensor_info info;
    struct shk_error error;
    test_ok(shk_model_load_default(&model, &error), &error);
    shk_model_get_tensor(model, shk_model_input(model, 0), &info);
    char *name = g_strdup(info.name);
    shk_model_destroy(&model);
    return name;
}

/* A key that is not known, one that contradicts the model; without them the model runs. */
START_TEST(test_sidecars)
{
    GstBus *bus;
    GstElement *element = make_element(&bus);
    char *path = path_of("model.tflite"), *sidecar = path_of("model.tflite.modelinfo"),
         *input = name_of_input();
    g_object_set(element, "model-file", path, NULL);
    write_text("model.tflite.modelinfo", "[modelinfo]\nversion=1.0\nanchor=3\n");
    expect_words(refuse(element, bus), WORDS("model.tflite.modelinfo:3", "unknown key", "'anchor'"));
    char *text = g_strdup_printf("[modelinfo]\nversion=1.0\n[%s]\ndims=1,7,7,3\n", input);
    write_text("model.tflite.modelinfo", text);
    expect_words(refuse(element, bus),
                 WORDS("model.tflite.modelinfo:4", "dims", "expected 1,", "found '1,7,7,3'"));
    write_text("model.tflite.modelinfo", "[modelinfo]\nversion=1.0\ndecoder=yolov8\n");
    expect_words(refuse(element, bus), WORDS("model.tflite.modelinfo", "yolov8"));
    ck_assert_int_eq(g_unlink(sidecar), 0);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
    g_free(text);
    g_free(input);
    g_free(sidecar);
    g_free(path);
    free_element(element, bus);
}
END_TEST

/* ---- Batches ---- */

static guint number_behind(const char *text, const char *words)
{
    const char *at = strstr(text, words);
    ck_assert_msg(at != NULL, "no \"%s\" in: %s", words, text);
    return (guint)strtoul(at + strlen(words), NULL, 10);
}

/* The message names the property and what fits, and that is true: a batch of half as many (copies need
 * memory, too) is taken by the element that was refused. */
START_TEST(test_batch_beyond_memory)
{
    GstBus *bus;
    heap_limit = 5 << 20;
    GstElement *element = make_element(&bus);
    g_object_set(element, "batch-size", 32, "max-in-flight", 1, NULL);
    char *text = refuse(element, bus);
    ck_assert_msg(strstr(text, "batch-size=32: ") != NULL, "no batch-size in: %s", text);
    guint most = number_behind(text, "batch_size of at most ");
    ck_assert_msg(most >= 2 && most < 32, "%s", text);
    g_object_set(element, "batch-size", most / 2, NULL);
    GstStateChangeReturn result = gst_element_set_state(element, GST_STATE_PAUSED);
    heap_limit = 0;
    ck_assert_int_eq(result, GST_STATE_CHANGE_SUCCESS);
    elements_no_error(bus);
    g_free(text);
    free_element(element, bus);
}
END_TEST

/* ---- Caps ---- */

static char *make_caps(const char *format, guint width, guint height, const char *rate)
{
    return g_strdup_printf("video/x-raw,format=%s,width=%u,height=%u,framerate=%s", format, width, height,
                           rate);
}

/* Sizes at the edges of what can be read, with frame rates that say nothing or too much. */
START_TEST(test_odd_caps)
{
    static const guint sizes[][2] = {{1, 1}, {16384, 1}, {1, 16384}, {2, 1}};
    static const char *const formats[] = {"GRAY8", "NV12", "YUY2"}, *const rates[] = {"0/1", "2147483647/1",
                                                                                      "1/2147483647"};
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect ! shriketrack ! shrikeoverlay show-latency=true "
                                           "show-histogram=true",
                                           NULL, &bus);
    for (guint i = 0; i < G_N_ELEMENTS(sizes) * G_N_ELEMENTS(formats); i++) {
        const guint *size = sizes[i / G_N_ELEMENTS(formats)];
        char *caps =
            make_caps(formats[i % G_N_ELEMENTS(formats)], size[0], size[1], rates[i % G_N_ELEMENTS(rates)]);
        gst_harness_set_src_caps_str(harness, caps);
        ck_assert_msg(gst_harness_push(harness, elements_picture(caps, i)) == GST_FLOW_OK, "%s", caps);
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert_str_eq(gst_structure_get_string(elements_latency(buffer), SHRIKE_FIELD_STATUS),
                         SHRIKE_STATUS_INFERRED);
        gst_buffer_unref(buffer);
        elements_no_error(bus);
        g_free(caps);
    }
    ck_assert_uint_gt(gst_harness_query_latency(harness), 0);
    elements_teardown(&harness, &bus);
}
END_TEST

static void expect_frames(GstHarness *harness, guint first, guint count)
{
    for (guint i = first; i < first + count; i++) {
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert_ptr_nonnull(buffer);
        ck_assert_uint_eq(GST_BUFFER_PTS(buffer), i * 40 * GST_MSECOND);
        gst_buffer_unref(buffer);
    }
}

/* Refused before upstream makes a frame of them; frames from before come out, and the stream goes on after.
 */
START_TEST(test_absurd_caps)
{
    static const guint sizes[][2] = {
        {100000, 100000}, {16385, 1}, {1, 16385}, {20000, 20000}, {2147483647, 2147483647}};
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect max-in-flight=4", CAPS, &bus);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        char *text = make_caps("NV12", sizes[i][0], sizes[i][1], "30/1"),
             *width = g_strdup_printf("width=(int)%u", sizes[i][0]);
        GstCaps *caps = gst_caps_from_string(text);
        for (guint k = 0; k < 4; k++)
            ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 4 * i + k)), GST_FLOW_OK);
        gst_harness_push_event(harness, gst_event_new_caps(caps));
        expect_words(elements_pop_message(bus, GST_MESSAGE_ERROR),
                     WORDS(width, "16384 pixels", "videoscale"));
        ck_assert_int_eq(gst_harness_push(harness, gst_buffer_new_allocate(NULL, 100, NULL)),
                         GST_FLOW_NOT_NEGOTIATED);
        expect_frames(harness, 4 * i, 4);
        gst_harness_set_src_caps_str(harness, CAPS);
        elements_no_error(bus);
        gst_caps_unref(caps);
        g_free(width);
        g_free(text);
    }
    elements_teardown(&harness, &bus);
}
END_TEST

/* A query may come with any caps: no pool for 4 GiB, whose size a query cannot say, but an answer. */
START_TEST(test_absurd_allocation)
{
    GstBus *bus;
    GstHarness *harness = elements_harness("shrikedetect", CAPS, &bus);
    char *text = make_caps("RGBA", 32768, 32768, "30/1");
    GstCaps *caps = gst_caps_from_string(text);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);
    ck_assert(gst_pad_peer_query(harness->srcpad, query));
    for (guint i = 0; i < gst_query_get_n_allocation_pools(query); i++) {
        GstBufferPool *pool = NULL;
        gst_query_parse_nth_allocation_pool(query, i, &pool, NULL, NULL, NULL);
        ck_assert_ptr_null(pool);
    }
    gst_query_unref(query);
    gst_caps_unref(caps);
    g_free(text);
    ck_assert_int_eq(gst_harness_push(harness, elements_picture(CAPS, 0)), GST_FLOW_OK);
    expect_frames(harness, 0, 1);
    elements_no_error(bus);
    elements_teardown(&harness, &bus);
}
END_TEST

/* In a pipeline, too: an error, not a stall, and not memory of that size. Larger ones videotestsrc refuses
 * itself. */
START_TEST(test_absurd_pipeline)
{
    GstElement *pipeline = gst_parse_launch(
        "videotestsrc ! video/x-raw,format=GRAY8,width=20000,height=20000 ! shrikedetect ! fakesink", NULL);
    GstBus *bus = gst_element_get_bus(pipeline);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_ERROR);
    GError *error = NULL;
    gst_message_parse_error(message, &error, NULL);
    expect_words(g_strdup(error->message), WORDS("width=(int)20000", "16384 pixels"));
    g_error_free(error);
    gst_message_unref(message);
    gst_object_unref(bus);
    ck_assert_int_eq(gst_element_set_state(pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    gst_object_unref(pipeline);
}
END_TEST

/* ---- Trace files ---- */

START_TEST(test_unwritable_trace)
{
    GstBus *bus;
    GstElement *element = make_element(&bus);
    g_object_set(element, "trace-file", "/nonexistent/trace.json", NULL);
    expect_words(refuse(element, bus), WORDS("/nonexistent/trace.json", "No such file", "name a file"));
    g_object_set(element, "trace-file", folder, NULL);
    expect_words(refuse(element, bus), WORDS(folder, "Is a directory"));
    g_object_set(element, "trace-file", NULL, NULL);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
    free_element(element, bus);
}
END_TEST

/* ---- roi ---- */

START_TEST(test_bad_roi)
{
    static const char *const bad[] = {"0,0,1",   "0,0,1,1,1",    "0,0,2,1",           "nan,0,1,1",
                                      "a,b,c,d", "0.5,0,0.6,1",  "0,0,0,1",           "0,0,1,1;-0.1,0,1,1",
                                      "0 0 1 1", "0,0,1e-400,1", "0,0,1,1;0,0,inf,1", "0,0,1,0x1p-3q"};
    GstBus *bus;
    GstElement *element = make_element(&bus);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_object_set(element, "roi", bad[i], NULL);
        expect_words(refuse(element, bus), WORDS("roi rectangle \"", "expected x,y,width,height"));
    }
    GString *many = g_string_new(NULL);
    for (guint i = 0; i < 33; i++)
        g_string_append(many, "0,0,1,1;");
    g_object_set(element, "roi", many->str, NULL);
    expect_words(refuse(element, bus), WORDS("more than 32 rectangles"));
    g_string_free(many, TRUE);
    g_object_set(element, "roi", "0,0,1,1;", NULL);
    ck_assert_int_eq(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
    free_element(element, bus);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("bad-input");
    TCase *tcase = tcase_create("bad input");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, make_folder, remove_folder);
    tcase_add_test(tcase, test_sidecars);
    tcase_add_test(tcase, test_batch_beyond_memory);
    tcase_add_test(tcase, test_odd_caps);
    tcase_add_test(tcase, test_absurd_caps);
    tcase_add_test(tcase, test_absurd_allocation);
    tcase_add_test(tcase, test_absurd_pipeline);
    tcase_add_test(tcase, test_unwritable_trace);
    tcase_add_test(tcase, test_bad_roi);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
