/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image.h"

#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>

/* libjpeg reports errors by a callback that must not return. */
struct failure {
    struct jpeg_error_mgr base;
    jmp_buf out;
    char message[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr info)
{
    struct failure *failure = (struct failure *)info->err;
    failure->base.format_message(info, failure->message);
    longjmp(failure->out, 1);
}

static void on_message(j_common_ptr info)
{
}

/* Everything between setjmp() and longjmp() lives in *jpeg and *image, not in local variables. */
static gboolean decode(struct jpeg_decompress_struct *jpeg, const uint8_t *data, gsize size, struct image *image,
                       GError **error)
{
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, data, size);
    jpeg_read_header(jpeg, TRUE);
    jpeg->out_color_space = JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(jpeg);
    if (!image_alloc(image, jpeg->output_width, jpeg->output_height, error))
        return FALSE;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = image->rgb + (size_t)jpeg->output_scanline * image->width * 3;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    if (jpeg->err->num_warnings > 0)
        return image_fail(error, "the JPEG data is damaged or ends early");
    return TRUE;
}

gboolean image_decode_jpeg(const uint8_t *data, gsize size, struct image *image, GError **error)
{
    struct failure failure;
    struct jpeg_decompress_struct jpeg = {.err = jpeg_std_error(&failure.base)};
    failure.base.error_exit = on_error;
    failure.base.output_message = on_message;
    gboolean ok = FALSE;
    if (setjmp(failure.out) == 0)
        ok = decode(&jpeg, data, size, image, error);
    else
        image_fail(error, "%s", failure.message);
    jpeg_destroy_decompress(&jpeg);
    return ok;
}
