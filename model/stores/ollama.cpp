// A digest is a component of a path: nothing but sha256:HEX is one; see ollama.h.
#include "model/stores/ollama.h"

#include <algorithm>

#include "base/describe.h"
#include "base/try.h"
#include "base/utf8.h"
#include "model/stores/ollama_params.h"
#include "model/stores/store_files.h"
#include "runtime/file/json_file.h"

namespace lapidary::stores {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxManifestBytes = 4 << 20;  // with a layer for every tensor
constexpr uint64_t kMaxParamsBytes = 64 << 10, kMaxSystemBytes = 1 << 20;
constexpr std::string_view kImage = "application/vnd.ollama.image.";
constexpr const char* kHost = "registry.ollama.ai";
constexpr const char* kLibrary = "library";
constexpr const char* kPull = "pull the model again with Ollama";

struct Layer {
    std::string kind;  // "model", ...
    fs::path blob;
    uint64_t bytes = 0;
};

Error damaged(const std::string& where, const std::string& what) {
    return {Errc::bad_model_file, concat("the manifest ", in_quotes(where), " ", what), kPull};
}

bool is_digest(std::string_view text) {
    constexpr std::string_view kBegin = "sha256:";
    constexpr size_t kHexDigits = 64;
    return text.size() == kBegin.size() + kHexDigits && text.starts_with(kBegin) &&
           text.find_first_not_of("0123456789abcdef", kBegin.size()) == text.npos;
}

Result<Layer> read_layer(const json& item, const std::string& where, const fs::path& root) {
    const auto field = [&item](const char* name) { return item.is_object() && item.contains(name) ? item[name] : json(); };
    const json type = field("mediaType"), digest = field("digest"), size = field("size");
    if (!type.is_string() || !digest.is_string() || !size.is_number_unsigned())
        return damaged(where, "has a layer without a media type, digest or size");
    const auto& hash = digest.get_ref<const std::string&>();
    if (!is_digest(hash)) return damaged(where, concat("has a layer with the digest ", in_quotes(hash), ", not sha256: and 64 digits"));
    Layer layer;
    const auto& media = type.get_ref<const std::string&>();
    layer.kind = media.substr(0, media.find(';'));
    if (layer.kind.starts_with(kImage)) layer.kind.erase(0, kImage.size());
    layer.blob = root / "blobs" / concat("sha256-", hash.substr(hash.find(':') + 1));
    layer.bytes = size.get<uint64_t>();
    return layer;
}

Result<std::vector<Layer>> read_layers(const std::string& text, const std::string& where, const fs::path& root) {
    LAP_ASSIGN(const json manifest, runtime::parse_json_object(text, where));
    const auto list = manifest.find("layers");
    if (list == manifest.end() || !list->is_array()) return damaged(where, "has no list of layers");
    std::vector<Layer> layers;
    for (const json& item : *list) {
        LAP_ASSIGN(Layer layer, read_layer(item, where, root));
        layers.push_back(std::move(layer));
    }
    return layers;
}

// That the blob is there, in this store, and as long as the manifest says. Its hash is not computed: that reads all of it.
Result<void> check_blob(const Layer& layer, const std::string& where, const fs::path& root) {
    std::error_code failed;
    const auto status = fs::status(layer.blob, failed);
    if (status.type() == fs::file_type::not_found && !fs::is_symlink(layer.blob, failed))
        return Error{Errc::model_not_found,
                     concat("the blob ", in_quotes(layer.blob.string()), " is not there, which the manifest ", in_quotes(where), " names"),
                     "let the download finish, or pull the model again with Ollama"};
    if (const auto outside = leads_outside(layer.blob, root)) return *outside;
    if (!fs::is_regular_file(status))
        return Error{Errc::bad_model_file, concat(in_quotes(layer.blob.string()), " is not a regular file"), kPull};
    const uint64_t size = fs::file_size(layer.blob, failed);
    if (!failed && size == layer.bytes) return {};
    return Error{Errc::bad_model_file,
                 concat("the blob ", in_quotes(layer.blob.string()), " has ", size, " bytes, its manifest says ", layer.bytes), kPull};
}

// What only advises never refuses: what cannot be read is said in a note.
std::string advice(const Layer& layer, const std::string& where, const fs::path& root, uint64_t limit, std::vector<std::string>& notes) {
    auto checked = check_blob(layer, where, root);
    auto text = checked ? runtime::read_text_file(layer.blob, limit) : Result<std::string>(checked.error());
    if (text && valid_utf8(*text)) return std::move(*text);
    notes.push_back(concat("the ", layer.kind == "params" ? "parameters" : "system prompt", " that Ollama keeps with the model ",
                           layer.kind == "params" ? "are" : "is", " not used: ",
                           text ? concat(in_quotes(layer.blob.string()), " is not UTF-8") : text.error().message));
    return {};
}

// Layers of kinds that make of a model something else than what is run here.
Result<void> refuse_others(const std::vector<Layer>& layers, const std::string& where) {
    for (const Layer& layer : layers) {
        if (layer.kind == "adapter")
            return Error{Errc::unsupported_model, concat("the manifest ", in_quotes(where), " names an adapter (LoRA), which is not applied here"),
                         "merge it into the model it belongs to, and give that"};
        if (layer.kind == "tensor" || layer.kind == "json")
            return Error{Errc::unsupported_model, concat("the manifest ", in_quotes(where), ": this tag holds MLX tensors"), "pull a GGUF tag"};
    }
    const auto models = std::count_if(layers.begin(), layers.end(), [](const Layer& layer) { return layer.kind == "model"; });
    if (models == 1) return {};
    if (models > 1) return damaged(where, concat("names ", models, " models, where one is expected"));
    return Error{Errc::unsupported_model, concat("the manifest ", in_quotes(where), " names no model file; it may be one that is run elsewhere"),
                 "pull a tag with a GGUF"};
}

Result<void> take_layers(const std::vector<Layer>& layers, const std::string& where, const fs::path& root, StoredModel& out) {
    LAP_TRY(refuse_others(layers, where));
    for (const Layer& layer : layers) {
        fs::path* file = layer.kind == "model"       ? &out.model
                         : layer.kind == "projector" ? &out.projector
                         : layer.kind == "draft"     ? &out.drafter
                                                     : nullptr;
        if (file && !file->empty()) {
            out.notes.push_back(concat("Ollama keeps another ", layer.kind, " with the model, which is not used"));
        } else if (file) {
            const auto checked = check_blob(layer, where, root);
            if (!checked && layer.kind == "model") return checked;
            if (checked) *file = layer.blob;
            if (checked && layer.kind != "draft") out.bytes += layer.bytes;
            if (!checked && layer.kind == "projector") out.projector_problem = checked.error();  // of no matter to texts
        } else if (layer.kind == "params") {
            if (const std::string text = advice(layer, where, root, kMaxParamsBytes, out.notes); !text.empty())
                out.defaults = read_params(text, layer.blob.string(), out.notes);
        } else if (layer.kind == "system") {
            out.system = advice(layer, where, root, kMaxSystemBytes, out.notes);
        } else {
            out.facts.emplace_back(concat("ollama ", layer.kind), concat(layer.bytes, " bytes, not used"));
        }
    }
    return {};
}

// manifests/HOST/NAMESPACE/MODEL/TAG
struct Place {
    fs::path file;
    std::string host, space, model, tag;
};

// The shortest name that Ollama knows it by, and all the others.
void name_it(const Place& place, StoredModel& out) {
    std::vector<std::string> before = {concat(place.host, "/", place.space, "/")};
    before.push_back(concat(place.space, "/"));
    if (place.space == kLibrary) before.emplace_back();
    for (const std::string& front : before) {
        out.words.push_back(concat(front, place.model, ":", place.tag));
        if (place.tag == "latest") out.words.push_back(concat(front, place.model));
    }
    const std::string& shortest = place.host != kHost ? before.front() : before.back();
    out.name = concat(prefix_of(Program::ollama), shortest, place.model, ":", place.tag);
}

void find_manifests(const fs::path& folder, int depth, std::vector<std::string>& names, std::vector<Place>& found, Listing& listing) {
    constexpr int kLevels = 4;
    const Entries entries = entries_of(folder);
    if (!entries.problem.empty())
        listing.problems.push_back({Program::ollama, folder, concat("cannot read the folder: ", entries.problem),
                                    "where Ollama runs as a service, the folder is its user's: join its group (sudo usermod -a -G ollama $USER)"});
    for (const fs::path& path : entries.paths) {
        names.push_back(path.filename().string());
        if (depth + 1 < kLevels && is_folder(path)) find_manifests(path, depth + 1, names, found, listing);
        if (depth + 1 == kLevels && !is_folder(path)) found.push_back({path, names[0], names[1], names[2], names[3]});
        names.pop_back();
    }
}

}  // namespace

StoredModel read_manifest(const std::string& text, const std::string& where, const fs::path& root) {
    StoredModel out;
    const auto layers = read_layers(text, where, root);
    auto taken = layers ? take_layers(*layers, where, root, out) : Result<void>(layers.error());
    if (!taken) out.problem = taken.error();
    return out;
}

void list_ollama(const fs::path& root, Listing& listing) {
    std::vector<Place> places;
    std::vector<std::string> names;
    find_manifests(root / "manifests", 0, names, places, listing);
    for (const Place& place : places) {
        const std::string where = place.file.string();
        StoredModel model;
        if (const auto outside = leads_outside(place.file, root)) {
            model.problem = *outside;
        } else if (const auto text = runtime::read_text_file(place.file, kMaxManifestBytes); text) {
            model = read_manifest(*text, where, root);
        } else {
            model.problem = text.error();
        }
        name_it(place, model);
        listing.models.push_back(std::move(model));
    }
}

}  // namespace lapidary::stores
