/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse.h"
#include "ops/convolution.h"

#define SHK_PROBE_OPS 8u /* a probe's model has no more */

void shk_probe_key(const struct shk_graph *graph, const struct shk_op *op, char key[SHK_PROBE_KEY])
{
    char in[64], weights[64], out[64], detail[96] = "";
    const struct shk_tensor *x = shk_op_input(graph, op, 0), *w = shk_op_input(graph, op, 1);
    if (op->def->describe)
        op->def->describe(graph, op, detail, sizeof(detail));
    snprintf(key, SHK_PROBE_KEY, "%s %s * %s = %s %s%s", op->spelling->name, shk_shape_string(&x->shape, in),
             w ? shk_shape_string(&w->shape, weights) : "", shk_shape_string(&shk_op_output(graph, op, 0)->shape, out),
             detail, x->legacy_uint8 ? " uint8" : "");
}

struct shk_probe_chain shk_probe_chain_of(const struct shk_fused *fused, uint32_t i)
{
    const struct shk_fused_op *f = &fused->ops[i];
    struct shk_probe_chain chain = {.count = 0};
    if (f->expand)
        chain.ops[chain.count++] = f->expand;
    if (f->depthwise)
        chain.ops[chain.count++] = f->depthwise;
    chain.ops[chain.count++] = f->own;
    return chain;
}

void shk_probe_chain_key(const struct shk_graph *graph, const struct shk_probe_chain *chain, char key[SHK_PROBE_KEY])
{
    char in[64], expand[72] = "", taps[64], weights[64], out[64], first[96] = "", second[96] = "";
    const struct shk_tensor *x = shk_op_input(graph, chain->ops[0], 0);
    if (chain->count == 1) {
        shk_probe_key(graph, chain->ops[0], key);
        return;
    }
    const struct shk_op *depthwise = chain->ops[chain->count - 2], *last = chain->ops[chain->count - 1];
    depthwise->def->describe(graph, depthwise, first, sizeof(first));
    last->def->describe(graph, last, second, sizeof(second));
    if (chain->count > 2)
        snprintf(expand, sizeof(expand), " * %s", shk_shape_string(&shk_op_input(graph, chain->ops[0], 1)->shape, in));
    snprintf(key, SHK_PROBE_KEY, "%s%s%s * %s %s * %s %s = %s%s",
             chain->count > 2 ? SHK_PROBE_INVERTED : SHK_PROBE_PAIR, shk_shape_string(&x->shape, in), expand,
             shk_shape_string(&shk_op_input(graph, depthwise, 1)->shape, taps), first,
             shk_shape_string(&shk_op_input(graph, last, 1)->shape, weights), second,
             shk_shape_string(&shk_op_output(graph, last, 0)->shape, out), x->legacy_uint8 ? " uint8" : "");
}

/* ---- the model ---- */

/* `from` as it was in the file, but for the shape if there is one. */
static enum shk_status copy_tensor(struct shk_graph *graph, const struct shk_tensor *from,
                                   const struct shk_shape *shape, uint32_t *index, struct shk_error *error)
{
    uint8_t *data = NULL;
    if (from->data && from->legacy_uint8) {
        if (!(data = malloc(from->bytes)))
            return shk_fail_oom(error, from->bytes, "weights");
        shk_flip_sign(from->data, data, from->bytes);
    }
    struct shk_tensor_desc desc = {
        .name = from->name,
        .dtype = from->legacy_uint8 ? SHK_DTYPE_UINT8 : from->dtype,
        .shape = shape ? *shape : from->shape,
        .quant_count = from->quant.count,
        .quant_axis = from->quant.axis,
        .scales = from->quant.scales,
        .zero_points = from->quant.file_zero_points,
        .data = data ? data : from->data,
        .data_bytes = from->data ? from->bytes : 0,
    };
    enum shk_status status = shk_graph_add_tensor(graph, &desc, index, error);
    free(data);
    return status;
}

static int32_t shrink(int32_t size, int32_t kernel, int32_t stride, int32_t dilation, int32_t outputs)
{
    int64_t enough = ((int64_t)kernel - 1) * dilation + 1 + ((int64_t)outputs - 1) * stride;
    return (int32_t)SHK_MIN(size, enough);
}

/* Pixels of a small picture's outputs in either direction: edges and what is between. Of a chain, which is computed in
 * tiles of up to 8 x 4, more than one tile. */
#define SMALL             5
#define SMALL_CHAIN_WIDTH 9

static bool is_convolution(const struct shk_graph *graph, const struct shk_op *op)
{
    return op->def->attrs_size == sizeof(struct shk_conv_attrs) && shk_op_input(graph, op, 0)->shape.rank == 4;
}

/* A part of the picture that `op`, a convolution, reads: for so many outputs in a row. */
static void shrink_input(const struct shk_graph *graph, const struct shk_op *op, int32_t width, struct shk_shape *in)
{
    const struct shk_conv_attrs *a = op->attrs;
    const int32_t *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims;
    in->dims[0] = 1;
    in->dims[1] = shrink(in->dims[1], w[1], a->stride_height, a->dilation_height, SMALL);
    in->dims[2] = shrink(in->dims[2], w[2], a->stride_width, a->dilation_width, width);
}

