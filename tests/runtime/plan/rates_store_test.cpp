// Measured rates come back as they were written; what is damaged, stale or foreign is named and passed over.
#include "runtime/plan/rates_store.h"

#include <doctest/doctest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "tests/support/scratch_folder.h"

using namespace lapidary::runtime;
using lapidary::test::ScratchFolder;

namespace {

const RatesKey kKey{"1.2.3", "A CPU", "avx2", 4, "A GPU", "driver 7", "mains, balanced"};
const MeasuredRates kRates{{20, 15, 90, 300, 250, 70, 50, 40}, Rates{60, 50, 400, 2000, 1800, 500, 300, 200}, 12e-6, 3e-6,
                           "2026-01-02T03:04:05Z"};

bool same(const Rates& a, const Rates& b) {
    return a.read_gbps == b.read_gbps && a.read_gbps_together == b.read_gbps_together && a.few_gmacs == b.few_gmacs &&
           a.many_gmacs == b.many_gmacs && a.many_gmacs_together == b.many_gmacs_together && a.attention_gmacs == b.attention_gmacs &&
           a.token_f16_gmacs == b.token_f16_gmacs && a.token_q8_gmacs == b.token_q8_gmacs;
}

bool write(const std::filesystem::path& file, const RatesKey& key, const MeasuredRates& rates) {
    return write_rates(file, key, rates).has_value();
}

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("rates store: what is written is read, each state of power by itself") {
    const ScratchFolder folder;
    const auto file = folder.path() / "deep" / rates_file_name(kKey);
    CHECK(!read_rates(file, kKey).rates);
    CHECK(read_rates(file, kKey).problem.empty());
    CHECK(!read_rates({}, kKey).rates);
    REQUIRE(write(file, kKey, kRates));
    const FoundRates found = read_rates(file, kKey);
    REQUIRE(found.rates);
    CHECK(found.problem.empty());
    CHECK(same(found.rates->cpu, kRates.cpu));
    REQUIRE(found.rates->gpu);
    CHECK(same(*found.rates->gpu, *kRates.gpu));
    CHECK(found.rates->handover_s == doctest::Approx(12e-6));
    CHECK(found.rates->meeting_s == doctest::Approx(3e-6));
    CHECK(found.rates->time == kRates.time);

    RatesKey battery = kKey;
    battery.power = "battery, low-power";
    const FoundRates other = read_rates(file, battery);
    REQUIRE(other.rates);  // better than none
    CHECK(other.power == kKey.power);
    CHECK(other.problem.find("battery, low-power") != std::string::npos);
    MeasuredRates slow = kRates;
    slow.cpu.read_gbps = 5;
    REQUIRE(write(file, battery, slow));
    CHECK(read_rates(file, battery).rates->cpu.read_gbps == 5);
    CHECK(read_rates(file, battery).problem.empty());
    CHECK(read_rates(file, kKey).rates->cpu.read_gbps == 20);
}

TEST_CASE("rates store: what was measured otherwise is stale, and is forgotten by the next measurement") {
    const ScratchFolder folder;
    const auto file = folder.path() / "rates.json";
    REQUIRE(write(file, kKey, kRates));
    const auto changed = [](auto change) {
        RatesKey key = kKey;
        change(key);
        return key;
    };
    const std::pair<const char*, RatesKey> cases[] = {
        {"version '1.2.3'", changed([](RatesKey& k) { k.version = "1.2.4"; })},
        {"cpu 'A CPU'", changed([](RatesKey& k) { k.cpu = "B"; })},
        {"isa 'avx2'", changed([](RatesKey& k) { k.isa = "avx512"; })},
        {"gpu 'A GPU'", changed([](RatesKey& k) { k.gpu = ""; })},
        {"driver 'driver 7'", changed([](RatesKey& k) { k.driver = "driver 8"; })},
        {"threads than 5", changed([](RatesKey& k) { k.threads = 5; })}};
    for (const auto& [said, key] : cases) {
        const FoundRates found = read_rates(file, key);
        CHECK(!found.rates);
        CHECK(found.problem.find(said) != std::string::npos);
        CHECK(found.problem.find(file.string()) == 0);
    }
    RatesKey next = changed([](RatesKey& k) { k.driver = "driver 8", k.power = "battery"; });
    REQUIRE(write(file, next, kRates));
    CHECK(text_of(file).find("mains") == std::string::npos);
    CHECK(read_rates(file, next).rates.has_value());
}

TEST_CASE("rates store: a file of an older form is named, and nothing of it stays") {
    const ScratchFolder folder;
    const auto file = folder.path() / "rates.json";
    REQUIRE(write(file, kKey, kRates));
    std::string text = text_of(file);
    const size_t form = text.find("\"lapidary_rates\": 2");
    REQUIRE(form != std::string::npos);
    text.replace(form, 19, "\"lapidary_rates\": 1");
    folder.write("rates.json", text);
    CHECK(!read_rates(file, kKey).rates);
    CHECK(read_rates(file, kKey).problem.find("is passed over: it is not of form 2") != std::string::npos);
    RatesKey battery = kKey;
    battery.power = "battery";
    REQUIRE(write(file, battery, kRates));
    CHECK(text_of(file).find("mains") == std::string::npos);
    CHECK(read_rates(file, battery).rates.has_value());
}

TEST_CASE("rates store: any damage gives the rates, or a reason, never a crash") {
    const ScratchFolder folder;
    const auto file = folder.path() / "rates.json";
    REQUIRE(write(file, kKey, kRates));
    const std::string whole = text_of(file);
    std::mt19937 random(5);
    int refused = 0;
    for (int i = 0; i < 400; ++i) {
        std::string text = whole;
        if (i % 2 == 0) text.resize(random() % text.size());
        else text[random() % text.size()] = static_cast<char>(random());
        folder.write("rates.json", text);
        const FoundRates found = read_rates(file, kKey);
        CHECK((found.rates.has_value() || !found.problem.empty()));
        if (found.rates) CHECK(found.rates->cpu.known());
        refused += !found.rates;
    }
    CHECK(refused > 200);
    for (const char* text : {"", "[]", "{}", "{\"lapidary_rates\":1}", "{\"lapidary_rates\":2,\"power\":[]}"}) {
        folder.write("rates.json", text);
        CHECK(!read_rates(file, kKey).problem.empty());
    }
    REQUIRE(write(file, kKey, kRates));  // over the damaged one
    CHECK(read_rates(file, kKey).rates.has_value());
    CHECK(!write_rates(folder.path() / "rates.json" / "x.json", kKey, kRates));
}

TEST_CASE("rates store: the GPU that was measured last beside this processor") {
    const ScratchFolder folder;
    CHECK(measured_gpu(folder.path() / "none", "A CPU").empty());
    RatesKey alone = kKey, second = kKey, elsewhere = kKey;
    alone.gpu = alone.driver = "";
    second.gpu = "Another GPU";
    elsewhere.cpu = "B";
    MeasuredRates cpu_only = kRates;
    cpu_only.gpu.reset();
    REQUIRE(write(folder.path() / rates_file_name(alone), alone, cpu_only));
    CHECK(measured_gpu(folder.path(), "A CPU").empty());
    REQUIRE(write(folder.path() / rates_file_name(kKey), kKey, kRates));
    REQUIRE(write(folder.path() / rates_file_name(second), second, kRates));
    REQUIRE(write(folder.path() / rates_file_name(elsewhere), elsewhere, kRates));
    folder.write("rates-x.json", "no JSON");
    const auto now = std::filesystem::file_time_type::clock::now();
    std::filesystem::last_write_time(folder.path() / rates_file_name(kKey), now - std::chrono::hours(1));
    CHECK(measured_gpu(folder.path(), "A CPU") == "Another GPU");
    std::filesystem::last_write_time(folder.path() / rates_file_name(kKey), now + std::chrono::hours(1));
    CHECK(measured_gpu(folder.path(), "A CPU") == "A GPU");
}
