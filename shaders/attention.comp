// softmax(q . k) v of a tile: ROWS query rows, which are tokens times heads of one kv head, over blocks of 256 absolute
// positions in ascending order; a dot product, a sum and a maximum have one order each, which depends on absolute positions
// alone. So the bits of a row do not depend on the tile it is in: what it does not see changes nothing, exactly.
// Split, a workgroup has one run of blocks, that its absolute position fixes, and leaves a partial to
// attention_merge.comp; else it goes through all of them.
#version 460
#include "common/types.glsl"
#include "common/kv.glsl"

layout(constant_id = 1) const uint kDim = 256;
layout(constant_id = 2) const uint kRows = 1;
layout(constant_id = 3) const uint kPairs = 0;  // KvView::key_pairs
layout(constant_id = 4) const uint kSplit = 0;  // 0: all blocks, 1: runs of common/runs.glsl, 2: slot = block modulo slots

#include "common/runs.glsl"

layout(push_constant, scalar) uniform Push {
    InFloats q;
    Floats to;  // the result, or partials: values [row][slot][dim], then maximum and sum [row][slot][2]
    InStep step;
    InInts first, last;
    InSegments segments;
    uvec2 cache, scratch;  // not addresses: for the recorder's barriers
    InFloats key_weight;
    uint q_stride, to_stride, rows, group, slots;
    KvLayer layer;
};

const uint kThreads = 256, kBlock = 256;
const uint kLanes = 4;                           // threads that share a key
const uint kSlots = kThreads / kLanes;           // keys at a time
const uint kPasses = kBlock / kSlots;            // keys of a thread
const uint kHalf = kDim / 2;
// Of a key 8 values are multiplied at a time: those of its own row, then, with keys as values, those that the row of v
// stands for: in each half from the piece in which the rotated values end; or all, where halves are not whole pieces.
const uint kKeyValues = kPairs > 0 ? 2 * kPairs : kDim;
const uint kKeyPieces = (kKeyValues + 7) / 8;
const bool kWholeHalves = kHalf % 8 == 0;
const uint kPlainInHalf = kHalf / 8 - kPairs / 8;
const uint kPlainPieces = kPairs == 0 ? 0 : kWholeHalves ? 2 * kPlainInHalf : (kDim + 7) / 8;
const uint kTails = kKeyValues % 8 + kDim % 8;    // 0: all pieces are whole
const uint kPieces = kKeyPieces + kPlainPieces, kQuery = 8 * kPieces;
const uint kValueLanes = (kDim + 3) / 4;         // threads that share a row of v, 4 values each
const uint kGroups = kThreads / kValueLanes;     // rows of v at a time
const uint kSums = 32;                           // threads that sum the weights of a row
const float kNothing = -3.0e38;                  // the score of what a row does not see

shared float query[kRows * kQuery];
shared float weights[kRows < 4 ? 4 * kThreads : kBlock * kRows];  // scores, then weights [key][row]; at the end accumulators
shared float parts[3 * kSlots * kRows];
shared float factors[kRows];
shared int seen_first[kRows], seen_last[kRows];
shared uint start;

// Not precise, which spirv-opt of 2023 trips over: what could be contracted is computed in precise locals.
float sums[kPasses][kRows];
vec4 acc[kRows];
float row_maximum, row_sum;  // of row lane % kRows, threads below kSums * kRows

// A run of positions in a block.
struct Keys {
    int block, begin, end;  // first of the block, what the tile sees of it
};

#include "common/kv_values.glsl"

// Which piece of the row of v is the p-th that stands for the key.
uint plain_piece(uint p) {
    if (!kWholeHalves) return p;
    return kPairs / 8 + (p < kPlainInHalf ? p : p - kPlainInHalf + kHalf / 8);
}

// Query value n in the order of the pieces: its place in the head; -1: none.
int query_place(uint n) {
    const uint piece = n / 8;
    if (piece >= kKeyPieces) {
        const uint i = 8 * plain_piece(piece - kKeyPieces) + n % 8;
        return i < kDim && i % kHalf >= kPairs ? int(i) : -1;
    }
    if (n >= kKeyValues) return -1;
    return int(kPairs == 0 || n < kPairs ? n : n - kPairs + kHalf);
}

void load_query(uint first_row, uint head) {
    for (uint i = gl_LocalInvocationIndex; i < kRows * kQuery; i += kThreads) {
        const uint row = first_row + i / kQuery;
        const int place = query_place(i % kQuery);
        precise float value = 0;
        if (row < rows && place >= 0) {
            value = q.at[row / group * q_stride + (head * group + row % group) * kDim + place];
            if (i % kQuery >= 8 * kKeyPieces) value *= key_weight.at[place];
        }
        query[i] = value;
    }
}

void load_seen(uint first_row) {
    const uint m = gl_LocalInvocationIndex;
    if (m < kRows) {
        const uint row = first_row + m;
        seen_first[m] = row < rows ? first.at[row / group] : 0;
        seen_last[m] = row < rows ? last.at[row / group] : 0;
    }
}

