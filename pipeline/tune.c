/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shrike/tune.h>

#include "fuse.h"
#include "probe.h"
#include "tuned.h"

/* A race has so many runs of both, fewer from MIN_RUNS on once it took so long. */
#define MIN_RUNS  4
#define FAST_RUNS 10
#define FAST_NS   (UINT64_C(60) * 1000000)
#define MAX_RUNS  30
#define FULL_NS   (UINT64_C(200) * 1000000)

/* A candidate that never took less than this many times what the rule of thumb did has lost after MIN_RUNS. */
#define HOPELESS 2
/* In fast mode a variant that lost in this way on so many layers is not tried on others: it is not for this device. */
#define GIVE_UP      2
#define MAX_HOPELESS 64

struct tune {
    struct shk_device *device;
    const struct shk_graph *graph;
    const struct shk_tune_params *params;
    struct shk_tune_report report;
    struct shk_tuned *tuned; /* of each layer of the report; variant NULL: not measured */
    struct shk_probe_chain *chains; /* likewise */
    struct {
        const struct shk_variant *variant;
        uint32_t layers;
    } hopeless[MAX_HOPELESS]; /* where variants lost by far */
    uint32_t hopeless_count;
};

void shk_tune_report_free(struct shk_tune_report *report)
{
    if (!report)
        return;
    free(report->layers);
    *report = (struct shk_tune_report){0};
}

/* ---- which layers ---- */

/* The layer of that key, or as many as there are. */
static uint32_t find_layer(const struct tune *tune, const char *key)
{
    uint32_t k = 0;
    while (k < tune->report.count && strcmp(tune->report.layers[k].layer, key) != 0)
        k++;
    return k;
}

/* One more op, `op`, of the layer that the chain is. */
static void add_layer(struct tune *tune, uint32_t op, const struct shk_probe_chain *chain)
{
    static const char *const rules[] = {NULL, "two kernels", "three kernels"};
    const char *rule = chain->count > 1 ? rules[chain->count - 1] : chain->ops[0]->def->variants->name;
    char key[SHK_PROBE_KEY];
    shk_probe_chain_key(tune->graph, chain, key);
    uint32_t k = find_layer(tune, key);
    struct shk_tune_layer *layer = &tune->report.layers[k];
    if (k == tune->report.count) {
        tune->report.count++;
        tune->chains[k] = *chain;
        layer->op = op;
        layer->ops = chain->count;
        snprintf(layer->layer, sizeof(layer->layer), "%s", key);
        snprintf(layer->rule, sizeof(layer->rule), "%s", rule);
        snprintf(layer->variant, sizeof(layer->variant), "%s", rule);
    }
    layer->count++;
}

static enum shk_status add_chains(struct tune *tune, enum shk_chain kind, struct shk_error *error)
{
    struct shk_fused *fused = NULL;
    enum shk_status status = shk_fuse_chains(tune->graph, 0, kind, &fused, error);
    for (uint32_t i = 0; i < tune->graph->op_count && !status; i++)
        if (shk_fused_chain(fused, i) == kind) {
            struct shk_probe_chain chain = shk_probe_chain_of(fused, i);
            add_layer(tune, i, &chain);
        }
    shk_fuse_destroy(&fused);
    return status;
}

/* Ops by themselves, behind all of them pairs, and behind these inverted residuals: what is to be beaten comes first.
 */
static enum shk_status find_layers(struct tune *tune, struct shk_error *error)
{
    const struct shk_graph *graph = tune->graph;
    uint32_t room = 3 * SHK_MAX(graph->op_count, 1u);
    tune->report.layers = calloc(room, sizeof(*tune->report.layers));
    tune->tuned = calloc(room, sizeof(*tune->tuned));
    tune->chains = calloc(room, sizeof(*tune->chains));
    if (!tune->report.layers || !tune->tuned || !tune->chains)
        return shk_fail_oom(error, room * (sizeof(*tune->tuned) + sizeof(*tune->report.layers)), "layers to tune");
    for (uint32_t i = 0; i < graph->op_count; i++)
        if (graph->ops[i].def->variants)
            add_layer(tune, i, &(struct shk_probe_chain){{&graph->ops[i]}, 1});
    enum shk_status status = add_chains(tune, SHK_CHAIN_PAIR, error);
    return status ? status : add_chains(tune, SHK_CHAIN_INVERTED, error);
}

/* ---- measuring ---- */

