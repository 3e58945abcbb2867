// Media that an engine has met: decoded, and embedded. A conversation is rendered anew for each turn, and what it shows was there before.
// Known by content and by how it is cut up, never by name alone. Private to model/.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/lapidary.h"
#include "model/forward.h"
#include "model/step.h"

namespace lapidary::model {

// A picture or a recording, decoded and cut into rows of the projection's width.
struct MediaRows {
    bool picture = false;
    Patches patches = {};            // picture
    std::vector<float> frames = {};  // recording: [N][samples_per_token]
    MediaContent content = {};       // of these values: seal()
    void seal();
    uint64_t bytes() const { return (patches.values.size() + frames.size()) * sizeof(float); }
};

// Soft tokens that stand side by side: a picture, a clip of a recording, a frame of a video.
struct MediaBlock {
    std::string text_before;  // "00:01 " before a frame
    int soft_tokens = 0;
    std::shared_ptr<const MediaRows> rows;
};
using MediaBlocks = std::vector<MediaBlock>;  // of one medium

// What decoding a part depends on, but for the engine's own options. XXH3, 128 bits: of the bytes, of a file too; of files beyond 64 MiB
// of place, size and time of the last change.
struct MediaKey {
    Part::Kind kind = Part::Kind::image;
    MediaContent source = {};
    VideoFrames frames = {};
    bool operator==(const MediaKey& other) const {
        return kind == other.kind && source == other.source && frames.count == other.frames.count && frames.fps == other.frames.fps;
    }
};
// None: the part cannot be read, which the decoder explains.
std::optional<MediaKey> key_of(const Part& part);

// Any thread. Keeps kLimitBytes at most, what was used last.
class MediaMemory {
  public:
    static constexpr uint64_t kLimitBytes = 256 << 20;

    using Decoded = std::shared_ptr<const MediaBlocks>;
    Decoded decoded(const MediaKey& key);
    void keep(const MediaKey& key, Decoded blocks);
    using Embedded = std::shared_ptr<const std::vector<float>>;  // [N][D]
    Embedded embedded(const MediaContent& content);
    void keep(const MediaContent& content, Embedded rows);

    uint64_t forget();  // everything; the bytes that this frees, if nobody else has them

  private:
    struct Entry {  // of one of the two kinds
        MediaKey key;
        MediaContent content;
        Decoded blocks;
        Embedded rows;
        uint64_t bytes = 0;
    };
    template <class Wanted>
    Entry* find(const Wanted& wanted);
    void add(Entry entry);

    std::mutex mutex_;
    std::vector<Entry> entries_;  // the last used one at the end
    uint64_t bytes_ = 0;
};

}  // namespace lapidary::model
