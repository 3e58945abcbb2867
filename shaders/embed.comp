// out[t] = table[entry[t]] * scale, for entries >= 0. The table in rows or, with PANELS, in panels of 16 rows.
#version 460
#include "common/types.glsl"
#ifdef PANELS
#include "common/panel_values.glsl"
#else
#include "common/block_values.glsl"
#endif

layout(push_constant) uniform Push {
    uvec2 table;
    InInts entries;  // [T]
    Floats to;       // [T][stride]
    uint cols, stride;
    uint unit_bytes;  // of a row, or of a panel
    float scale;
};

void main() {
    const uint t = gl_WorkGroupID.y, k = gl_GlobalInvocationID.x;
    const int entry = entries.at[t];
    if (k >= cols || entry < 0) return;
#ifdef PANELS
    // A panel may lie beyond the bytes that 32 bits count.
    uint high, low, carry;
    umulExtended(uint(entry) / 16, unit_bytes, high, low);
    low = uaddCarry(table.x, low, carry);
    to.at[t * stride + k] = panel_value(InWords(uvec2(low, table.y + high + carry)), uint(entry) % 16, k) * scale;
#else
    // Words begin at multiples of four bytes, rows at even ones.
    uint high, low, carry;
    umulExtended(uint(entry), unit_bytes, high, low);
    low = uaddCarry(table.x, low, carry);
    const uint odd = low & 3;
    to.at[t * stride + k] = value_at(InWords(uvec2(low - odd, table.y + high + carry)), odd, k) * scale;
#endif
}
