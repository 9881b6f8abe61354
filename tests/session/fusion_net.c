/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fusion_net.h"

#include <stdlib.h>
#include <string.h>

#define FRAMES 3 /* of a batch: three fills */

static struct shk_error error;

/* ---- networks ---- */

int32_t net_tensor(struct net *n, uint32_t rank, const int32_t *dims, float scale, int32_t zero_point)
{
    zero_point += n->dtype == SHK_DTYPE_UINT8 ? 128 : 0;
    return shk_builder_tensor(n->b, "t", n->dtype, rank, dims, 1, &scale, &zero_point, 0, NULL, 0);
}

int32_t net_activation(struct net *n, int32_t height, int32_t width, int32_t channels, int32_t zero_point)
{
    const int32_t dims[] = {1, height, width, channels};
    n->height = height;
    n->width = width;
    n->channels = channels;
    return net_tensor(n, 4, dims, 0.05f, zero_point);
}

struct net net_sized(enum shk_dtype dtype, int32_t height, int32_t width, int32_t channels)
{
    struct net n = {.b = shk_builder_create(), .rng = {(uint64_t)channels}, .dtype = dtype};
    n.x = net_activation(&n, height, width, channels, -3);
    shk_builder_set_inputs(n.b, &n.x, 1);
    return n;
}

struct net net_of(enum shk_dtype dtype, int32_t channels)
{
    return net_sized(dtype, NET_HEIGHT, NET_WIDTH, channels);
}

struct net net_int8(int32_t channels)
{
    return net_of(SHK_DTYPE_INT8, channels);
}

int32_t net_constant(struct net *n, uint32_t rank, const int32_t *dims, float scale)
{
    const int32_t zero_point = n->dtype == SHK_DTYPE_UINT8 ? 128 + n->weight_zero_point : 0;
    size_t count = 1;
    for (uint32_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    int8_t *data = malloc(count);
    test_random_bytes(&n->rng, data, count);
    int32_t index = shk_builder_tensor(n->b, "c", n->dtype, rank, dims, 1, &scale, &zero_point, 0, data, count);
    free(data);
    return index;
}

void net_op(struct net *n, const char *name, const int32_t *inputs, uint32_t count, int32_t output, const char *attrs)
{
    shk_builder_op(n->b, name, inputs, count, &output, 1, attrs);
    n->x = output;
}

/* 3x3, of the picture only ("VALID") or past its edge ("SAME"). */
void net_conv(struct net *n, int32_t filters, bool past_edge)
{
    int32_t lost = past_edge ? 0 : 2, x = n->x, w = net_constant(n, 4, (int32_t[]){filters, 3, 3, n->channels}, 0.002f);
    int32_t y = net_activation(n, n->height - lost, n->width - lost, filters, 5);
    net_op(n, "CONV_2D", (int32_t[]){x, w}, 2, y,
           past_edge ? "stride_w=1 stride_h=1" : "stride_w=1 stride_h=1 padding=VALID");
}

void net_depthwise(struct net *n, bool past_edge)
{
    int32_t lost = past_edge ? 0 : 2, x = n->x, w = net_constant(n, 4, (int32_t[]){1, 3, 3, n->channels}, 0.002f);
    int32_t y = net_activation(n, n->height - lost, n->width - lost, n->channels, 5);
    net_op(n, "DEPTHWISE_CONV_2D", (int32_t[]){x, w}, 2, y,
           past_edge ? "stride_w=1 stride_h=1 depth_multiplier=1"
                     : "stride_w=1 stride_h=1 depth_multiplier=1 padding=VALID");
}

void net_pointwise(struct net *n, int32_t filters, const char *attrs)
{
    int32_t x = n->x, w = net_constant(n, 4, (int32_t[]){filters, 1, 1, n->channels}, 0.01f);
    net_op(n, "CONV_2D", (int32_t[]){x, w}, 2, net_activation(n, n->height, n->width, filters, 5), attrs);
}

/* Two rows at the top, one column at the right, one at the left, `deep` channels. value: its zero point, or another. */
static void pad(struct net *n, const int32_t border[8], int32_t value, int32_t zero_point)
{
    const int32_t dims[] = {4, 2};
    const float scale = 0.05f;
    const int8_t byte = (int8_t)value;
    int32_t x = n->x,
            p = shk_builder_tensor(n->b, "p", SHK_DTYPE_INT32, 2, dims, 0, NULL, NULL, 0, border, 8 * sizeof(*border));
    int32_t v = shk_builder_tensor(n->b, "v", SHK_DTYPE_INT8, 0, NULL, 1, &scale, &zero_point, 0, &byte, 1);
    int32_t y = net_activation(n, n->height + 2, n->width + 2, n->channels + border[7], zero_point);
    net_op(n, "PADV2", (int32_t[]){x, p, v}, 3, y, NULL);
}

void net_pad(struct net *n, int32_t deep, int32_t value)
{
    pad(n, (int32_t[]){0, 0, 2, 0, 1, 1, 0, deep}, value, -3);
}

void net_pad_behind(struct net *n, int32_t zero_point)
{
    pad(n, (int32_t[]){0, 0, 0, 2, 0, 2, 0, 0}, zero_point, zero_point);
}

void net_leaky(struct net *n, int32_t zero_point)
{
    int32_t x = n->x;
    net_op(n, "LEAKY_RELU", &x, 1, net_activation(n, n->height, n->width, n->channels, zero_point), "alpha=0.2");
}

void net_add(struct net *n, int32_t a, int32_t b, const char *attrs)
{
    net_op(n, "ADD", (int32_t[]){a, b}, 2, net_activation(n, n->height, n->width, n->channels, 11), attrs);
}

struct shk_model *net_finish(struct net *n, const int32_t *outputs, uint32_t count)
{
    struct shk_model *model = NULL;
    void *data;
    size_t size;
    shk_builder_set_outputs(n->b, outputs, count);
    test_ok(shk_builder_serialize(n->b, &data, &size, &error), &error);
    test_ok(shk_model_load_memory(data, size, "fusion", &model, &error), &error);
    shk_builder_destroy(&n->b);
    free(data);
    return model;
}

/* ---- running ---- */

/* All smallest, all largest, random. */
static void fill(uint8_t *values, size_t bytes, uint32_t frame)
{
    struct test_rng rng = {7};
    test_random_bytes(&rng, values, bytes);
    if (frame < 2)
        memset(values, frame ? INT8_MAX : 0x80, bytes);
}

static struct shk_session *run(struct shk_device *device, struct shk_model *model, uint32_t no_fusion, uint64_t *ticket)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session *session = NULL;
    struct shk_tensor_info info;
    struct shk_result result;
    uint8_t *values[FRAMES];
    params.no_fusion = no_fusion;
    params.batch_size = FRAMES;
    test_ok(shk_session_create(device, model, &params, &session, &error), &error);
    shk_model_get_tensor(model, shk_model_input(model, 0), &info);
    for (uint32_t i = 0; i < FRAMES; i++)
        fill(values[i] = malloc(info.bytes), info.bytes, i);
    test_ok(shk_session_submit_tensors(session, (const void *const *)values, FRAMES, NULL, NULL, &error), &error);
    test_ok(shk_session_wait(session, UINT64_MAX, &result, &error), &error);
    for (uint32_t i = 0; i < FRAMES; i++)
        free(values[i]);
    *ticket = result.ticket;
    return session;
}

