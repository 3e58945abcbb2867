// Whole models packed and opened again: the same logits, bit for bit, at every level; refusals; checksums.
#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/select.h"
#include "lapidary/tools.h"
#include "runtime/file/lapidary_file.h"
#include "tests/support/goldens.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::test;
namespace fs = std::filesystem;

namespace {

const fs::path kPeer = kData / "peer";

std::vector<std::vector<float>> rows_of(EngineOptions options, const fs::path& model, size_t limit = 40) {
    auto ids = read_json(kPeer / "quants.json")["ids"].get<std::vector<int32_t>>();
    ids.resize(std::min(ids.size(), limit));
    options.model = model;
    options.threads = 2;
    const Engine engine = unwrap(Engine::open(options));
    Session session = unwrap(engine.new_session());
    unwrap(session.append(unwrap(engine.tokens(ids))));
    return all_rows(session);
}

PackReport packed(const fs::path& model, const fs::path& out, const std::string& type = "") {
    PackOptions options;
    options.model = model;
    options.out = out;
    options.type = type;
    options.threads = 2;
    return unwrap(pack(options));
}

Error refused(PackOptions options) {
    const auto result = pack(options);
    REQUIRE(!result);
    return result.error();
}

}  // namespace

TEST_CASE(
    "pack: every file type of the peer gives the same logits packed, and its panels are used in place") {
    const ScratchFolder folder;
    int files = 0;
    for (const auto& entry : fs::directory_iterator(kPeer)) {
        if (entry.path().filename().string().rfind("quant3-", 0) != 0) continue;
        CAPTURE(entry.path().filename().string());
        files++;
        const fs::path out = folder.path() / "a.lapidary";
        const PackReport report = packed(entry.path(), out);
        CHECK(report.bytes == fs::file_size(out));
        for (const PackedTensor& t : report.tensors) {
            CHECK(t.from == t.to);
            CHECK(t.rmse == 0);
        }
        CHECK(rows_of({}, out) == rows_of({}, entry.path()));
        EngineOptions precise;
        precise.precise = true;
        CHECK(rows_of(precise, out) == rows_of(precise, entry.path()));
        CHECK(unwrap(verify(out)) > 1'000'000);
    }
    CHECK(files == 13);
}

TEST_CASE("pack: every level opens the same file") {
    const ScratchFolder folder;
    const fs::path out = folder.path() / "a.lapidary";
    packed(kPeer / "quant3-q4_k_m.gguf", out);
    for (const auto& level : kernels::levels()) {
        if (!level.table) continue;
        CAPTURE(level.name);
        EngineOptions options;
        options.research.cpu_level = level.name;
        CHECK(rows_of(options, out) == rows_of(options, kPeer / "quant3-q4_k_m.gguf"));
    }
}

TEST_CASE("pack: a Hugging Face folder with pictures, sound and tokenizer comes back whole") {
    const ScratchFolder folder;
    const fs::path out = folder.path() / "tiny.lapidary";
    packed(kTiny, out);
    CHECK(rows_of({}, out) == rows_of({}, kTiny));
    const ModelReport source = unwrap(inspect({.model = kTiny})), result = unwrap(inspect({.model = out}));
    CHECK(result.info.source == "lapidary");
    CHECK(result.info.name == source.info.name);
    CHECK(result.config == source.config);
    CHECK(result.chat_template == source.chat_template);
    CHECK(result.info.stop_ids == source.info.stop_ids);
    CHECK(result.tensors.size() == source.tensors.size());
    for (size_t i = 0; i < source.tensors.size(); i++)
        CHECK(result.tensors[i].kernel == source.tensors[i].kernel);

    const Engine from = unwrap(Engine::open({.model = kTiny})), to = unwrap(Engine::open({.model = out}));
    const Part parts[] = {Part::text("What is this?"), Part::image(kTiny / "samples/image_2.png"),
                          Part::audio(kTiny / "samples/speech_3.wav")};
    const auto rows = [&](const Engine& engine) {
        Session session = unwrap(engine.new_session());
        unwrap(session.append(unwrap(engine.raw(parts))));
        return all_rows(session);
    };
    CHECK(rows(from) == rows(to));
    CHECK(!Engine::open({.model = out, .mmproj = kPeer / "quant3-f16.gguf"}));
}

