// Reads values out of GGUF metadata and joins the parts of a split model; the bytes are walked in
// gguf_parse.cpp.
#include "runtime/file/gguf.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <unordered_set>

#include "base/describe.h"
#include "base/try.h"
#include "base/utf8.h"
#include "runtime/file/gguf_parse.h"
#include "runtime/file/gguf_types.h"
#include "runtime/memory/mapping.h"

namespace lapidary::runtime {
namespace {

template <class T>
T read_as(std::string_view raw, size_t index) {
    T value;
    std::memcpy(&value, raw.data() + index * sizeof(T), sizeof(T));
    return value;
}

std::optional<int64_t> read_integer(GgufType type, std::string_view raw, size_t index) {
    switch (type) {
        case GgufType::u8: return read_as<uint8_t>(raw, index);
        case GgufType::i8: return read_as<int8_t>(raw, index);
        case GgufType::u16: return read_as<uint16_t>(raw, index);
        case GgufType::i16: return read_as<int16_t>(raw, index);
        case GgufType::u32: return read_as<uint32_t>(raw, index);
        case GgufType::i32: return read_as<int32_t>(raw, index);
        case GgufType::boolean: return read_as<uint8_t>(raw, index) != 0;
        case GgufType::i64: return read_as<int64_t>(raw, index);
        case GgufType::u64: {
            const auto value = read_as<uint64_t>(raw, index);
            if (value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
            return static_cast<int64_t>(value);
        }
        default: return std::nullopt;
    }
}

std::optional<double> read_number(GgufType type, std::string_view raw, size_t index) {
    if (type == GgufType::f32) return read_as<float>(raw, index);
    if (type == GgufType::f64) return read_as<double>(raw, index);
    if (type == GgufType::boolean) return std::nullopt;
    if (const auto integer = read_integer(type, raw, index)) return static_cast<double>(*integer);
    return std::nullopt;
}

std::string number_text(GgufType type, std::string_view raw, size_t index) {
    if (type == GgufType::boolean) return read_as<uint8_t>(raw, index) ? "true" : "false";
    if (const auto integer = read_integer(type, raw, index)) return std::to_string(*integer);
    char text[40];
    std::snprintf(text, sizeof text, "%.9g", read_number(type, raw, index).value_or(0));
    return text;
}

std::string cut(std::string_view text, size_t limit) {
    if (text.size() <= limit) return std::string(text);
    return std::string(first_bytes(text, limit)) + "...";
}

}  // namespace

const char* name(GgufType type) {
    constexpr const char* kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};
    return type <= GgufType::f64 ? kNames[static_cast<int>(type)] : "unknown";
}

std::optional<int64_t> GgufValue::integer() const {
    if (type == GgufType::array || type == GgufType::string) return std::nullopt;
    return read_integer(type, raw, 0);
}

std::optional<double> GgufValue::number() const {
    if (type == GgufType::array || type == GgufType::string) return std::nullopt;
    return read_number(type, raw, 0);
}

std::optional<bool> GgufValue::boolean() const {
    if (type != GgufType::boolean) return std::nullopt;
    return read_as<uint8_t>(raw, 0) != 0;
}

std::optional<std::string_view> GgufValue::text() const {
    if (type != GgufType::string) return std::nullopt;
    return raw;
}

std::optional<std::vector<int64_t>> GgufValue::integers() const {
    if (type != GgufType::array) return std::nullopt;
    std::vector<int64_t> out;
    for (uint64_t i = 0; i < count; i++) {
        const auto value = read_integer(element, raw, i);
        if (!value) return std::nullopt;
        out.push_back(*value);
    }
    return out;
}

std::optional<std::vector<double>> GgufValue::numbers() const {
    if (type != GgufType::array) return std::nullopt;
    std::vector<double> out;
    for (uint64_t i = 0; i < count; i++) {
        const auto flag = element == GgufType::boolean ? read_integer(element, raw, i) : std::nullopt;
        const auto value = flag ? std::optional<double>(*flag) : read_number(element, raw, i);
        if (!value) return std::nullopt;
        out.push_back(*value);
    }
    return out;
}

std::optional<std::vector<std::string_view>> GgufValue::strings() const {
    if (type != GgufType::array || element != GgufType::string) return std::nullopt;
    std::vector<std::string_view> out;
    out.reserve(count);
    size_t at = 0;
    for (uint64_t i = 0; i < count; i++) {  // lengths were checked when the file was parsed
        const auto length = read_as<uint64_t>(raw.substr(at), 0);
        out.push_back(raw.substr(at + sizeof(length), length));
        at += sizeof(length) + length;
    }
    return out;
}

std::string GgufValue::describe(size_t limit) const {
    if (type == GgufType::string) return cut(raw, limit);
    if (type != GgufType::array) return number_text(type, raw, 0);
    std::string out = concat(name(element), "[", count, "]");
    if (element == GgufType::string || element == GgufType::array) return out;
    out += " ";
    for (uint64_t i = 0; i < count && out.size() <= limit; i++)
        out += concat(i ? ", " : "", number_text(element, raw, i));
    return cut(out, limit);
}

const GgufValue* Gguf::find(std::string_view key) const {
    for (const auto& [known, value] : metadata)
        if (known == key) return &value;
    return nullptr;
}

uint32_t gguf_number(Format format) {
    for (const auto& entry : kGgufFormats)
        if (entry.format == format) return entry.number;
    return UINT32_MAX;
}

std::string GgufSplitName::part_name(int part) const {
    char suffix[40];
    std::snprintf(suffix, sizeof suffix, "-%05d-of-%05d", part, count);
    return stem + suffix + extension;
}

std::optional<GgufSplitName> parse_split_name(const std::string& file_name) {
    constexpr size_t kSuffix = sizeof("-00001-of-00001.gguf") - 1, kExtension = sizeof(".gguf") - 1;
    if (file_name.size() < kSuffix) return std::nullopt;
    GgufSplitName split;
    split.stem = file_name.substr(0, file_name.size() - kSuffix);
    split.extension = file_name.substr(file_name.size() - kExtension);
    std::string extension = split.extension;
    for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    const std::string suffix = file_name.substr(split.stem.size());
    if (extension != ".gguf" || std::sscanf(suffix.c_str(), "-%5d-of-%5d", &split.number, &split.count) != 2)
        return std::nullopt;
    if (split.number < 1 || split.number > split.count) return std::nullopt;
    if (split.part_name(split.number) != file_name) return std::nullopt;
    return split;
}

namespace {

struct OpenPart {
    FilePart part;
    GgufHeader header;
    int64_t number = 0, count = 1, tensors = -1;  // split.no (0-based), split.count, split.tensors.count
};

Result<OpenPart> open_part(const std::filesystem::path& path, Extent extent) {
    OpenPart open;
    open.part.path = path;
    LAP_ASSIGN(const auto mapping, Mapping::open(path));
    LAP_ASSIGN(open.header, parse_gguf(mapping->text(), path.string(), extent));
    open.part.buffer = mapping;
    for (const auto& [key, value] : open.header.metadata) {
        int64_t* target = key == "split.no"              ? &open.number
                          : key == "split.count"         ? &open.count
                          : key == "split.tensors.count" ? &open.tensors
                                                         : nullptr;
        if (!target) continue;
        const auto number = value.integer();
        if (!number || *number < 0)
            return Error{Errc::bad_model_file,
                         concat("key ", in_quotes(key), " of ", in_quotes(path.string()), " is ",
                                in_quotes(value.describe()), ", not a number from 0")};
        *target = *number;
    }
    return open;
}

// Opens part `number` (1-based) of the split model that `first` names, and compares it with what it claims.
Result<OpenPart> open_sibling(const std::filesystem::path& folder, const GgufSplitName& split, int number,
                              Extent extent) {
    const auto path = folder / split.part_name(number);
    auto part = open_part(path, extent);
    if (!part && part.error().code == Errc::model_not_found)
        return Error{Errc::model_not_found,
                     concat("part ", number, " of ", split.count, " is missing: ", in_quotes(path.string())),
                     "all parts of a split model must lie in one folder"};
    if (!part) return part.error();
    if (part->number != number - 1 || part->count != split.count)
        return Error{Errc::bad_model_file,
                     concat(in_quotes(path.string()), " says it is part ", part->number + 1, " of ",
                            part->count, ", its name says part ", number, " of ", split.count),
                     "do not rename the parts of a split model"};
    return part;
}

Result<void> append(Gguf& model, OpenPart&& open, std::unordered_set<std::string>& names) {
    const size_t index = model.parts.size();
    for (FileTensor& tensor : open.header.tensors) {
        if (!names.insert(tensor.name).second)
            return Error{Errc::bad_model_file,
                         concat("tensor ", in_quotes(tensor.name), " lies in two parts, the second is ",
                                in_quotes(open.part.path.string()))};
        tensor.part = index;
        model.tensors.push_back(std::move(tensor));
    }
    if (index == 0) model.metadata = std::move(open.header.metadata);
    model.parts.push_back(std::move(open.part));
    return {};
}

}  // namespace

Result<Gguf> open_gguf(const std::filesystem::path& path, Extent extent) {
    LAP_ASSIGN(OpenPart opened, open_part(path, extent));
    Gguf model;
    model.extent = extent;
    std::unordered_set<std::string> names;
    if (opened.count <= 1) {
        LAP_TRY(append(model, std::move(opened), names));
        return model;
    }
    const auto split = parse_split_name(path.filename().string());
    if (!split || split->count != opened.count)
        return Error{Errc::bad_model_file,
                     concat(in_quotes(path.string()), " is one of ", opened.count,
                            " parts, but its name does not end in -00001-of-0000N.gguf"),
                     "do not rename the parts of a split model"};
    const int64_t expected = opened.tensors;
    const int wanted = extent == Extent::whole ? split->count : 1;  // the texts are in the first
    for (int number = 1; number <= wanted; number++) {
        LAP_ASSIGN(OpenPart part, open_sibling(path.parent_path(), *split, number, extent));
        LAP_TRY(append(model, std::move(part), names));
    }
    if (extent == Extent::whole && expected >= 0 && static_cast<size_t>(expected) != model.tensors.size())
        return Error{Errc::bad_model_file,
                     concat("the ", split->count, " parts of ", in_quotes(path.string()), " hold ",
                            model.tensors.size(), " tensors, ", expected, " were expected")};
    return model;
}

}  // namespace lapidary::runtime
