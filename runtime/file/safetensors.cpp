// The safetensors container: 8 bytes of length, a JSON header, data. See safetensors.h.
#include "runtime/file/safetensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/file_kind.h"
#include "runtime/file/json_file.h"
#include "runtime/memory/mapping.h"

namespace lapidary::runtime {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr size_t kMostAxes = 8;
constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";

std::optional<Format> format_of(std::string_view dtype) {
    if (dtype == "F32") return Format::f32;
    if (dtype == "F16") return Format::f16;
    if (dtype == "BF16") return Format::bf16;
    return std::nullopt;
}

// A JSON number that is an integer from 0 to below 2^63.
std::optional<uint64_t> natural(const json& value) {
    if (!value.is_number_integer()) return std::nullopt;
    if (value.is_number_unsigned()) {
        const auto number = value.get<uint64_t>();
        return number <= static_cast<uint64_t>(INT64_MAX) ? std::optional(number) : std::nullopt;
    }
    const auto number = value.get<int64_t>();
    return number >= 0 ? std::optional(static_cast<uint64_t>(number)) : std::nullopt;
}

class HeaderReader {
  public:
    HeaderReader(std::string_view file, const std::string& path) : file_(file), path_(path) {}

    Result<std::vector<FileTensor>> run() {
        LAP_ASSIGN(const json header, read_header());
        std::vector<FileTensor> tensors;
        for (const auto& [name, entry] : header.items()) {
            if (name == "__metadata__") continue;
            LAP_ASSIGN(FileTensor tensor, read_tensor(name, entry));
            tensors.push_back(std::move(tensor));
        }
        // Of tensors at the same place all but one are empty.
        std::sort(tensors.begin(), tensors.end(), [](auto& a, auto& b) {
            return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
        });
        for (size_t i = 1; i < tensors.size(); i++)
            if (tensors[i - 1].offset + tensors[i - 1].bytes > tensors[i].offset)
                return bad(concat("tensors ", in_quotes(tensors[i - 1].name), " and ",
                                  in_quotes(tensors[i].name), " overlap"));
        return tensors;
    }

  private:
    // What no writer of this format would write; whether the bytes or the writer are at fault cannot be told.
    Error bad(const std::string& what) const {
        return {Errc::bad_model_file, concat(in_quotes(path_), " breaks the rules of safetensors: ", what),
                "compare its size and checksum with the source; if they agree, save the model again"};
    }
    Error cut_short(const std::string& what) const {
        return {Errc::bad_model_file, concat(in_quotes(path_), " is damaged: ", what),
                "it was not copied or fetched to its end: fetch it again"};
    }

    Result<json> read_header() {
        uint64_t length = 0;
        if (const auto other = other_kind(file_, path_)) return *other;
        if (file_.size() < kLengthBytes) return cut_short(concat("it has only ", file_.size(), " bytes"));
        std::memcpy(&length, file_.data(), kLengthBytes);
        if (length > kMaxIndexBytes)
            return Error{Errc::bad_model_file, concat(in_quotes(path_), " is not a safetensors file"),
                         "fetch the file again, or name the right one"};
        if (length > file_.size() - kLengthBytes)
            return cut_short(concat("its header claims ", length, " bytes, the file has ", file_.size()));
        data_ = kLengthBytes + length;
        return parse_json_object(file_.substr(kLengthBytes, length), path_);
    }

    Result<FileTensor> read_tensor(const std::string& name, const json& entry) {
        const std::string what = concat("tensor ", in_quotes(name));
        if (!entry.is_object()) return bad(concat(what, " is not described by an object"));
        const auto dtype = entry.find("dtype"), shape = entry.find("shape"),
                   place = entry.find("data_offsets");
        if (dtype == entry.end() || shape == entry.end() || place == entry.end())
            return bad(concat(what, " lacks dtype, shape or data_offsets"));
        if (!dtype->is_string() || !shape->is_array() || !place->is_array() || place->size() != 2)
            return bad(concat(what, " has a dtype, shape or data_offsets of the wrong kind"));

        FileTensor tensor;
        tensor.name = name;
        const auto& type = dtype->get_ref<const std::string&>();
        if (const auto format = format_of(type))
            tensor.format = *format;
        else
            tensor.foreign_type = type;
        LAP_ASSIGN(const uint64_t values, read_shape(tensor, *shape, what));
        LAP_TRY(read_place(tensor, *place, values, what));
        return tensor;
    }

    // The number of values; 0 for a tensor that holds nothing, which the format allows.
    Result<uint64_t> read_shape(FileTensor& tensor, const json& shape, const std::string& what) const {
        if (shape.size() > kMostAxes) return bad(concat(what, " has ", shape.size(), " dimensions"));
        uint64_t values = 1;
        bool empty = false;
        for (const json& item : shape) {
            const auto extent = natural(item);
            if (!extent) return bad(concat(what, " has a dimension that is no number from 0"));
            if (*extent > kMaxValues / values)
                return bad(concat(what, " has an impossible dimension of ", *extent));
            empty |= *extent == 0;
            values *= std::max<uint64_t>(*extent, 1);
            tensor.shape.push_back(static_cast<int64_t>(*extent));
        }
        return empty ? 0 : values;
    }

