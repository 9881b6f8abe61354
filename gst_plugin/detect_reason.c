/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect_reason.h"

const char *detect_reason_string(enum detect_reason reason)
{
    static const char *const names[DETECT_REASON_COUNT] = {"", "policy", "interval", "qos", "device-lost"};
    return names[reason];
}
