// Reads GGUF files, version 2 and 3, whole or split into parts. Values and tensors stay in the mapping; a
// file is accepted only when every count, length, offset and type in it has been checked against its size.
// Knows the container, not the models in it; the loader in model/load asks for keys by name.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lapidary/result.h"
#include "runtime/file/extent.h"
#include "runtime/file/file_tensor.h"

namespace lapidary::runtime {

enum class GgufType : uint32_t {
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    string,
    array,
    u64,
    i64,
    f64,
};
const char* name(GgufType type);

// One value of the metadata, still in the file's bytes. The readers return nothing when the type differs.
struct GgufValue {
    GgufType type = GgufType::u8;
    GgufType element = GgufType::u8;  // of an array
    uint64_t count = 0;               // of an array
    std::string_view raw;             // the number, the text, or the array's elements one after another

    std::optional<int64_t> integer() const;  // any integer type or boolean
    std::optional<double> number() const;    // any number
    std::optional<bool> boolean() const;
    std::optional<std::string_view> text() const;
    std::optional<std::vector<int64_t>> integers() const;  // array of an integer type or of booleans
    std::optional<std::vector<double>> numbers() const;    // array of any number type or of booleans
    std::optional<std::vector<std::string_view>> strings() const;
    std::string describe(size_t limit = 120) const;  // for people; long values are cut
};

struct Gguf : FileTensors {
    Extent extent = Extent::whole;  // front: tensors have no place, parts may be missing
    std::vector<std::pair<std::string_view, GgufValue>> metadata;  // of the first part, in file order

    const GgufValue* find(std::string_view key) const;
};

// Opens a file, or all parts of a split model from any one of them; of Extent::front the first part is all.
Result<Gguf> open_gguf(const std::filesystem::path& path, Extent extent = Extent::whole);

// The number by which GGUF knows a format.
uint32_t gguf_number(Format format);

// name-00002-of-00003.gguf: the place in a split model, 1-based, if the name has this form.
struct GgufSplitName {
    std::string stem, extension;  // .gguf, in the case that the name has
    int number = 0, count = 0;
    std::string part_name(int part) const;
};
std::optional<GgufSplitName> parse_split_name(const std::string& file_name);

}  // namespace lapidary::runtime
