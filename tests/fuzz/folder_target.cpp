// A folder with a model in it. The input is its files one after the other, each behind a line "@@ NAME". Of a
// safetensors file it holds the header as text; length and 32 KiB of zeros are added here, so that inputs
// stay small. A safetensors file that does not begin with a brace is taken as it is.
#include <algorithm>

#include "tests/fuzz/model_check.h"
#include "tests/fuzz/seed_models.h"
#include "tests/support/small_model.h"

namespace lapidary::fuzz {
namespace {

constexpr std::string_view kMark = "@@ ";
constexpr size_t kDataBytes = 32 << 10;

bool usable_name(std::string_view name) {
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return !name.empty() && name.size() < 80 && name.find_first_not_of(kAllowed) == std::string_view::npos &&
           name != "." && name != "..";
}

void write_file(const test::ScratchFolder& folder, std::string_view name, std::string_view text) {
    const bool header = name.ends_with(".safetensors") && text.starts_with("{");
    if (header)
        folder.write(std::string(name),
                     test::safetensors_file(std::string(text), std::string(kDataBytes, '\0')));
    else
        folder.write(std::string(name), text);
}

void write_files(const test::ScratchFolder& folder, std::string_view input) {
    int files = 0;
    while (input.starts_with(kMark) && files++ < 16) {
        const size_t line = std::min(input.find('\n'), input.size());
        const std::string_view name = input.substr(kMark.size(), line - std::min(line, kMark.size()));
        input.remove_prefix(std::min(line + 1, input.size()));
        const size_t next = input.starts_with(kMark) ? 0 : input.find("\n@@ ");
        const size_t end = next == std::string_view::npos ? input.size() : next;
        if (usable_name(name)) write_file(folder, name, input.substr(0, end));
        input.remove_prefix(std::min(end + (next != 0), input.size()));
    }
}

void one(Bytes bytes) {
    const test::ScratchFolder folder;
    write_files(folder, text_of(bytes));
    load_and_check({.model = folder.path()}, hash_of(bytes) % 4 == 0);
}

std::string section(const std::string& name, const std::string& text) {
    return "@@ " + name + "\n" + text + "\n";
}

std::string small_folder(const std::string& config = test::small_config_json()) {
    test::SafetensorsBuilder tensors = test::small_safetensors();
    test::add_small_media(tensors);
    return section("config.json", config) + section("model.safetensors", tensors.header());
}

std::string settings() {
    return section("generation_config.json", tiny_file("generation_config.json")) +
           section("processor_config.json", tiny_file("processor_config.json")) +
           section("tokenizer_config.json", tiny_file("tokenizer_config.json")) +
           section("preprocessor_config.json",
                   R"({"do_resize": true, "patch_size": 2, "max_soft_tokens": 280})");
}

std::string sharded() {
    test::SafetensorsBuilder media;
    test::add_small_media(media);
    return section("config.json", test::small_config_json()) +
           section(
               "model.safetensors.index.json",
               R"({"metadata":{"total_size":1},"weight_map":{"model.language_model.norm.weight":"a.safetensors",
                   "model.language_model.embed_tokens.weight":"a.safetensors",
                   "model.vision_embedder.pos_embedding":"b.safetensors"}})") +
           section("a.safetensors", test::small_safetensors().header()) +
           section("b.safetensors", media.header());
}

std::vector<std::string> seeds() {
    const std::string tokenizer = section("tokenizer.json", small_tokenizer());
    return {small_folder(),
            small_folder() + settings(),
            small_folder() + tokenizer + settings(),
            small_folder(tiny_file("config.json")) + section("chat_template.jinja", "{{ bos_token }}"),
            sharded(),
            section("model.gguf", test::small_gguf().build()) +
                section("mmproj.gguf", test::small_projector().build())};
}

std::vector<std::string> words() {
    return {"\"added_tokens\"",
            "\"normalizer\"",
            "\"merges\"",
            "\"vocab\"",
            "\"lm_head.weight\"",
            "\"F32\"",
            "\"BF16\"",
            "\"F16\"",
            "\"I64\"",
            "\"data_offsets\"",
            "\"dtype\"",
            "\"shape\"",
            "\"weight_map\"",
            "\"__metadata__\"",
            "model-00001-of-00002.safetensors",
            "model-00001-of-00002.gguf",
            "null",
            "true",
            "false",
            "[]",
            "{}",
            "-1",
            "1e999",
            "18446744073709551615",
            "9223372036854775807",
            "2147483648",
            "0.5",
            "\"Sequence\"",
            "\"Replace\"",
            "\"rope_parameters\"",
            "\"eos_token_id\"",
            "\"do_sample\"",
            "\"top_k\"",
            "\"suppress_tokens\"",
            "\"vision_config\"",
            "\"text_config\"",
            "\"layer_types\"",
            "\n@@ tokenizer.json\n",
            "\n@@ generation_config.json\n",
            "\n@@ mmproj.gguf\n"};
}

}  // namespace

const Target kFolder = {.name = "folder", .max_bytes = 64 << 10, .one = one, .seeds = seeds, .words = words};

}  // namespace lapidary::fuzz
