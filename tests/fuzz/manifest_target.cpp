// A manifest of Ollama, and the parameters it names: JSON of another program, whose digests are components of paths.
#include <filesystem>

#include "model/stores/ollama.h"
#include "model/stores/ollama_params.h"
#include "tests/fuzz/target.h"
#include "tests/support/invented_stores.h"

namespace lapidary::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr char kHex[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";  // and one more, which tells blobs apart

std::string digest(char last) { return std::string("sha256:") + kHex + last; }

// One store for all runs: nothing is written into it.
const test::ScratchFolder& store() {
    static const test::ScratchFolder folder;
    static const bool filled = [] {
        const test::OllamaStore ollama(folder.path());
        test::put_file(ollama.blob_of(digest('1')), "GGUF");
        test::put_file(ollama.blob_of(digest('2')), R"({"temperature":0.5,"stop":["a"],"num_ctx":7})");
        test::put_file(ollama.blob_of(digest('3')), "Be brief.");
        fs::create_symlink("/etc/hostname", ollama.blob_of(digest('4')));
        return true;
    }();
    promise(filled, "the store is there");
    return folder;
}

void check_defaults(const stores::StoredDefaults& defaults) {
    promise(!defaults.temperature || *defaults.temperature >= 0, "a temperature is not negative");
    promise(!defaults.top_p || (*defaults.top_p > 0 && *defaults.top_p <= 1), "top_p is a share");
    promise(!defaults.min_p || (*defaults.min_p >= 0 && *defaults.min_p <= 1), "min_p is a share");
    promise(!defaults.top_k || *defaults.top_k >= 0, "top_k is not negative");
    for (const std::string& stop : defaults.stop) promise(!stop.empty(), "a stop text is not empty");
}

void one(Bytes bytes) {
    const std::string text = text_of(bytes);
    const fs::path blobs = store().path() / "blobs";
    const stores::StoredModel model = stores::read_manifest(text, "manifest", store().path());
    promise(!model.usable() || !model.model.empty(), "what is usable has a model");
    for (const fs::path& file : {model.model, model.projector, model.drafter}) {
        if (file.empty()) continue;
        promise(file.parent_path() == blobs, "a blob lies among the blobs");
        promise(fs::is_regular_file(fs::symlink_status(file)), "a blob is a file, and no link to one outside");
    }
    check_defaults(model.defaults);
    std::vector<std::string> notes;
    check_defaults(stores::read_params(text, "params", notes));
}

std::string manifest(const std::vector<std::string>& layers) {
    std::string list;
    for (const std::string& layer : layers) list += (list.empty() ? "" : ",") + layer;
    return R"({"schemaVersion":2,"config":{},"layers":[)" + list + "]}";
}

std::vector<std::string> seeds() {
    const std::string model = test::ollama_layer("model", digest('1'), 4);
    return {manifest({model, test::ollama_layer("params", digest('2'), 44), test::ollama_layer("system", digest('3'), 9)}),
            manifest({model, test::ollama_layer("projector", digest('1'), 4), test::ollama_layer("draft", digest('4'), 4)}),
            manifest({test::ollama_layer("tensor", digest('1'), 4), test::ollama_layer("json", digest('1'), 4)}),
            manifest({test::ollama_layer("model", digest('4'), 4)}),
            manifest({test::ollama_layer("model", "sha256:../../../etc/passwd", 4)}),
            manifest({test::ollama_layer("model", digest('1'), 5), test::ollama_layer("license", digest('9'), 5)}),
            R"({"temperature":0.7,"top_k":-1,"top_p":0.9,"min_p":0,"stop":["<turn|>","User:"],"num_ctx":8192,"seed":1})"};
}

std::vector<std::string> words() {
    return {"\"layers\"", "\"mediaType\"", "\"digest\"", "\"size\"", "application/vnd.ollama.image.", "model\"", "projector\"", "draft\"", "params\"",
            "system\"", "adapter\"", "tensor\"", "json\"", "sha256:", digest('1'), digest('2'), digest('4'), "../", "/", "\"temperature\"", "\"top_k\"",
            "\"top_p\"", "\"min_p\"", "\"stop\"", "null", "[]", "{}", "-1", "1e999", "18446744073709551616"};
}

}  // namespace

const Target kManifest = {.name = "manifest", .max_bytes = 8192, .one = one, .seeds = seeds, .words = words};

}  // namespace lapidary::fuzz
