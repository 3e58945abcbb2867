// Token texts of the Gemma 4 family; see special_ids.h.
#include "model/load/special_ids.h"

#include <algorithm>

#include "base/describe.h"

namespace lapidary::model {
namespace {

constexpr std::string_view kAddedTokens[] = {
    "<pad>",      "<eos>",       "<bos>",        "<unk>",           "<mask>",          "<|tool>",
    "<tool|>",    "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>",
    "<|think|>",  "<|channel>",  "<channel|>",   "<|turn>",         "<turn|>",         "<|image>",
    "<|audio>",   "<|image|>",   "<|audio|>",    "<image|>",        "<audio|>",        "<|video|>"};

void add_once(std::vector<int32_t>& ids, int32_t id) {
    if (id >= 0 && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

}  // namespace

bool is_added_token(std::string_view piece) {
    if (piece.size() < 5 || piece.front() != '<' || piece.back() != '>') return false;
    return std::find(std::begin(kAddedTokens), std::end(kAddedTokens), piece) != std::end(kAddedTokens);
}

void SpecialTexts::see(int32_t id, std::string_view piece) {
    if (is_added_token(piece)) found_.emplace(piece, id);
}

int32_t SpecialTexts::id(std::string_view text) const {
    const auto at = found_.find(text);
    return at == found_.end() ? -1 : at->second;
}

void fill_media_ids(TokenIds& ids, const SpecialTexts& texts) {
    const struct {
        int32_t& id;
        std::string_view text;
    } all[] = {
        {ids.begin_image, "<|image>"}, {ids.image, "<|image|>"}, {ids.end_image, "<image|>"},
        {ids.begin_audio, "<|audio>"}, {ids.audio, "<|audio|>"}, {ids.end_audio, "<audio|>"},
        {ids.video, "<|video|>"},
    };
    for (const auto& entry : all)
        if (entry.id < 0) entry.id = texts.id(entry.text);
}

void drop_ids_beyond(std::vector<int32_t>& ids, int32_t vocab, const std::string& what,
                     std::vector<std::string>& notes) {
    std::vector<std::string> dropped;
    for (const int32_t id : ids)
        if (id < 0 || id >= vocab) dropped.push_back(std::to_string(id));
    if (dropped.empty()) return;
    std::erase_if(ids, [&](int32_t id) { return id < 0 || id >= vocab; });
    notes.push_back(concat(what, " names ", short_list(dropped), ", outside the vocabulary of ", vocab));
}

void add_stop_texts(std::vector<int32_t>& stop_ids, const SpecialTexts& texts, bool chat) {
    add_once(stop_ids, texts.id("<eos>"));
    if (!chat) return;
    add_once(stop_ids, texts.id("<turn|>"));
    add_once(stop_ids, texts.id("<|tool_response>"));
}

void add_suppressed_media(std::vector<int32_t>& suppress_ids, const TokenIds& ids) {
    add_once(suppress_ids, ids.end_image);
    add_once(suppress_ids, ids.end_audio);
}

}  // namespace lapidary::model
