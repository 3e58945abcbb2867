// Synthetic models: they load, have the wanted spread, and a failed write leaves nothing.
#include "model/synth/synth.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <set>

#include "kernels/half.h"
#include "model/load/loader.h"
#include "model/synth/plan.h"
#include "model/synth/random.h"
#include "runtime/memory/host_access.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::model;
using kernels::Format;
using lapidary::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

model::SynthOptions tiny(const fs::path& out, Format type) {
    model::SynthOptions options;
    options.out = out;
    options.preset = SynthPreset::tiny;
    options.type = type;
    return options;
}

size_t entries(const fs::path& folder) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

double half(const uint8_t* at) { return kernels::half_to_float(kernels::load_u16(at)); }

// The values of one block, decoded from the description of the formats.
std::vector<double> decode(Format format, const uint8_t* b) {
    std::vector<double> out;
    switch (format) {
        case Format::q4_0:
            for (int i = 0; i < 16; i++) {
                out.push_back(half(b) * ((b[2 + i] & 15) - 8));
                out.push_back(half(b) * ((b[2 + i] >> 4) - 8));
            }
            break;
        case Format::q8_0:
            for (int i = 0; i < 32; i++) out.push_back(half(b) * static_cast<int8_t>(b[2 + i]));
            break;
        case Format::q4_k:
            for (int i = 0; i < 256; i++) {
                const int j = i / 32;
                const uint8_t* s = b + 4;
                const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
                const int least = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
                const int q = b[16 + i / 64 * 32 + i % 32] >> (j % 2 * 4) & 15;
                out.push_back(half(b) * scale * q - half(b + 2) * least);
            }
            break;
        case Format::q6_k:
            for (int i = 0; i < 256; i++) {  // per 128: 64 bytes of low nibbles, 32 bytes of high bits
                const int part = i / 128, quarter = i % 128 / 32, k = i % 32;
                const int low = b[part * 64 + quarter % 2 * 32 + k] >> (quarter / 2 * 4) & 15;
                const int high = b[128 + part * 32 + k] >> (quarter * 2) & 3;
                out.push_back(half(b + 208) * static_cast<int8_t>(b[192 + i / 16]) *
                              ((low | high << 4) - 32));
            }
            break;
        case Format::f16: out.push_back(half(b)); break;
        default: out.push_back(kernels::bfloat_to_float(kernels::load_u16(b)));
    }
    return out;
}

}  // namespace

TEST_CASE("random blocks have mean 0 and the wanted deviation") {
    for (const Format format :
         {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::bf16, Format::f16}) {
        CAPTURE(kernels::name(format));
        const size_t block = static_cast<size_t>(kernels::block_bytes(format));
        const size_t blocks = 400000 / static_cast<size_t>(kernels::block_values(format));
        BlockPool pool(format, 0.02f, 5);
        double sum = 0, squares = 0, count = 0;
        const auto result =
            pool.tensor(blocks * block, [&](const std::byte* bytes, size_t size) -> Result<void> {
                for (size_t at = 0; at < size; at += block)
                    for (const double value : decode(format, reinterpret_cast<const uint8_t*>(bytes) + at)) {
                        sum += value;
                        squares += value * value;
                        count++;
                    }
                return {};
            });
        REQUIRE(result);
        REQUIRE(count >= 390000);
        // Standard errors at 4e5 values: 0.0016 of the deviation for the mean; for the deviation at most
        // 0.0032, counting that a block of 32 shares one scale. Four of them.
        CHECK(std::abs(sum / count) <
              4 * 0.0016 * 0.02 + (format == Format::q4_0 ? 0.0124 / 3.626 * 0.02 : 0));
        CHECK(std::sqrt(squares / count) == doctest::Approx(0.02).epsilon(4 * 0.0032));
    }
}

TEST_CASE("all rows of a tensor differ") {
    BlockPool pool(Format::q4_0, 0.02f, 1);
    std::set<std::string> rows;
    std::string data;
    REQUIRE(pool.tensor(20000 * 8 * 18, [&](const std::byte* bytes, size_t size) -> Result<void> {
        data.append(reinterpret_cast<const char*>(bytes), size);
        return {};
    }));
    for (size_t row = 0; row < 20000; row++) rows.insert(data.substr(row * 8 * 18, 8 * 18));
    CHECK(rows.size() == 20000);
}