// What the rows of the tile see together.
Keys visible() {
    Keys all = Keys(0, 0x7fffffff, 0);
    for (uint m = 0; m < kRows; ++m) {
        if (seen_last[m] <= seen_first[m]) continue;
        all.begin = min(all.begin, seen_first[m]);
        all.end = max(all.end, seen_last[m]);
    }
    return all;
}

int end_of(uint s) { return step.spans[s].position + step.spans[s].count; }

// The span of a position, from span `s` on. (Memory is not read in a loop's condition: the layers of 2023 that instrument
// shaders break those.)
uint span_of(uint s, int position) {
    int end = end_of(s);
    while (position >= end) end = end_of(++s);
    return s;
}

// Piece n of the query's order, times those of this thread's keys.
void add_piece(uint n, KvRow key[kPasses], KvRow value[kPasses]) {
    uint piece = n, valid = kKeyValues - 8 * n;
    const bool plain = kPairs > 0 && n >= kKeyPieces;
    if (plain) {
        piece = plain_piece(n - kKeyPieces);
        valid = kDim - 8 * piece;
    }
    float keys[kPasses][8];
    [[unroll]] for (uint i = 0; i < kPasses; ++i) {
        if (plain) key[i] = value[i];
        keys[i] = load8(key[i], piece, valid);
    }
    [[unroll]] for (uint m = 0; m < kRows; ++m) {
        [[unroll]] for (uint v = 0; v < 8; ++v) {
            const float x = query[m * kQuery + 8 * n + v];
            [[unroll]] for (uint i = 0; i < kPasses; ++i) sums[i][m] = fma(x, keys[i][v], sums[i][m]);
        }
    }
}

// Sums over this thread's pieces of its keys. Keys that the tile does not see are read as the nearest it does.
void multiply_keys(Keys k, uint from_span, uint head) {
    const uint lane = gl_LocalInvocationIndex % kLanes, slot = gl_LocalInvocationIndex / kLanes;
    KvRow key[kPasses], value[kPasses];
    [[unroll]] for (uint i = 0; i < kPasses; ++i) {
        const int position = clamp(k.block + int(i * kSlots + slot), k.begin, k.end - 1);
        const KvSpan s = step.spans[span_of(from_span, position)];
        const uint at = uint(s.first_row + position - s.position);
        key[i] = row_of(s.segment, kKeys, head, at);
        if (kPairs > 0) value[i] = row_of(s.segment, kValues, head, at);
        [[unroll]] for (uint m = 0; m < kRows; ++m) sums[i][m] = 0;
    }
    for (uint n = lane; n < kPieces; n += kLanes) add_piece(n, key, value);
}

// Adds what the threads of a key have, in their order, and hides what a row does not see.
void finish_scores(Keys k) {
    const uint thread = gl_LocalInvocationIndex, lane = thread % kLanes, slot = thread / kLanes;
    [[unroll]] for (uint i = 0; i < kPasses; ++i) {
        const uint first_key = i * kSlots;
        barrier();
        [[unroll]] for (uint m = 0; m < kRows; ++m) {
            if (lane == 0)
                weights[(first_key + slot) * kRows + m] = sums[i][m];
            else
                parts[(slot * kRows + m) * 3 + lane - 1] = sums[i][m];
        }
        barrier();
        for (uint o = thread; o < kSlots * kRows; o += kThreads) {
            const uint at = first_key * kRows + o, m = o % kRows;
            const int position = k.block + int(first_key + o / kRows);
            precise const float sum = weights[at] + parts[3 * o] + parts[3 * o + 1] + parts[3 * o + 2];
            weights[at] = position >= seen_first[m] && position < seen_last[m] ? sum : kNothing;
        }
    }
    barrier();
}

// Scores to weights, the maximum so far being subtracted; `factors`: what that makes of the sums before.
void weigh() {
    const uint m = gl_LocalInvocationIndex % kRows, x = gl_LocalInvocationIndex / kRows;
    if (x < kSums) {
        float best = kNothing;
        for (uint i = x; i < kBlock; i += kSums) best = max(best, weights[i * kRows + m]);
        parts[x * kRows + m] = best;
    }
    barrier();
    if (x < kSums) {
        float merged = row_maximum;
        for (uint i = 0; i < kSums; ++i) merged = max(merged, parts[i * kRows + m]);
        precise const float factor = row_maximum == merged ? 1.0 : exp(row_maximum - merged);
        precise float sum = row_sum * factor;
        for (uint i = x; i < kBlock; i += kSums) {
            const float score = weights[i * kRows + m];
            precise const float weight = score > kNothing ? exp(score - merged) : 0.0;
            sum += weight;
            weights[i * kRows + m] = weight;
        }
        row_sum = sum;
        row_maximum = merged;
        if (x == 0) factors[m] = factor;
    }
    barrier();
}

