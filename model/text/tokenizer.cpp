// Encoding: cut at added tokens, cut into lines and newline runs, then merge each run's characters by rank.
// The merge queue holds (rank, position) with lazy invalidation: O(n log n) for a run of n characters, which
// matters because a line has no word borders (a pasted 1 MB line is one merge problem).
#include "model/text/tokenizer.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

#include "base/describe.h"
#include "base/utf8.h"
#include "model/text/stream_decoder.h"
#include "model/text/vocabulary_build.h"
#include "model/text/white_space.h"

namespace lapidary::model {
namespace {

constexpr std::string_view kSpacePiece = "\u2581";
constexpr uint32_t kNoRank = 0xFFFFFFFF;
constexpr uint32_t kNone = 0xFFFFFFFF;
// 262,144 ids, the whole context, stand for at most 24 MB. The bound keeps one long line, whose merge list
// takes 24 bytes a character, below 2 GB.
constexpr size_t kMaxTextBytes = size_t{1} << 26;

uint64_t queue_key(uint32_t rank, uint32_t position) { return uint64_t{rank} << 32 | position; }

size_t hash_pair(int32_t left, int32_t right) {
    uint64_t key = uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
    key *= 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio: spreads neighbouring ids (Knuth, multiplicative hashing)
    return static_cast<size_t>(key ^ (key >> 32));
}

bool mixes_newline(std::string_view piece) {
    return piece.find('\n') != std::string_view::npos &&
           piece.find_first_not_of('\n') != std::string_view::npos;
}

bool contains(const std::vector<int32_t>& ascending, int32_t id) {
    return std::binary_search(ascending.begin(), ascending.end(), id);
}

struct JoinedSpan {
    std::string text;
    bool parse_special = false;
};

// Neighbours of one kind as one text: an added token may lie across their border.
std::vector<JoinedSpan> join_alike(std::span<const TextSpan> spans) {
    std::vector<JoinedSpan> out;
    for (const TextSpan& span : spans) {
        if (out.empty() || out.back().parse_special != span.parse_special) out.push_back({{}, span.parse_special});
        out.back().text += span.text;
    }
    return out;
}

}  // namespace

struct Tokenizer::MergeScratch {
    // One symbol of a run: a character at first, later a merged piece. A list through prev and next.
    struct Symbol {
        uint32_t prev;
        uint32_t next;
        uint32_t begin;      // byte offset in the run
        int32_t id;          // -1: no piece; such a symbol is one character and never merges
        uint32_t pair_rank;  // rank of (this, next) while that merge is possible, else kNoRank
    };

    std::vector<Symbol> symbols;
    std::vector<uint64_t> queue;  // min-heap of queue_key
    int64_t work = 0;

    void push(uint32_t rank, uint32_t position) {
        queue.push_back(queue_key(rank, position));
        std::push_heap(queue.begin(), queue.end(), std::greater<>());
        ++work;
    }
};

Result<Tokenizer> Tokenizer::create(Vocabulary vocabulary) {
    for (const Merge& merge : vocabulary.merges) {
        if (!mixes_newline(vocabulary.piece(merge.result))) continue;
        return Error{Errc::unsupported_model, concat("vocabulary: piece ", merge.result, " mixes a newline with other text"),
                     "only Gemma 4's vocabulary is supported, where lines never merge with newlines"};
    }
    Tokenizer tokenizer(std::move(vocabulary));
    if (tokenizer.character_id(kSpacePiece) < 0)
        return Error{Errc::bad_model_file, "vocabulary: there is no piece U+2581, which stands for a space",
                     "the model's tokenizer data is damaged; fetch the model again"};
    return tokenizer;
}

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), index_(vocabulary_), added_(vocabulary_) {
    index_merges();
    has_words_ = std::any_of(vocabulary_.added_tokens.begin(), vocabulary_.added_tokens.end(),
                             [&](int32_t id) { return is_word(id); });
    for (int c = 0; c < 128; ++c) {
        const char character = static_cast<char>(c);
        ascii_ids_[c] = plain_id(c == ' ' ? kSpacePiece : std::string_view(&character, 1));
    }
}

void Tokenizer::index_merges() {
    const std::vector<Merge>& merges = vocabulary_.merges;
    merge_slots_.assign(std::bit_ceil(2 * merges.size() + 2), kNoRank);
    const size_t mask = merge_slots_.size() - 1;
    for (uint32_t rank = 0; rank < merges.size(); ++rank) {
        if (merge_rank(merges[rank].left, merges[rank].right) != kNoRank)
            continue;                                                   // the first of equals counts
        if (type(merges[rank].result) == TokenType::control) continue;  // as for single characters
        size_t slot = hash_pair(merges[rank].left, merges[rank].right) & mask;
        while (merge_slots_[slot] != kNoRank) slot = (slot + 1) & mask;
        merge_slots_[slot] = rank;
    }
}

