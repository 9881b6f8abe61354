/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tracker.h"

#include <math.h>

/* Standard deviations, as parts of an object's size: of a box's centre and extent as detectors give them, of
 * the velocity of an object that was seen once (per second), and of the change of a velocity in a second. */
#define CENTER_NOISE    0.05
#define CENTER_VELOCITY 1.5
#define CENTER_CHANGE   1.5
#define EXTENT_NOISE    0.1
#define EXTENT_VELOCITY 0.3
#define EXTENT_CHANGE   0.3

/* Pixels. What is smaller or farther away is nobody's object, and would leave the range of the arithmetic. */
#define MIN_EXTENT     1e-3
#define MAX_COORDINATE 1e7

/* Room for sums and differences of times. */
#define MAX_TIME     (G_MAXINT64 / 4)
#define MAX_DURATION (10 * G_GINT64_CONSTANT(1000000000))

/* A value, its change per second, and their covariance. */
struct filter {
    double value, rate;
    double var_value, covariance, var_rate;
};

struct track {
    struct filter x, y, width, height; /* x, y: centre; all as of `time` */
    gint64 time;                       /* of the last box */
    guint hits;
    gint id;          /* 0: not yet */
    gboolean seen;    /* in the last update */
    gboolean matched; /* in this frame */
    guint32 class_id;
    gint label_id;
    double confidence;
};

struct tracker {
    struct tracker_settings settings;
    gint64 now;
    gboolean started; /* `now` is a frame's time */
    gint last_id;
    guint64 created, lost, crowded, invalid;
    struct track tracks[TRACKER_MAX_TRACKS]; /* oldest first */
    guint count;
    struct tracker_box predicted[TRACKER_MAX_TRACKS];
    gint track_of[TRACKER_MAX_OBJECTS]; /* index into tracks, or -1 */
    struct assignment assignment;
};

/* ---- One value ---- */

static void filter_begin(struct filter *filter, double value, double noise, double velocity)
{
    *filter = (struct filter){.value = value, .var_value = noise * noise, .var_rate = velocity * velocity};
}

/* Acceleration is white noise of spectral density change^2. */
static void filter_predict(struct filter *f, double seconds, double change)
{
    double density = change * change;
    f->value += f->rate * seconds;
    f->var_value += seconds * (2 * f->covariance + seconds * f->var_rate + density * seconds * seconds / 3);
    f->covariance += seconds * (f->var_rate + density * seconds / 2);
    f->var_rate += density * seconds;
}

static void filter_correct(struct filter *f, double measured, double noise)
{
    double sum = f->var_value + noise * noise, error = measured - f->value;
    double value_gain = f->var_value / sum, rate_gain = f->covariance / sum;
    f->value += value_gain * error;
    f->rate += rate_gain * error;
    f->var_rate -= rate_gain * f->covariance;
    f->covariance -= value_gain * f->covariance;
    f->var_value -= value_gain * f->var_value;
}

/* ---- Boxes ---- */

static gboolean box_is_valid(const struct tracker_box *box)
{
    /* comparisons with NaN are false */
    return box->x_max - box->x_min >= MIN_EXTENT && box->y_max - box->y_min >= MIN_EXTENT &&
           box->x_min >= -MAX_COORDINATE && box->y_min >= -MAX_COORDINATE && box->x_max <= MAX_COORDINATE &&
           box->y_max <= MAX_COORDINATE;
}

static double box_area(const struct tracker_box *box)
{
    return (box->x_max - box->x_min) * (box->y_max - box->y_min);
}

double tracker_box_overlap(const struct tracker_box *a, const struct tracker_box *b)
{
    double width = MIN(a->x_max, b->x_max) - MAX(a->x_min, b->x_min);
    double height = MIN(a->y_max, b->y_max) - MAX(a->y_min, b->y_min);
    if (!box_is_valid(a) || !box_is_valid(b) || width <= 0 || height <= 0)
        return 0;
    double both = width * height;
    return both / (box_area(a) + box_area(b) - both);
}

/* ---- One track ---- */

/* An extent that shrank for a moment does not vanish while nobody looks, nor swallow the frame. */
static double extent_after(const struct filter *extent, double seconds)
{
    return CLAMP(extent->value + extent->rate * seconds, extent->value / 2, extent->value * 2);
}

static struct tracker_box track_box_at(const struct track *track, gint64 time)
{
    double seconds = (double)(time - track->time) * 1e-9;
    double x = track->x.value + track->x.rate * seconds, y = track->y.value + track->y.rate * seconds;
    double half_width = extent_after(&track->width, seconds) / 2;
    double half_height = extent_after(&track->height, seconds) / 2;
    return (struct tracker_box){x - half_width, y - half_height, x + half_width, y + half_height};
}

