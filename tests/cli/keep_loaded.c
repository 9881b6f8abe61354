/* Preloaded into the tool under LeakSanitizer: drivers stay loaded, so that what they keep until the process ends
 * can be named in tests/support/lsan.supp.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>

int dlclose(void *handle)
{
    return 0;
}
