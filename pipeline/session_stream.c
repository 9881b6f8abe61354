/* Streams: what frames of one format have in common, and what a frame's memory must be like.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "session.h"

enum shk_status shk_stream_init(struct shk_stream *stream, struct shk_session *session,
                                const struct shk_frame_format *format, struct shk_error *error)
{
    *stream = (struct shk_stream){.session = session};
    enum shk_status status =
        shk_preprocess_init(&stream->preprocess, session->graph, &session->params, format, error);
    if (!status && session->backend->stream)
        status = session->backend->stream(session, stream, error);
    return status;
}

enum shk_status shk_stream_create(struct shk_session *session, const struct shk_frame_format *format,
                                  struct shk_stream **out, struct shk_error *error)
{
    struct shk_stream *stream = malloc(sizeof(*stream));
    if (!stream)
        return shk_fail_oom(error, sizeof(*stream), "a stream");
    enum shk_status status = shk_stream_init(stream, session, format, error);
    if (status)
        free(stream);
    else
        *out = stream;
    return status;
}

void shk_stream_destroy(struct shk_stream **stream)
{
    if (!stream)
        return;
    free(*stream);
    *stream = NULL;
}

static const char *device_name(const struct shk_device *device)
{
    return device ? device->info.name : "no device";
}

/* Of the session's device, and not more than can be bound. */
static enum shk_status check_memory(const struct shk_session *session, const struct shk_memory *memory,
                                    struct shk_error *error)
{
    if (!memory)
        return shk_fail(error, SHK_ERROR_INVALID_ARGUMENT, "the frame has no memory (shk_frame.memory)");
    if (memory->info.device != session->device)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "the frame is in memory of %s, the session runs on %s%s; copy the frame into memory of the "
                        "session's device",
                        device_name(memory->info.device), device_name(session->device),
                        memory->info.device && session->device ? " by another shk_device" : "");
    uint64_t bytes = session->device ? memory->buffer.size : memory->info.size;
    uint32_t limit = session->device ? session->device->limits.maxStorageBufferRange : UINT32_MAX;
    if (bytes > limit)
        return shk_fail(error, SHK_ERROR_UNSUPPORTED,
                        "the frame is in a memory of %llu bytes, %u can be bound at once; copy the frame into a memory "
                        "of its own",
                        (unsigned long long)bytes, limit);
    return SHK_OK;
}

enum shk_status shk_stream_check(const struct shk_stream *stream, const struct shk_frame *frame,
                                 struct shk_error *error)
{
    const struct shk_memory *memory = frame->memory;
    enum shk_status status = check_memory(stream->session, memory, error);
    return status ? status : shk_preprocess_check(&stream->preprocess, frame, memory->info.size, error);
}
