/* Fusion: what goes into what, what does not, and that the bytes are the reference's either way.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "fusion_net.h"

static struct shk_error error;

/* ---- pads ---- */

START_TEST(a_pad_goes_into_a_convolution)
{
    for (int32_t channels = 3; channels <= 8; channels++) {
        struct net n = net_int8(channels);
        net_pad(&n, 0, -3);
        net_conv(&n, channels + 2, channels % 2);
        net_check(net_finish(&n, &n.x, 1), 1, 1);
        n = net_int8(channels);
        net_pad(&n, 0, -3);
        net_depthwise(&n, channels % 2);
        net_check(net_finish(&n, &n.x, 1), 1, 1);
        n = net_int8(channels); /* which does not read the pixel that it writes, then */
        net_pad(&n, 0, -3);
        net_pointwise(&n, channels + 2, NET_PLAIN);
        net_check(net_finish(&n, &n.x, 1), 1, 1);
        n = net_int8(channels);
        net_pad_behind(&n, -3);
        net_pointwise(&n, channels + 2, NET_PLAIN);
        net_check(net_finish(&n, &n.x, 1), 1, 1);
    }
}
END_TEST

START_TEST(a_pad_goes_into_all_that_read_it)
{
    struct net n = net_int8(6);
    net_pad(&n, 0, -3);
    int32_t padded = n.x, height = n.height, width = n.width, outputs[2];
    net_conv(&n, 5, false);
    outputs[0] = n.x;
    n.x = padded;
    n.height = height;
    n.width = width;
    n.channels = 6;
    net_depthwise(&n, true);
    outputs[1] = n.x;
    net_check(net_finish(&n, outputs, 2), 1, 1, 2);
}
END_TEST

START_TEST(a_pad_that_others_see_stays)
{
    struct net n = net_int8(6);
    net_pad(&n, 0, -3);
    int32_t outputs[] = {n.x, 0};
    net_conv(&n, 5, false);
    outputs[1] = n.x;
    net_check(net_finish(&n, outputs, 2), 0, 1);
    n = net_int8(6);
    net_pad(&n, 0, -3);
    int32_t padded = n.x, height = n.height, width = n.width;
    net_leaky(&n, -3);
    outputs[0] = n.x;
    n.x = padded;
    n.height = height;
    n.width = width;
    net_conv(&n, 5, false);
    outputs[1] = n.x;
    net_check(net_finish(&n, outputs, 2), 0, 1, 2);
}
END_TEST

START_TEST(a_pad_of_something_else_stays)
{
    struct net n = net_int8(6);
    net_pad(&n, 0, 4); /* not what a convolution takes the outside for */
    net_conv(&n, 5, false);
    net_check(net_finish(&n, &n.x, 1), 0, 1);
    n = net_int8(6);
    net_pad(&n, 2, -3); /* more channels */
    net_conv(&n, 5, false);
    net_check(net_finish(&n, &n.x, 1), 0, 1);
}
END_TEST

static void pool(struct net *n, const char *name)
{
    int32_t x = n->x;
    net_op(n, name, &x, 1, net_activation(n, n->height, n->width, n->channels, -3),
           "padding=SAME stride_w=1 stride_h=1 filter_width=3 filter_height=2");
}

START_TEST(a_pad_goes_into_a_maximum_that_it_cannot_change)
{
    struct net n = net_int8(6);
    net_pad(&n, 0, INT8_MIN);
    pool(&n, "MAX_POOL_2D");
    net_check(net_finish(&n, &n.x, 1), 1, 1);
    n = net_int8(6);
    net_pad(&n, 0, -3);
    pool(&n, "MAX_POOL_2D");
    net_check(net_finish(&n, &n.x, 1), 0, 1);
    n = net_int8(6);
    net_pad(&n, 0, INT8_MIN);
    pool(&n, "AVERAGE_POOL_2D");
    net_check(net_finish(&n, &n.x, 1), 0, 1);
}
END_TEST

/* ---- tables and sums ---- */

START_TEST(a_table_goes_into_the_convolution_before_it)
{
    for (int32_t channels = 3; channels <= 9; channels++) {
        struct net n = net_int8(channels);
        net_conv(&n, channels, true);
        net_leaky(&n, 20);
        net_leaky(&n, -40);
        net_check(net_finish(&n, &n.x, 1), 0, 0, 0);
        n = net_int8(channels);
        net_depthwise(&n, true);
        net_leaky(&n, 20);
        net_check(net_finish(&n, &n.x, 1), 0, 0);
    }
}
END_TEST

