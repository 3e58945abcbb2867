// The helpers declared in text_test_support.h, and a check that the naive BPE itself does what it should.
#include "tests/model/text/text_test_support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_set>

namespace lapidary::model::test {
namespace {

std::string unpack_xz(const std::string& path) {
    std::string text;
    FILE* pipe = popen(("xz -dc '" + path + "'").c_str(), "r");
    REQUIRE(pipe != nullptr);
    char buffer[1 << 16];
    for (size_t got = 0; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
    REQUIRE_MESSAGE(pclose(pipe) == 0, "cannot unpack " << path);
    return text;
}

// The pieces of tests/data/vocabulary (each ends with a zero byte) by id.
std::vector<std::string> real_pieces() {
    const std::string text = unpack_xz(LAPIDARY_SOURCE_DIR "/tests/data/vocabulary/pieces.xz");
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size(); at += pieces.back().size() + 1) pieces.emplace_back(text.c_str() + at);
    return pieces;
}

struct Cut {
    std::string_view left, right;
};

// The merges follow from the pieces: every way to cut a piece into two pieces, in the order of the whole pieces and
// the longest left part first. Ahead of all others stand those of repeated white space, the longest parts first.
std::vector<Cut> merges_of(const std::vector<std::string>& pieces) {
    const std::unordered_set<std::string_view> known(pieces.begin(), pieces.end());
    const std::vector<std::string_view> spaces = {"\n", "\u2581", "\t"};
    const auto space = [&](std::string_view piece) {  // the index of the white space that it repeats
        return std::find_if(spaces.begin(), spaces.end(), [&](std::string_view one) {
                   for (size_t at = 0; at < piece.size(); at += one.size())
                       if (piece.substr(at, one.size()) != one) return false;
                   return true;
               }) - spaces.begin();
    };
    std::vector<Cut> runs, others;
    for (const std::string_view piece : pieces) {
        std::vector<Cut>& cuts = space(piece) < 3 ? runs : others;
        for (size_t at = piece.size() - 1; at > 0; --at) {
            const Cut cut{piece.substr(0, at), piece.substr(at)};
            if (known.count(cut.left) != 0 && known.count(cut.right) != 0) cuts.push_back(cut);
        }
    }
    std::stable_sort(runs.begin(), runs.end(), [&](const Cut& a, const Cut& b) {
        const auto key = [&](const Cut& cut) {
            const auto kind = space(cut.left);
            const auto width = static_cast<std::ptrdiff_t>(spaces[static_cast<size_t>(kind)].size());
            return std::tuple(-std::ssize(cut.left) / width, -std::ssize(cut.right) / width, kind);
        };
        return key(a) < key(b);
    });
    std::swap(runs.back(), others.front());  // the one exception: two tabs come after a space and a t
    runs.insert(runs.end(), others.begin(), others.end());
    return runs;
}

// tokenizer.json around the pieces, in the form that Hugging Face publishes.
std::string tokenizer_json_of(const std::vector<std::string>& pieces) {
    nlohmann::json file = nlohmann::json::parse(read_file(LAPIDARY_SOURCE_DIR "/tests/data/vocabulary/frame.json"));
    nlohmann::json& vocab = file["model"]["vocab"];
    for (size_t id = 0; id < pieces.size(); ++id) vocab[pieces[id]] = id;
    nlohmann::json& merges = file["model"]["merges"];
    for (const Cut& cut : merges_of(pieces)) merges.push_back({cut.left, cut.right});
    return file.dump();
}

Tokenizer load(const std::string& tokenizer_json, const std::string& config_json) {
    auto vocabulary = vocabulary_from_json(tokenizer_json, config_json);
    if (!vocabulary) FAIL(vocabulary.error().message);
    auto tokenizer = Tokenizer::create(std::move(*vocabulary));
    if (!tokenizer) FAIL(tokenizer.error().message);
    return std::move(*tokenizer);
}

}  // namespace

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE_MESSAGE(file.good(), "cannot read " << path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string tiny_path(const std::string& name) {
    return std::string(LAPIDARY_SOURCE_DIR "/models/tiny/") + name;
}

std::string golden_path(const std::string& name) {
    return std::string(LAPIDARY_SOURCE_DIR "/tests/data/goldens/") + name;
}

const std::string& real_tokenizer_json() {
    static const std::string text = tokenizer_json_of(real_pieces());
    return text;
}

const Tokenizer& real_tokenizer() {
    static const Tokenizer tokenizer = load(real_tokenizer_json(), "");
    return tokenizer;
}

const Tokenizer& tiny_tokenizer() {
    static const Tokenizer tokenizer =
        load(read_file(tiny_path("tokenizer.json")), read_file(tiny_path("tokenizer_config.json")));
    return tokenizer;
}

std::string small_tokenizer_json(const std::vector<std::string>& extra_pieces,
                                 const std::vector<std::string>& merges) {
    nlohmann::json file;
    nlohmann::json& vocab = file["model"]["vocab"];
    file["added_tokens"] = nlohmann::json::array();
    int id = 0;
    for (const char* special : {"<pad>", "<eos>", "<bos>", "<unk>", "<turn|>"}) {
        file["added_tokens"].push_back({{"id", id}, {"content", special}, {"special", true}});
        vocab[special] = id++;
    }
    for (int byte = 0; byte < 256; ++byte) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
        vocab[name] = id++;
    }
    vocab["\u2581"] = id++;
    for (const std::string& piece : extra_pieces) vocab[piece] = id++;
    file["model"]["merges"] = merges;
    file["model"]["type"] = "BPE";
    file["model"]["byte_fallback"] = true;
    file["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
    return file.dump();
}

NaiveBpe::NaiveBpe(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    for (int32_t id = 0; id < vocabulary.size(); ++id) ids_.emplace(vocabulary.piece(id), id);
    for (uint32_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
        const Merge& merge = vocabulary.merges[rank];
        std::string key(vocabulary.piece(merge.left));
        key.append(1, '\0').append(vocabulary.piece(merge.right));
        ranks_.emplace(std::move(key), rank);
    }
}

std::vector<int32_t> NaiveBpe::encode(std::string_view text) const {
    std::vector<std::string> symbols;
    for (const char c : text) {
        const bool continues = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
        if (c == ' ') {
            symbols.emplace_back("\u2581");
        } else if (continues) {
            symbols.back() += c;
        } else {
            symbols.emplace_back(1, c);
        }
    }
    while (true) {
        uint32_t best_rank = 0xFFFFFFFF;
        size_t best = 0;
        for (size_t i = 0; i + 1 < symbols.size(); ++i) {
            const auto found = ranks_.find(symbols[i] + std::string(1, '\0') + symbols[i + 1]);
            if (found == ranks_.end() || found->second >= best_rank) continue;
            best_rank = found->second;
            best = i;
        }
        if (best_rank == 0xFFFFFFFF) break;
        symbols[best] += symbols[best + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    std::vector<int32_t> ids;
    for (const std::string& symbol : symbols) {
        if (const auto found = ids_.find(symbol); found != ids_.end()) {
            ids.push_back(found->second);
            continue;
        }
        for (const char c : symbol) ids.push_back(vocabulary_.byte_ids[static_cast<unsigned char>(c)]);
    }
    return ids;
}

std::string utf8_of(char32_t c) {
    const auto tail = [](char32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
    if (c < 0x80) return {static_cast<char>(c)};
    if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), tail(c)};
    if (c < 0x10000) return {static_cast<char>(0xE0 | (c >> 12)), tail(c >> 6), tail(c)};
    return {static_cast<char>(0xF0 | (c >> 18)), tail(c >> 12), tail(c >> 6), tail(c)};
}

std::string random_text(const Vocabulary& vocabulary, TestRandom& random, int parts) {
    std::string text;
    for (int i = 0; i < parts; ++i) {
        switch (random.below(8)) {
            case 0: text += std::string(1 + random.below(4), ' '); break;
            case 1: text += std::string(1 + random.below(random.below(4) == 0 ? 40 : 3), '\n'); break;
            case 2: text += utf8_of(0xA1 + random.below(0x500)); break;
            case 3: text += utf8_of(0x1F300 + random.below(0x300)); break;
            case 4: text += static_cast<char>('a' + random.below(26)); break;
            default: {
                const auto id = static_cast<int32_t>(random.below(static_cast<uint32_t>(vocabulary.size())));
                if (vocabulary.types[id] == TokenType::normal) text += vocabulary.piece(id);
            }
        }
    }
    return text;
}

TEST_CASE("naive BPE: lowest rank first, then leftmost, unknown characters as bytes") {
    auto vocabulary =
        vocabulary_from_json(small_tokenizer_json({"a", "b", "c", "bc", "ab"}, {"b c", "a b"}), "");
    REQUIRE(vocabulary.has_value());
    const NaiveBpe bpe(*vocabulary);
    const int32_t a = 262;  // 5 special tokens, 256 bytes and U+2581 come before
    CHECK(bpe.encode("abc") == std::vector<int32_t>{a, a + 3});
    CHECK(bpe.encode("abab") == std::vector<int32_t>{a + 4, a + 4});
    CHECK(bpe.encode(" x") == std::vector<int32_t>{261, 5 + 'x'});
}

}  // namespace lapidary::model::test