/* What a convolution makes of a picture of that shape. */
static struct shk_shape output_shape(const struct shk_graph *graph, const struct shk_op *op, const struct shk_shape *in)
{
    const struct shk_conv_attrs *a = op->attrs;
    const int32_t *w = shk_op_input(graph, op, SHK_CONV_WEIGHTS)->shape.dims;
    struct shk_shape out = shk_op_output(graph, op, 0)->shape;
    out.dims[0] = in->dims[0];
    out.dims[1] = shk_window_compute(in->dims[1], w[1], a->stride_height, a->dilation_height, a->padding).output;
    out.dims[2] = shk_window_compute(in->dims[2], w[2], a->stride_width, a->dilation_width, a->padding).output;
    return out;
}

/* Adds an op of one to three inputs, whose output, like `like` but of that shape, takes the place of the model's. */
static enum shk_status append(struct shk_graph *to, const struct shk_op_spelling *spelling, const void *attrs,
                              const uint32_t *inputs, uint32_t input_count, const struct shk_tensor *like,
                              const struct shk_shape *shape, struct shk_error *error)
{
    struct shk_op *op;
    uint32_t output;
    enum shk_status status = copy_tensor(to, like, shape, &output, error);
    if (!status)
        status = shk_graph_add_op(to, spelling, inputs, input_count, &output, 1, &op, error);
    if (status)
        return status;
    if (attrs)
        memcpy(op->attrs, attrs, op->def->attrs_size);
    return shk_graph_set_io(to, to->inputs, to->input_count, &output, 1, error);
}

/* The op with its constants behind the model's output. */
static enum shk_status append_copy(struct shk_graph *to, const struct shk_graph *graph, const struct shk_op *op,
                                   struct shk_error *error)
{
    uint32_t inputs[3] = {to->outputs[0], SHK_TENSOR_NONE, SHK_TENSOR_NONE};
    struct shk_shape out = shk_op_output(graph, op, 0)->shape;
    if (is_convolution(graph, op))
        out = output_shape(graph, op, &to->tensors[to->outputs[0]].shape);
    enum shk_status status = SHK_OK;
    for (uint32_t i = 1; i < op->input_count && i < 3 && !status; i++)
        if (op->inputs[i] != SHK_TENSOR_NONE)
            status = copy_tensor(to, &graph->tensors[op->inputs[i]], NULL, &inputs[i], error);
    if (!status)
        status = append(to, op->spelling, op->attrs, inputs, op->input_count, shk_op_output(graph, op, 0), &out, error);
    return status;
}

static enum shk_status fill_graph(struct shk_graph *to, const struct shk_graph *graph,
                                  const struct shk_probe_chain *chain, bool small, struct shk_error *error)
{
    struct shk_shape in = shk_op_input(graph, chain->ops[0], 0)->shape;
    /* of a chain, what has a window is the depthwise convolution */
    const struct shk_op *widest = chain->ops[chain->count > 1 ? chain->count - 2 : 0];
    uint32_t input;
    if (small && is_convolution(graph, widest))
        shrink_input(graph, widest, chain->count > 1 ? SMALL_CHAIN_WIDTH : SMALL, &in);
    enum shk_status status = copy_tensor(to, shk_op_input(graph, chain->ops[0], 0), &in, &input, error);
    if (!status)
        status = shk_graph_set_io(to, &input, 1, &input, 1, error);
    for (uint32_t i = 0; i < chain->count && !status; i++)
        status = append_copy(to, graph, chain->ops[i], error);
    return status;
}

/* Any table does: what it holds is no part of the kernel. */
static enum shk_status append_table(struct shk_graph *to, struct shk_error *error)
{
    const struct shk_tensor like = to->tensors[to->outputs[0]];
    return append(to, shk_op_find_name("LEAKY_RELU"), NULL, &to->outputs[0], 1, &like, &like.shape, error);
}

/* The other operand becomes an input of the model. */
static enum shk_status append_add(struct shk_graph *to, const struct shk_graph *graph, const struct shk_op *add,
                                  struct shk_error *error)
{
    uint32_t inputs[2] = {to->inputs[0], SHK_TENSOR_NONE}, operands[2] = {to->outputs[0], SHK_TENSOR_NONE};
    struct shk_tensor other = *shk_op_input(graph, add, 1);
    other.data = NULL;
    enum shk_status status = copy_tensor(to, &other, &to->tensors[to->outputs[0]].shape, &inputs[1], error);
    operands[1] = inputs[1];
    if (!status)
        status = shk_graph_set_io(to, inputs, 2, to->outputs, 1, error);
    if (!status)
        status = append(to, add->spelling, add->attrs, operands, 2, shk_op_output(graph, add, 0),
                        &to->tensors[operands[0]].shape, error);
    return status;
}