uint32_t Tokenizer::merge_rank(int32_t left, int32_t right) const {
    if (left < 0 || right < 0) return kNoRank;
    const size_t mask = merge_slots_.size() - 1;
    for (size_t slot = hash_pair(left, right) & mask;; slot = (slot + 1) & mask) {
        const uint32_t rank = merge_slots_[slot];
        if (rank == kNoRank) return kNoRank;
        if (vocabulary_.merges[rank].left == left && vocabulary_.merges[rank].right == right) return rank;
    }
}

bool Tokenizer::is_added(int32_t id) const {
    return type(id) == TokenType::control || type(id) == TokenType::user_defined;
}

bool Tokenizer::is_word(int32_t id) const {
    return type(id) == TokenType::user_defined && !is_visible_special(piece(id));
}

std::optional<int32_t> Tokenizer::special(std::string_view text) const {
    const int32_t id = index_.find(vocabulary_, text);
    if (id < 0 || !is_added(id)) return std::nullopt;
    return id;
}

Result<int32_t> Tokenizer::require_special(std::string_view text) const {
    if (const auto id = special(text)) return *id;
    return Error{Errc::unsupported_model, "the vocabulary has no special token " + std::string(text),
                 "this needs an instruction-tuned Gemma 4 model"};
}

int32_t Tokenizer::plain_id(std::string_view character) const {
    const int32_t id = index_.find(vocabulary_, character);
    return id >= 0 && type(id) == TokenType::control ? -1 : id;
}

int32_t Tokenizer::character_id(std::string_view character) const {
    const auto first = static_cast<unsigned char>(character[0]);
    return first < 128 ? ascii_ids_[first] : plain_id(character);
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
    const TextSpan span{text, options.parse_special};
    return encode_spans({&span, 1}, options.add_bos);
}

Result<std::vector<int32_t>> Tokenizer::encode_spans(std::span<const TextSpan> spans, bool add_bos,
                                                     int64_t* work) const {
    size_t offset = 0;
    for (const TextSpan& span : spans) {
        const size_t broken = find_invalid_utf8(span.text);
        if (broken != std::string_view::npos)
            return Error{Errc::invalid_argument,
                         concat("text to tokenize: the byte at offset ", offset + broken, " is not valid UTF-8"),
                         "convert the text to UTF-8"};
        offset += span.text.size();
    }
    if (offset > kMaxTextBytes)
        return Error{Errc::invalid_argument, concat("text to tokenize: ", offset, " bytes, the limit is ", kMaxTextBytes),
                     "split the text"};
    std::vector<int32_t> ids;
    MergeScratch scratch;
    std::string joined;  // ordinary text since the last added token, if it spans a border
    bool drop_space = false;  // the last added token takes the white space behind it
    for (const JoinedSpan& alike : join_alike(spans)) {
        const TextSpan span{alike.text, alike.parse_special};
        size_t begin = 0;  // of the ordinary text not yet encoded or joined
        const auto skip_dropped = [&] {
            if (!drop_space) return;
            const std::string_view rest = span.text.substr(begin);
            begin += rest.size() - trim_left(rest).size();
            drop_space = begin == span.text.size();
        };
        skip_dropped();
        for (size_t i = begin; (span.parse_special || has_words_) && i < span.text.size(); ++i) {
            const int32_t id = added_.longest_at(span.text.substr(i), &scratch.work);
            if (id < 0 || (!span.parse_special && !is_word(id))) continue;
            joined.append(span.text.substr(begin, i - begin));
            if (contains(vocabulary_.strips_left, id)) joined.resize(trim_right(joined).size());
            encode_fragment(joined, scratch, ids);
            joined.clear();
            ids.push_back(id);
            begin = i + piece(id).size();
            drop_space = contains(vocabulary_.strips_right, id);
            skip_dropped();
            i = begin - 1;
        }
        joined.append(span.text.substr(begin));
    }
    encode_fragment(joined, scratch, ids);
    const int32_t bos = vocabulary_.special.bos;
    if (add_bos && bos >= 0 && (ids.empty() || ids.front() != bos)) ids.insert(ids.begin(), bos);
    if (work != nullptr) *work = scratch.work;
    return ids;
}

