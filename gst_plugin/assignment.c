/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assignment.h"

/* Rows and columns count from 1 here: column 0 is where every path begins, and row 0 means "no row".
 *
 * A pair that is not to be made costs nothing, as if the row had stayed alone: as many columns as rows are
 * therefore enough for every row to end somewhere, and those past the last column are such places, too. */
static double cost_of(const struct assignment *a, guint rows, guint columns, gint row, gint column)
{
    if ((guint)row > rows || (guint)column > columns)
        return 0;
    double weight = a->weight[row - 1][column - 1];
    return weight > 0 ? -weight : 0;
}

/* Adds `column` to the tree and returns the nearest column outside of it. */
static gint grow_tree(struct assignment *a, guint rows, guint columns, gint width, gint column)
{
    gint row = a->row_of[column], nearest = 0;
    double delta = G_MAXDOUBLE;
    a->visited[column] = TRUE;
    for (gint c = 1; c <= width; c++) {
        if (a->visited[c])
            continue;
        double reduced = cost_of(a, rows, columns, row, c) - a->row_price[row] - a->column_price[c];
        if (reduced < a->slack[c]) {
            a->slack[c] = reduced;
            a->before[c] = column;
        }
        if (a->slack[c] < delta) {
            delta = a->slack[c];
            nearest = c;
        }
    }
    for (gint c = 0; c <= width; c++) {
        if (a->visited[c]) {
            a->row_price[a->row_of[c]] += delta;
            a->column_price[c] -= delta;
        } else {
            a->slack[c] -= delta;
        }
    }
    return nearest;
}

/* Finds the cheapest way to a free column and moves the rows along it. */
static void place_row(struct assignment *a, guint rows, guint columns, gint width, gint row)
{
    gint column = 0;
    a->row_of[0] = row;
    for (gint c = 0; c <= width; c++) {
        a->slack[c] = G_MAXDOUBLE;
        a->visited[c] = FALSE;
    }
    do
        column = grow_tree(a, rows, columns, width, column);
    while (a->row_of[column] != 0);
    while (column != 0) {
        a->row_of[column] = a->row_of[a->before[column]];
        column = a->before[column];
    }
}

void assignment_solve(struct assignment *a, guint rows, guint columns, gint column_of[])
{
    g_return_if_fail(rows <= ASSIGNMENT_MAX && columns <= ASSIGNMENT_MAX);
    gint width = (gint)MAX(rows, columns);
    for (gint i = 0; i <= width; i++) {
        a->row_price[i] = a->column_price[i] = 0;
        a->row_of[i] = 0;
    }
    for (guint row = 0; row < rows; row++)
        column_of[row] = -1;
    for (guint row = 1; row <= rows; row++)
        place_row(a, rows, columns, width, (gint)row);
    for (guint column = 1; column <= columns; column++) {
        gint row = a->row_of[column];
        if (row > 0 && a->weight[row - 1][column - 1] > 0)
            column_of[row - 1] = (gint)column - 1;
    }
}
