// See statistics.h.
#include "model/tools/bench/statistics.h"

#include <algorithm>
#include <cmath>

namespace lapidary::model {

double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values) sum += v;
    return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double standard_deviation(const std::vector<double>& values) {
    if (values.size() < 2) return 0;
    const double centre = mean(values);
    double sum = 0;
    for (const double v : values) sum += (v - centre) * (v - centre);
    return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const size_t n = values.size();
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double percentile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::clamp<size_t>(rank, 1, values.size()) - 1];
}

double spread(const std::vector<double>& values) {
    if (values.empty()) return 0;
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const double centre = median(values);
    return centre > 0 ? (*most - *least) / centre : 0;
}

int outliers(const std::vector<double>& values) {
    const double centre = median(values);
    std::vector<double> deviations;
    for (const double v : values) deviations.push_back(std::abs(v - centre));
    const double limit = std::max(3.5 * 1.4826 * median(deviations), centre / 20);
    return static_cast<int>(std::count_if(deviations.begin(), deviations.end(), [&](double d) { return d > limit; }));
}

}  // namespace lapidary::model
