// Processor settings: both places of them, values that are obeyed, and values that turn an input off.
#include "model/load/hf_processor.h"

#include <doctest/doctest.h>

#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::ScratchFolder;

namespace {

struct Read {
    Result<void> result;
    ModelConfig config;
    std::string notes;  // one a line
};

// Empty: no such file.
Read read(const std::string& processor, const std::string& older = "") {
    const ScratchFolder folder;
    if (!processor.empty()) folder.write("processor_config.json", processor);
    if (!older.empty()) folder.write("preprocessor_config.json", older);
    Read out;
    out.config.vision.emplace();
    out.config.audio.emplace();
    std::vector<std::string> notes;
    out.result = read_hf_processor(TextFiles(folder.path()), out.config, notes);
    for (const std::string& note : notes) out.notes += note + "\n";
    return out;
}

bool says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

}  // namespace

TEST_CASE("processor settings: none, and the published ones") {
    for (const char* json : {"", R"({"image_processor": {"do_resize": true, "do_rescale": true, "do_normalize": false,
        "rescale_factor": 0.00392156862745098, "image_mean": [0.0, 0.0, 0.0], "image_std": [1.0, 1.0, 1.0],
        "resample": 3, "patch_size": 16, "pooling_kernel_size": 3, "max_soft_tokens": 280, "size": null},
        "feature_extractor": {"feature_size": 640, "sampling_rate": 16000, "padding_value": 0.0,
        "padding_side": "right", "audio_samples_per_token": 640}, "audio_ms_per_token": 40})"}) {
        const Read got = read(json);
        REQUIRE(got.result);
        CHECK(got.notes.empty());
        CHECK(got.config.vision->problem.empty());
        CHECK(got.config.audio->problem.empty());
        CHECK(got.config.vision->soft_tokens == 280);
    }
}

TEST_CASE("processor settings: the older file counts where the newer one has no such section") {
    const char* older = R"({"max_soft_tokens": 140, "sampling_rate": 16000, "image_processor_type": "X"})";
    for (const char* processor : {"", R"({"processor_class": "P"})", R"({"image_processor": null})"}) {
        const Read got = read(processor, older);
        REQUIRE(got.result);
        CHECK(got.config.vision->soft_tokens == 140);
        CHECK(got.notes.empty());
    }
    CHECK(read(R"({"image_processor": {"max_soft_tokens": 560}})", older).config.vision->soft_tokens == 560);
    const Read flat = read("", R"({"sampling_rate": 8000, "do_resize": false, "odd": 1})");
    CHECK(says(flat.config.audio->problem, "preprocessor_config.json': this program does not obey sampling_rate"));
    CHECK(says(flat.config.vision->problem, "preprocessor_config.json': this program does not obey do_resize"));
    CHECK(says(flat.notes, "'odd' is not used"));
    CHECK_FALSE(says(flat.notes, "'sampling_rate'"));
}

TEST_CASE("processor settings: what would change pixels turns pictures off, and nothing else") {
    for (const char* setting :
         {R"("do_resize": false)", R"("do_rescale": false)", R"("rescale_factor": 0.0078125)", R"("resample": 2)",
          R"("do_normalize": true, "image_mean": [0.5, 0.5, 0.5])", R"("do_normalize": true, "image_std": 0.5)",
          R"("do_center_crop": true)", R"("do_pad": true)", R"("patch_size": 14)", R"("pooling_kernel_size": 2)",
          R"("max_soft_tokens": 100)"}) {
        CAPTURE(setting);
        const Read got = read(std::string(R"({"image_processor": {)") + setting + "}}");
        REQUIRE(got.result);
        CHECK(says(got.config.vision->problem, "processor_config.json' image_processor: this program does not obey "));
        CHECK(got.config.audio->problem.empty());
        CHECK(says(got.notes, "so that pictures are refused"));
    }
    const Read same = read(R"({"image_processor": {"do_normalize": true, "image_mean": 0, "image_std": [1, 1, 1]}})");
    CHECK(same.config.vision->problem.empty());  // which changes nothing
}

TEST_CASE("processor settings: what would change samples turns recordings off, and nothing else") {
    for (const char* setting : {R"("sampling_rate": 8000)", R"("feature_size": 320)", R"("audio_samples_per_token": 320)",
                                R"("padding_value": 1.0)", R"("padding_side": "left")", R"("do_normalize": true)",
                                R"("dither": 0.1)"}) {
        CAPTURE(setting);
        const Read got = read(std::string(R"({"feature_extractor": {)") + setting + "}}");
        REQUIRE(got.result);
        CHECK(says(got.config.audio->problem, "feature_extractor: this program does not obey "));
        CHECK(got.config.vision->problem.empty());
        CHECK(says(got.notes, "so that recordings are refused"));
    }
}

TEST_CASE("processor settings: unknown keys are named, wrong types refused") {
    const Read got = read(R"({"image_processor": {"sharpen": 2}, "feature_extractor": {"fmax": 1}, "extra": true})");
    REQUIRE(got.result);
    CHECK(says(got.notes, "image_processor: 'sharpen' is not used"));
    CHECK(says(got.notes, "feature_extractor: 'fmax' is not used"));
    CHECK(says(got.notes, "'extra' is not used"));
    for (const char* json : {R"({"image_processor": 1})", R"({"image_processor": {"do_resize": "yes"}})",
                             R"({"image_processor": {"image_mean": ["a"]}})", R"({"video_processor": {"num_frames": 0}})",
                             R"({"feature_extractor": {"sampling_rate": 1.5}})"}) {
        const Read bad = read(json);
        REQUIRE_FALSE(bad.result);
        CHECK(bad.result.error().code == Errc::bad_model_file);
        CHECK(says(bad.result.error().message, "processor_config.json"));
    }
}

TEST_CASE("processor settings: counts that say otherwise than the model are named") {
    const Read got = read(R"({"audio_ms_per_token": 20, "audio_seq_length": 100, "image_seq_length": 64,
        "image_processor": {"size": {"height": 448, "width": 448}}})");
    REQUIRE(got.result);
    CHECK(says(got.notes, "image_processor: 'size' is not used"));
    CHECK(says(got.notes, "'audio_ms_per_token', 'audio_seq_length', 'image_seq_length' are not used"));
    CHECK(read(R"({"audio_ms_per_token": 40, "audio_seq_length": 750, "image_seq_length": 280})").notes.empty());
    CHECK(read(R"({"image_seq_length": 140, "image_processor": {"max_soft_tokens": 140}})").notes.empty());
}