START_TEST(a_sum_goes_into_the_convolution_before_it)
{
    static const char *const attrs[] = {NULL, "fused_activation_function=RELU", "fused_activation_function=RELU6"};
    for (int32_t channels = 3; channels <= 9; channels++) {
        struct net n = net_int8(channels);
        int32_t x = n.x;
        net_conv(&n, channels, true);
        net_add(&n, channels % 2 ? x : n.x, channels % 2 ? n.x : x, attrs[channels % 3]);
        net_check(net_finish(&n, &n.x, 1), 0, 0);
    }
}
END_TEST

START_TEST(tables_and_a_sum_go_together)
{
    struct net n = net_int8(7);
    int32_t x = n.x;
    net_conv(&n, 7, true);
    net_leaky(&n, 20);
    net_add(&n, x, n.x, NULL);
    net_leaky(&n, 3);
    struct shk_model *model = net_finish(&n, &n.x, 1);
    net_check(model, 0, 0, 0, 0);
}
END_TEST

/* Groups of four channels of a picture that is large enough for a kernel of their own. */
START_TEST(tables_and_a_sum_go_into_groups)
{
    struct net n = net_int8(12);
    net_pad(&n, 0, 1);
    net_pad(&n, 0, 1);
    int32_t x = n.x, w = net_constant(&n, 4, (int32_t[]){12, 3, 3, 4}, 0.002f);
    int32_t y = net_activation(&n, n.height, n.width, 12, 5);
    net_op(&n, "CONV_2D", (int32_t[]){x, w}, 2, y, "stride_w=1 stride_h=1");
    net_leaky(&n, 20);
    net_add(&n, x, n.x, NULL);
    net_leaky(&n, 3);
    net_check(net_finish(&n, &n.x, 1), 0, 1, 2, 2, 2, 2);
}
END_TEST

/* Four heads of one picture and one of another: those with 1x1 filters are one dispatch, the 3x3 ones another. */
static struct shk_model *several_heads(void)
{
    struct net n = net_int8(9);
    int32_t x = n.x, outputs[5];
    for (int32_t i = 0; i < 5; i++) {
        int32_t size = i % 2 ? 3 : 1, filters = 28 + i;
        int32_t w = net_constant(&n, 4, (int32_t[]){filters, size, size, 9}, 0.002f);
        outputs[i] = net_tensor(&n, 4, (int32_t[]){1, NET_HEIGHT, NET_WIDTH, filters}, 0.05f, i);
        net_op(&n, "CONV_2D", (int32_t[]){x, w}, 2, outputs[i], "stride_w=1 stride_h=1");
        if (i == 2) {
            n.x = x;
            net_leaky(&n, 7);
            x = n.x;
        }
    }
    return net_finish(&n, outputs, 5);
}

START_TEST(heads_are_one_dispatch)
{
    struct shk_model *model = several_heads();
    ck_assert(setenv("SHRIKE_FORCE_VARIANT", "joined", 1) == 0); /* also on a CPU */
    /* three heads, of which two are alike; the other picture; a head of each kind */
    ck_assert_uint_eq(net_dispatches(model, 0), 5);
    net_check(model, 0, 1, 2, 3, 4, 5);
    ck_assert(unsetenv("SHRIKE_FORCE_VARIANT") == 0);
}
END_TEST

static struct shk_model *everything(void)
{
    struct net n = net_int8(7);
    net_leaky(&n, -3);
    int32_t x = n.x;
    net_pad(&n, 0, -3);
    net_conv(&n, 7, false);
    net_leaky(&n, 20);
    net_depthwise(&n, true);
    int32_t y = n.x;
    n.x = x;
    n.height = NET_HEIGHT;
    n.width = NET_WIDTH;
    net_conv(&n, 7, true);
    net_add(&n, n.x, x, NULL);
    net_leaky(&n, 3);
    return net_finish(&n, (int32_t[]){n.x, y}, 2);
}

START_TEST(every_kind_can_be_switched_off)
{
    net_check(everything(), 0, 2, 2, 2, 4, 5, 5, 5);
    net_check_without(everything(), SHK_FUSION_PAD, (const uint32_t[]){0, 1, 2, 2, 4, 5, 5, 5});
    net_check_without(everything(), SHK_FUSION_ADD, (const uint32_t[]){0, 2, 2, 2, 4, 5, 6, 7});
    net_check_without(everything(), SHK_FUSION_TABLE, (const uint32_t[]){0, 2, 2, 3, 4, 5, 5, 7});
    net_check_without(everything(), SHK_FUSION_ALL, (const uint32_t[]){0, 1, 2, 3, 4, 5, 6, 7});
}
END_TEST