static void net_compare(struct shk_model *model, uint32_t no_fusion)
{
    uint64_t got, want;
    struct shk_session *device = run(test_device(), model, no_fusion, &got), *cpu = run(NULL, model, 0, &want);
    for (uint32_t i = 0; i < FRAMES * shk_model_output_count(model); i++) {
        uint32_t frame = i % FRAMES, output = i / FRAMES;
        struct shk_tensor_info info;
        shk_model_get_tensor(model, shk_model_output(model, output), &info);
        uint8_t *a = malloc(info.bytes), *b = malloc(info.bytes);
        test_ok(shk_session_read_output(device, got, frame, output, a, info.bytes, &error), &error);
        test_ok(shk_session_read_output(cpu, want, frame, output, b, info.bytes, &error), &error);
        ck_assert_msg(memcmp(a, b, info.bytes) == 0, "without fusion 0x%x: frame %u, output %u differs", no_fusion,
                      frame, output);
        free(a);
        free(b);
    }
    shk_session_release(device, got);
    shk_session_release(cpu, want);
    shk_session_destroy(&device);
    shk_session_destroy(&cpu);
}

uint32_t net_dispatches(struct shk_model *model, uint32_t no_fusion)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    struct shk_session_info info;
    struct shk_session *session = NULL;
    params.no_fusion = no_fusion;
    test_ok(shk_session_create(test_device(), model, &params, &session, &error), &error);
    shk_session_get_info(session, &info);
    shk_session_destroy(&session);
    return info.dispatches;
}

/* `into`: per op, where it is to be computed without `no_fusion`. Destroys the model. */
void net_check_without(struct shk_model *model, uint32_t no_fusion, const uint32_t *into)
{
    uint32_t count = shk_model_op_count(model), found[16];
    test_ok(shk_model_get_fusion(model, no_fusion, found, count, &error), &error);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_msg(found[i] == into[i], "op %u is in op %u, expected in %u", i, found[i], into[i]);
    ck_assert_uint_le(net_dispatches(model, no_fusion), net_dispatches(model, SHK_FUSION_ALL));
    net_compare(model, no_fusion);
    net_compare(model, SHK_FUSION_ALL);
    shk_model_destroy(&model);
}

void net_check_chains(struct shk_model *model, const char *variant, uint32_t no_fusion, uint32_t saved)
{
    uint32_t separate = net_dispatches(model, 0);
    setenv("SHRIKE_FORCE_VARIANT", variant, 1);
    ck_assert_uint_eq(net_dispatches(model, 0), separate - saved);
    if (saved)
        ck_assert_uint_eq(net_dispatches(model, no_fusion), separate);
    net_compare(model, 0);
    unsetenv("SHRIKE_FORCE_VARIANT");
}