void add_value(vec4 value, uint key) {
    [[unroll]] for (uint m = 0; m < kRows; ++m) acc[m] = fma(vec4(weights[key * kRows + m]), value, acc[m]);
}

// Adds this thread's rows of v: every kGroups-th key of the block, ascending.
void multiply_values(Keys k, uint s, uint head) {
    const uint lane = gl_LocalInvocationIndex % kValueLanes, group_ = gl_LocalInvocationIndex / kValueLanes;
    if (group_ >= kGroups) return;
    [[unroll]] for (uint m = 0; m < kRows; ++m) acc[m] *= factors[m];
    for (const uint spans = uint(step.span_count); s < spans; ++s) {
        const KvSpan span = step.spans[s];
        if (span.position >= k.end) break;
        const int begin = max(k.begin, span.position), end = min(k.end, span.position + span.count);
        const KvRow plane = row_of(span.segment, kValues, head, uint(span.first_row));
        const uint ahead = uint(begin - k.block);
        int p = begin + int((group_ + kGroups - ahead % kGroups) % kGroups);
        for (; p + 3 * int(kGroups) < end; p += 4 * int(kGroups)) {
            vec4 values[4];
            [[unroll]] for (uint i = 0; i < 4; ++i) values[i] = load4(plane, uint(p - span.position) + i * kGroups, lane);
            [[unroll]] for (uint i = 0; i < 4; ++i) add_value(values[i], uint(p - k.block) + i * kGroups);
        }
        for (; p < end; p += int(kGroups)) add_value(load4(plane, uint(p - span.position), lane), uint(p - k.block));
    }
}

// Adds the groups' accumulators and the threads' sums, in their order, and writes what the row is worth.
void write_rows(uint first_row, uint head, uint slot) {
    const uint thread = gl_LocalInvocationIndex, heads = gl_NumWorkGroups.y * group;
    if (thread < kSums * kRows) parts[thread] = row_sum;
    barrier();
    if (thread < kRows) {
        precise float sum = 0;
        for (uint x = 0; x < kSums; ++x) sum += parts[x * kRows + thread];
        factors[thread] = sum;
    }
    [[dont_unroll]] for (uint m = 0; m < kRows; ++m) {
        vec4 mine = acc[0];
        [[unroll]] for (uint i = 1; i < kRows; ++i)
            if (i == m) mine = acc[i];
        barrier();
        if (thread < kGroups * kValueLanes)
            [[unroll]] for (uint i = 0; i < 4; ++i) weights[4 * thread + i] = mine[i];
        barrier();
        const uint row = first_row + m, line = row / group * heads + head * group + row % group;
        if (row >= rows) continue;
        for (uint d = thread; d < kDim; d += kThreads) {
            precise float sum = 0;
            for (uint g = 0; g < kGroups; ++g) sum += weights[4 * g * kValueLanes + d];
            if (kSplit > 0)
                to.at[(line * slots + slot) * kDim + d] = sum;
            else
                to.at[row / group * to_stride + (head * group + row % group) * kDim + d] = factors[m] > 0 ? sum / factors[m] : 0.0;
        }
        if (kSplit > 0 && thread == m) {
            const uint at = rows * gl_NumWorkGroups.y * slots * kDim + 2 * (line * slots + slot);
            to.at[at] = row_maximum;
            to.at[at + 1] = factors[m];
        }
    }
}

void main() {
    const uint first_row = gl_WorkGroupID.x * kRows, head = gl_WorkGroupID.y, slot = gl_WorkGroupID.z;
    load_seen(first_row);
    [[unroll]] for (uint m = 0; m < kRows; ++m) acc[m] = vec4(0);
    row_maximum = kNothing;
    row_sum = 0;
    barrier();
    const Keys all = visible();
    int block = all.end > 0 ? all.begin / int(kBlock) : 0, block_end = (all.end + int(kBlock) - 1) / int(kBlock);
    if (kSplit > 0) {
        const ivec2 run = blocks_of(slot, slots, block);
        block = max(block, run.x);
        block_end = min(block_end, run.y);
        if (block >= block_end) return;  // most of the slots, while the context is short
    }
    load_query(first_row, head);
    const int from = max(all.begin, block * int(kBlock));
    const uint spans = uint(step.span_count);
    for (uint s = gl_LocalInvocationIndex; s < spans; s += kThreads) {
        const KvSpan span = step.spans[s];
        if (span.position <= from && from < span.position + span.count) start = s;
    }
    barrier();
    uint span = start;
    for (; block < block_end; ++block) {
        const int begin = block * int(kBlock);
        const Keys keys = Keys(begin, max(begin, all.begin), min(begin + int(kBlock), all.end));
        span = span_of(span, keys.begin);
        multiply_keys(keys, span, head);
        finish_scores(keys);
        weigh();
        multiply_values(keys, span, head);
    }
    write_rows(first_row, head, slot);
}
