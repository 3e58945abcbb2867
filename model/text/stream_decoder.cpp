// Holding back incomplete characters. One U+FFFD per broken byte is what the byte-fallback decoder of the
// reference tokenizer prints for a run of bytes that is no text.
#include "model/text/stream_decoder.h"

#include "base/utf8.h"
#include "model/text/tokenizer.h"

namespace lapidary::model {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool render_special)
    : tokenizer_(&tokenizer), render_special_(render_special) {}

std::string StreamDecoder::push(int32_t id) {
    if (!tokenizer_->valid_id(id)) return finish().append(kReplacementCharacter);
    pending_ += tokenizer_->token_bytes(id, render_special_);
    return take_complete();
}

std::string StreamDecoder::take_complete() {
    std::string text;
    size_t taken = 0;
    while (taken < pending_.size()) {
        const std::string_view rest = std::string_view(pending_).substr(taken);
        const Utf8Head head = utf8_head(rest);
        if (head.state == Utf8State::incomplete) break;
        const bool complete = head.state == Utf8State::complete;
        text.append(complete ? rest.substr(0, head.length_bytes) : kReplacementCharacter);
        taken += head.length_bytes;
    }
    pending_.erase(0, taken);
    return text;
}

std::string StreamDecoder::finish() {
    std::string text;
    for (size_t i = 0; i < pending_.size(); ++i) text.append(kReplacementCharacter);
    pending_.clear();
    return text;
}

}  // namespace lapidary::model