static void remember(struct track *track, const struct tracker_object *object, gint64 now)
{
    track->time = now;
    track->hits += track->hits < G_MAXUINT;
    track->seen = track->matched = TRUE;
    track->class_id = object->class_id;
    track->label_id = object->label_id;
    track->confidence = object->confidence;
}

static void track_begin(struct track *track, const struct tracker_object *object, gint64 now)
{
    const struct tracker_box *box = &object->box;
    double width = box->x_max - box->x_min, height = box->y_max - box->y_min, size = sqrt(width * height);
    *track = (struct track){.id = 0};
    filter_begin(&track->x, (box->x_min + box->x_max) / 2, CENTER_NOISE * size, CENTER_VELOCITY * size);
    filter_begin(&track->y, (box->y_min + box->y_max) / 2, CENTER_NOISE * size, CENTER_VELOCITY * size);
    filter_begin(&track->width, width, EXTENT_NOISE * width, EXTENT_VELOCITY * width);
    filter_begin(&track->height, height, EXTENT_NOISE * height, EXTENT_VELOCITY * height);
    remember(track, object, now);
}

static void follow_extent(struct filter *filter, double extent, double seconds)
{
    filter_predict(filter, seconds, EXTENT_CHANGE * extent);
    filter_correct(filter, extent, EXTENT_NOISE * extent);
    filter->value = CLAMP(filter->value, extent / 2, extent * 2);
}

static void track_follow(struct track *track, const struct tracker_object *object, gint64 now)
{
    const struct tracker_box *box = &object->box;
    double width = box->x_max - box->x_min, height = box->y_max - box->y_min, size = sqrt(width * height);
    double seconds = (double)(now - track->time) * 1e-9;
    filter_predict(&track->x, seconds, CENTER_CHANGE * size);
    filter_predict(&track->y, seconds, CENTER_CHANGE * size);
    filter_correct(&track->x, (box->x_min + box->x_max) / 2, CENTER_NOISE * size);
    filter_correct(&track->y, (box->y_min + box->y_max) / 2, CENTER_NOISE * size);
    follow_extent(&track->width, width, seconds);
    follow_extent(&track->height, height, seconds);
    remember(track, object, now);
}

static void number_track(struct tracker *tracker, struct track *track)
{
    gboolean due = track->hits >= MAX(tracker->settings.min_hits, 1);
    /* after 2^31 - 1 objects the next ones go without: no number is given twice */
    if (track->id > 0 || !due || tracker->last_id == G_MAXINT)
        return;
    track->id = ++tracker->last_id;
    tracker->created++;
}

/* ---- All tracks ---- */

struct tracker *tracker_new(void)
{
    struct tracker *tracker = g_new0(struct tracker, 1);
    tracker->settings = (struct tracker_settings){
        .iou_threshold = 0.3, .max_age = 1000000000, .min_hits = 3, .match_classes = TRUE};
    return tracker;
}

void tracker_free(struct tracker *tracker)
{
    g_free(tracker);
}

void tracker_set(struct tracker *tracker, const struct tracker_settings *settings)
{
    tracker->settings = *settings;
}

static void count_lost(struct tracker *tracker, const struct track *track)
{
    tracker->lost += track->id > 0;
}

void tracker_reset(struct tracker *tracker)
{
    for (guint i = 0; i < tracker->count; i++)
        count_lost(tracker, &tracker->tracks[i]);
    tracker->count = 0;
}

static gboolean has_ended(const struct tracker *tracker, const struct track *track)
{
    guint64 age = (guint64)(tracker->now - track->time);
    return age > tracker->settings.max_age || (track->id == 0 && !track->seen);
}

/* The others keep their order. */
static void remove_ended(struct tracker *tracker)
{
    guint kept = 0;
    for (guint i = 0; i < tracker->count; i++) {
        if (has_ended(tracker, &tracker->tracks[i]))
            count_lost(tracker, &tracker->tracks[i]);
        else
            tracker->tracks[kept++] = tracker->tracks[i];
    }
    tracker->count = kept;
}

/* The tracks' past moves so that `time` comes `duration` after it. */
static void rebase(struct tracker *tracker, gint64 time, gint64 duration)
{
    gint64 shift = tracker->now + duration - time;
    for (guint i = 0; i < tracker->count; i++)
        tracker->tracks[i].time -= shift;
}

void tracker_advance(struct tracker *tracker, guint64 time, guint64 duration)
{
    gint64 step = (gint64)MIN(duration, (guint64)MAX_DURATION), next = (gint64)MIN(time, (guint64)MAX_TIME);
    if (time == TRACKER_NO_TIME)
        next = tracker->started ? MIN(tracker->now + step, MAX_TIME) : 0;
    if (tracker->started && next < tracker->now) {
        if ((guint64)(tracker->now - next) > tracker->settings.max_age)
            tracker_reset(tracker);
        else
            rebase(tracker, next, step);
    }
    tracker->now = next;
    tracker->started = TRUE;
    remove_ended(tracker);
    for (guint i = 0; i < tracker->count; i++)
        tracker->tracks[i].matched = FALSE;
}

