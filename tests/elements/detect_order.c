/* shrikedetect against a recording of what GStreamer's identity does with the same input: the same events, in
 * the same places between the same buffers. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elements.h"

#include <string.h>

#define SMALL "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/1"
#define OTHER "video/x-raw,format=RGB,width=50,height=40,framerate=25/1"

/* ---- The input ---- */

/* What is pushed, made once, so that both elements get the very same events. NULL: a drain query. */
struct input {
    GPtrArray *items; /* GstEvent and GstBuffer */
    guint buffers;
};

static void add(struct input *input, gpointer item)
{
    g_ptr_array_add(input->items, item);
}

static void add_caps(struct input *input, const char *text)
{
    GstCaps *caps = gst_caps_from_string(text);
    add(input, gst_event_new_caps(caps));
    gst_caps_unref(caps);
}

static void add_segment(struct input *input, GstClockTime start)
{
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = segment.time = start;
    add(input, gst_event_new_segment(&segment));
}

static void add_custom(struct input *input, GstEventType type, const char *name)
{
    add(input, gst_event_new_custom(type, gst_structure_new_empty(name)));
}

static void add_random_event(struct input *input, struct test_rng *rng, guint i)
{
    switch (test_random_below(rng, 8)) {
    case 0:
        add(input, gst_event_new_gap(i * 40 * GST_MSECOND, 40 * GST_MSECOND));
        break;
    case 1:
        add(input, gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "test", GST_TAG_TRACK_NUMBER, i, NULL)));
        break;
    case 2:
        add_custom(input, GST_EVENT_CUSTOM_DOWNSTREAM, "passing");
        break;
    case 3:
        add_custom(input, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, "sticky");
        break;
    case 4:
        add(input, gst_event_new_segment_done(GST_FORMAT_TIME, i * 40 * GST_MSECOND));
        break;
    case 5:
        add(input, gst_event_new_stream_group_done(i + 1));
        break;
    case 6:
        add_segment(input, i * GST_MSECOND);
        break;
    default:
        add(input, NULL);
    }
}

/* Buffers with 0 to 2 events before each; other caps now and then. */
static struct input make_input(guint seed)
{
    struct input input = {.items = g_ptr_array_new()};
    struct test_rng rng = {seed};
    gboolean small = TRUE;
    add(&input, gst_event_new_stream_start("one"));
    add_caps(&input, SMALL);
    add_segment(&input, 0);
    for (guint i = 0; i < 60; i++) {
        for (guint events = test_random_below(&rng, 3); events > 0; events--)
            add_random_event(&input, &rng, i);
        if (test_random_below(&rng, 8) == 0) {
            small = !small;
            add_caps(&input, small ? SMALL : OTHER);
        }
        add(&input, elements_picture(small ? SMALL : OTHER, i));
        input.buffers++;
    }
    add_custom(&input, GST_EVENT_CUSTOM_DOWNSTREAM, "last");
    add(&input, gst_event_new_eos());
    return input;
}

static void free_input(struct input *input)
{
    for (guint i = 0; i < input->items->len; i++)
        if (g_ptr_array_index(input->items, i))
            gst_mini_object_unref(g_ptr_array_index(input->items, i));
    g_ptr_array_unref(input->items);
}

/* ---- The recording ---- */

struct recording {
    GMutex lock;
    GCond changed;
    GPtrArray *lines;
    char *first; /* recorded from here on: before it is what the harness sends of its own */
    gboolean ended;
};

/* identity makes a new event of caps, and passes all others on as they are. */
static char *describe_event(GstEvent *event)
{
    GstCaps *caps;
    if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS)
        return g_strdup_printf("%s %u", GST_EVENT_TYPE_NAME(event), gst_event_get_seqnum(event));
    gst_event_parse_caps(event, &caps);
    char *text = gst_caps_to_string(caps), *line = g_strdup_printf("caps %s", text);
    g_free(text);
    return line;
}

static char *describe(GstPadProbeInfo *info)
{
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER)
        return g_strdup_printf("buffer %" G_GUINT64_FORMAT,
                               GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)) / GST_MSECOND);
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM)
        return describe_event(GST_PAD_PROBE_INFO_EVENT(info));
    GstQuery *query = GST_PAD_PROBE_INFO_QUERY(info);
    return GST_QUERY_TYPE(query) == GST_QUERY_DRAIN ? g_strdup("query drain") : NULL;
}

