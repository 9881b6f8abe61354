/* Pairs rows with columns of a matrix so that the sum of the weights is as large as it can be.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The assignment problem, by shortest augmenting paths (H. W. Kuhn, "The Hungarian method for the assignment
 * problem", 1955; R. Jonker and A. Volgenant, "A shortest augmenting path algorithm for dense and sparse
 * linear assignment problems", 1987). Not every row gets a column: a pair whose weight is not above 0 is
 * never made. */
#ifndef SHRIKE_GST_ASSIGNMENT_H
#define SHRIKE_GST_ASSIGNMENT_H

#include <glib.h>

G_BEGIN_DECLS

/* Most rows, and most columns. */
#define ASSIGNMENT_MAX 256

/* The matrix and the working memory: half a megabyte, to be allocated once. */
struct assignment {
    double weight[ASSIGNMENT_MAX][ASSIGNMENT_MAX]; /* [row][column], finite */

    double row_price[ASSIGNMENT_MAX + 1], column_price[ASSIGNMENT_MAX + 1];
    double slack[ASSIGNMENT_MAX + 1]; /* least reduced cost of each column that is not in the tree yet */
    gint row_of[ASSIGNMENT_MAX + 1];  /* column -> row */
    gint before[ASSIGNMENT_MAX + 1];  /* column -> column before it on the path */
    gboolean visited[ASSIGNMENT_MAX + 1];
};

/* column_of[row] is the column that each of `rows` rows is paired with, or -1. The same matrix gives the same
 * pairs. Time grows with rows^2 * max(rows, columns). */
void assignment_solve(struct assignment *a, guint rows, guint columns, gint column_of[]);

G_END_DECLS
#endif
