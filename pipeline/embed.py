#!/usr/bin/env python3
# Writes a C file with the bytes of the default model and of its labels.
# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: embed.py OUTPUT [MODEL LABELS]; without files the arrays say that there are none."""
import sys


def array(name, path):
    data = open(path, "rb").read() if path else b""
    # a string literal compiles many times faster than a list of numbers
    rows = (data[at:at + 24] for at in range(0, len(data), 24))
    text = "\n    ".join('"' + "".join(f"\\{byte:03o}" for byte in row) + '"' for row in rows) or '""'
    return (f"static const unsigned char {name}_bytes[] =\n    {text};\n"
            f"const struct shk_default_file {name} = {{{name}_bytes, {len(data)}}};\n")


output, model, labels = (sys.argv[1:] + [None, None])[:3]
with open(output, "w", encoding="ascii") as out:
    out.write('#include "default_model.h"\n\n')
    out.write(array("shk_default_model", model) + array("shk_default_labels", labels))