struct contest {
    struct shk_model *model;
    struct shk_session *rule, *candidate;
    int8_t *input, *expected, *found;
    size_t output_bytes;
    uint64_t rule_ns[MAX_RUNS], ns[MAX_RUNS];
    uint32_t runs;
};

static void contest_finish(struct contest *c)
{
    shk_session_destroy(&c->rule);
    shk_session_destroy(&c->candidate);
    shk_model_destroy(&c->model);
    free(c->input);
    free(c->expected);
    free(c->found);
}

/* The rule of thumb runs: of a chain, one kernel per op. */
static enum shk_status contest_init(struct contest *c, struct tune *tune, const struct shk_probe_chain *chain,
                                    struct shk_error *error)
{
    const struct shk_op *first = chain->ops[0], *last = chain->ops[chain->count - 1];
    const char *dir = tune->params->cache_dir;
    *c = (struct contest){0};
    enum shk_status status = shk_probe_model(tune->graph, chain, &c->model, error);
    if (!status)
        status =
            shk_probe_session(tune->device, c->model, first->def->variants, dir, &tune->params->log, &c->rule, error);
    if (status)
        return status;
    size_t bytes = shk_op_input(tune->graph, first, 0)->bytes;
    c->output_bytes = shk_op_output(tune->graph, last, 0)->bytes;
    c->input = malloc(bytes);
    c->expected = malloc(c->output_bytes);
    c->found = malloc(c->output_bytes);
    if (!c->input || !c->expected || !c->found)
        return shk_fail_oom(error, bytes + 2 * c->output_bytes, "a layer's input and output");
    shk_probe_fill(c->input, bytes, 2);
    return shk_probe_run(c->rule, c->input, c->expected, NULL, error); /* the first run pays for compilation */
}

