// Reference and only version: rows of blocks into panels and back, without loss. The drawings are in
// kernels/panels.h, those of the blocks in kernels/blocks.h. Called through the table by the loaders.
#include "kernels/blocks.h"
#include "kernels/declare.h"
#include "kernels/half.h"
#include "kernels/panel_units.h"

namespace lapidary::kernels::ref {
namespace {

// Block `b` of a row, or what stands where there is no row.
template <class Block>
const Block& block_of(const void* weights, int64_t stride, int64_t row, int64_t rows, int64_t b, const Block& none) {
    if (row >= rows) return none;
    return *reinterpret_cast<const Block*>(static_cast<const uint8_t*>(weights) + row * stride +
                                           b * static_cast<int64_t>(sizeof(Block)));
}

uint32_t load_u32(const uint8_t* bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}
void store_u32(uint8_t* bytes, uint32_t value) { memcpy(bytes, &value, sizeof value); }

constexpr uint32_t kSignBits = 0x80808080;  // of four int8: adds 128 to each
uint32_t load_signed(const int8_t* bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

// Four K as the bytes of a word: the low or the high nibbles of four bytes, and the other way round.
uint32_t four_nibbles(const uint8_t* bytes, bool high) { return load_u32(bytes) >> (high ? 4 : 0) & 0x0f0f0f0f; }
void add_nibbles(uint8_t* bytes, bool high, uint32_t four) {
    store_u32(bytes, load_u32(bytes) | four << (high ? 4 : 0));
}

// Word group `group` of a row: its first and its last four K.
struct Word {
    uint32_t first, second;
};
void put_word(uint8_t* groups, int64_t group, int64_t row, Word w) {
    store_u32(groups + group * kPanelWordBytes + 4 * row, w.first | w.second << 4);
}
Word get_word(const uint8_t* groups, int64_t group, int64_t row) {
    const uint8_t* at = groups + group * kPanelWordBytes + 4 * row;
    return {four_nibbles(at, false), four_nibbles(at, true)};
}

// Where a block keeps the four bits of K = j: which byte, and which nibble of it (kernels/blocks.h).
struct Place {
    int64_t byte;
    bool high;
};
Place place_q4_0(int64_t j) { return {j % 16, j >= 16}; }
Place place_q4_k(int64_t j) { return {j / 64 * 32 + j % 32, j % 64 >= 32}; }
Place place_q6_k(int64_t j) { return {64 * (j / 128) + j % 64, j % 128 >= 64}; }

Word read_word(const uint8_t* nibbles, Place p) {
    return {four_nibbles(nibbles + p.byte, p.high), four_nibbles(nibbles + p.byte + 4, p.high)};
}
void write_word(uint8_t* nibbles, Place p, Word w) {  // the bits were zero before
    add_nibbles(nibbles + p.byte, p.high, w.first);
    add_nibbles(nibbles + p.byte + 4, p.high, w.second);
}

void clear(void* at, int64_t bytes) { memset(at, 0, static_cast<size_t>(bytes)); }

// Where a q6_k block keeps the high two bits of K = j: the byte, and how far to shift (kernels/blocks.h).
int64_t high_byte(int64_t j) { return 32 * (j / 128) + j % 32; }
int64_t high_shift(int64_t j) { return 2 * (j % 128 / 32); }
constexpr uint32_t kTwoBits = 0x03030303;

}  // namespace

void pack_panel_q4_0(const void* weights, int64_t stride, int64_t k, int64_t rows, void* panel) {
    BlockQ4_0 none = {};
    memset(none.qs, 0x88, sizeof none.qs);
    auto* out = static_cast<uint8_t*>(panel);
    clear(out, panel_bytes(Format::q4_0, k));
    for (int64_t b = 0; b < k / 32; ++b) {
        for (int64_t row = 0; row < kPanel; ++row) {
            const BlockQ4_0& block = block_of(weights, stride, row, rows, b, none);
            memcpy(out + panel_block_scales(Format::q4_0, b) + 2 * row, block.d, 2);
            uint8_t* words = out + panel_block_values(Format::q4_0, b);
            for (int64_t j = 0; j < 32; j += 8) put_word(words, j / 8, row, read_word(block.qs, place_q4_0(j)));
        }
    }
}

void unpack_panel_row_q4_0(const void* panel, int64_t k, int64_t row, void* weights) {
    const auto* in = static_cast<const uint8_t*>(panel);
    auto* out = static_cast<BlockQ4_0*>(weights);
    clear(out, row_bytes(Format::q4_0, k));
    for (int64_t b = 0; b < k / 32; ++b) {
        memcpy(out[b].d, in + panel_block_scales(Format::q4_0, b) + 2 * row, 2);
        const uint8_t* words = in + panel_block_values(Format::q4_0, b);
        for (int64_t j = 0; j < 32; j += 8) write_word(out[b].qs, place_q4_0(j), get_word(words, j / 8, row));
    }
}

void pack_panel_q8_0(const void* weights, int64_t stride, int64_t k, int64_t rows, void* panel) {
    const BlockQ8_0 none = {};
    auto* out = static_cast<uint8_t*>(panel);
    clear(out, panel_bytes(Format::q8_0, k));
    for (int64_t b = 0; b < k / 32; ++b) {
        for (int64_t row = 0; row < kPanel; ++row) {
            const BlockQ8_0& block = block_of(weights, stride, row, rows, b, none);
            memcpy(out + panel_block_scales(Format::q8_0, b) + 2 * row, block.d, 2);
            uint8_t* words = out + panel_block_values(Format::q8_0, b);
            for (int64_t j = 0; j < 32; j += 4)
                store_u32(words + j / 4 * kPanelWordBytes + 4 * row, load_signed(block.qs + j) ^ kSignBits);
        }
    }
}

void unpack_panel_row_q8_0(const void* panel, int64_t k, int64_t row, void* weights) {
    const auto* in = static_cast<const uint8_t*>(panel);
    auto* out = static_cast<BlockQ8_0*>(weights);
    for (int64_t b = 0; b < k / 32; ++b) {
        memcpy(out[b].d, in + panel_block_scales(Format::q8_0, b) + 2 * row, 2);
        const uint8_t* words = in + panel_block_values(Format::q8_0, b);
        for (int64_t j = 0; j < 32; j += 4)
            memcpy(out[b].qs + j, words + j / 4 * kPanelWordBytes + 4 * row, 4);
        for (int8_t& q : out[b].qs) q = static_cast<int8_t>(q ^ -128);
    }
}

void pack_panel_q4_k(const void* weights, int64_t stride, int64_t k, int64_t rows, void* panel) {
    const BlockQ4K none = {};
    auto* unit = static_cast<uint8_t*>(panel);
    clear(unit, panel_bytes(Format::q4_k, k));
    for (int64_t b = 0; b < k / 256; ++b, unit += panel_group_bytes(Format::q4_k)) {
        for (int64_t row = 0; row < kPanel; ++row) {
            const BlockQ4K& block = block_of(weights, stride, row, rows, b, none);
            memcpy(unit + 2 * row, block.d, 2);
            memcpy(unit + kPanelScaleBytes + 2 * row, block.dmin, 2);
            for (int64_t i = 0; i < 12; ++i) unit[kQ4KScales + kPanel * i + row] = block.scales[i];
            for (int64_t j = 0; j < 256; j += 8)
                put_word(unit + kQ4KNibbles, j / 8, row, read_word(block.qs, place_q4_k(j)));
        }
    }
}

void unpack_panel_row_q4_k(const void* panel, int64_t k, int64_t row, void* weights) {
    const auto* unit = static_cast<const uint8_t*>(panel);
    auto* out = static_cast<BlockQ4K*>(weights);
    clear(out, row_bytes(Format::q4_k, k));
    for (int64_t b = 0; b < k / 256; ++b, unit += panel_group_bytes(Format::q4_k)) {
        memcpy(out[b].d, unit + 2 * row, 2);
        memcpy(out[b].dmin, unit + kPanelScaleBytes + 2 * row, 2);
        for (int64_t i = 0; i < 12; ++i) out[b].scales[i] = unit[kQ4KScales + kPanel * i + row];
        for (int64_t j = 0; j < 256; j += 8)
            write_word(out[b].qs, place_q4_k(j), get_word(unit + kQ4KNibbles, j / 8, row));
    }
}

void pack_panel_q6_k(const void* weights, int64_t stride, int64_t k, int64_t rows, void* panel) {
    const BlockQ6K none = {};
    auto* unit = static_cast<uint8_t*>(panel);
    clear(unit, panel_bytes(Format::q6_k, k));
    for (int64_t b = 0; b < k / 256; ++b, unit += panel_group_bytes(Format::q6_k)) {
        for (int64_t row = 0; row < kPanel; ++row) {
            const BlockQ6K& block = block_of(weights, stride, row, rows, b, none);
            memcpy(unit + 2 * row, block.d, 2);
            for (int64_t s = 0; s < 16; ++s) {
                const auto scale = static_cast<uint8_t>(block.scales[s]);
                unit[kQ6KScales + s / 2 * 2 * kPanel + 2 * row + s % 2] = scale;
            }
            for (int64_t j = 0; j < 256; j += 16) {
                uint8_t* sub = unit + kQ6KValues + j / 16 * kQ6KSubBlockBytes;
                put_word(sub, 0, row, read_word(block.ql, place_q6_k(j)));
                put_word(sub, 1, row, read_word(block.ql, place_q6_k(j + 8)));
                uint32_t high = 0;
                for (int64_t i = 0; i < 4; ++i)
                    high |= (load_u32(block.qh + high_byte(j) + 4 * i) >> high_shift(j) & kTwoBits) << (2 * i);
                store_u32(sub + kQ6KHighBits + 4 * row, high);
            }
        }
    }
}

void unpack_panel_row_q6_k(const void* panel, int64_t k, int64_t row, void* weights) {
    const auto* unit = static_cast<const uint8_t*>(panel);
    auto* out = static_cast<BlockQ6K*>(weights);
    clear(out, row_bytes(Format::q6_k, k));
    for (int64_t b = 0; b < k / 256; ++b, unit += panel_group_bytes(Format::q6_k)) {
        memcpy(out[b].d, unit + 2 * row, 2);
        for (int64_t s = 0; s < 16; ++s)
            out[b].scales[s] = static_cast<int8_t>(unit[kQ6KScales + s / 2 * 2 * kPanel + 2 * row + s % 2]);
        for (int64_t j = 0; j < 256; j += 16) {
            const uint8_t* sub = unit + kQ6KValues + j / 16 * kQ6KSubBlockBytes;
            write_word(out[b].ql, place_q6_k(j), get_word(sub, 0, row));
            write_word(out[b].ql, place_q6_k(j + 8), get_word(sub, 1, row));
            const uint32_t high = load_u32(sub + kQ6KHighBits + 4 * row);
            for (int64_t i = 0; i < 4; ++i) {
                uint8_t* four = out[b].qh + high_byte(j) + 4 * i;
                store_u32(four, load_u32(four) | (high >> (2 * i) & kTwoBits) << high_shift(j));
            }
        }
    }
}

void pack_panel_bf16(const void* weights, int64_t stride, int64_t k, int64_t rows, void* panel) {
    auto* out = static_cast<uint8_t*>(panel);
    clear(out, panel_bytes(Format::bf16, k));
    for (int64_t row = 0; row < rows; ++row) {
        const auto* in = static_cast<const uint8_t*>(weights) + row * stride;
        for (int64_t pair = 0; pair < k / 2; ++pair)
            memcpy(out + pair * kPanelWordBytes + 4 * row, in + 4 * pair, 4);
    }
}

void unpack_panel_row_bf16(const void* panel, int64_t k, int64_t row, void* weights) {
    const auto* in = static_cast<const uint8_t*>(panel);
    for (int64_t pair = 0; pair < k / 2; ++pair)
        memcpy(static_cast<uint8_t*>(weights) + 4 * pair, in + pair * kPanelWordBytes + 4 * row, 4);
}

void pack_panel_f16(const void* weights, int64_t stride, int64_t k, int64_t rows, void* panel) {
    auto* out = static_cast<uint8_t*>(panel);
    clear(out, panel_bytes(Format::f16, k));
    for (int64_t row = 0; row < rows; ++row) {
        const auto* in = static_cast<const uint8_t*>(weights) + row * stride;
        for (int64_t i = 0; i < k; ++i) memcpy(out + 2 * (i * kPanel + row), in + 2 * i, 2);
    }
}

void unpack_panel_row_f16(const void* panel, int64_t k, int64_t row, void* weights) {
    const auto* in = static_cast<const uint8_t*>(panel);
    for (int64_t i = 0; i < k; ++i)
        memcpy(static_cast<uint8_t*>(weights) + 2 * i, in + 2 * (i * kPanel + row), 2);
}

}  // namespace lapidary::kernels::ref
