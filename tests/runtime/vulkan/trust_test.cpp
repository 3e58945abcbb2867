// Shaders that compute wrongly, are not compiled or never come back: found out before they serve, remembered, and replaced
// where something else can serve.
#include "runtime/vulkan/trust.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/try.h"
#include "kernels/select.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/vulkan/vulkan_device.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/vulkan_faults.h"

using namespace lapidary;
namespace {

using namespace runtime;
using namespace runtime::vulkan;
using test::ScratchFolder;
using test::VulkanFaults;

constexpr int64_t kRows = 48, kK = 3840;  // as in the 12B, where sums are long

// A device that tests its shaders, with a matrix of q4_0 and a row.
struct Subject {
    explicit Subject(const VulkanFaults& faults, const std::filesystem::path& folder = {}) {
        auto made = VulkanDevice::create(faults.context, {.cache_folder = folder});
        REQUIRE_MESSAGE(made, made.error().message);
        device = std::move(*made);
        std::mt19937 random(1);
        auto host = allocate_host(static_cast<size_t>(kRows * kernels::row_bytes(Format::q4_0, kK)));
        REQUIRE(host);
        std::byte* bytes = host_bytes(**host);
        for (size_t at = 0; at < (*host)->bytes; at += 18) {
            for (size_t i = 2; i < 18; ++i) bytes[at + i] = static_cast<std::byte>(random());
            bytes[at + 1] = std::byte{0x24};  // a scale of 1 / 64
        }
        source = view(*host, Format::q4_0, kRows, kK);
        weights = std::move(*device->place(source, Use::matrix, {}));
        out = *device->allocate(kRows * 4, MemoryKind::readback);
        auto rows = allocate_host(kK * 4);
        REQUIRE(rows);
        auto* const row = reinterpret_cast<float*>(host_bytes(**rows));
        std::normal_distribution<float> normal;
        for (int64_t i = 0; i < kK; ++i) row[i] = normal(random);
        x = std::move(*device->place(view(*rows, Format::f32, 1, kK), Use::values, {}));
        std::vector<float> values(kK);
        for (int64_t r = 0; r < kRows; ++r) {
            kernels::select("ref", nullptr)->expand[static_cast<size_t>(Format::q4_0)](bytes + r * source.row_bytes, kK, values.data());
            for (size_t i = 0; i < kK; ++i) wanted[static_cast<size_t>(r)] += double{values[i]} * row[i];
        }
    }

    Result<void> run(const std::function<void()>& note) {
        const StepShape shape{.kind = StepKind::rows, .columns = 1, .row_width = kK, .widest = kK};
        LAP_TRY(device->begin({.shape = shape, .weights = new_identity()}, {}));
        note();
        device->end();
        return device->wait(device->submit());
    }
    Result<void> multiply() {
        return run([&] {
            const MatmulPart part{.weights = weights.view, .out = view(out, Format::f32, 1, kRows)};
            device->matmul({&part, 1}, x.view);
        });
    }
    Result<void> add_norm() {
        return run([&] { device->add_norm(x.view, x.view, x.view, 1e-6f, 1.0f); });
    }
    // The largest error of multiply().
    double off() {
        const auto* got = reinterpret_cast<const float*>(device->read(view(out, Format::f32, 1, kRows)));
        REQUIRE(got);
        double most = 0;
        for (size_t r = 0; r < kRows; ++r) most = std::max(most, std::fabs(got[r] - wanted[r]));
        return most;
    }
    // Of f32 rows: n u |w| |x|, n additions that follow each other, |w| <= 8 / 64 sqrt(k), |x| near sqrt(k).
    static constexpr double kFloats = (kK / 4 + 64) / double{1 << 24} * kK / 8;
    // Of an int8 image: each value off by up to max|x| / 254, at random; six deviations.
    static constexpr double kImage = 6.0 * 62 / 8 * 4 / 254;

    bool takes_image() const { return device->products().wants_image(weights.view, 1); }