/* Of two branches the later one can read the other's output. */
START_TEST(a_sum_goes_into_the_later_branch)
{
    struct net n = net_int8(5);
    int32_t x = n.x;
    net_conv(&n, 5, true);
    int32_t first = n.x;
    n.x = x;
    net_conv(&n, 5, true);
    net_add(&n, first, n.x, NULL);
    net_check(net_finish(&n, &n.x, 1), 0, 1, 1);
}
END_TEST

START_TEST(a_sum_with_a_constant_goes_into_the_convolution)
{
    struct net n = net_int8(6);
    net_conv(&n, 6, true);
    net_add(&n, net_constant(&n, 4, (int32_t[]){1, NET_HEIGHT, NET_WIDTH, 6}, 0.03f), n.x, NULL);
    net_check(net_finish(&n, &n.x, 1), 0, 0);
}
END_TEST

START_TEST(sums_that_read_something_else_stay)
{
    struct net n = net_int8(6);
    net_conv(&n, 6, true);
    net_add(&n, n.x, n.x, NULL); /* twice the same */
    net_check(net_finish(&n, &n.x, 1), 0, 1);
    n = net_int8(6);
    net_conv(&n, 6, true);
    net_add(&n, n.x, net_constant(&n, 4, (int32_t[]){1, 1, 1, 6}, 0.03f), NULL); /* broadcast */
    net_check(net_finish(&n, &n.x, 1), 0, 1);
    n = net_int8(6);
    int32_t x = n.x;
    net_depthwise(&n, true);
    net_add(&n, n.x, x, NULL); /* no such kernel */
    net_check(net_finish(&n, &n.x, 1), 0, 1);
}
END_TEST

START_TEST(what_others_see_of_a_convolution_stays)
{
    struct net n = net_int8(6);
    net_conv(&n, 6, true);
    int32_t outputs[] = {n.x, 0};
    net_leaky(&n, 3);
    outputs[1] = n.x;
    net_check(net_finish(&n, outputs, 2), 0, 1);
}
END_TEST

/* ---- rows, and concatenations of them ---- */

/* The channels in rows of `row`. */
static void cut(struct net *n, int32_t row)
{
    const int32_t dims[] = {1, n->height * n->width * n->channels / row, row}, three = 3;
    int32_t x = n->x,
            s = shk_builder_tensor(n->b, "s", SHK_DTYPE_INT32, 1, &three, 0, NULL, NULL, 0, dims, sizeof(dims));
    net_op(n, "RESHAPE", (int32_t[]){x, s}, 2, net_tensor(n, 3, dims, 0.05f, 5), NULL);
}

static void map(struct net *n, const char *name, uint32_t rank, const int32_t *dims, float scale, int32_t zero_point)
{
    int32_t x = n->x;
    net_op(n, name, &x, 1, net_tensor(n, rank, dims, scale, zero_point), NULL);
}

START_TEST(rows_of_channels_are_written_at_once)
{
    static const int32_t rows[] = {1, 2, 3, 5, 6, 7, 11};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int32_t count = 2; count < 5; count++) {
            struct net n = net_int8(6);
            net_conv(&n, rows[i] * count, count % 2);
            cut(&n, rows[i]);
            net_check(net_finish(&n, &n.x, 1), 0, 0);
        }
}
END_TEST

START_TEST(rows_of_whole_words_are_the_same_words)
{
    struct net n = net_int8(6);
    net_conv(&n, 24, true);
    cut(&n, 8);
    struct shk_model *model = net_finish(&n, &n.x, 1);
    ck_assert_uint_eq(net_dispatches(model, 0), 1);
    net_check(model, 0, 1);
}
END_TEST

START_TEST(a_sum_is_not_cut)
{
    struct net n = net_int8(6);
    int32_t x = n.x;
    net_conv(&n, 6, true);
    net_add(&n, x, n.x, NULL);
    cut(&n, 3);
    net_check(net_finish(&n, &n.x, 1), 0, 0, 2);
}
END_TEST

