// Walks the bytes of a GGUF file: header, metadata, tensor list. Every length is compared with the bytes
// that are left before it is used; nothing is allocated in proportion to a number that the file only claims.
#include "runtime/file/gguf_parse.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/file_kind.h"
#include "runtime/file/gguf_types.h"

namespace lapidary::runtime {
namespace {

constexpr uint64_t kMaxCount = 1 << 24;  // keys or tensors: far above any model
constexpr uint32_t kMagic = 0x46554747;                // "GGUF"
constexpr size_t kMinEntryBytes = 8 + 4 + 1;           // empty key, type, one byte
constexpr size_t kMinTensorBytes = 8 + 4 + 4 + 8;      // empty name, no dims, type, offset
constexpr size_t kMinArrayBytes = 4 + 8;               // type and count of an empty one
constexpr size_t kMaxNameBytes = 65535;                // the specification's limit for keys
constexpr uint32_t kMaxDims = 16;                      // the specification leaves room above its 4
constexpr int kMaxDepth = 16;                          // of arrays in arrays

// Bytes of one scalar; 0 for strings, arrays and unknown types.
size_t scalar_bytes(GgufType type) {
    switch (type) {
        case GgufType::u8:
        case GgufType::i8:
        case GgufType::boolean: return 1;
        case GgufType::u16:
        case GgufType::i16: return 2;
        case GgufType::u32:
        case GgufType::i32:
        case GgufType::f32: return 4;
        case GgufType::u64:
        case GgufType::i64:
        case GgufType::f64: return 8;
        default: return 0;
    }
}

class Parser {
  public:
    Parser(std::string_view file, const std::string& path) : file_(file), path_(path) {}

    Result<GgufHeader> run(Extent extent) {
        LAP_TRY(read_preamble());
        LAP_TRY(read_metadata());
        LAP_TRY(read_tensors());
        if (extent == Extent::whole) LAP_TRY(place_tensors());
        return std::move(header_);
    }

  private:
    // What no writer of this format would write; whether the bytes or the writer are at fault cannot be told.
    Error bad(const std::string& what) const {
        return {Errc::bad_model_file, concat(in_quotes(path_), " breaks the rules of GGUF: ", what),
                "compare its size and checksum with the source; if they agree, convert the model again"};
    }
    Error cut_short(const std::string& what) const {
        return {Errc::bad_model_file, concat(in_quotes(path_), " is damaged: ", what),
                "it was not copied or fetched to its end: fetch it again"};
    }
    Error truncated(const std::string& what) const {
        return cut_short(concat("it ends at byte ", file_.size(), ", inside ", what, " at byte ", at_));
    }
    size_t left() const { return file_.size() - at_; }

    template <class T>
    Result<T> number(const std::string& what) {
        if (left() < sizeof(T)) return truncated(what);
        T value;
        std::memcpy(&value, file_.data() + at_,
                    sizeof(T));  // the format and all our machines are little-endian
        at_ += sizeof(T);
        return value;
    }
    Result<std::string_view> bytes(uint64_t count, const std::string& what) {
        if (count > left()) return truncated(what);
        const std::string_view taken = file_.substr(at_, count);
        at_ += count;
        return taken;
    }
    Result<std::string_view> string(const std::string& what) {
        LAP_ASSIGN(const uint64_t length, number<uint64_t>(what));
        return bytes(length, what);
    }
    Result<std::string_view> short_name(const std::string& what) {
        LAP_ASSIGN(const std::string_view text, string(what));
        if (text.size() > kMaxNameBytes)
            return bad(concat(what, " has ", text.size(), " bytes, more than ", kMaxNameBytes));
        return text;
    }

    Result<void> read_preamble() {
        if (file_.size() < sizeof(kMagic)) return not_gguf(file_, path_);
        LAP_ASSIGN(const uint32_t magic, number<uint32_t>("the magic number"));
        if (magic != kMagic) return not_gguf(file_, path_);
        LAP_ASSIGN(const uint32_t version, number<uint32_t>("the version"));
        if (version != 0 && (version & 0xffff) == 0)
            return Error{Errc::unsupported_model, concat(in_quotes(path_), " is a big-endian GGUF file"),
                         "convert the model for little-endian machines"};
        if (version != 2 && version != 3)
            return Error{Errc::unsupported_model,
                         concat(in_quotes(path_), " has GGUF version ", version, "; 2 and 3 are read"),
                         "convert the model again with a current converter"};
        LAP_ASSIGN(tensor_count_, number<uint64_t>("the number of tensors"));
        LAP_ASSIGN(entry_count_, number<uint64_t>("the number of keys"));
        if (entry_count_ > kMaxCount) return bad(concat("it claims ", entry_count_, " keys in ", left(), " bytes"));
        if (tensor_count_ > kMaxCount) return bad(concat("it claims ", tensor_count_, " tensors in ", left(), " bytes"));
        const bool room = entry_count_ <= left() / kMinEntryBytes && tensor_count_ <= left() / kMinTensorBytes;
        if (!room)
            return cut_short(concat("it has ", file_.size(), " bytes, too few for the ", entry_count_, " keys and ",
                                    tensor_count_, " tensors that it announces"));
        return {};
    }