    std::unique_ptr<VulkanDevice> device;
    Placed weights, x;
    TensorView source;
    Buffer out;
    std::vector<double> wanted = std::vector<double>(kRows);
};

std::vector<std::pair<std::string, Verdict>> failed(const Subject& subject) { return subject.device->verdicts()->failed(); }

// The self-test of the int8 product: an image, the product.
constexpr int64_t kImageDispatch = 1, kProductDispatch = 2;

TEST_CASE("trust: a shader that passes serves, and the next device believes the file") {
    const ScratchFolder folder;
    VulkanFaults faults;
    {
        Subject subject(faults, folder.path());
        REQUIRE(subject.takes_image());  // or these tests have nothing to take away
        REQUIRE(subject.multiply());
        CHECK(subject.off() <= Subject::kImage);
        CHECK(subject.takes_image());
        CHECK(failed(subject).empty());
        CHECK(subject.device->verdicts()->count() == 1);
        CHECK(faults.dispatches.calls == 2 + 2);  // test and step
    }
    faults.dispatches.never();
    Subject next(faults, folder.path());
    REQUIRE(next.multiply());
    CHECK(next.off() <= Subject::kImage);
    CHECK(faults.dispatches.calls == 2);
}

TEST_CASE("trust: an int8 product that is wrong is off, the float product serves, and the next device knows") {
    for (const int64_t wrong : {kImageDispatch, kProductDispatch}) {
        const ScratchFolder folder;
        VulkanFaults faults;
        {
            Subject subject(faults, folder.path());
            faults.dispatches.once(wrong, VK_SUCCESS);
            REQUIRE(subject.multiply());
            CHECK(subject.off() <= Subject::kFloats);
            CHECK_FALSE(subject.takes_image());
            REQUIRE(failed(subject).size() == 1);
            CHECK(failed(subject)[0].first.find("matvec_q4_0_dot") == 0);
            CHECK(failed(subject)[0].second.reason.find("product: column 0, value ") == 0);
            CHECK(failed(subject)[0].second.reason.find(" instead of ") != std::string::npos);
        }
        faults.dispatches.never();
        Subject next(faults, folder.path());
        REQUIRE(next.multiply());
        CHECK(next.off() <= Subject::kFloats);
        CHECK(faults.dispatches.calls == 1);  // the step's own
    }
}

TEST_CASE("trust: without any product that is right the step fails, and says what is wrong and what to do") {
    VulkanFaults faults;
    Subject subject(faults);
    faults.dispatches.from(1, VK_SUCCESS);
    const auto done = subject.multiply();
    REQUIRE_FALSE(done);
    CHECK(done.error().code == Errc::device_unavailable);
    CHECK(done.error().message.find("computes matvec_q4_0 wrongly") != std::string::npos);
    CHECK(done.error().message.find("wrongly: matvec_q4_0 64x") != std::string::npos);  // not the test of matvec_q4_0_dot
    CHECK(done.error().message.find(" instead of ") != std::string::npos);
    CHECK(done.error().hint.find("placement") != std::string::npos);
    CHECK(failed(subject).size() == 2);
    faults.dispatches.never();
    const auto again = subject.multiply();  // a verdict stays one
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Errc::device_unavailable);
    CHECK(faults.dispatches.calls == 0);
    REQUIRE(subject.add_norm());  // and is one of a shader, not of the device
}

TEST_CASE("trust: tests are known by the shaders that they ran") {
    CHECK(tests_shader("matmul_f16 half 64x64x32x8 k512 t11", "matmul_f16_half"));
    CHECK_FALSE(tests_shader("matmul_f16 half 64x64x32x8 k512 t11", "matmul_f16"));
    CHECK_FALSE(tests_shader("matmul_q4_0 half 64x64x32x8 k512 t11", "matmul_q4_0_matrix_half"));
    CHECK(tests_shader("matmul_q4_0_dot matrix_half 64x64x32x32 k512 t47", "matmul_q4_0_matrix_half"));
    CHECK(tests_shader("matmul_q4_0 matrix_int8 64x64x32x32 k512 t47", "matmul_q4_0_matrix_int8"));
    CHECK_FALSE(tests_shader("matmul_q4_0_dot matrix_int8 64x64x32x32 k512 t47", "matmul_q4_0_matrix_half"));
    CHECK_FALSE(tests_shader("matmul_q4_0_dot matrix_int8 64x64x32x32 k512 t47", "matmul_q4_0_dot"));
    CHECK(tests_shader("matmul_q4_0_dot 256x64x64x4 k512 t47", "matmul_q4_0_dot"));
    CHECK_FALSE(tests_shader("matmul_q4_0_dot 256x64x64x4 k512 t47", "matmul_q4_0"));
}

TEST_CASE("trust: norms and attention that are wrong fail the step with their numbers") {
    VulkanFaults faults;
    Subject subject(faults);
    faults.dispatches.from(1, VK_SUCCESS);
    const auto normed = subject.add_norm();
    REQUIRE_FALSE(normed);
    CHECK(normed.error().code == Errc::device_unavailable);
    CHECK(normed.error().message.find("computes norms wrongly: norms 3840 t1, ") != std::string::npos);
    CHECK(normed.error().message.find(" instead of ") != std::string::npos);

    KvTable table{1, {}};
    const KvView kv{.table = &table, .kv_class = KvClass::linear, .format = KvFormat::f32, .kv_heads = 1, .dim = 16, .row = {64, 64, 0, 0}};
    const TensorView q = subject.x.view.first_cols(32);
    faults.dispatches.from(3, VK_SUCCESS);  // keys and queries are as they should be
    const auto attended = subject.run([&] { subject.device->attention(q, kv, q); });
    REQUIRE_FALSE(attended);
    CHECK(attended.error().code == Errc::device_unavailable);
    CHECK(attended.error().message.find("computes attention wrongly: attention f32 2/1x16 ") != std::string::npos);
    CHECK(attended.error().message.find(" instead of ") != std::string::npos);
    CHECK(!attended.error().hint.empty());
}