START_TEST(to_rows_nothing_is_added)
{
    struct net n = net_int8(6);
    net_conv(&n, 10, true);
    cut(&n, 5);
    const int32_t rows = NET_HEIGHT * NET_WIDTH * 2, dims[] = {1, rows, 5};
    int32_t x = n.x, c = net_constant(&n, 3, dims, 0.03f);
    net_op(&n, "ADD", (int32_t[]){x, c}, 2, net_tensor(&n, 3, dims, 0.05f, 4), NULL);
    net_check(net_finish(&n, &n.x, 1), 0, 0, 2);
}
END_TEST

/* Rows of five at the end of rows of thirteen: their storage has gaps, which the convolution does not know. */
START_TEST(rows_stay_without_gaps)
{
    struct net n = net_int8(6);
    int32_t x = n.x, parts[2];
    net_conv(&n, 16, true);
    cut(&n, 8);
    parts[0] = n.x;
    n.x = x;
    n.channels = 6;
    net_conv(&n, 10, true);
    cut(&n, 5);
    parts[1] = n.x;
    net_op(&n, "CONCATENATION", parts, 2, net_tensor(&n, 3, (int32_t[]){1, NET_HEIGHT * NET_WIDTH * 2, 13}, 0.05f, 5),
           "axis=2");
    net_check(net_finish(&n, &n.x, 1), 0, 1, 2, 2, 4);
}
END_TEST

/* Three heads of an SSD: rows of five classes and parts with scales of their own, joined, behind it a LOGISTIC. */
static struct shk_model *heads(enum shk_dtype dtype, uint32_t axis, bool logistic)
{
    struct net n = net_of(dtype, 6);
    int32_t x = n.x, parts[3], rows = 0;
    for (int32_t i = 0; i < 3; i++) {
        n.x = x;
        n.channels = 6;
        net_conv(&n, 5 * (axis == 1 ? i + 2 : 2), true);
        cut(&n, 5);
        rows += NET_HEIGHT * NET_WIDTH * (i + 2);
        if (dtype == SHK_DTYPE_UINT8) /* another scale than the sum of them has */
            map(&n, "QUANTIZE", 3, (int32_t[]){1, NET_HEIGHT * NET_WIDTH * (axis == 1 ? i + 2 : 2), 5},
                0.02f * (float)(i + 1), i);
        parts[i] = n.x;
    }
    const int32_t dims[] = {1, axis == 1 ? rows : NET_HEIGHT * NET_WIDTH * 2, axis == 1 ? 5 : 15};
    net_op(&n, "CONCATENATION", parts, 3, net_tensor(&n, 3, dims, 0.05f, 5), axis == 1 ? "axis=1" : "axis=2");
    if (logistic)
        map(&n, "LOGISTIC", 3, dims, 1.0f / 256.0f, -128);
    return net_finish(&n, &n.x, 1);
}

START_TEST(maps_go_through_concatenations)
{
    struct shk_model *model = heads(SHK_DTYPE_INT8, 1, true);
    ck_assert_uint_eq(net_dispatches(model, 0), 3);
    net_check(model, 0, 0, 2, 2, 4, 4, 6, 6);
    model = heads(SHK_DTYPE_UINT8, 1, true);
    ck_assert_uint_eq(net_dispatches(model, 0), 3);
    net_check(model, 0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9);
    /* along the last dimension rows would end within words */
    net_check(heads(SHK_DTYPE_INT8, 2, true), 0, 0, 2, 2, 4, 4, 6, 6);
    net_check(heads(SHK_DTYPE_UINT8, 2, false), 0, 0, 0, 3, 3, 3, 6, 6, 6, 9);
}
END_TEST

START_TEST(parts_with_scales_of_their_own_cost_nothing)
{
    struct net n = net_of(SHK_DTYPE_UINT8, 6);
    int32_t x = n.x, parts[3];
    for (int32_t i = 0; i < 3; i++) {
        n.x = x;
        n.channels = 6;
        net_conv(&n, 8, true);
        parts[i] = n.x;
    }
    n.channels = 24;
    net_op(&n, "CONCATENATION", parts, 3, net_tensor(&n, 4, (int32_t[]){1, NET_HEIGHT, NET_WIDTH, 24}, 0.02f, 9),
           "axis=3");
    struct shk_model *model = net_finish(&n, &n.x, 1);
    ck_assert_uint_eq(net_dispatches(model, 0), 3);
    ck_assert_uint_eq(net_dispatches(model, SHK_FUSION_TABLE), 6);
    net_check(model, 0, 1, 2, 3);
}
END_TEST