    Result<void> read_metadata() {
        std::unordered_set<std::string_view> seen;
        for (uint64_t i = 0; i < entry_count_; i++) {
            LAP_ASSIGN(const std::string_view key, short_name(concat("key ", i)));
            LAP_ASSIGN(const GgufValue value, read_value(key));
            if (!seen.insert(key).second) return bad(concat("key ", in_quotes(key), " occurs twice"));
            header_.metadata.emplace_back(key, value);
            if (key == "general.alignment") LAP_TRY(set_alignment(value));
        }
        return {};
    }

    Result<GgufValue> read_value(std::string_view key) {
        const std::string what = concat("the value of ", in_quotes(key));
        GgufValue value;
        LAP_ASSIGN(const uint32_t type, number<uint32_t>(what));
        value.type = static_cast<GgufType>(type);
        if (value.type == GgufType::array) {
            LAP_TRY(read_array(value, what));
        } else if (value.type == GgufType::string) {
            LAP_ASSIGN(value.raw, string(what));
        } else if (const size_t size = scalar_bytes(value.type)) {
            LAP_ASSIGN(value.raw, bytes(size, what));
        } else {
            return bad(concat(what, " has the unknown type ", type));
        }
        return value;
    }

    Result<void> read_array(GgufValue& value, const std::string& what) {
        LAP_ASSIGN(const uint32_t element, number<uint32_t>(what));
        LAP_ASSIGN(value.count, number<uint64_t>(what));
        value.element = static_cast<GgufType>(element);
        const size_t begin = at_;
        LAP_TRY(skip_elements(value.element, value.count, 1, what));
        value.raw = file_.substr(begin, at_ - begin);
        return {};
    }

    Result<void> skip_elements(GgufType element, uint64_t count, int depth, const std::string& what) {
        if (element == GgufType::string) {
            if (count > left() / sizeof(uint64_t)) return truncated(what);
            return skip_strings(count, what);
        }
        if (element == GgufType::array) return skip_arrays(count, depth, what);
        const size_t size = scalar_bytes(element);
        if (size == 0)
            return bad(concat(what, " is an array of the unknown type ", static_cast<uint32_t>(element)));
        if (count > left() / size) return truncated(what);
        at_ += count * size;
        return {};
    }

    Result<void> skip_arrays(uint64_t count, int depth, const std::string& what) {
        if (depth >= kMaxDepth) return bad(concat(what, " has arrays in each other deeper than ", kMaxDepth));
        if (count > left() / kMinArrayBytes) return truncated(what);
        for (uint64_t i = 0; i < count; i++) {
            LAP_ASSIGN(const uint32_t element, number<uint32_t>(what));
            LAP_ASSIGN(const uint64_t inner, number<uint64_t>(what));
            LAP_TRY(skip_elements(static_cast<GgufType>(element), inner, depth + 1, what));
        }
        return {};
    }

    Result<void> skip_strings(uint64_t count, const std::string& what) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t length = 0;
            if (left() < sizeof(length)) return truncated(what);
            std::memcpy(&length, file_.data() + at_, sizeof(length));
            at_ += sizeof(length);
            if (length > left()) return truncated(what);
            at_ += length;
        }
        return {};
    }

    Result<void> set_alignment(const GgufValue& value) {
        const auto alignment = value.integer();
        if (!alignment || *alignment < 8 || *alignment > (1 << 20) || (*alignment & (*alignment - 1)) != 0)
            return bad(
                concat("general.alignment is ", in_quotes(value.describe()), ", not a power of two from 8 to 1048576"));
        alignment_ = static_cast<uint64_t>(*alignment);
        return {};
    }

