/* Networks of a few ops, one behind the other, and what fusion makes of them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEST_FUSION_NET_H
#define TEST_FUSION_NET_H

#include <shrike/shrike.h>

#include "support.h"

/* Of kernel variants that differ in nothing but the shader, of which sanitizers see nothing, they get one. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NET_VARIANTS(count) 1u
#else
#define NET_VARIANTS(count) (count)
#endif

#define NET_HEIGHT 7
#define NET_WIDTH  6

struct net {
    struct shk_builder *b;
    struct test_rng rng;
    enum shk_dtype dtype;
    int32_t x, height, width, channels; /* the newest tensor, and its shape */
    int32_t weight_zero_point;          /* of constants to come, if UINT8: besides the 128 that make them INT8 */
};

/* Of the network's type. */
int32_t net_tensor(struct net *n, uint32_t rank, const int32_t *dims, float scale, int32_t zero_point);
/* A picture, which becomes the newest shape. */
int32_t net_activation(struct net *n, int32_t height, int32_t width, int32_t channels, int32_t zero_point);
/* Reads a picture of so many channels. */
struct net net_of(enum shk_dtype dtype, int32_t channels);
struct net net_int8(int32_t channels);
struct net net_sized(enum shk_dtype dtype, int32_t height, int32_t width, int32_t channels);
int32_t net_constant(struct net *n, uint32_t rank, const int32_t *dims, float scale);
/* The output becomes the newest tensor. */
void net_op(struct net *n, const char *name, const int32_t *inputs, uint32_t count, int32_t output, const char *attrs);
/* 3x3, of the newest tensor: of the picture only ("VALID"), or past its edge ("SAME"). */
void net_conv(struct net *n, int32_t filters, bool past_edge);
void net_depthwise(struct net *n, bool past_edge);
/* 1x1. */
#define NET_PLAIN "stride_w=1 stride_h=1"
#define NET_RELU6 NET_PLAIN " fused_activation_function=RELU6"
void net_pointwise(struct net *n, int32_t filters, const char *attrs);
/* Two rows at the top, a column on either side, `deep` channels behind; with its zero point, or another value. */
void net_pad(struct net *n, int32_t deep, int32_t value);
/* Two rows at the bottom and two columns at the right, with the zero point of the newest tensor. */
void net_pad_behind(struct net *n, int32_t zero_point);
void net_leaky(struct net *n, int32_t zero_point);
void net_add(struct net *n, int32_t a, int32_t b, const char *attrs);
/* Ends the network. */
struct shk_model *net_finish(struct net *n, const int32_t *outputs, uint32_t count);
/* Of a session. */
uint32_t net_dispatches(struct shk_model *model, uint32_t no_fusion);
/* `into`: per op, what it is to be fused into without `no_fusion`. The bytes are the reference's. Destroys the model. */
void net_check_without(struct shk_model *model, uint32_t no_fusion, const uint32_t *into);
/* With a kernel variant forced that computes chains of ops: it saves so many dispatches, with `no_fusion` none, and the
 * bytes are the reference's. The model stays. */
void net_check_chains(struct shk_model *model, const char *variant, uint32_t no_fusion, uint32_t saved);
#define net_check(model, ...) net_check_without(model, 0, (const uint32_t[]){__VA_ARGS__})

#endif
