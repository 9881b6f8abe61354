/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "table.h"

#include <stdio.h>

struct table {
    GPtrArray *cells; /* titles first */
    gboolean *right;
    guint columns;
};

struct table *table_new(const char *titles)
{
    struct table *table = g_new0(struct table, 1);
    table->cells = g_ptr_array_new_with_free_func(g_free);
    char **list = g_strsplit(titles, "|", -1);
    table->columns = g_strv_length(list);
    table->right = g_new0(gboolean, table->columns);
    for (guint i = 0; i < table->columns; i++) {
        table->right[i] = list[i][0] == '>';
        g_ptr_array_add(table->cells, g_strdup(list[i] + (table->right[i] ? 1 : 0)));
    }
    g_strfreev(list);
    return table;
}

void table_take(struct table *table, char *text)
{
    g_ptr_array_add(table->cells, text);
}

void table_cell(struct table *table, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    table_take(table, g_strdup_vprintf(format, ap));
    va_end(ap);
}

char *table_printable(const char *text)
{
    char *valid = g_utf8_make_valid(text, -1);
    for (char *p = valid; *p; p = g_utf8_next_char(p))
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return valid;
}

/* Columns on a terminal. */
static glong display_width(const char *text)
{
    glong width = 0;
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        width += g_unichar_iswide(c) ? 2 : g_unichar_iszerowidth(c) ? 0 : 1;
    }
    return width;
}

static void print_padding(glong n)
{
    printf("%*s", (int)n, "");
}

void table_finish(struct table *table)
{
    guint n = table->cells->len;
    glong *width = g_new0(glong, n), *column = g_new0(glong, table->columns);
    for (guint i = 0; i < n; i++) {
        char *cell = table->cells->pdata[i];
        table->cells->pdata[i] = table_printable(cell);
        g_free(cell);
        width[i] = display_width(table->cells->pdata[i]);
        column[i % table->columns] = MAX(column[i % table->columns], width[i]);
    }
    for (guint i = 0; i < n; i++) {
        guint c = i % table->columns;
        gboolean last = c + 1 == table->columns;
        if (table->right[c])
            print_padding(column[c] - width[i]);
        fputs(table->cells->pdata[i], stdout);
        if (!table->right[c] && !last)
            print_padding(column[c] - width[i]);
        fputs(last ? "\n" : "  ", stdout);
    }
    g_free(width);
    g_free(column);
    g_free(table->right);
    g_ptr_array_unref(table->cells);
    g_free(table);
}
