/* Stand-ins, weak, until preprocess.c, detect.c and arena.c are on main in an hour; deleted with them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.h"

__attribute__((weak)) const struct shk_decoder_def *shk_decoder_find(const struct shk_graph *g) { (void)g; return NULL; }
__attribute__((weak)) enum shk_status shk_preprocess_check_model(const struct shk_graph *g, struct shk_error *e) { (void)g; return shk_fail(e, SHK_ERROR_UNSUPPORTED, "pending"); }
__attribute__((weak)) enum shk_status shk_preprocess_tables(const struct shk_graph *g, const struct shk_session_params *p, uint32_t t[SHK_PREPROCESS_TABLE_WORDS], struct shk_error *e) { (void)g; (void)p; (void)t; (void)e; return SHK_OK; }
__attribute__((weak)) enum shk_status shk_preprocess_init(struct shk_preprocess *p, const struct shk_graph *g, const struct shk_session_params *s, const struct shk_frame_format *f, struct shk_error *e) { (void)p; (void)g; (void)s; (void)f; return shk_fail(e, SHK_ERROR_UNSUPPORTED, "pending"); }
__attribute__((weak)) enum shk_status shk_preprocess_write(const struct shk_preprocess *p, const struct shk_frame *f, void *s, struct shk_placement *pl, struct shk_error *e) { (void)p; (void)f; (void)s; (void)pl; return shk_fail(e, SHK_ERROR_UNSUPPORTED, "pending"); }
__attribute__((weak)) void shk_preprocess_dispatch(struct shk_preprocess *p, const struct shk_view *i, uint32_t t, struct shk_dispatch *d) { (void)p; (void)i; (void)t; (void)d; }
__attribute__((weak)) void shk_preprocess_run(const struct shk_preprocess *p, const uint32_t t[SHK_PREPROCESS_TABLE_WORDS], const void *s, void *o) { (void)p; (void)t; (void)s; (void)o; }