/* ---- parts ---- */

/* Two convolutions are put together; each half of that is read by one more. */
START_TEST(parts_stay_where_they_are)
{
    struct net n = net_int8(6);
    const int32_t whole[] = {1, NET_HEIGHT, NET_WIDTH, 16}, half[] = {1, NET_HEIGHT, NET_WIDTH, 8}, axis = 3;
    int32_t x = n.x, parts[2], halves[2], outputs[2];
    for (int32_t i = 0; i < 2; i++) {
        n.x = x;
        n.channels = 6;
        net_conv(&n, 8, true);
        parts[i] = n.x;
        halves[i] = net_tensor(&n, 4, half, 0.05f, 5);
    }
    net_op(&n, "CONCATENATION", parts, 2, net_tensor(&n, 4, whole, 0.05f, 5), "axis=3");
    int32_t split[] = {shk_builder_tensor(n.b, "axis", SHK_DTYPE_INT32, 0, NULL, 0, NULL, NULL, 0, &axis, 4), n.x};
    shk_builder_op(n.b, "SPLIT", split, 2, halves, 2, "num_splits=2");
    for (int32_t i = 0; i < 2; i++) {
        n.x = halves[i];
        n.channels = 8;
        net_conv(&n, 4, true);
        outputs[i] = n.x;
    }
    struct shk_model *model = net_finish(&n, outputs, 2);
    ck_assert_uint_eq(net_dispatches(model, 0), 4);
    ck_assert_uint_eq(net_dispatches(model, SHK_FUSION_PARTS), 8);
    net_check_without(model, SHK_FUSION_PARTS, (const uint32_t[]){0, 1, 2, 3, 4, 5});
}
END_TEST

/* ---- the input ---- */

/* A picture of `dtype`, quantized by an op of the model. */
static struct shk_model *quantized(enum shk_dtype dtype)
{
    const int32_t dims[] = {1, NET_HEIGHT, NET_WIDTH, 3};
    const float scale = 0.01f;
    const int32_t zero_point = dtype == SHK_DTYPE_UINT8 ? 131 : 3;
    struct net n = {.b = shk_builder_create(), .rng = {3}};
    n.dtype = SHK_DTYPE_INT8;
    n.x =
        shk_builder_tensor(n.b, "picture", dtype, 4, dims, dtype != SHK_DTYPE_FLOAT32, &scale, &zero_point, 0, NULL, 0);
    shk_builder_set_inputs(n.b, &n.x, 1);
    int32_t x = n.x, y = net_activation(&n, NET_HEIGHT, NET_WIDTH, 3, -7);
    net_op(&n, "QUANTIZE", &x, 1, y, NULL);
    net_conv(&n, 5, true);
    return net_finish(&n, &n.x, 1);
}

/* What a frame gives with mean and std of the user's own. */
static void run_frame(struct shk_device *device, struct shk_model *model, uint32_t no_fusion, uint8_t *out,
                      size_t bytes)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_frame_format format = {.format = SHK_FORMAT_RGB, .width = 13, .height = 11};
    struct shk_session *session = NULL;
    struct shk_result result;
    struct test_rng rng = {5};
    uint8_t pixels[13 * 11 * 3];
    struct shk_frame frame = {.plane = {pixels}, .stride = {13 * 3}, .plane_size = {sizeof(pixels)}};
    test_random_bytes(&rng, pixels, sizeof(pixels));
    for (int i = 0; i < 3; i++) {
        params.mean[i] = 100.0f + 9.0f * (float)i;
        params.std[i] = 60.0f;
    }
    params.no_fusion = no_fusion;
    test_ok(shk_session_create(device, model, &params, &session, &error), &error);
    test_ok(shk_session_configure(session, &format, &error), &error);
    test_ok(shk_session_submit(session, &frame, NULL, &error), &error);
    test_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    test_ok(shk_session_read_output(session, result.ticket, 0, 0, out, bytes, &error), &error);
    shk_session_release(session, result.ticket);
    shk_session_destroy(&session);
}

