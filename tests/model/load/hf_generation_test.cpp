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

TEST_CASE("generation settings: nonsense is refused and the right file named") {
    for (const char* json : {R"({"do_sample": 1})", R"({"temperature": "hot"})", R"({"temperature": -2})",
                             R"({"top_p": 1.5})", R"({"min_p": -0.5})", R"({"suppress_tokens": "x"})"}) {
        const Read got = read(json);
        REQUIRE_FALSE(got.result);
        CHECK(got.result.error().code == Errc::bad_model_file);
        CHECK(says(got.result.error().message, "generation_config.json"));
    }
}