TEST_CASE("pack: a GGUF model takes the projector beside it along") {
    const ScratchFolder folder;
    const fs::path model = folder.write("model.gguf", small_gguf().build());
    folder.write("mmproj-model.gguf", small_projector().build());
    const fs::path out = folder.path() / "out" / "a.lapidary";
    fs::create_directory(out.parent_path());
    packed(model, out);
    const ModelReport report = unwrap(inspect({.model = out}));
    CHECK(report.info.image);
    CHECK(report.info.audio);
    CHECK(report.config == unwrap(inspect({.model = model})).config);
    const auto named = inspect({.model = out, .mmproj = folder.path() / "mmproj-model.gguf"});
    REQUIRE(!named);
    CHECK(named.error().code == Errc::invalid_argument);
}

TEST_CASE("pack: --type gives what llama.cpp's quantiser gives, a packed file can be packed again") {
    const ScratchFolder folder;
    const fs::path q8 = folder.path() / "q8.lapidary", again = folder.path() / "again.lapidary";
    packed(kPeer / "quant3-f16.gguf", q8, "q8_0");
    CHECK(rows_of({}, q8) == rows_of({}, kPeer / "quant3-q8_0.gguf"));  // its blocks are the same
    packed(q8, again);
    CHECK(read_file(q8).size() == read_file(again).size());
    CHECK(rows_of({}, again) == rows_of({}, q8));
    const PackReport twice = packed(q8, again, "q4_0");  // replaces the packed file that is there
    for (const PackedTensor& t : twice.tensors)
        if (t.panels && t.name != "token_embd.weight")
            CHECK((t.from == "q8_0" && t.to == "q4_0" && t.rmse > 0));
    const ModelReport report = unwrap(inspect({.model = again}));
    CHECK(report.info.type == "q4_0");
    for (const auto& [key, value] : report.metadata) CHECK(key != "general.file_type");
}

TEST_CASE("pack: refusals") {
    const ScratchFolder folder;
    const fs::path model = folder.write("model.gguf", small_gguf().build());
    const std::string before = read_file(model);
    PackOptions options;
    options.model = model;
    CHECK(refused(options).code == Errc::invalid_argument);  // no OUT
    options.out = model;
    CHECK(refused(options).message.find("the model itself") != std::string::npos);
    options.out = folder.write("precious.gguf", "not to be lost");
    CHECK(refused(options).message.find("not a .lapidary file") != std::string::npos);
    options.out = folder.path() / "no" / "a.lapidary";
    CHECK(refused(options).code == Errc::io_error);
    options.out = folder.path() / "a.lapidary";
    options.type = "q5_k";
    CHECK(refused(options).code == Errc::invalid_argument);
    options.type = "";
    options.kld_text = folder.path() / "absent.txt";
    CHECK(refused(options).code == Errc::not_found);
    options.kld_text = folder.write("empty.txt", "");
    CHECK(refused(options).code == Errc::bad_model_file);  // a text needs a tokenizer
    options.model = kTiny;
    CHECK(refused(options).code == Errc::invalid_argument);
    options.model = model;
    options.kld_text.clear();
    options.progress = [](std::string_view, uint64_t, uint64_t) { return false; };
    CHECK(refused(options).code == Errc::cancelled);
    options.model = folder.path() / "absent.gguf";
    CHECK(refused(options).code == Errc::model_not_found);
    CHECK(read_file(model) == before);
    CHECK(read_file(folder.path() / "precious.gguf") == "not to be lost");
    CHECK(!fs::exists(folder.path() / "a.lapidary"));
    for (const auto& entry : fs::directory_iterator(folder.path()))
        CHECK(entry.path().extension() != ".part");
}

TEST_CASE("pack: damage is found when a file is verified, and packing itself is no model's own file") {
    const ScratchFolder folder;
    const fs::path out = folder.path() / "a.lapidary";
    packed(kPeer / "quant3-q4_0.gguf", out);
    std::string bytes = read_file(out);
    bytes[bytes.size() - 100] ^= 1;  // inside the last tensor, which ends the file
    const fs::path bad = folder.write("bad.lapidary", bytes);
    CHECK(Engine::open({.model = bad}));
    const auto verified = verify(bad);
    REQUIRE(!verified);
    CHECK(verified.error().code == Errc::bad_model_file);
    CHECK(verified.error().message.find("checksum of tensor '") != std::string::npos);
    CHECK(verify(kPeer / "quant3-q4_0.gguf").error().code == Errc::invalid_argument);
    CHECK(verify(folder.path() / "absent").error().code == Errc::model_not_found);
    bytes.resize(bytes.size() / 2);
    CHECK(Engine::open({.model = folder.write("cut.lapidary", bytes)}).error().code == Errc::bad_model_file);
    CHECK(Engine::open({.model = folder.write("text.lapidary", "hello")}).error().code ==
          Errc::bad_model_file);
}