/* A small form of the op with ops like those behind it that it absorbed, which a session fuses again. */
static enum shk_status fused_model(const struct shk_fused *fused, uint32_t op, struct shk_model **model,
                                   struct shk_error *error)
{
    const struct shk_fused_op *f = &fused->ops[op];
    struct shk_graph *some = shk_graph_create(fused->own->name);
    if (!some)
        return shk_fail_oom(error, sizeof(*some), "a graph");
    struct shk_probe_chain chain = shk_probe_chain_of(fused, op);
    enum shk_status status = fill_graph(some, fused->own, &chain, true, error);
    if (!status && f->before)
        status = append_table(some, error);
    if (!status && f->add)
        status = append_add(some, fused->own, f->add, error);
    if (!status && f->after)
        status = append_table(some, error);
    if (!status)
        return shk_model_from_graph(&some, model, error);
    shk_graph_destroy(&some);
    return status;
}

enum shk_status shk_probe_model(const struct shk_graph *graph, const struct shk_probe_chain *chain,
                                struct shk_model **model, struct shk_error *error)
{
    struct shk_graph *part = shk_graph_create(graph->name);
    if (!part)
        return shk_fail_oom(error, sizeof(*part), "a graph");
    enum shk_status status = fill_graph(part, graph, chain, false, error);
    if (!status)
        return shk_model_from_graph(&part, model, error);
    shk_graph_destroy(&part);
    return status;
}

void shk_probe_fill(int8_t *values, size_t count, uint32_t fill)
{
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223; /* Numerical Recipes */
        values[i] = fill == 2 ? (int8_t)(state >> 24) : (i ^ fill) % 2 ? INT8_MAX : INT8_MIN;
    }
}

/* ---- running ---- */

enum shk_status shk_probe_session(struct shk_device *device, struct shk_model *model, const struct shk_variant *variant,
                                  const char *cache_dir, const struct shk_log *log, struct shk_session **session,
                                  struct shk_error *error)
{
    struct shk_session_params params = SHK_SESSION_PARAMS_DEFAULT;
    params.frames_in_flight = 1;
    params.profile_ops = true;
    params.cache_dir = cache_dir;
    params.log = *log;
    return shk_session_create_chosen(device, model, &params, variant, session, error);
}

enum shk_status shk_probe_run(struct shk_session *session, const void *input, void *output, uint64_t *ns,
                              struct shk_error *error)
{
    struct shk_result result;
    const struct shk_graph *graph = session->graph;
    size_t bytes = graph->tensors[graph->outputs[0]].bytes;
    uint64_t op_ns[SHK_PROBE_OPS] = {0}, all_ns = 0, start = shk_time_ns();
    const void *inputs[] = {input, input};
    enum shk_status status = shk_session_submit_tensors(session, inputs, graph->input_count, NULL, NULL, error);
    if (!status)
        status = shk_session_wait(session, UINT64_MAX, &result, error);
    if (status)
        return status;
    uint64_t end = shk_time_ns();
    if (output)
        status = shk_session_read_output(session, result.ticket, 0, 0, output, bytes, error);
    if (ns && !status) {
        (void)shk_session_op_times(session, result.ticket, op_ns, SHK_MIN(graph->op_count, SHK_PROBE_OPS), NULL);
        for (uint32_t i = 0; i < SHK_PROBE_OPS; i++)
            all_ns += op_ns[i];
        *ns = all_ns ? all_ns : end - start;
    }
    shk_session_release(session, result.ticket);
    return status;
}

/* All fills on the device and in C. */
static enum shk_status compare(struct shk_session *device, struct shk_session *reference, bool *equal,
                               struct shk_error *error)
{
    const struct shk_graph *graph = reference->graph;
    size_t in = 0, out = graph->tensors[graph->outputs[0]].bytes;
    for (uint32_t i = 0; i < graph->input_count; i++)
        in = SHK_MAX(in, graph->tensors[graph->inputs[i]].bytes);
    int8_t *values = malloc(in), *found = malloc(out), *expected = malloc(out);
    enum shk_status status = SHK_OK;
    if (!values || !found || !expected)
        status = shk_fail_oom(error, in + 2 * out, "a check");
    *equal = true;
    for (uint32_t fill = 0; fill < SHK_PROBE_FILLS && *equal && !status; fill++) {
        shk_probe_fill(values, in, fill);
        status = shk_probe_run(reference, values, expected, NULL, error);
        if (!status)
            status = shk_probe_run(device, values, found, NULL, error);
        *equal = !status && memcmp(found, expected, out) == 0;
    }
    free(values);
    free(found);
    free(expected);
    return status;
}

enum shk_status shk_probe_check(struct shk_device *device, const struct shk_fused *fused, uint32_t op,
                                const struct shk_variant *variant, const char *cache_dir, const struct shk_log *log,
                                bool *equal, struct shk_error *error)
{
    struct shk_model *model = NULL;
    struct shk_session *on_device = NULL, *reference = NULL;
    enum shk_status status = fused_model(fused, op, &model, error);
    if (!status)
        status = shk_probe_session(device, model, variant, cache_dir, log, &on_device, error);
    if (!status)
        status = shk_probe_session(NULL, model, NULL, NULL, log, &reference, error);
    if (!status)
        status = compare(on_device, reference, equal, error);
    shk_session_destroy(&on_device);
    shk_session_destroy(&reference);
    shk_model_destroy(&model);
    return status;
}
