// Values of rows of a cache, in its format: F32, F16 or Q8_0. Needs `segments`, `layer` and kTails.
struct KvRow {
    uvec2 values;
#ifdef Q8_0
    uvec2 scales;
    uint row_bytes, scale_bytes;
#else
    uint row_bytes;
#endif
};

KvRow row_of(int segment, uint plane, uint head, uint at) {
    KvRow row;
    row.row_bytes = layer.row[plane];
    row.values = advance_product(plane_of(segments, layer, uint(segment), plane, head), at, row.row_bytes);
#ifdef Q8_0
    row.scale_bytes = layer.row[plane + 2];
    row.scales = advance_product(plane_of(segments, layer, uint(segment), plane + 2, head), at, row.scale_bytes);
#endif
    return row;
}

#ifdef Q8_0
// Scale i of the row whose scales begin at word `from`.
float scale_at(KvRow row, uint from, uint i) {
    const vec2 two = unpackHalf2x16(InWords(row.scales).at[from + i / 2]);
    return i % 2 == 0 ? two.x : two.y;
}
vec4 bytes_of(uint word) {
    const int w = int(word);
    return vec4(bitfieldExtract(w, 0, 8), bitfieldExtract(w, 8, 8), bitfieldExtract(w, 16, 8), bitfieldExtract(w, 24, 8));
}
#endif

// Values [8 i, 8 i + 8) of a row; those from `valid` of these on are zero, whatever lies there.
float[8] load8(KvRow row, uint i, uint valid) {
    vec4 a, b = vec4(0);
#if defined(F32)
    a = InVec4s(row.values).at[2 * i];
    if (kTails == 0 || valid > 4) b = InVec4s(row.values).at[2 * i + 1];
#elif defined(F16)
    const uvec4 w = InWords4(row.values).at[i];
    a = vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
    b = vec4(unpackHalf2x16(w.z), unpackHalf2x16(w.w));
#else
    const uvec2 w = InWords2(row.values).at[i];
    const float scale = scale_at(row, 0, i / 4);
    a = bytes_of(w.x) * scale;
    b = bytes_of(w.y) * scale;
#endif
    float values[8] = float[8](a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
    if (kTails > 0)
        [[unroll]] for (uint v = 0; v < 8; ++v) values[v] = v < valid ? values[v] : 0.0;
    return values;
}

// Values [4 i, 4 i + 4) of the row `at` rows behind this one.
vec4 load4(KvRow row, uint at, uint i) {
#if defined(F32)
    return InVec4s(row.values).at[at * (row.row_bytes / 16) + i];
#elif defined(F16)
    const uvec2 w = InWords2(row.values).at[at * (row.row_bytes / 8) + i];
    return vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
#else
    return bytes_of(InWords(row.values).at[at * (row.row_bytes / 4) + i]) * scale_at(row, at * (row.scale_bytes / 4), i / 8);
#endif
}
