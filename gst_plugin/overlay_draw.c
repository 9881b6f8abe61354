/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay_draw.h"

#include <math.h>
#include <string.h>

#include "shrike_meta.h"

/* Bright and far apart from each other, so that dark text is legible on nearly all of them. */
static const guint32 palette[] = {
    0xff5a4d, 0x35d07f, 0x4da3ff, 0xffc02e, 0xc77dff, 0x2ee6d6, 0xff7ab8, 0xb6e34b, 0xff9142, 0x8f8dff,
    0x62d2ff, 0xf2e94e, 0xe85d9c, 0x59b86b, 0xd9a066, 0x7fb2a5, 0xf4978e, 0xa3c4f3, 0xcfbaf0, 0xb8c480,
};

static struct overlay_color palette_color(guint index)
{
    guint32 rgb = palette[index % G_N_ELEMENTS(palette)];
    return (struct overlay_color){(rgb >> 16) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0};
}

struct overlay_color overlay_class_color(gint class_id, const char *name)
{
    return palette_color(class_id >= 0 ? (guint)class_id : g_str_hash(name));
}

struct overlay_color overlay_track_color(gint track_id)
{
    return palette_color((guint)track_id);
}

gint overlay_track_id(GstVideoRegionOfInterestMeta *region)
{
    const GstStructure *track = gst_video_region_of_interest_meta_get_param(region, SHRIKE_TRACK_PARAMS);
    gint id = 0;
    return track && gst_structure_get_int(track, SHRIKE_FIELD_ID, &id) && id > 0 ? id : 0;
}

/* ---- Text ---- */

void overlay_text_init(struct overlay_text *text)
{
    /* a font map of our own: the default one belongs to a thread */
    PangoFontMap *fonts = pango_cairo_font_map_new();
    text->context = pango_font_map_create_context(fonts);
    g_object_unref(fonts);
    text->layout = pango_layout_new(text->context);
    text->font = pango_font_description_from_string("Sans Bold");
    pango_layout_set_single_paragraph_mode(text->layout, TRUE);
    pango_layout_set_ellipsize(text->layout, PANGO_ELLIPSIZE_END);
    text->size = 0;
}

void overlay_text_clear(struct overlay_text *text)
{
    g_clear_object(&text->layout);
    g_clear_object(&text->context);
    g_clear_pointer(&text->font, pango_font_description_free);
}

void overlay_text_set_size(struct overlay_text *text, double pixels)
{
    if (text->size == pixels)
        return;
    text->size = pixels;
    pango_font_description_set_absolute_size(text->font, pixels * PANGO_SCALE);
    pango_layout_set_font_description(text->layout, text->font);
}

double overlay_text_size_for(guint frame_width, guint frame_height)
{
    double side = MIN(frame_height, frame_width * 0.75);
    return 6.5 + side * 0.016;
}

/* ---- Canvas ---- */

static gboolean take_memory(struct overlay_canvas *canvas, gsize size)
{
    if (canvas->buffer && canvas->capacity >= size && gst_buffer_is_writable(canvas->buffer) &&
        gst_buffer_is_all_memory_writable(canvas->buffer))
        return TRUE;
    gst_clear_buffer(&canvas->buffer);
    canvas->buffer = gst_buffer_new_allocate(NULL, size, NULL);
    canvas->capacity = canvas->buffer ? size : 0;
    return canvas->buffer != NULL;
}

/* A rectangle of the video library takes its size from the meta; the memory behind may be larger. */
static void describe_pixels(struct overlay_canvas *canvas)
{
    GstVideoMeta *meta = gst_buffer_get_video_meta(canvas->buffer);
    if (!meta)
        meta = gst_buffer_add_video_meta(canvas->buffer, GST_VIDEO_FRAME_FLAG_NONE,
                                         GST_VIDEO_OVERLAY_COMPOSITION_FORMAT_RGB, canvas->width,
                                         canvas->height);
    meta->width = canvas->width;
    meta->height = canvas->height;
    meta->stride[0] = (gint)canvas->width * 4;
}

