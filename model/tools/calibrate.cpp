// `tune`: the rates of this machine, measured for half a minute and kept.
#include <new>

#include "base/try.h"
#include "base/utc.h"
#include "lapidary/tools.h"
#include "model/rates.h"
#include "model/tools/rates/calibrator.h"

namespace lapidary {
namespace {

DeviceRates public_rates(const runtime::Rates& r) {
    return {r.read_gbps, r.read_gbps_together, r.few_gmacs, r.many_gmacs, r.many_gmacs_together, r.attention_gmacs,
            r.token_f16_gmacs, r.token_q8_gmacs};
}

}  // namespace

Result<RatesReport> calibrate(const CalibrateOptions& options) try {
    constexpr int kRounds = 3;
    LAP_ASSIGN(const model::RatesPlace place, model::rates_place(options.engine));
    if (place.file.empty())
        return Error{Errc::invalid_argument, "there is no folder to keep rates in", "set XDG_CACHE_HOME or HOME"};
    const bool with_gpu = !place.key.gpu.empty();
    uint64_t done = 0;
    const auto tell = [&]() -> Result<void> {
        const bool go = !options.cancel.stop_requested() && (!options.progress || options.progress("measure", done++, kRounds + 2));
        return go ? Result<void>() : Error{Errc::cancelled, "measuring was stopped"};
    };
    LAP_TRY(tell());
    LAP_ASSIGN(model::Calibrator calibrator, model::Calibrator::open(options));
    for (int i = 0; i < kRounds; ++i) {
        LAP_TRY(tell());
        LAP_TRY(calibrator.round(options.seconds / kRounds));
    }
    LAP_TRY(tell());
    LAP_TRY(calibrator.round_together(options.seconds));
    LAP_TRY(tell());
    runtime::MeasuredRates rates = calibrator.rates();
    rates.time = utc_now();
    LAP_TRY(runtime::write_rates(place.file, place.key, rates));
    if (with_gpu) {  // for plans that look at no GPU
        runtime::RatesKey alone_key = place.key;
        alone_key.gpu = alone_key.driver = "";
        LAP_TRY(runtime::write_rates(place.file.parent_path() / runtime::rates_file_name(alone_key), alone_key,
                                     {rates.cpu, std::nullopt, 0, 0, rates.time}));
    }
    return RatesReport{place.key.power, place.key.gpu, rates.time, place.file, public_rates(rates.cpu),
                       rates.gpu ? public_rates(*rates.gpu) : DeviceRates(), rates.handover_s, rates.meeting_s};
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