// Cutting between lines and newline runs is exact: no merge mixes them (create() checks).
void Tokenizer::encode_fragment(std::string_view text, MergeScratch& scratch,
                                std::vector<int32_t>& ids) const {
    while (!text.empty()) {
        const size_t end = text[0] == '\n' ? text.find_first_not_of('\n') : text.find('\n');
        encode_run(text.substr(0, end), scratch, ids);
        if (end == std::string_view::npos) return;
        text.remove_prefix(end);
    }
}

void Tokenizer::encode_run(std::string_view run, MergeScratch& scratch, std::vector<int32_t>& ids) const {
    using Symbol = MergeScratch::Symbol;
    std::vector<Symbol>& symbols = scratch.symbols;
    symbols.clear();
    for (uint32_t begin = 0; begin < run.size();) {
        const auto length = static_cast<uint32_t>(utf8_head(run.substr(begin, 4)).length_bytes);
        const auto i = static_cast<uint32_t>(symbols.size());
        symbols.push_back(
            {i == 0 ? kNone : i - 1, i + 1, begin, character_id(run.substr(begin, length)), kNoRank});
        begin += length;
    }
    symbols.back().next = kNone;

    std::vector<uint64_t>& queue = scratch.queue;
    queue.clear();
    for (uint32_t i = 0; i + 1 < symbols.size(); ++i) {
        symbols[i].pair_rank = merge_rank(symbols[i].id, symbols[i + 1].id);
        if (symbols[i].pair_rank != kNoRank) queue.push_back(queue_key(symbols[i].pair_rank, i));
    }
    scratch.work += static_cast<int64_t>(queue.size());
    std::make_heap(queue.begin(), queue.end(), std::greater<>());

    const auto offer = [&](uint32_t i) {  // (re)evaluates the pair that starts at symbol i
        Symbol& symbol = symbols[i];
        symbol.pair_rank = symbol.next == kNone ? kNoRank : merge_rank(symbol.id, symbols[symbol.next].id);
        if (symbol.pair_rank != kNoRank) scratch.push(symbol.pair_rank, i);
    };
    while (!queue.empty()) {
        std::pop_heap(queue.begin(), queue.end(), std::greater<>());
        const auto rank = static_cast<uint32_t>(queue.back() >> 32);
        const auto i = static_cast<uint32_t>(queue.back());
        queue.pop_back();
        Symbol& left = symbols[i];
        if (left.pair_rank != rank) continue;  // the pair has changed since
        Symbol& right = symbols[left.next];
        left.id = vocabulary_.merges[rank].result;
        left.next = right.next;
        right.pair_rank = kNoRank;  // right is gone
        if (left.next != kNone) symbols[left.next].prev = i;
        offer(i);
        if (left.prev != kNone) offer(left.prev);
    }

    for (uint32_t i = 0; i != kNone; i = symbols[i].next) {
        if (symbols[i].id >= 0) {
            ids.push_back(symbols[i].id);
        } else {
            const size_t end = symbols[i].next == kNone ? run.size() : symbols[symbols[i].next].begin;
            append_bytes(run.substr(symbols[i].begin, end - symbols[i].begin), ids);
        }
    }
}

void Tokenizer::append_bytes(std::string_view bytes, std::vector<int32_t>& ids) const {
    for (const char byte : bytes) ids.push_back(vocabulary_.byte_ids[static_cast<unsigned char>(byte)]);
}

std::string Tokenizer::token_bytes(int32_t id, bool render_special) const {
    switch (type(id)) {
        case TokenType::byte: return {static_cast<char>(byte_of_piece(piece(id)))};
        case TokenType::control:
        case TokenType::unknown: return render_special ? std::string(piece(id)) : std::string();
        case TokenType::user_defined: return std::string(piece(id));
        case TokenType::normal:
        case TokenType::unused: break;
    }
    std::string text;
    for (std::string_view rest = piece(id); !rest.empty();) {
        const size_t space = rest.find(kSpacePiece);
        text.append(rest.substr(0, space));
        if (space == std::string_view::npos) break;
        text.push_back(' ');
        rest.remove_prefix(space + kSpacePiece.size());
    }
    return text;
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> ids, bool render_special) const {
    StreamDecoder decoder(*this, render_special);
    std::string text;
    for (size_t i = 0; i < ids.size(); ++i) {
        if (!valid_id(ids[i]))
            return Error{Errc::invalid_argument,
                         concat("ids to decode: id ", ids[i], " at position ", i, " is outside the vocabulary of ", size()),
                         concat("ids run from 0 to ", size() - 1)};
        text += decoder.push(ids[i]);
    }
    text += decoder.finish();
    return text;
}

}  // namespace lapidary::model