/* Of one object and one track: how well they go together, or 0. */
static double weigh(const struct tracker *tracker, const struct tracker_object *object, guint track)
{
    const struct tracker_settings *settings = &tracker->settings;
    if (settings->match_classes && object->class_id != tracker->tracks[track].class_id)
        return 0;
    double overlap = tracker_box_overlap(&object->box, &tracker->predicted[track]);
    return overlap >= settings->iou_threshold ? overlap : 0;
}

/* Pairs the first `count` objects that have no track yet with the tracks that have a number, or with those
 * that have none. */
static void pair_some(struct tracker *tracker, const struct tracker_object objects[], guint count,
                      gboolean numbered)
{
    gint column_of[TRACKER_MAX_OBJECTS];
    for (guint i = 0; i < count; i++) {
        for (guint k = 0; k < tracker->count; k++) {
            gboolean wanted = tracker->track_of[i] < 0 && (tracker->tracks[k].id > 0) == numbered;
            tracker->assignment.weight[i][k] = wanted ? weigh(tracker, &objects[i], k) : 0;
        }
    }
    assignment_solve(&tracker->assignment, count, tracker->count, column_of);
    for (guint i = 0; i < count; i++)
        if (column_of[i] >= 0)
            tracker->track_of[i] = column_of[i];
}

/* Clears the numbers and pairs objects with tracks, as these were at `time`. Returns how many objects take
 * part. Tracks without a number come second: a box that a detector finds beside the right one, in a frame or
 * two, takes nothing away. */
static guint pair(struct tracker *tracker, struct tracker_object objects[], guint count, gint64 time)
{
    guint used = MIN(count, TRACKER_MAX_OBJECTS);
    tracker->crowded += count - used;
    for (guint i = 0; i < count; i++)
        objects[i].track_id = 0;
    for (guint k = 0; k < tracker->count; k++)
        tracker->predicted[k] = track_box_at(&tracker->tracks[k], time);
    for (guint i = 0; i < used; i++) {
        tracker->track_of[i] = -1;
        tracker->invalid += !box_is_valid(&objects[i].box);
    }
    pair_some(tracker, objects, used, TRUE);
    pair_some(tracker, objects, used, FALSE);
    return used;
}

static void begin_track(struct tracker *tracker, struct tracker_object *object)
{
    if (!box_is_valid(&object->box))
        return;
    if (tracker->count == TRACKER_MAX_TRACKS) {
        tracker->crowded++;
        return;
    }
    struct track *track = &tracker->tracks[tracker->count++];
    track_begin(track, object, tracker->now);
    number_track(tracker, track);
    object->track_id = track->id;
}

void tracker_update(struct tracker *tracker, struct tracker_object objects[], guint count)
{
    guint used = pair(tracker, objects, count, tracker->now);
    for (guint k = 0; k < tracker->count; k++)
        tracker->tracks[k].seen = FALSE;
    for (guint i = 0; i < used; i++) {
        if (tracker->track_of[i] < 0)
            continue;
        struct track *track = &tracker->tracks[tracker->track_of[i]];
        track_follow(track, &objects[i], tracker->now);
        number_track(tracker, track);
        objects[i].track_id = track->id;
    }
    remove_ended(tracker);
    for (guint i = 0; i < used; i++) {
        if (tracker->track_of[i] < 0)
            begin_track(tracker, &objects[i]);
    }
}

void tracker_match(struct tracker *tracker, guint64 age, struct tracker_object objects[], guint count)
{
    /* no track reaches farther back */
    gint64 back = (gint64)MIN(age, MIN(tracker->settings.max_age, (guint64)MAX_TIME));
    guint used = pair(tracker, objects, count, tracker->now - back);
    for (guint i = 0; i < used; i++) {
        if (tracker->track_of[i] < 0)
            continue;
        struct track *track = &tracker->tracks[tracker->track_of[i]];
        track->matched = TRUE;
        objects[i].track_id = track->id;
    }
}

guint tracker_predict(struct tracker *tracker, struct tracker_object objects[], guint capacity)
{
    guint count = 0;
    for (guint k = 0; k < tracker->count && count < capacity; k++) {
        const struct track *track = &tracker->tracks[k];
        if (!track->seen || track->matched)
            continue;
        objects[count++] = (struct tracker_object){.box = track_box_at(track, tracker->now),
                                                   .class_id = track->class_id,
                                                   .label_id = track->label_id,
                                                   .confidence = track->confidence,
                                                   .track_id = track->id};
    }
    return count;
}

void tracker_get_stats(const struct tracker *tracker, struct tracker_stats *stats)
{
    *stats = (struct tracker_stats){.created = tracker->created,
                                    .alive = tracker->created - tracker->lost,
                                    .lost = tracker->lost,
                                    .crowded = tracker->crowded,
                                    .invalid = tracker->invalid};
}