static int compare_ns(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t median(const uint64_t *ns, uint32_t count)
{
    uint64_t sorted[MAX_RUNS];
    memcpy(sorted, ns, count * sizeof(*ns));
    qsort(sorted, count, sizeof(*sorted), compare_ns);
    return sorted[count / 2];
}

static bool is_hopeless(const struct contest *c)
{
    uint64_t best = UINT64_MAX, rule_worst = 0;
    for (uint32_t i = 0; i < c->runs; i++) {
        best = SHK_MIN(best, c->ns[i]);
        rule_worst = SHK_MAX(rule_worst, c->rule_ns[i]);
    }
    return c->runs >= MIN_RUNS && best / HOPELESS >= rule_worst;
}

/* Run beside run. */
static enum shk_status race(struct contest *c, bool full, struct shk_error *error)
{
    uint32_t most = full ? MAX_RUNS : FAST_RUNS;
    uint64_t start = shk_time_ns(), enough = full ? FULL_NS : FAST_NS;
    enum shk_status status = SHK_OK;
    for (c->runs = 0; c->runs < most && !status; c->runs++) {
        if (c->runs >= MIN_RUNS && (shk_time_ns() - start > enough || is_hopeless(c)))
            break;
        status = shk_probe_run(c->rule, c->input, NULL, &c->rule_ns[c->runs], error);
        if (!status)
            status = shk_probe_run(c->candidate, c->input, NULL, &c->ns[c->runs], error);
    }
    return status;
}

/* Noise only adds: the candidate must win most runs, and the median and the best of them by 3 %. */
static bool is_faster(const struct contest *c)
{
    uint32_t won = 0;
    uint64_t best = UINT64_MAX, rule_best = UINT64_MAX;
    for (uint32_t i = 0; i < c->runs; i++) {
        won += c->ns[i] < c->rule_ns[i];
        best = SHK_MIN(best, c->ns[i]);
        rule_best = SHK_MIN(rule_best, c->rule_ns[i]);
    }
    return best > 0 && won >= c->runs - c->runs / 4 && best < rule_best / 100 * 97 &&
           median(c->ns, c->runs) < median(c->rule_ns, c->runs) / 100 * 97;
}

static uint32_t *hopeless_layers(struct tune *tune, const struct shk_variant *variant)
{
    uint32_t i = 0;
    while (i < tune->hopeless_count && tune->hopeless[i].variant != variant)
        i++;
    if (i == tune->hopeless_count && i < MAX_HOPELESS)
        tune->hopeless[tune->hopeless_count++].variant = variant;
    return i < MAX_HOPELESS ? &tune->hopeless[i].layers : NULL;
}

static bool is_given_up(struct tune *tune, const struct shk_variant *variant)
{
    const uint32_t *layers = hopeless_layers(tune, variant);
    return tune->params->mode == SHK_TUNE_FAST && layers && *layers >= GIVE_UP;
}

/* The candidate against the rule of thumb; `tuned` and the layer learn about it if it is the best so far, and takes
 * less than `to_beat` times what the rule does. */
static enum shk_status try_variant(struct tune *tune, struct contest *c, const struct shk_op *op,
                                   const struct shk_variant *variant, double to_beat, struct shk_tune_layer *layer,
                                   struct shk_tuned *tuned, struct shk_error *error)
{
    bool equal = false;
    const char *dir = tune->params->cache_dir;
    enum shk_status status =
        shk_probe_session(tune->device, c->model, variant, dir, &tune->params->log, &c->candidate, error);
    if (!status && c->candidate->lowering.used[c->candidate->graph->op_count - 1] == variant) {
        status = shk_probe_run(c->candidate, c->input, c->found, NULL, error);
        equal = !status && memcmp(c->found, c->expected, c->output_bytes) == 0;
        if (!status && !equal) {
            shk_log(&tune->params->log, SHK_LOG_WARNING, "'%s' computes %s wrongly with kernel '%s': left out",
                    tune->device->info.name, layer->layer, variant->name);
            shk_variant_drop(variant, op->def, tune->device);
        }
    }
    if (equal) {
        layer->candidates++;
        status = race(c, tune->params->mode == SHK_TUNE_FULL, error);
        uint32_t *hopeless = hopeless_layers(tune, variant);
        if (hopeless && is_hopeless(c))
            ++*hopeless;
        uint64_t rule_ns = median(c->rule_ns, c->runs), ns = median(c->ns, c->runs);
        if (!status && tuned->default_ns == 0)
            tuned->default_ns = tuned->ns = SHK_MAX(rule_ns, 1u);
        /* how much faster than the rule at that time: times of other races may be from a busier machine */
        if (!status && is_faster(c) &&
            (double)ns / (double)rule_ns < SHK_MIN(to_beat, (double)tuned->ns / (double)tuned->default_ns)) {
            tuned->variant = variant;
            tuned->default_ns = rule_ns;
            tuned->ns = ns;
        }
    }
    shk_session_destroy(&c->candidate);
    return status;
}

static enum shk_chain kind_of(const struct shk_probe_chain *chain)
{
    return chain->count == 1 ? SHK_CHAIN_NONE : chain->count == 2 ? SHK_CHAIN_PAIR : SHK_CHAIN_INVERTED;
}

static enum shk_status tune_layer(struct tune *tune, uint32_t index, double to_beat, struct shk_error *error)
{
    struct shk_tune_layer *layer = &tune->report.layers[index];
    struct shk_tuned *tuned = &tune->tuned[index];
    const struct shk_probe_chain *chain = &tune->chains[index];
    const struct shk_op *op = chain->ops[chain->count - 1];
    struct contest contest;
    enum shk_status status = contest_init(&contest, tune, chain, error);
    tuned->variant = op->def->variants;
    snprintf(tuned->key, sizeof(tuned->key), "%s", layer->layer);
    for (uint32_t i = 1; i < op->def->variant_count && !status; i++) {
        const struct shk_variant *variant = &op->def->variants[i];
        bool wanted = tune->params->mode == SHK_TUNE_FULL ? variant->full : variant->fast;
        if (!wanted || shk_variant_chain(variant) != kind_of(chain))
            continue;
        if (is_given_up(tune, variant))
            tuned->is_new = true;
        else
            status = try_variant(tune, &contest, op, variant, to_beat, layer, tuned, error);
    }
    contest_finish(&contest);
    tuned->is_new |= layer->candidates > 0;
    if (tuned->variant != op->def->variants)
        snprintf(layer->variant, sizeof(layer->variant), "%s", tuned->variant->name);
    layer->rule_ns = tuned->default_ns;
    layer->ns = tuned->ns;
    return status;
}

/* What is known from before, in `lines`; else measured now. */
static enum shk_status look_up_or_tune(struct tune *tune, const char *lines, uint32_t index, double to_beat,
                                       struct shk_error *error)
{
    struct shk_tune_layer *layer = &tune->report.layers[index];
    const struct shk_op *op = &tune->graph->ops[layer->op];
    struct shk_tuned known = {.variant = NULL};
    if (!shk_tuned_find(lines, layer->layer, op->def, &known))
        return tune_layer(tune, index, to_beat, error);
    tune->tuned[index] = known;
    if (known.variant != op->def->variants)
        snprintf(layer->variant, sizeof(layer->variant), "%s", known.variant->name);
    layer->rule_ns = known.default_ns;
    layer->ns = known.ns;
    return SHK_OK;
}

/* What a chain of other ones took: by rule of thumb, and as it was tuned. */
struct times {
    double rule_ns, ns;
};

static struct times times_of(const struct tune *tune, const struct shk_probe_chain *chain)
{
    char key[SHK_PROBE_KEY];
    shk_probe_chain_key(tune->graph, chain, key);
    uint32_t i = find_layer(tune, key);
    if (i == tune->report.count)
        return (struct times){0, 0};
    return (struct times){(double)tune->report.layers[i].rule_ns, (double)tune->report.layers[i].ns};
}

/* How much of the time by rule of thumb the chain takes without a kernel of its own: as each of its ops was tuned, and
 * the pair in it. */
static double tuned_ratio(const struct tune *tune, const struct shk_probe_chain *chain)
{
    struct times sum = {0, 0}, last_two = {0, 0};
    for (uint32_t k = 0; k < chain->count; k++) {
        struct times times = times_of(tune, &(struct shk_probe_chain){{chain->ops[k]}, 1});
        sum = (struct times){sum.rule_ns + times.rule_ns, sum.ns + times.ns};
        if (k > 0)
            last_two = (struct times){last_two.rule_ns + times.rule_ns, last_two.ns + times.ns};
    }
    if (chain->count > 2) {
        struct times pair = times_of(tune, &(struct shk_probe_chain){{chain->ops[1], chain->ops[2]}, 2});
        double pair_ns = pair.rule_ns > 0 ? last_two.rule_ns * pair.ns / pair.rule_ns : last_two.ns;
        sum.ns -= SHK_MAX(last_two.ns - pair_ns, 0.0);
    }
    return sum.rule_ns > 0 ? sum.ns / sum.rule_ns : 1.0;
}

static enum shk_status tune_layers(struct tune *tune, const char *lines, struct shk_error *error)
{
    const struct shk_tune_params *p = tune->params;
    for (uint32_t i = 0; i < tune->report.count; i++) {
        struct shk_tune_layer *layer = &tune->report.layers[i];
        if (p->progress && !p->progress(p->user, i, tune->report.count, layer->layer))
            break;
        double to_beat = layer->ops > 1 ? tuned_ratio(tune, &tune->chains[i]) : 1.0;
        enum shk_status status = look_up_or_tune(tune, lines, i, to_beat, error);
        if (status)
            return status;
        layer->beaten_ns = (uint64_t)(to_beat * (double)layer->rule_ns);
    }
    return SHK_OK;
}

/* What was measured, without gaps, into the cache folder. */
static void keep(struct tune *tune)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < tune->report.count; i++)
        if (tune->tuned[i].is_new)
            tune->tuned[count++] = tune->tuned[i];
    if (count && tune->params->cache_dir)
        shk_tuned_write(tune->device, tune->params->cache_dir, tune->tuned, count, &tune->params->log);
}