    Result<void> read_tensors() {
        std::unordered_set<std::string_view> seen;
        for (uint64_t i = 0; i < tensor_count_; i++) {
            LAP_ASSIGN(const std::string_view tensor_name, short_name(concat("the name of tensor ", i)));
            if (!seen.insert(tensor_name).second)
                return bad(concat("tensor ", in_quotes(tensor_name), " occurs twice"));
            LAP_ASSIGN(FileTensor tensor, read_tensor(tensor_name));
            header_.tensors.push_back(std::move(tensor));
        }
        return {};
    }

    Result<FileTensor> read_tensor(std::string_view tensor_name) {
        const std::string what = concat("tensor ", in_quotes(tensor_name));
        FileTensor tensor;
        tensor.name = tensor_name;
        LAP_ASSIGN(const uint64_t values, read_shape(tensor, what));
        LAP_ASSIGN(const uint32_t type, number<uint32_t>(what));
        LAP_ASSIGN(tensor.offset, number<uint64_t>(what));
        const auto format = gguf_format(type);
        if (!format) {
            tensor.foreign_type = gguf_foreign_type(type);
            return tensor;
        }
        tensor.format = *format;
        const auto block = kernels::block_values(tensor.format);
        const int64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
        if (cols % block != 0)
            return bad(concat(what, " has rows of ", cols, " values, not a multiple of the ", block, " of ",
                              kernels::name(tensor.format)));
        tensor.bytes = values / block * kernels::block_bytes(tensor.format);
        return tensor;
    }

    // The number of values; 0 for a tensor that holds nothing, which the format allows.
    Result<uint64_t> read_shape(FileTensor& tensor, const std::string& what) {
        LAP_ASSIGN(const uint32_t dims, number<uint32_t>(what));
        if (dims > kMaxDims)
            return bad(concat(what, " has ", dims, " dimensions; 0 to ", kMaxDims, " are possible"));
        uint64_t values = 1;
        bool empty = false;
        for (uint32_t d = 0; d < dims; d++) {
            LAP_ASSIGN(const uint64_t extent, number<uint64_t>(what));
            empty |= extent == 0;
            if (extent > kMaxValues / values)
                return bad(concat(what, " has an impossible dimension of ", extent));
            values *= std::max<uint64_t>(extent, 1);
            tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(extent));
        }
        return empty ? 0 : values;
    }

    // Turns offsets within the data section into offsets within the file, and checks that the tensors lie
    // inside it, aligned and apart from each other.
    Result<void> place_tensors() {
        if (header_.tensors.empty()) return {};
        const uint64_t data = (at_ + alignment_ - 1) / alignment_ * alignment_;
        const uint64_t room = data <= file_.size() ? file_.size() - data : 0;
        std::vector<FileTensor*> order;
        for (FileTensor& tensor : header_.tensors) {
            const std::string what = concat("tensor ", in_quotes(tensor.name));
            if (tensor.offset % alignment_ != 0)
                return bad(concat(what, " begins at ", tensor.offset, ", not a multiple of ", alignment_));
            if (tensor.offset > room || tensor.bytes > room - tensor.offset)
                return cut_short(concat(what, " needs ", tensor.bytes, " bytes at ", tensor.offset,
                                        " but the data has ", room, " bytes"));
            tensor.offset += data;
            order.push_back(&tensor);
        }
        // Of tensors at the same place all but one are empty.
        std::sort(order.begin(), order.end(), [](auto* a, auto* b) {
            return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
        });
        for (size_t i = 1; i < order.size(); i++)
            if (order[i - 1]->offset + order[i - 1]->bytes > order[i]->offset)
                return bad(concat("tensors ", in_quotes(order[i - 1]->name), " and ",
                                  in_quotes(order[i]->name), " overlap"));
        // The block sizes of foreign types are not known here; their data reaches to the next tensor at most.
        for (size_t i = 0; i < order.size(); i++)
            if (!order[i]->foreign_type.empty())
                order[i]->bytes = (i + 1 < order.size() ? order[i + 1]->offset : file_.size()) - order[i]->offset;
        return {};
    }

    std::string_view file_;
    const std::string& path_;
    size_t at_ = 0;
    uint64_t tensor_count_ = 0, entry_count_ = 0, alignment_ = 32;
    GgufHeader header_;
};

}  // namespace

Result<GgufHeader> parse_gguf(std::string_view file, const std::string& path, Extent extent) {
    return Parser(file, path).run(extent);
}

}  // namespace lapidary::runtime