TEST_CASE("trust: operations on rows that are wrong fail the step, each with its shape") {
    VulkanFaults faults;
    Subject subject(faults);
    const TensorView x = subject.x.view, out = view(subject.out, Format::f32, 1, kRows);
    Device& d = *subject.device;
    struct Case {
        std::string told;
        std::function<void()> note;
    };
    const Case cases[] = {
        {"layer_norm: layer_norm 3840 t1, ", [&] { d.layer_norm(x, x, x, 1e-5f, x); }},
        {"bare_norm: bare_norm 3840 t1, ", [&] { d.rms_norm(x, {}, 1e-6f, x); }},
        {"add: add 3840 t1, ", [&] { d.add(x, x); }},
        {"soft_cap: soft_cap 3840 t1, ", [&] { d.soft_cap(x, 30.0f); }},
        {"input_rows: input_rows 3840 t1, ", [&] { d.input_rows(Device::Rows::all, x, 0); }},
        {"input_rows_without_id: input_rows_without_id 3840 t1, ", [&] { d.input_rows(Device::Rows::without_id, x, 0); }},
        {"embed_panels_q4_0: embed_panels_q4_0 3840 t1, ", [&] { d.embed_rows(subject.weights.view, Entry::ids, 1.0f, x); }},
        {"top_k: top_k 3840 k5 t1, ", [&] { d.top_k(x, 5, out.first_cols(10)); }},
    };
    for (const Case& c : cases) {
        CAPTURE(c.told);
        faults.dispatches.once(1, VK_SUCCESS);
        const auto done = subject.run(c.note);
        REQUIRE_FALSE(done);
        CHECK(done.error().code == Errc::device_unavailable);
        const size_t colon = c.told.find(':');
        const std::string wanted = "computes " + c.told.substr(0, colon) + " wrongly" + c.told.substr(colon);
        CHECK(done.error().message.find(wanted) != std::string::npos);
        CHECK(done.error().message.find(" instead of ") != std::string::npos);
    }
}

TEST_CASE("trust: what the driver does not compile has failed") {
    VulkanFaults faults;
    Subject subject(faults);
    faults.pipelines.once(2, VK_ERROR_UNKNOWN);  // behind that of the image
    REQUIRE(subject.multiply());
    CHECK(subject.off() <= Subject::kFloats);
    REQUIRE(failed(subject).size() == 1);
    CHECK(failed(subject)[0].second.reason.find("the driver compiles no pipeline of the shader matvec_q4_0_dot") == 0);
}

TEST_CASE("trust: memory that runs out is no verdict") {
    const ScratchFolder folder;
    VulkanFaults faults;
    for (int64_t n = 1;; ++n) {
        CAPTURE(n);
        Subject subject(faults, folder.path());
        faults.memory.once(n, VK_ERROR_OUT_OF_DEVICE_MEMORY);
        const auto done = subject.multiply();
        CHECK(failed(subject).empty());
        if (done) {  // no allocation was left to fail
            CHECK(n > 5);  // more than the step takes without a test
            CHECK(subject.off() <= Subject::kImage);
            break;
        }
        CHECK(done.error().code == Errc::out_of_memory);
        for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
            if (entry.path().extension() == ".json") CHECK(test::read_file(entry.path()).find("testing") == std::string::npos);
        faults.memory.never();
    }
}

TEST_CASE("trust: a device that is lost in a test does not run it again when it is back") {
    const ScratchFolder folder;
    VulkanFaults faults;
    {
        Subject subject(faults, folder.path());
        REQUIRE(subject.add_norm());  // nothing but the test is left to do first
        faults.submit.from(1, VK_ERROR_DEVICE_LOST);
        const auto done = subject.multiply();
        REQUIRE_FALSE(done);
        CHECK(done.error().code == Errc::device_lost);
    }
    faults.submit.never();
    Subject next(faults, folder.path());
    REQUIRE(next.multiply());
    CHECK(next.off() <= Subject::kFloats);
    REQUIRE(failed(next).size() == 1);
    CHECK(failed(next)[0].second.reason == "did not come back from its self-test");
}

TEST_CASE("trust: another driver is asked anew") {
    const ScratchFolder folder;
    {
        VulkanFaults faults;
        Subject subject(faults, folder.path());
        faults.dispatches.once(kProductDispatch, VK_SUCCESS);
        REQUIRE(subject.multiply());
        CHECK_FALSE(subject.takes_image());
    }
    VulkanFaults faults(VulkanFaults::Memory::same, [](DeviceFacts& facts) { ++facts.driver_version; });
    Subject subject(faults, folder.path());
    REQUIRE(subject.multiply());
    CHECK(subject.takes_image());
    CHECK(subject.off() <= Subject::kImage);
    CHECK(failed(subject).empty());
}

TEST_CASE("trust: verdicts that cannot be written stop the test before it runs") {
    const ScratchFolder folder;
    folder.write("taken", "a file");
    VulkanFaults faults;
    Subject subject(faults, folder.path() / "taken");
    const auto done = subject.multiply();
    REQUIRE_FALSE(done);
    CHECK(done.error().message.find("taken") != std::string::npos);
    CHECK(faults.dispatches.calls == 0);
}

}  // namespace