TEST_CASE("GGUF files of every type load") {
    const ScratchFolder folder;
    for (const Format type :
         {Format::q4_0, Format::q8_0, Format::q4_k, Format::q6_k, Format::bf16, Format::f16}) {
        CAPTURE(kernels::name(type));
        const auto path = folder.path() / "out.gguf";
        uint64_t last = 0, total = 0;
        model::SynthOptions options = tiny(path, type);
        options.progress = [&](uint64_t done, uint64_t all) {
            CHECK(done > last);
            last = done;
            total = all;
            return true;
        };
        const auto written = write_synthetic(options);
        if (!written) FAIL(written.error().message);
        CHECK(last == total);
        const auto model = load_model({.model = path, .mmproj = {}});
        if (!model) FAIL(model.error().message);
        CHECK(model->config.layers.size() == 12);
        CHECK(model->config.layers[5].k_eq_v);
        CHECK(model->config.layers[11].kind == LayerKind::full);
        CHECK(model->config.full_rope.pairs == 16);
        CHECK(model->config.vocab == 1024);
        CHECK_FALSE(model->vocabulary);
        CHECK(model->weights.layers[3].up.format == type);
        const bool small = type == Format::q4_0 || type == Format::q4_k;
        CHECK(model->weights.embed.format == (small ? Format::q6_k : type));
        CHECK(model->weights.layers[3].scale == 0.5f);
        CHECK(host_floats(model->weights.final_norm)[0] == doctest::Approx(1.0).epsilon(0.3));
        // 12 layers: 14 tensors with values, 13 without, and three of the whole model
        CHECK(model->tensors.size() == 10 * 14 + 2 * 13 + 3);
        CHECK(entries(folder.path()) == 1);  // replaced each time
    }
}

TEST_CASE("the 12B preset has the published inventory") {
    const auto tensors = synth_tensors(synth_shape(SynthPreset::full_12b, 0), {});
    CHECK(tensors.size() == 667);
    int64_t values = 0;
    for (const auto& tensor : tensors) values += tensor.values();
    CHECK(values == 11907350320 + 256);
}

TEST_CASE("Hugging Face folders load, in both types") {
    const ScratchFolder folder;
    for (const Format type : {Format::bf16, Format::f16}) {
        const auto path = folder.path() / kernels::name(type);
        model::SynthOptions options = tiny(path, type);
        options.format = SynthContainer::hf;
        options.layers = 7;
        const auto written = write_synthetic(options);
        if (!written) FAIL(written.error().message);
        const auto model = load_model({.model = path, .mmproj = {}});
        if (!model) FAIL(model.error().message);
        CHECK(model->config.layers.size() == 7);
        CHECK(model->config.layers[6].kind == LayerKind::full);
        CHECK(model->weights.embed.format == type);
        CHECK(model->weights.layers[0].scale == 0.5f);
        const auto again = write_synthetic(options);
        REQUIRE_FALSE(again);
        CHECK(again.error().code == Errc::io_error);
        CHECK(again.error().message.find("not an empty folder") != std::string::npos);
    }
    CHECK(entries(folder.path()) == 2);
}

TEST_CASE("the same options give the same bytes") {
    const ScratchFolder folder;
    REQUIRE(write_synthetic(tiny(folder.path() / "a", Format::q4_k)));
    REQUIRE(write_synthetic(tiny(folder.path() / "b", Format::q4_k)));
    CHECK(test::read_file(folder.path() / "a") == test::read_file(folder.path() / "b"));
}

TEST_CASE("options that make no sense are refused") {
    const ScratchFolder folder;
    model::SynthOptions options = tiny(folder.path() / "out", Format::q5_0);
    CHECK(write_synthetic(options).error().code == Errc::invalid_argument);
    options.type = Format::q4_0;
    options.format = SynthContainer::hf;
    CHECK(write_synthetic(options).error().code == Errc::invalid_argument);
    options.format = SynthContainer::gguf;
    for (const int layers : {-1, 100000}) {
        options.layers = layers;
        CHECK(write_synthetic(options).error().code == Errc::invalid_argument);
    }
    CHECK(entries(folder.path()) == 0);
}

TEST_CASE("a write that fails or is cancelled leaves what was there") {
    const ScratchFolder folder;
    folder.write("out.gguf", "old");
    model::SynthOptions options = tiny(folder.path() / "out.gguf", Format::q8_0);
    options.progress = [](uint64_t done, uint64_t total) { return done < total / 2; };
    CHECK(write_synthetic(options).error().code == Errc::cancelled);

    options.progress = nullptr;
    rlimit old = {};
    ::getrlimit(RLIMIT_FSIZE, &old);
    const rlimit small = {100000, old.rlim_max};  // as on a full disk
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto full = write_synthetic(options);
    options.format = SynthContainer::hf;
    options.type = Format::bf16;
    options.out = folder.path() / "hf";
    const auto full_folder = write_synthetic(options);
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    REQUIRE_FALSE(full);
    CHECK(full.error().code == Errc::io_error);
    REQUIRE_FALSE(full_folder);
    CHECK(full_folder.error().code == Errc::io_error);
    CHECK(test::read_file(folder.path() / "out.gguf") == "old");
    CHECK(entries(folder.path()) == 1);

    options.out = folder.path() / "none" / "out";
    CHECK(write_synthetic(options).error().code == Errc::io_error);
}
