// Reads the goldens of tests/data/goldens: cases from goldens.json, numbers from goldens.safetensors.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lapidary/lapidary.h"
#include "model/media/image_file.h"
#include "runtime/file/safetensors.h"
#include "tests/support/raw_avi.h"

namespace lapidary::test {

inline const std::filesystem::path kData = std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/data";
inline const std::filesystem::path kTiny = std::filesystem::path(LAPIDARY_SOURCE_DIR) / "models/tiny";
inline const std::filesystem::path kClips = std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/data/media/video";
#ifdef LAP_TEST_FFMPEG
inline constexpr bool kFfmpeg = true;  // this build reads videos
#else
inline constexpr bool kFfmpeg = false;
#endif

inline nlohmann::json read_json(const std::filesystem::path& path) {
    std::ifstream in(path);
    REQUIRE_MESSAGE(in, path.string());
    return nlohmann::json::parse(in);
}

template <class T>
struct Table {
    std::vector<int64_t> shape;
    std::vector<T> values;
    int64_t cols() const { return shape.back(); }
    const T* row(int64_t r) const { return values.data() + r * cols(); }
};

// f32 and i32 tensors of a safetensors file. The library's own reader refuses i32 by design.
class TensorFile {
  public:
    explicit TensorFile(const std::filesystem::path& path) {
        std::ifstream in(path, std::ios::binary);
        REQUIRE_MESSAGE(in, path.string());
        uint64_t length = 0;
        in.read(reinterpret_cast<char*>(&length), 8);
        std::string header(length, 0);
        in.read(header.data(), static_cast<std::streamsize>(length));
        const auto tensors = nlohmann::json::parse(header);
        for (const auto& [name, t] : tensors.items()) {
            if (name == "__metadata__") continue;
            const auto begin = t["data_offsets"][0].get<int64_t>(), end = t["data_offsets"][1].get<int64_t>();
            in.seekg(static_cast<std::streamoff>(8 + length) + begin);
            const auto fill = [&, &entry = t](auto& table) {  // Clang 14 captures no structured binding by itself
                table.shape = entry["shape"].get<std::vector<int64_t>>();
                table.values.resize(static_cast<size_t>(end - begin) / 4);
                in.read(reinterpret_cast<char*>(table.values.data()), end - begin);
            };
            if (t["dtype"] == "F32")
                fill(floats_[name]);
            else
                fill(ints_[name]);
        }
    }
    const Table<float>& f32(const std::string& name) const { return floats_.at(name); }
    const Table<int32_t>& i32(const std::string& name) const { return ints_.at(name); }
    bool has(const std::string& name) const { return floats_.count(name) > 0; }

  private:
    std::map<std::string, Table<float>> floats_;
    std::map<std::string, Table<int32_t>> ints_;
};

template <class T>
T unwrap(Result<T> result) {
    if (!result) FAIL(result.error().message, " | ", result.error().hint);
    return std::move(*result);
}
inline void unwrap(Result<void> result) {
    if (!result) FAIL(result.error().message, " | ", result.error().hint);
}

// One random checkpoint with what transformers computed for it.
struct Goldens : TensorFile {
    explicit Goldens(const std::string& checkpoint)
        : TensorFile(kData / "goldens" / checkpoint / "goldens.safetensors"),
          folder(kData / "goldens" / checkpoint),
          json(read_json(folder / "goldens.json")) {}

    // The case's text cut at its placeholders, media in between: what Engine::raw takes.
    static std::vector<Part> parts(const nlohmann::json& golden) {
        std::vector<Part> out;
        std::string text = golden["text"];
        size_t image = 0, sound = 0;
        const auto media = kData / "goldens/media";
        for (size_t at; (at = std::min({text.find("<|image|>"), text.find("<|audio|>"), text.find("<|video|>")})) != std::string::npos;) {
            if (at > 0) out.push_back(Part::text(text.substr(0, at)));
            if (text.compare(at, 9, "<|image|>") == 0)
                out.push_back(Part::image(media / golden["images"][image++]["file"].get<std::string>()));
            else if (text.compare(at, 9, "<|audio|>") == 0)
                out.push_back(Part::audio(media / golden["sounds"][sound++]["file"].get<std::string>()));
            else
                out.push_back(video(golden, media));
            text = text.substr(at + 9);
        }
        if (!text.empty()) out.push_back(Part::text(text));
        return out;
    }
    static Part video(const nlohmann::json& golden, const std::filesystem::path& media) {
        std::vector<model::Image> frames;
        for (const auto& frame : golden["frames"]) frames.push_back(unwrap(model::read_image(media / frame["file"].get<std::string>())));
        return Part::video(raw_avi(frames, golden["fps"].get<uint32_t>()), {.count = static_cast<int32_t>(frames.size())});
    }

    std::filesystem::path folder;
    nlohmann::json json;
};

// Largest |a - b| over max - min of b: the measure of every parity test.
inline double range_error(const float* got, const float* want, int64_t n) {
    double worst = 0, low = want[0], high = want[0];
    for (int64_t i = 0; i < n; ++i) {
        worst = std::max(worst, std::abs(double{got[i]} - want[i]));
        low = std::min(low, double{want[i]});
        high = std::max(high, double{want[i]});
    }
    return worst / (high - low);
}

// Every logit row of what the session has queued.
inline std::vector<std::vector<float>> all_rows(Session& session) {
    std::vector<std::vector<float>> rows;
    unwrap(session.forward({.rows = Rows::all}, [&](int64_t, std::span<const float> row) {
        rows.emplace_back(row.begin(), row.end());
        return Flow::go;
    }));
    return rows;
}

}  // namespace lapidary::test
