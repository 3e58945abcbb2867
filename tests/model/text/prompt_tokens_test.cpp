// Prompts with media: the reference ids of the bundled model, and where the soft tokens lie.
#include "model/text/prompt_tokens.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/model/text/text_test_support.h"

using namespace lapidary;
using namespace lapidary::model;
namespace {

using Ids = std::vector<int32_t>;

RenderedPrompt user_prompt(std::vector<Part> parts) {
    Message message;
    message.parts = std::move(parts);
    message.plain_string = false;
    auto prompt = render_chat({&message, 1});
    REQUIRE(prompt.has_value());
    return *prompt;
}

}  // namespace

TEST_CASE("prompt tokens: the reference media cases of the bundled model") {
    const auto reference = nlohmann::json::parse(test::read_file(test::tiny_path("reference.json")));
    int checked = 0;
    for (const auto& item : reference["cases"]) {
        if (item["media"].empty()) continue;
        std::vector<Part> parts;
        std::vector<std::vector<SoftBlock>> blocks(1);
        const int soft_tokens = item["soft_tokens"]["count"];
        for (const auto& part : item["messages"][0]["content"]) {
            const std::string type = part["type"];
            if (type == "text") parts.push_back({PartKind::text, part["text"]});
            if (type == "image") parts.push_back({PartKind::image});
            if (type == "audio") parts.push_back({PartKind::audio});
            if (type == "video") parts.push_back({PartKind::video});
            if (type == "image" || type == "audio") blocks[0] = {{"", soft_tokens}};
            if (type != "video") continue;
            // Four frames; the reference gives the times, one second apart.
            for (int second = 0; second < 4; ++second) {
                char time[16];
                std::snprintf(time, sizeof time, "%s00:%02d ", second == 0 ? "" : " ", second);
                blocks[0].push_back({time, soft_tokens / 4});
            }
        }
        const auto tokens = tokenize_prompt(test::tiny_tokenizer(), user_prompt(parts), blocks);
        REQUIRE(tokens.has_value());
        CHECK_MESSAGE(tokens->ids == item["input_ids"].get<Ids>(), item["name"].get<std::string>());
        ++checked;
    }
    CHECK(checked == 5);
}

TEST_CASE("prompt tokens: example E with the real vocabulary, and the runs") {
    const auto prompt = user_prompt({{PartKind::image}, {PartKind::text, "Describe."}, {PartKind::audio}});
    const std::vector<std::vector<SoftBlock>> blocks = {{{"", 3}}, {{"", 2}}};
    const auto tokens = tokenize_prompt(test::real_tokenizer(), prompt, blocks);
    REQUIRE(tokens.has_value());
    const Ids describe = *test::real_tokenizer().encode("Describe.");
    Ids expected = {2, 105, 2364, 107, 255999, 258880, 258880, 258880, 258882};
    expected.insert(expected.end(), describe.begin(), describe.end());
    for (const int32_t id :
         {256000, 258881, 258881, 258883, 106, 107, 105, 4368, 107, 100, 45518, 107, 101}) {
        expected.push_back(id);
    }
    CHECK(tokens->ids == expected);
    REQUIRE(tokens->runs.size() == 2);
    CHECK(tokens->runs[0].position == 5);
    CHECK(tokens->runs[0].soft_tokens == 3);
    CHECK(tokens->runs[0].media_index == 0);
    CHECK(tokens->runs[1].media_index == 1);
    CHECK(tokens->runs[1].kind == PartKind::audio);
    CHECK(tokens->ids[static_cast<size_t>(tokens->runs[1].position)] == 258881);
}

TEST_CASE("prompt tokens: the run between two video frames of the real model") {
    const auto prompt = user_prompt({{PartKind::video}});
    const std::vector<std::vector<SoftBlock>> blocks = {{{"00:00 ", 1}, {" 00:01 ", 1}}};
    const auto tokens = tokenize_prompt(test::real_tokenizer(), prompt, blocks);
    REQUIRE(tokens.has_value());
    const Ids frames = {236771, 236771, 236787, 236771, 236771, 236743, 255999, 258884, 258882, 236743,
                        236771, 236771, 236787, 236771, 236770, 236743, 255999, 258884, 258882};
    CHECK(Ids(tokens->ids.begin() + 4, tokens->ids.begin() + 4 + 19) == frames);
    REQUIRE(tokens->runs.size() == 2);
    CHECK(tokens->runs[1].block_index == 1);
}

TEST_CASE("prompt tokens: missing media and impossible sizes") {
    const auto prompt = user_prompt({{PartKind::image}});
    const auto with = [&](std::vector<std::vector<SoftBlock>> blocks) {
        const auto result = tokenize_prompt(test::tiny_tokenizer(), prompt, blocks);
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == Errc::invalid_argument);
        return result.error().message;
    };
    CHECK(with({}).find("media 0 has no soft tokens") != std::string::npos);
    CHECK(with({{}}).find("media 0 has no soft tokens") != std::string::npos);
    CHECK(with({{{"", 0}}}).find("has 0 soft tokens") != std::string::npos);
    CHECK(with({{{"", 2000000000}}}).find("2000000000") != std::string::npos);
    CHECK(with({{{"\xFF", 1}}}).find("UTF-8") != std::string::npos);
    auto vocabulary = vocabulary_from_json(test::small_tokenizer_json({"a"}, {}), "");
    const auto plain = Tokenizer::create(std::move(*vocabulary));
    const std::vector<std::vector<SoftBlock>> blocks = {{{"", 1}}};
    CHECK(tokenize_prompt(*plain, prompt, blocks).error().code == Errc::unsupported_model);
}