    Result<void> read_place(FileTensor& tensor, const json& place, uint64_t values,
                            const std::string& what) const {
        const auto begin = natural(place[0]), end = natural(place[1]);
        const uint64_t room = file_.size() - data_;
        if (!begin || !end || *begin > *end)
            return bad(concat(what, " lies at ", in_quotes(place.dump()), ", which is no range"));
        if (*end > room)
            return cut_short(concat(what, " lies at ", *begin, " to ", *end, ", outside the ", room, " bytes of data"));
        tensor.bytes = tensor.foreign_type.empty()
                           ? values * static_cast<uint64_t>(kernels::block_bytes(tensor.format))
                           : *end - *begin;
        if (*end - *begin != tensor.bytes)
            return bad(concat(what, " of shape ", shape_text(tensor.shape), " in ",
                              kernels::name(tensor.format), " needs ", tensor.bytes,
                              " bytes, the file gives it ", *end - *begin));
        tensor.offset = data_ + *begin;
        return {};
    }

    std::string_view file_;
    const std::string& path_;
    size_t data_ = 0;
};

Result<void> append(Safetensors& model, const std::filesystem::path& path) {
    LAP_ASSIGN(const auto mapping, Mapping::open(path));
    LAP_ASSIGN(auto tensors, HeaderReader(mapping->text(), path.string()).run());
    for (auto& tensor : tensors) {
        tensor.part = model.parts.size();
        model.tensors.push_back(std::move(tensor));
    }
    model.parts.push_back({path, mapping});
    return {};
}

// A shard must lie in the folder itself.
bool is_plain_name(const std::string& name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
           name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

// Tensor name -> shard name.
Result<std::map<std::string, std::string>> read_index(const std::filesystem::path& path) {
    LAP_ASSIGN(const json index, read_json_file(path, kMaxIndexBytes));
    const auto entries = index.find("weight_map");
    if (entries == index.end() || !entries->is_object() || entries->empty())
        return Error{Errc::bad_model_file, concat(in_quotes(path.string()), " has no weight_map")};
    std::map<std::string, std::string> out;
    for (const auto& [tensor, shard] : entries->items()) {
        if (!shard.is_string() || !is_plain_name(shard.get_ref<const std::string&>()))
            return Error{Errc::bad_model_file,
                         concat(in_quotes(path.string()), " places tensor ", in_quotes(tensor), " in ",
                                in_quotes(shard.dump()), ", which is not a file of the same folder")};
        out[tensor] = shard.get<std::string>();
    }
    return out;
}

Result<void> compare_with_index(const Safetensors& model, const std::map<std::string, std::string>& index) {
    std::unordered_map<std::string, const FileTensor*> found;
    for (const auto& tensor : model.tensors) {
        const auto [at, fresh] = found.emplace(tensor.name, &tensor);
        if (!fresh)
            return Error{Errc::bad_model_file,
                         concat("tensor ", in_quotes(tensor.name), " lies in two shards, ",
                                in_quotes(model.parts[at->second->part].path.string()), " and ",
                                in_quotes(model.parts[tensor.part].path.string()))};
    }
    for (const auto& [tensor, shard] : index) {
        const auto at = found.find(tensor);
        if (at == found.end()) continue;  // a head that is tied, say; the loader misses what it needs
        const std::string holder = model.parts[at->second->part].path.filename().string();
        if (holder != shard)
            return Error{Errc::bad_model_file,
                         concat("the index places tensor ", in_quotes(tensor), " in ", in_quotes(shard), ", but ",
                                in_quotes(holder), " holds it"),
                         "the folder may mix files of two downloads; fetch it again"};
    }
    return {};
}

}  // namespace

Result<Safetensors> open_safetensors(const std::filesystem::path& file) {
    Safetensors model;
    LAP_TRY(append(model, file));
    return model;
}

bool holds_safetensors(const std::filesystem::path& folder) {
    std::error_code ignored;
    return std::filesystem::exists(folder / kSingleName, ignored) || std::filesystem::exists(folder / kIndexName, ignored);
}

Result<Safetensors> open_safetensors_folder(const std::filesystem::path& folder) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / kSingleName, ignored)) return open_safetensors(folder / kSingleName);
    if (!holds_safetensors(folder))
        return Error{Errc::model_not_found, concat("the folder ", in_quotes(folder.string()),
                                                   " holds neither ", kSingleName, " nor ", kIndexName)};
    LAP_ASSIGN(const auto index, read_index(folder / kIndexName));
    std::unordered_set<std::string> opened;
    Safetensors model;
    for (const auto& [tensor, shard] : index) {
        if (!opened.insert(shard).second) continue;
        auto added = append(model, folder / shard);
        if (!added && added.error().code == Errc::model_not_found)
            return Error{Errc::model_not_found,
                         concat("the shard ", in_quotes(shard), " with tensor ", in_quotes(tensor),
                                " is missing in ", in_quotes(folder.string())),
                         "fetch the missing file"};
        if (!added) return added.error();
    }
    LAP_TRY(compare_with_index(model, index));
    return model;
}

}  // namespace lapidary::runtime