START_TEST(pictures_are_quantized_as_they_are_written)
{
    static const enum shk_dtype types[] = {SHK_DTYPE_INT8, SHK_DTYPE_UINT8, SHK_DTYPE_FLOAT32};
    enum { BYTES = NET_HEIGHT * NET_WIDTH * 5 };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct shk_model *model = quantized(types[i]);
        uint8_t fused[BYTES], plain[BYTES], wanted[BYTES];
        run_frame(test_device(), model, 0, fused, BYTES);
        run_frame(test_device(), model, SHK_FUSION_INPUT, plain, BYTES);
        run_frame(NULL, model, 0, wanted, BYTES);
        ck_assert_mem_eq(plain, wanted, BYTES);
        ck_assert_mem_eq(fused, wanted, BYTES);
        net_check(model, UINT32_MAX, 1); /* raw tensors */
    }
}
END_TEST

START_TEST(an_input_that_others_see_is_quantized_behind)
{
    struct net n = net_int8(3);
    int32_t x = n.x, outputs[2];
    net_op(&n, "QUANTIZE", &x, 1, net_activation(&n, NET_HEIGHT, NET_WIDTH, 3, -7), NULL);
    outputs[0] = n.x;
    net_op(&n, "QUANTIZE", &x, 1, net_activation(&n, NET_HEIGHT, NET_WIDTH, 3, 4), NULL);
    outputs[1] = n.x;
    net_check(net_finish(&n, outputs, 2), 0, 1);
    n = net_int8(4); /* no picture */
    x = n.x;
    net_op(&n, "QUANTIZE", &x, 1, net_activation(&n, NET_HEIGHT, NET_WIDTH, 4, -7), NULL);
    net_check(net_finish(&n, &n.x, 1), 0);
    n = net_int8(3); /* nothing but that */
    x = n.x;
    net_op(&n, "QUANTIZE", &x, 1, net_activation(&n, NET_HEIGHT, NET_WIDTH, 3, -7), NULL);
    net_check(net_finish(&n, &n.x, 1), UINT32_MAX);
}
END_TEST

/* ---- refusals ---- */

START_TEST(what_is_no_kind_is_refused)
{
    struct net n = net_int8(6);
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    uint32_t into[2];
    net_conv(&n, 6, true);
    struct shk_model *model = net_finish(&n, &n.x, 1);
    params.no_fusion = SHK_FUSION_ALL + 1;
    ck_assert_int_eq(shk_session_create(test_device(), model, &params, &session, &error), SHK_ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "no_fusion"));
    ck_assert_int_eq(shk_model_get_fusion(model, 0, into, 2, &error), SHK_ERROR_INVALID_ARGUMENT);
    shk_model_destroy(&model);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("fusion");
    TCase *tcase = tcase_create("fusion");
    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, a_pad_goes_into_a_convolution);
    tcase_add_test(tcase, a_pad_goes_into_all_that_read_it);
    tcase_add_test(tcase, a_pad_that_others_see_stays);
    tcase_add_test(tcase, a_pad_of_something_else_stays);
    tcase_add_test(tcase, a_pad_goes_into_a_maximum_that_it_cannot_change);
    tcase_add_test(tcase, a_table_goes_into_the_convolution_before_it);
    tcase_add_test(tcase, a_sum_goes_into_the_convolution_before_it);
    tcase_add_test(tcase, tables_and_a_sum_go_together);
    tcase_add_test(tcase, tables_and_a_sum_go_into_groups);
    tcase_add_test(tcase, heads_are_one_dispatch);
    tcase_add_test(tcase, every_kind_can_be_switched_off);
    tcase_add_test(tcase, a_sum_goes_into_the_later_branch);
    tcase_add_test(tcase, a_sum_with_a_constant_goes_into_the_convolution);
    tcase_add_test(tcase, sums_that_read_something_else_stay);
    tcase_add_test(tcase, what_others_see_of_a_convolution_stays);
    tcase_add_test(tcase, rows_of_channels_are_written_at_once);
    tcase_add_test(tcase, rows_of_whole_words_are_the_same_words);
    tcase_add_test(tcase, a_sum_is_not_cut);
    tcase_add_test(tcase, to_rows_nothing_is_added);
    tcase_add_test(tcase, rows_stay_without_gaps);
    tcase_add_test(tcase, maps_go_through_concatenations);
    tcase_add_test(tcase, parts_with_scales_of_their_own_cost_nothing);
    tcase_add_test(tcase, parts_stay_where_they_are);
    tcase_add_test(tcase, pictures_are_quantized_as_they_are_written);
    tcase_add_test(tcase, an_input_that_others_see_is_quantized_behind);
    tcase_add_test(tcase, what_is_no_kind_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_run_on_devices(make_suite);
}
