// Medians and their company; for a handful of numbers.
#pragma once

#include <vector>

namespace lapidary::model {

// All of these: 0 without values.
double mean(const std::vector<double>& values);
double standard_deviation(const std::vector<double>& values);  // of a sample; 0 for one value
double median(std::vector<double> values);
// The smallest value that at least this share (0 to 1) of the values does not exceed: nearest rank.
double percentile(std::vector<double> values, double share);
// (largest - smallest) / median.
double spread(const std::vector<double>& values);
// How many lie further from the median than 3.5 robust standard deviations (1.4826 median deviations: Iglewicz and
// Hoaglin) and than one part in twenty.
int outliers(const std::vector<double>& values);

}  // namespace lapidary::model