static GstPadProbeReturn on_output(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    struct recording *recording = data;
    char *line = describe(info);
    g_mutex_lock(&recording->lock);
    if (line && (recording->lines->len > 0 || strcmp(line, recording->first) == 0))
        g_ptr_array_add(recording->lines, g_strdup(line));
    recording->ended = recording->ended || (line && g_str_has_prefix(line, "eos"));
    g_cond_broadcast(&recording->changed);
    g_mutex_unlock(&recording->lock);
    g_free(line);
    return GST_PAD_PROBE_OK;
}

static void push(GstHarness *harness, gpointer item)
{
    GstPad *pad = harness->srcpad;
    if (!item) {
        GstQuery *query = gst_query_new_drain();
        gst_pad_peer_query(pad, query);
        gst_query_unref(query);
    } else if (GST_IS_EVENT(item)) {
        ck_assert(gst_pad_push_event(pad, gst_event_ref(item)));
    } else {
        ck_assert_int_eq(gst_pad_push(pad, gst_buffer_copy(item)), GST_FLOW_OK);
    }
}

/* What leaves the element that `launch` makes, up to EOS. */
static GPtrArray *record(const char *launch, const struct input *input, GstBus **bus)
{
    struct recording recording = {.lines = g_ptr_array_new_with_free_func(g_free),
                                  .first = describe_event(g_ptr_array_index(input->items, 0))};
    GstHarness *harness = elements_harness(launch, NULL, bus);
    GstPad *pad = gst_element_get_static_pad(harness->element, "src");
    g_mutex_init(&recording.lock);
    g_cond_init(&recording.changed);
    gst_pad_add_probe(pad,
                      GST_PAD_PROBE_TYPE_DATA_DOWNSTREAM | GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM |
                          GST_PAD_PROBE_TYPE_PUSH,
                      on_output, &recording, NULL);
    for (guint i = 0; i < input->items->len; i++)
        push(harness, g_ptr_array_index(input->items, i));
    g_mutex_lock(&recording.lock);
    while (!recording.ended)
        g_cond_wait(&recording.changed, &recording.lock);
    g_mutex_unlock(&recording.lock);
    gst_object_unref(pad);
    elements_no_error(*bus);
    elements_teardown(&harness, bus);
    g_mutex_clear(&recording.lock);
    g_cond_clear(&recording.changed);
    g_free(recording.first);
    return recording.lines;
}

/* ---- Comparing ---- */

static gboolean is_buffer(GPtrArray *lines, guint i)
{
    return g_str_has_prefix(g_ptr_array_index(lines, i), "buffer ");
}

/* Line by line; of `expected`, buffers may be missing if `dropping`. Returns how many are. */
static guint compare(GPtrArray *expected, GPtrArray *found, gboolean dropping)
{
    guint missing = 0, i = 0;
    for (guint k = 0; k < expected->len; k++) {
        const char *line = g_ptr_array_index(expected, k);
        const char *other = i < found->len ? g_ptr_array_index(found, i) : "nothing";
        if (strcmp(line, other) == 0) {
            i++;
            continue;
        }
        ck_assert_msg(dropping && is_buffer(expected, k), "line %u: %s, identity: %s", i, other, line);
        missing++;
    }
    ck_assert_uint_eq(i, found->len);
    return missing;
}

static const char *const policies[] = {"none", "leaky", "hold", "skip"};

/* Many seeds, one policy in each loop. Frames come faster than one can be inferred at a time, so that the
 * policies have something to do; skip, the only one that drops, drops nothing but buffers. */
START_TEST(test_like_identity)
{
    const char *policy = policies[_i];
    gboolean dropping = strcmp(policy, "skip") == 0;
    char *launch = g_strdup_printf("shrikedetect max-in-flight=1 drop-policy=%s", policy);
    for (guint seed = 1; seed <= 4; seed++) {
        GstBus *bus;
        struct input input = make_input(seed);
        GPtrArray *expected = record("identity", &input, &bus), *found = record(launch, &input, &bus);
        ck_assert_uint_gt(expected->len, input.buffers + 3);
        guint missing = compare(expected, found, dropping);
        ck_assert_uint_lt(missing, input.buffers);
        g_ptr_array_unref(expected);
        g_ptr_array_unref(found);
        free_input(&input);
    }
    g_free(launch);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("detect-order");
    TCase *tcase = tcase_create("order");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_like_identity, 0, G_N_ELEMENTS(policies));
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return elements_main(make_suite, ELEMENTS_NEED_DEVICE);
}
