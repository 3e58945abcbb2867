// Text to ids and back. The first byte of an input chooses: 't' the vocabulary of models/tiny, 'a' a small
// one whose added tokens are the first line of the input, cut at blanks. The rest is the text, any bytes.
#include <algorithm>

#include "base/utf8.h"
#include "model/text/reply_parser.h"
#include "model/text/stop_matcher.h"
#include "model/text/stream_decoder.h"
#include "model/text/tokenizer.h"
#include "tests/fuzz/model_check.h"
#include "tests/fuzz/seed_models.h"
#include "tests/fuzz/vocabularies.h"
#include "tests/support/small_model.h"

namespace lapidary::fuzz {
namespace {

using namespace lapidary::model;

// Broken bytes as U+FFFD each.
std::string usable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const Utf8Head head = utf8_head(text);
        const bool whole = head.state == Utf8State::complete;
        out += whole ? text.substr(0, head.length_bytes) : kReplacementCharacter;
        text.remove_prefix(whole ? head.length_bytes : 1);
    }
    return out;
}

// What decoding gives back of a text: U+2581 stands for a space.
std::string with_spaces(std::string_view text) {
    constexpr std::string_view kMark = "\u2581";
    std::string out;
    while (!text.empty()) {
        const bool mark = text.starts_with(kMark);
        out += mark ? ' ' : text[0];
        text.remove_prefix(mark ? kMark.size() : 1);
    }
    return out;
}

void check_encoding(const Tokenizer& tokenizer, const std::string& text, bool special) {
    const TextSpan whole{text, special};
    int64_t work = 0;
    size_t longest = 1;
    for (int32_t id = 0; id < tokenizer.size(); id++) longest = std::max(longest, tokenizer.piece(id).size());
    const auto ids = tokenizer.encode_spans({&whole, 1}, false, &work);
    promise(ids.has_value(), "valid UTF-8 cannot be encoded");
    promise(ids->size() <= text.size(), "more ids than bytes");
    promise(work <= static_cast<int64_t>((4 + longest) * text.size() + 4), "the work is not linear in the text");
    for (const int32_t id : *ids) {
        promise(tokenizer.valid_id(id), "an id outside the vocabulary");
        promise(special || tokenizer.type(id) != TokenType::control, "a control token from plain text");
    }
    const auto back = tokenizer.decode(*ids, true);
    promise(back.has_value() && with_spaces(*back) == with_spaces(text),
            "decode(encode(text)) is another text");
}

// Plain text in two spans is the text in one.
void check_spans(const Tokenizer& tokenizer, std::string_view text, size_t cut) {
    while (cut < text.size() && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) cut++;
    cut = std::min(cut, text.size());
    const TextSpan spans[] = {{text.substr(0, cut), false}, {text.substr(cut), false}};
    const auto apart = tokenizer.encode_spans(spans), whole = tokenizer.encode(text);
    promise(apart && whole && *apart == *whole, "text in two spans has other ids");
}

// Any ids: the stream and the whole agree, and are UTF-8.
void check_decoding(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
    for (const bool special : {false, true}) {
        StreamDecoder stream(tokenizer, special);
        std::string streamed;
        for (const int32_t id : ids) {
            const std::string text = stream.push(id);
            promise(valid_utf8(text), "a streamed piece is not UTF-8");
            streamed += text;
        }
        streamed += stream.finish();
        const auto whole = tokenizer.decode(ids, special);
        promise(whole && *whole == streamed, "the stream and the whole differ");
    }
    const size_t before = ids.size() % 4;
    auto parser = ReplyParser::create(tokenizer, std::span(ids).first(before));
    if (!parser) return check_error(parser.error());
    std::string text;
    for (const int32_t id : std::span(ids).subspan(before)) {
        const ReplyDelta delta = parser->feed(id);
        text += delta.text + delta.thinking;
    }
    const ReplyDelta rest = parser->finish();
    promise(valid_utf8(text) && valid_utf8(rest.text) && valid_utf8(rest.thinking), "a reply is not UTF-8");
}

