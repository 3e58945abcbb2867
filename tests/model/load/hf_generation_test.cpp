// generation_config.json: what is obeyed, what is named, and that ids without a token refuse nothing.
#include "model/load/hf_generation.h"

#include <doctest/doctest.h>

#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::ScratchFolder;

namespace {

struct Read {
    Result<void> result;
    ModelConfig config;
    std::string notes;  // one a line
};

Read read(const std::string& json) {
    const ScratchFolder folder;
    folder.write("generation_config.json", json);
    Read out;
    out.config.vocab = 292;
    out.config.stop_ids = {7};
    std::vector<std::string> notes;
    out.result = read_hf_generation(TextFiles(folder.path()), out.config, notes);
    for (const std::string& note : notes) out.notes += note + "\n";
    return out;
}

bool says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

}  // namespace

TEST_CASE("generation settings: do_sample false is greedy, whatever the temperature") {
    CHECK(read(R"({"do_sample": false, "temperature": 0.9, "top_k": 5})").config.sampling.temperature == 0.0f);
    CHECK(read(R"({"do_sample": true, "temperature": 0.5})").config.sampling.temperature == 0.5f);
    CHECK(read(R"({"temperature": 0.5})").config.sampling.temperature == 0.5f);
}

TEST_CASE("generation settings: a negative top_k is off") {
    CHECK(read(R"({"top_k": -1})").config.sampling.top_k == 0);
    CHECK(read(R"({"top_k": null})").config.sampling.top_k == 64);
}

TEST_CASE("generation settings: ids that no token has are dropped, and said") {
    const Read got = read(R"({"eos_token_id": [3, 292, -1], "suppress_tokens": [900, 4]})");
    REQUIRE(got.result);
    CHECK(got.config.stop_ids == std::vector<int32_t>{3});
    CHECK(got.config.suppress_ids == std::vector<int32_t>{4});
    CHECK(says(got.notes, "eos_token_id names 292, -1, outside the vocabulary of 292"));
    CHECK(says(got.notes, "suppress_tokens names 900"));
    CHECK(read(R"({"eos_token_id": 5000})").config.stop_ids == std::vector<int32_t>{7});  // the ones known before
}

TEST_CASE("generation settings: what is not obeyed is named, neutral values are not") {
    CHECK(read(R"({"repetition_penalty": 1.0, "num_beams": 1, "no_repeat_ngram_size": 0, "bad_words_ids": [],
                   "cache_implementation": "hybrid", "transformers_version": "5.0", "typical_p": 1})")
              .notes.empty());
    const Read got = read(R"({"repetition_penalty": 1.1, "stop_strings": ["x"], "somebody_s_key": 0})");
    REQUIRE(got.result);
    CHECK(says(got.notes, "generation_config.json': 'repetition_penalty', 'somebody_s_key', 'stop_strings' are not used"));
}

TEST_CASE("generation settings: defaults that make no sense give way to the published ones, by a note") {
    const struct {
        const char* json;
        const char* says;
    } all[] = {
        {R"({"temperature": "hot"})", "temperature is '\"hot\"', expected a number; the published 1 is used"},
        {R"({"temperature": -2})", "the default temperature is -2; the published 1 is used"},
        {R"({"top_p": 1.5})", "the default top_p is 1.5; the published 0.95 is used"},
        {R"({"min_p": -0.5})", "the default min_p is -0.5; the published 0 is used"},
        {R"({"top_k": 2.5})", "top_k is '2.5', expected a whole number of 32 bits; the published 64 is used"},
        {R"({"do_sample": 1})", "do_sample is '1', expected true or false; replies are sampled"},
    };
    for (const auto& entry : all) {
        const Read got = read(entry.json);
        CAPTURE(got.notes);
        REQUIRE(got.result);
        CHECK(says(got.notes, entry.says));
        CHECK(says(got.notes, "generation_config.json"));
        CHECK(got.config.sampling.temperature == 1.0f);
        CHECK(got.config.sampling.top_p == 0.95f);
        CHECK(got.config.sampling.min_p == 0.0f);
        CHECK(got.config.sampling.top_k == 64);
    }
}

TEST_CASE("generation settings: a list of ids of another kind is refused") {
    const Read got = read(R"({"suppress_tokens": "x"})");
    REQUIRE_FALSE(got.result);
    CHECK(got.result.error().code == Errc::bad_model_file);
    CHECK(says(got.result.error().message, "generation_config.json"));
}

TEST_CASE("generation settings: a list in a note is short, however long the file's is") {
    std::string ids;
    for (int id = 300; id < 20300; id++) ids += (ids.empty() ? "" : ",") + std::to_string(id);
    const Read got = read("{\"suppress_tokens\": [" + ids + "]}");
    REQUIRE(got.result);
    CHECK(says(got.notes, "suppress_tokens names 300, 301, 302, 303, 304, 305, 306, 307 and 19992 more, outside"));
    CHECK(got.notes.size() < 300);
}
