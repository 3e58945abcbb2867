// What every shader begins with: memory by address (ADR 20), and the size of the workgroup as constant 0.
// Addresses come in push constants, in the order of the table's row; f32 sums; no other types in memory than words.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = 0) in;

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict readonly buffer InFloats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict readonly buffer InWords { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict readonly buffer InInts { int at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) restrict readonly buffer InWords2 { uvec2 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer InWords4 { uvec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer InVec4s { vec4 at[]; };

// An address `bytes` further on, for offsets beyond what an index of one array should count.
uvec2 advance(uvec2 address, uint bytes) {
    uint carry;
    const uint low = uaddCarry(address.x, bytes, carry);
    return uvec2(low, address.y + carry);
}
// An address `count` times `bytes` further on.
uvec2 advance(uvec2 address, uint count, uint bytes) {
    uint low, high, carry;
    umulExtended(count, bytes, high, low);
    low = uaddCarry(address.x, low, carry);
    return uvec2(low, address.y + high + carry);
}