gboolean overlay_canvas_begin(struct overlay_canvas *canvas, guint width, guint height)
{
    canvas->width = width;
    canvas->height = height;
    gsize size = (gsize)width * height * 4;
    if (!take_memory(canvas, size) || !gst_buffer_map(canvas->buffer, &canvas->map, GST_MAP_WRITE))
        return FALSE;
    describe_pixels(canvas);
    memset(canvas->map.data, 0, size);
    canvas->surface = cairo_image_surface_create_for_data(canvas->map.data, CAIRO_FORMAT_ARGB32, (int)width,
                                                          (int)height, (int)width * 4);
    canvas->cairo = cairo_create(canvas->surface);
    return TRUE;
}

GstVideoOverlayRectangle *overlay_canvas_end(struct overlay_canvas *canvas, gint x, gint y)
{
    cairo_destroy(canvas->cairo);
    cairo_surface_destroy(canvas->surface);
    canvas->cairo = NULL;
    canvas->surface = NULL;
    gst_buffer_unmap(canvas->buffer, &canvas->map);
    return gst_video_overlay_rectangle_new_raw(canvas->buffer, x, y, canvas->width, canvas->height,
                                               GST_VIDEO_OVERLAY_FORMAT_FLAG_PREMULTIPLIED_ALPHA);
}

void overlay_canvas_clear(struct overlay_canvas *canvas)
{
    gst_clear_buffer(&canvas->buffer);
    canvas->capacity = 0;
}

void overlay_rounded_rectangle(cairo_t *cairo, double x, double y, double width, double height, double radius)
{
    radius = MIN(radius, MIN(width, height) / 2);
    cairo_new_sub_path(cairo);
    cairo_arc(cairo, x + width - radius, y + radius, radius, -G_PI_2, 0);
    cairo_arc(cairo, x + width - radius, y + height - radius, radius, 0, G_PI_2);
    cairo_arc(cairo, x + radius, y + height - radius, radius, G_PI_2, G_PI);
    cairo_arc(cairo, x + radius, y + radius, radius, G_PI, 3 * G_PI_2);
    cairo_close_path(cairo);
}

/* ---- Boxes ---- */

struct box_style {
    double line, padding, radius;
    double plate_height;
    double frame_width, frame_height;
};

struct extent {
    double left, top, right, bottom;
};

static struct extent clip_box(const struct overlay_box *box, const struct box_style *style)
{
    return (struct extent){CLAMP(box->x, 0, style->frame_width), CLAMP(box->y, 0, style->frame_height),
                           CLAMP(box->x + box->width, 0, style->frame_width),
                           CLAMP(box->y + box->height, 0, style->frame_height)};
}

/* The label sits on the box's upper edge, or inside where there is no room above, and never leaves the frame.
 */
static struct extent place_plate(const struct overlay_box *box, const struct box_style *style,
                                 struct overlay_text *text)
{
    struct extent clipped = clip_box(box, style);
    int text_width, text_height;
    pango_layout_set_width(text->layout,
                           (int)(MAX(style->frame_width - 2 * style->padding, 1) * PANGO_SCALE));
    pango_layout_set_text(text->layout, box->label, -1);
    pango_layout_get_pixel_size(text->layout, &text_width, &text_height);
    double width = text_width + 2 * style->padding;
    double left = MAX(MIN(clipped.left - style->line / 2, style->frame_width - width), 0);
    double top = clipped.top - style->plate_height + style->line / 2;
    if (top < 0)
        top = MAX(clipped.top - style->line / 2, 0);
    return (struct extent){left, top, left + width, top + style->plate_height};
}

