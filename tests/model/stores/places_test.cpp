// Variables and defaults of every program.
#include "model/stores/places.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/support/invented_stores.h"

using namespace lapidary;
using Paths = std::vector<std::filesystem::path>;

namespace {

stores::Places places_with(const std::map<std::string, std::string>& values) {
    return stores::places_of([&values](const char* name) {
        const auto at = values.find(name);
        return at == values.end() ? std::string() : at->second;
    });
}

}  // namespace

TEST_CASE("places: the defaults are in the home") {
    const auto places = places_with({{"HOME", "/h"}});
    CHECK(places.ollama == Paths{"/h/.ollama/models", "/usr/share/ollama/.ollama/models"});
    CHECK(places.hugging_face == Paths{"/h/.cache/huggingface/hub"});
    CHECK(places.lm_studio == Paths{"/h/.lmstudio/models", "/h/.cache/lm-studio/models"});
#ifdef __APPLE__
    CHECK(places.llama_cpp == Paths{"/h/Library/Caches/llama.cpp"});
#else
    CHECK(places.llama_cpp == Paths{"/h/.cache/llama.cpp"});
#endif
    CHECK(places.problems.empty());
}

TEST_CASE("places: each variable goes before the next") {
    std::map<std::string, std::string> all = {{"HOME", "/h"},           {"OLLAMA_MODELS", "/o"}, {"HF_HUB_CACHE", "/hub"}, {"HF_HOME", "/hf"},
                                              {"XDG_CACHE_HOME", "/x"}, {"LLAMA_CACHE", "/l"}};
    auto places = places_with(all);
    CHECK(places.ollama.front() == "/o");
    CHECK(places.hugging_face == Paths{"/hub"});
    CHECK(places.llama_cpp == Paths{"/l"});
    all.erase("HF_HUB_CACHE");
    CHECK(places_with(all).hugging_face == Paths{"/hf/hub"});
    all.erase("HF_HOME");
    CHECK(places_with(all).hugging_face == Paths{"/x/huggingface/hub"});
    all["HF_HOME"] = "~/mine";
    CHECK(places_with(all).hugging_face == Paths{"/h/mine/hub"});
    all["HF_HOME"] = "relative";  // to whatever folder that was
    CHECK(places_with(all).hugging_face == Paths{"/x/huggingface/hub"});
}

TEST_CASE("places: without a home only what variables name") {
    const auto places = places_with({});
    CHECK(places.ollama == Paths{"/usr/share/ollama/.ollama/models"});
    CHECK(places.hugging_face.empty());
    CHECK(places.lm_studio.empty());
    CHECK(places.llama_cpp.empty());
    CHECK(places_with({{"LLAMA_CACHE", "/l"}}).llama_cpp == Paths{"/l"});
}

TEST_CASE("places: LM Studio's pointer to another home, and the folder that its settings name") {
    const test::ScratchFolder folder;
    const auto home = folder.path(), other = home / "other";
    const auto places = [&] { return places_with({{"HOME", home.string()}}); };
    test::put_file(home / ".lmstudio-home-pointer", other.string() + "\n");
    CHECK(places().lm_studio == Paths{other / "models", home / ".cache/lm-studio/models"});
    test::put_file(other / "settings.json", R"({"downloadsFolder":"~/big","theme":1})");
    CHECK(places().lm_studio == Paths{home / "big", other / "models", home / ".cache/lm-studio/models"});
    test::put_file(other / "settings.json", R"({"downloadsFolder":7})");
    CHECK(places().lm_studio.size() == 2);
    test::put_file(other / "settings.json", "not json");
    const auto damaged = places();
    CHECK(damaged.lm_studio.size() == 2);
    REQUIRE(damaged.problems.size() == 1);
    CHECK(damaged.problems[0].message.find("is not valid JSON") != std::string::npos);
    test::put_file(home / ".lmstudio-home-pointer", "nowhere");  // no absolute path
    CHECK(places().lm_studio.front() == home / ".lmstudio/models");
    test::put_file(home / ".lmstudio-home-pointer", std::string(1 << 20, '/'));
    CHECK(places().lm_studio.front() == home / ".lmstudio/models");
}
