// Rows of a cache as runtime/kv.h lays them: a step's spans, the segments they name, the planes of a segment.
struct KvSpan {
    int segment, first_row, position, count;
};
struct KvCopy {
    int from_row, to_row, count;
};
layout(buffer_reference, scalar, buffer_reference_align = 4) restrict readonly buffer InStep {  // KvStep
    KvSpan spans[80];
    int span_count;
    KvSpan stores[80];
    int store_count;
    KvCopy commits[4];
    int commit_count;
};
struct KvSegment {
    uvec2 address;
    uint rows, pad;
};
layout(buffer_reference, scalar, buffer_reference_align = 8) restrict readonly buffer InSegments { KvSegment at[]; };

// What KvView says of a layer. Bytes of a position: in the layers in front of this one, in segments and in the step's
// scratch (kScratchSegment, which holds one layer alone); of a row in each plane: k, v, k_scales, v_scales.
struct KvLayer {
    uint layer_bytes, scratch_bytes, kv_heads;
    uint row[4];
};
const uint kKeys = 0, kValues = 1, kKeyScales = 2, kValueScales = 3;

// address + a * b
uvec2 advance_product(uvec2 address, uint a, uint b) {
    uint high, low, carry;
    umulExtended(a, b, high, low);
    low = uaddCarry(address.x, low, carry);
    return uvec2(low, address.y + high + carry);
}

// Row 0 of a kv head in a plane of a segment.
uvec2 plane_of(InSegments segments, KvLayer layer, uint segment, uint plane, uint head) {
    uint bytes = 0;
    for (uint before = 0; before < plane; ++before) bytes += layer.kv_heads * layer.row[before];
    bytes += head * layer.row[plane] + (segment == 1 ? layer.scratch_bytes : layer.layer_bytes);
    const KvSegment s = segments.at[segment];
    return advance_product(s.address, s.rows, bytes);
}
