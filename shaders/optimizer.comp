/* To be compiled once, to find out whether glslang has an optimizer. SPDX-License-Identifier: LGPL-2.1-or-later */
#version 450
void main()
{
}