// However the text is cut, the same comes out in front of a stop string.
void check_stops(const std::string& text, uint32_t choice) {
    if (text.size() < 4) return;
    const std::string stop = usable(text.substr(choice % (text.size() - 2), 1 + choice / 8 % 5));
    auto whole = StopMatcher::create({stop, "\n\n\n"}), bytewise = StopMatcher::create({stop, "\n\n\n"});
    promise(whole && bytewise, "stop strings are refused");
    auto first = whole->feed(text);
    std::string shown = first.text + (first.stopped ? "" : whole->finish()), other;
    bool stopped = false;
    for (const char c : text) {
        auto step = bytewise->feed(std::string_view(&c, 1));
        other += step.text;
        stopped = stopped || step.stopped;
    }
    if (!stopped) other += bytewise->finish();
    promise(stopped == first.stopped && shown == other, "a stop string depends on how the text was cut");
}

std::vector<int32_t> ids_of(std::string_view bytes, int32_t vocabulary) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i + 1 < bytes.size(); i += 2)
        ids.push_back(
            (static_cast<unsigned char>(bytes[i]) * 256 + static_cast<unsigned char>(bytes[i + 1])) *
            (vocabulary > 65536 ? 4 : 1) % vocabulary);
    return ids;
}

void check(const Tokenizer& tokenizer, std::string_view bytes) {
    if (!valid_utf8(bytes)) {
        const auto refused = tokenizer.encode(bytes, {.parse_special = true});
        promise(!refused, "broken UTF-8 was encoded");
        check_error(refused.error());
    }
    const std::string text = usable(bytes);
    check_encoding(tokenizer, text, false);
    check_encoding(tokenizer, text, true);
    check_spans(tokenizer, text, hash_of(bytes_of_text(text)) % (text.size() + 1));
    check_decoding(tokenizer, ids_of(bytes, tokenizer.size()));
    check_stops(text, hash_of(bytes_of_text(text)));
}

void check_added(std::string_view input) {
    const size_t line = std::min(input.find('\n'), input.size());
    const std::string words = usable(input.substr(0, line));
    std::vector<std::string> pieces = test::small_pieces();
    pieces.push_back("\u2581");
    std::vector<int32_t> types;
    for (size_t i = 0; i < pieces.size(); i++) types.push_back(i < 14 ? 3 : i < 14 + 256 ? 6 : 1);
    for (size_t begin = 0; begin < words.size() && pieces.size() < 800;) {
        const size_t end = std::min(words.find(' ', begin), words.size());
        pieces.push_back(words.substr(begin, end - begin));
        types.push_back(pieces.size() % 2 ? 3 : 4);
        begin = end + 1;
    }
    const std::vector<std::string_view> views(pieces.begin(), pieces.end());
    auto vocabulary = vocabulary_from_lists(views, types, {"a b"}, {.bos = 2}, true);
    if (!vocabulary) return check_error(vocabulary.error());
    const auto tokenizer = Tokenizer::create(std::move(*vocabulary));
    if (!tokenizer) return check_error(tokenizer.error());
    check(*tokenizer, input.substr(std::min(line + 1, input.size())));
}

void one(Bytes bytes) {
    const std::string input = text_of(bytes);
    const std::string_view rest = std::string_view(input).substr(std::min<size_t>(1, input.size()));
    if (input.starts_with("a")) return check_added(rest);
    check(tiny_tokenizer(), rest);
}

std::vector<std::string> seeds() {
    std::vector<std::string> out;
    const std::string texts[] = {"Hello world",
                                 "  two  spaces\n\n\nand lines\r\n\t.",
                                 "<|turn>user\nHi<turn|>\n<|turn>model\n",
                                 "\u00e9\u4e2d\u6587\U0001f600\u2581\u2581 x\u0301",
                                 "int main() { return 0; } // \xff\xfe",
                                 "<|channel>thought\nx<channel|>",
                                 std::string(300, '<'),
                                 std::string(300, ' ') + "a"};
    for (const std::string& text : texts) {
        out.push_back("t" + text);
        out.push_back("a< << <<< <a> \u2581 ab aba e\u0301\n" + text);
    }
    return out;
}

std::vector<std::string> words() {
    std::vector<std::string> out = test::small_pieces();
    for (const char* word :
         {"<|channel>", "<channel|>", "<|think|>", "<|tool_call>", "<tool_call|>", "\u2581", "\u2581\u2581",
          "\n\n", "\xef\xbf\xbd", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "<0x41>", "the", "ing"})
        out.push_back(word);
    return out;
}

}  // namespace

const Target kTokenizer = {
    .name = "tokenizer", .max_bytes = 4096, .one = one, .seeds = seeds, .words = words};

}  // namespace lapidary::fuzz
