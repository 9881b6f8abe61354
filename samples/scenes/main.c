/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shrike-scenes: generated frames with labels, for training, calibration and demonstrations. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "scene.h"
#include "writer.h"

struct options {
    uint64_t seed, first, count;
    int width, height;
    const char *out, *y4m, *labels;
    bool stream, video;
};

static const char usage[] =
    "Usage: shrike-scenes [options] (--out DIR | --y4m FILE | --stream)\n"
    "Generated scenes with labelled shapes: ball, box, triangle, star, ring, cross.\n"
    "  --seed N       series (default 1); the same seed gives the same frames\n"
    "  --first N      first frame of the series (default 0)\n"
    "  --count N      number of frames (default 16)\n"
    "  --size WxH     frame size in pixels (default 256x192)\n"
    "  --video        one scene whose shapes move from frame to frame, instead of a new scene each frame\n"
    "  --out DIR      PNG files DIR/NNNNNN.png, and DIR/labels.txt unless --labels says another file\n"
    "  --y4m FILE     YUV4MPEG2 video (30 frames a second); - is the standard output\n"
    "  --stream       records of labels and RGB bytes on the standard output (writer.h describes them)\n"
    "  --labels FILE  one line per object: frame class x_min y_min x_max y_max, in fractions of the frame\n";

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool parse_size(const char *text, struct options *o)
{
    char after;

    return sscanf(text, "%dx%d%c", &o->width, &o->height, &after) == 2 && o->width >= 16 && o->height >= 16 &&
           o->width <= 8192 && o->height <= 8192;
}

static bool parse_option(int option, const char *value, struct options *o)
{
    switch (option) {
    case 's':
        return parse_number(value, &o->seed);
    case 'f':
        return parse_number(value, &o->first);
    case 'n':
        return parse_number(value, &o->count);
    case 'z':
        return parse_size(value, o);
    case 'o':
        o->out = value;
        return true;
    case 'y':
        o->y4m = value;
        return true;
    case 'l':
        o->labels = value;
        return true;
    case 'r':
        o->stream = true;
        return true;
    case 'v':
        o->video = true;
        return true;
    default:
        return false;
    }
}

/* Returns the exit status to end with, or -1 to go on. */
static int parse_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"seed", 1, NULL, 's'},
        {"first", 1, NULL, 'f'},
        {"count", 1, NULL, 'n'},
        {"size", 1, NULL, 'z'},
        {"out", 1, NULL, 'o'},
        {"y4m", 1, NULL, 'y'},
        {"labels", 1, NULL, 'l'},
        {"stream", 0, NULL, 'r'},
        {"video", 0, NULL, 'v'},
        {"help", 0, NULL, 'h'},
        {0},
    };
    int option, index = 0;

    while ((option = getopt_long(argc, argv, "", known, &index)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (!parse_option(option, optarg, o)) {
            if (option != '?')
                fprintf(stderr, "shrike-scenes: --%s can't be \"%s\"; see --help\n", known[index].name,
                        optarg);
            return EXIT_FAILURE;
        }
    }
    if (optind < argc || !!o->out + !!o->y4m + o->stream != 1) {
        fputs("shrike-scenes: say one of --out DIR, --y4m FILE and --stream; see --help\n", stderr);
        return EXIT_FAILURE;
    }
    if (o->y4m && (o->width % 2 || o->height % 2)) {
        fprintf(stderr, "shrike-scenes: %dx%d is not even on both sides, which --y4m needs\n", o->width,
                o->height);
        return EXIT_FAILURE;
    }
    return -1;
}

static FILE *open_output(const char *path)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "wb") : stdout;

    if (!f)
        fprintf(stderr, "shrike-scenes: can't write %s: %s\n", path, strerror(errno));
    return f;
}

static bool write_frame(const struct options *o, FILE *to, uint64_t number, const uint8_t *rgb,
                        const struct scene_object *objects, int count)
{
    char path[4096];

    if (o->stream)
        return write_record(stdout, rgb, o->width, o->height, objects, count);
    if (o->y4m)
        return write_y4m_frame(to, rgb, o->width, o->height);
    snprintf(path, sizeof path, "%s/%06" PRIu64 ".png", o->out, number);
    return write_png(path, rgb, o->width, o->height);
}

static bool generate(const struct options *o, struct scene *s, uint8_t *rgb, FILE *video, FILE *labels)
{
    struct scene_object objects[SCENE_MAX_SPRITES];

    if (video && !write_y4m_header(video, o->width, o->height))
        return false;
    for (uint64_t i = 0; i < o->count; i++) {
        if (i == 0 || !o->video)
            scene_compose(s, o->seed, o->first + i, o->video);
        else
            scene_step(s);
        int count = scene_render(s, rgb, objects);
        if (!write_frame(o, video, o->first + i, rgb, objects, count) ||
            (labels && !write_labels(labels, o->first + i, objects, count)))
            return false;
    }
    return true;
}

static bool close_output(FILE *f)
{
    return !f || (f == stdout ? fflush(f) : fclose(f)) == 0;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .count = 16, .width = 256, .height = 192};
    int status = parse_options(argc, argv, &o);
    char path[4096];
    FILE *video = NULL, *labels = NULL;
    struct scene scene = {0};
    uint8_t *rgb = NULL;

    if (status >= 0)
        return status;
    status = EXIT_FAILURE;
    if (o.out && mkdir(o.out, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "shrike-scenes: can't make the folder %s: %s\n", o.out, strerror(errno));
        goto out;
    }
    if (o.out && !o.labels) {
        snprintf(path, sizeof path, "%s/labels.txt", o.out);
        o.labels = path;
    }
    if ((o.labels && !(labels = open_output(o.labels))) || (o.y4m && !(video = open_output(o.y4m))))
        goto out;
    rgb = malloc((size_t)o.width * (size_t)o.height * 3);
    if (!rgb || !scene_init(&scene, o.width, o.height)) {
        fprintf(stderr, "shrike-scenes: no memory for frames of %dx%d\n", o.width, o.height);
        goto out;
    }
    if (generate(&o, &scene, rgb, video, labels))
        status = EXIT_SUCCESS;
    else
        fprintf(stderr, "shrike-scenes: writing failed: %s\n", strerror(errno));
out:
    if (!close_output(video) || !close_output(labels) || fflush(stdout) != 0) {
        fprintf(stderr, "shrike-scenes: writing failed: %s\n", strerror(errno));
        status = EXIT_FAILURE;
    }
    scene_finish(&scene);
    free(rgb);
    return status;
}