static void draw_frame(cairo_t *cairo, const struct overlay_box *box, const struct box_style *style)
{
    struct extent at = clip_box(box, style);
    overlay_rounded_rectangle(cairo, at.left, at.top, at.right - at.left, at.bottom - at.top, style->radius);
    cairo_set_source_rgba(cairo, 0, 0, 0, 0.45);
    cairo_set_line_width(cairo, style->line * 1.9);
    cairo_stroke_preserve(cairo);
    cairo_set_source_rgb(cairo, box->color.red, box->color.green, box->color.blue);
    cairo_set_line_width(cairo, style->line);
    cairo_stroke(cairo);
}

static void draw_plate(cairo_t *cairo, const struct overlay_box *box, const struct box_style *style,
                       struct overlay_text *text)
{
    struct extent plate = place_plate(box, style, text);
    double luminance = 0.299 * box->color.red + 0.587 * box->color.green + 0.114 * box->color.blue;
    int text_height;
    overlay_rounded_rectangle(cairo, plate.left, plate.top, plate.right - plate.left, style->plate_height,
                              style->radius);
    cairo_set_source_rgba(cairo, box->color.red, box->color.green, box->color.blue, 0.94);
    cairo_fill(cairo);
    if (luminance > 0.45)
        cairo_set_source_rgb(cairo, 0.05, 0.05, 0.07);
    else
        cairo_set_source_rgb(cairo, 1, 1, 1);
    pango_layout_get_pixel_size(text->layout, NULL, &text_height);
    cairo_move_to(cairo, plate.left + style->padding, plate.top + (style->plate_height - text_height) / 2.0);
    pango_cairo_show_layout(cairo, text->layout);
}

static void grow(struct extent *total, const struct extent *by, double margin)
{
    total->left = MIN(total->left, by->left - margin);
    total->top = MIN(total->top, by->top - margin);
    total->right = MAX(total->right, by->right + margin);
    total->bottom = MAX(total->bottom, by->bottom + margin);
}

static struct extent measure(const struct overlay_box *boxes, guint count, const struct box_style *style,
                             struct overlay_text *text)
{
    struct extent total = {style->frame_width, style->frame_height, 0, 0};
    for (guint i = 0; i < count; i++) {
        struct extent box = clip_box(&boxes[i], style), plate;
        grow(&total, &box, style->line);
        if (boxes[i].label[0]) {
            plate = place_plate(&boxes[i], style, text);
            grow(&total, &plate, 0);
        }
    }
    total.left = floor(MAX(total.left, 0));
    total.top = floor(MAX(total.top, 0));
    total.right = ceil(MIN(total.right, style->frame_width));
    total.bottom = ceil(MIN(total.bottom, style->frame_height));
    return total;
}

GstVideoOverlayRectangle *overlay_draw_boxes(struct overlay_canvas *canvas, struct overlay_text *text,
                                             const struct overlay_box *boxes, guint count, guint frame_width,
                                             guint frame_height)
{
    double size = overlay_text_size_for(frame_width, frame_height);
    overlay_text_set_size(text, size);
    struct box_style style = {.line = MAX(1.5, size / 6.5),
                              .padding = size * 0.4,
                              .radius = size * 0.25,
                              .plate_height = ceil(size * 1.45),
                              .frame_width = frame_width,
                              .frame_height = frame_height};
    struct extent total = measure(boxes, count, &style, text);
    if (total.right <= total.left || total.bottom <= total.top)
        return NULL;
    if (!overlay_canvas_begin(canvas, (guint)(total.right - total.left), (guint)(total.bottom - total.top)))
        return NULL;
    cairo_translate(canvas->cairo, -total.left, -total.top);
    /* least confident first, so that the best labels lie on top */
    for (guint i = count; i-- > 0;)
        draw_frame(canvas->cairo, &boxes[i], &style);
    for (guint i = count; i-- > 0;) {
        if (boxes[i].label[0])
            draw_plate(canvas->cairo, &boxes[i], &style, text);
    }
    return overlay_canvas_end(canvas, (gint)total.left, (gint)total.top);
}