enum shk_status shk_tune(struct shk_device *device, struct shk_model *model, const struct shk_tune_params *params,
                         struct shk_tune_report *report, struct shk_error *error)
{
    struct shk_tune_params defaults = SHK_TUNE_PARAMS_DEFAULT;
    struct tune tune = {.device = device, .params = params ? params : &defaults};
    if (report)
        *report = (struct shk_tune_report){0};
    if (!device || !model)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_tune: device and model must not be NULL");
    if ((unsigned)tune.params->mode > SHK_TUNE_FULL)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "shk_tune: mode %d is not one of the enum's",
                        (int)tune.params->mode);
    if (tune.params->mode == SHK_TUNE_OFF)
        return SHK_OK;
    tune.graph = shk_model_graph(model);
    char *lines = NULL;
    if (tune.params->mode == SHK_TUNE_FAST && tune.params->cache_dir)
        lines = shk_tuned_read(device, tune.params->cache_dir, &tune.params->log);
    enum shk_status status = find_layers(&tune, error);
    if (!status)
        status = tune_layers(&tune, lines, error);
    free(lines);
    if (tune.tuned)
        keep(&tune); /* also what was measured before a failure */
    if (!status && report)
        *report = tune.report;
    else
        shk_tune_report_free(&tune.report);
    free(tune.tuned);
    free(tune.chains);
    return status;
}
