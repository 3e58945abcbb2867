// Packed dot products of four rows at once.
#include "common/dot.glsl"

ivec4 dots(uvec4 w, uint x) {
    return ivec4(dot4(int(w.x), int(x)), dot4(int(w.y), int(x)), dot4(int(w.z), int(x)), dot4(int(w.w), int(x)));
}
int sum_of_bytes(uint x) { return dot4(0x01010101, int(x)); }
