// Target size and uint8 antialiased bicubic resampling. Both passes (width, then height, with a uint8 picture
// in between) run through one kernel that filters kLanes independent bytes at a time, so that plain loops
// vectorise.
#include "model/media/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/describe.h"
#include "model/media/image_codecs.h"

namespace lapidary::model {

namespace {

constexpr double kKeysA = -0.5;  // Keys cubic; PyTorch uses -0.5 with antialias, as Pillow
constexpr int kMaxShift = 22;
constexpr size_t kRowsPerBlock = 16;
constexpr size_t kLanes = 3 * kRowsPerBlock;  // of the width pass: 16 rows x RGB; the height pass: 48 bytes of a row

std::string describe(ImageSize size) { return concat(size.width, "x", size.height); }

double keys_cubic(double x) {
    x = std::abs(x);
    if (x < 1.0) return ((kKeysA + 2.0) * x - (kKeysA + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * kKeysA;
    return 0.0;
}

// The filter of one axis: output i is the sum over j < taps(i).count of weights[taps(i).offset + j] *
// in[first + j].
struct Taps {
    size_t first = 0;
    size_t count = 0;
    size_t offset = 0;
};

struct AxisFilter {
    std::vector<Taps> taps;
    std::vector<int16_t> weights;
    int shift = 0;
};

// Taps and normalised weights of antialiased resampling in double, as PyTorch and Pillow compute them.
std::vector<double> exact_weights(size_t in, size_t out, std::vector<Taps>& taps) {
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    const double support = scale >= 1.0 ? 2.0 * scale : 2.0;
    const double inverse = scale >= 1.0 ? 1.0 / scale : 1.0;
    std::vector<double> weights;
    for (size_t i = 0; i < out; ++i) {
        const double center = scale * (static_cast<double>(i) + 0.5);
        const auto first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
        const auto end = std::min(static_cast<int64_t>(center + support + 0.5), static_cast<int64_t>(in));
        const Taps tap{static_cast<size_t>(first), static_cast<size_t>(end - first), weights.size()};
        double sum = 0.0;
        for (size_t j = 0; j < tap.count; ++j) {
            const double position = static_cast<double>(j + tap.first);
            weights.push_back(keys_cubic((position - center + 0.5) * inverse));
            sum += weights.back();
        }
        for (size_t j = 0; j < tap.count && sum != 0.0; ++j) weights[tap.offset + j] /= sum;
        taps.push_back(tap);
    }
    return weights;
}

// int16 weights with the largest common shift that keeps the heaviest below 2^15, rounded half away from
// zero.
AxisFilter make_filter(size_t in, size_t out) {
    AxisFilter filter;
    const std::vector<double> exact = exact_weights(in, out, filter.taps);
    const double heaviest = *std::max_element(exact.begin(), exact.end());
    while (filter.shift < kMaxShift && 0.5 + heaviest * (1 << (filter.shift + 1)) < 32768.0) ++filter.shift;
    const double unit = 1 << filter.shift;
    for (const double weight : exact)
        filter.weights.push_back(static_cast<int16_t>(weight < 0 ? weight * unit - 0.5 : weight * unit + 0.5));
    return filter;
}

// Filters kLanes bytes: out[lane] from in[j * stride + lane]. |weights| sum to at most about 1.3 * 2^22 and
// bytes are below 2^8, so the sum stays inside int32.
void filter_lanes(const uint8_t* in, size_t stride, const int16_t* weights, size_t count, int shift,
                  uint8_t* out) {
    std::array<int32_t, kLanes> sums;
    sums.fill(1 << (shift - 1));
    for (size_t j = 0; j < count; ++j, in += stride) {
        const int16_t weight = weights[j];
        for (size_t lane = 0; lane < kLanes; ++lane) {
            sums[lane] += static_cast<int16_t>(in[lane]) * weight;
        }
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
        out[lane] = static_cast<uint8_t>(std::clamp(sums[lane] >> shift, 0, 255));
    }
}

// Width pass: blocks of 16 rows are turned on their side, so that the pixels of one column lie next to each
// other.
void resize_width(const uint8_t* in, size_t in_width, size_t rows, const AxisFilter& filter, uint8_t* out) {
    const size_t out_width = filter.taps.size();
    std::vector<uint8_t> columns(in_width * kLanes);  // [in_width][16 rows][3]
    std::array<uint8_t, kLanes> filtered;
    for (size_t row = 0; row < rows; row += kRowsPerBlock) {
        const size_t block = std::min(kRowsPerBlock, rows - row);
        for (size_t r = 0; r < block; ++r) {
            const uint8_t* source = in + (row + r) * in_width * 3;
            for (size_t x = 0; x < in_width; ++x)
                std::memcpy(&columns[x * kLanes + r * 3], source + x * 3, 3);
        }
        for (size_t x = 0; x < out_width; ++x) {
            const Taps& tap = filter.taps[x];
            filter_lanes(&columns[tap.first * kLanes], kLanes, &filter.weights[tap.offset], tap.count,
                         filter.shift, filtered.data());
            for (size_t r = 0; r < block; ++r) {
                std::memcpy(out + ((row + r) * out_width + x) * 3, &filtered[r * 3], 3);
            }
        }
    }
}

// Height pass over rows of `row_bytes`; what does not fill kLanes at a row's end goes through a small copy.
void resize_height(const uint8_t* in, size_t row_bytes, const AxisFilter& filter, uint8_t* out) {
    const size_t whole = row_bytes / kLanes * kLanes;
    const size_t rest = row_bytes - whole;
    std::vector<uint8_t> tail;
    std::array<uint8_t, kLanes> filtered;
    for (const Taps& tap : filter.taps) {
        const uint8_t* source = in + tap.first * row_bytes;
        const int16_t* weights = &filter.weights[tap.offset];
        for (size_t k = 0; k < whole; k += kLanes) {
            filter_lanes(source + k, row_bytes, weights, tap.count, filter.shift, out + k);
        }
        if (rest > 0) {
            tail.assign(tap.count * kLanes, 0);
            for (size_t j = 0; j < tap.count; ++j) {
                std::memcpy(&tail[j * kLanes], source + j * row_bytes + whole, rest);
            }
            filter_lanes(tail.data(), kLanes, weights, tap.count, filter.shift, filtered.data());
            std::memcpy(out + whole, filtered.data(), rest);
        }
        out += row_bytes;
    }
}

Image resize_both(const Image& image, ImageSize size) {
    Image wide;
    if (size.width != image.width) {
        wide = {size.width, image.height, std::vector<uint8_t>(size_t{size.width} * image.height * 3)};
        resize_width(image.rgb.data(), image.width, image.height, make_filter(image.width, size.width),
                     wide.rgb.data());
    }
    if (size.height == image.height) return size.width == image.width ? image : std::move(wide);
    const Image& source = size.width == image.width ? image : wide;
    Image out{size.width, size.height, std::vector<uint8_t>(size_t{size.width} * size.height * 3)};
    resize_height(source.rgb.data(), size_t{size.width} * 3, make_filter(source.height, size.height),
                  out.rgb.data());
    return out;
}

// floor(ratio) soft tokens along the long side of a very elongated picture, at most the whole budget.
uint32_t long_side(double ratio, uint64_t budget_tokens, uint32_t side) {
    return static_cast<uint32_t>(std::min(std::floor(ratio), static_cast<double>(budget_tokens))) * side;
}

}  // namespace

Result<ImageSize> target_size(ImageSize source, uint32_t budget_tokens, PatchGeometry geometry) {
    const uint64_t pool = geometry.pooling_kernel_size;
    if (pool == 0 || pool > 1024)
        return Error{Errc::invalid_argument, concat("pooling kernel size ", pool, " is outside 1 to 1024"),
                     "check the processor configuration"};
    return target_size_for_patches(source, budget_tokens * pool * pool, geometry);
}

Result<ImageSize> target_size_for_patches(ImageSize source, uint64_t max_patches, PatchGeometry geometry) {
    const uint32_t patch = geometry.patch_size;
    const uint32_t pool = geometry.pooling_kernel_size;
    const uint64_t pixels = uint64_t{source.width} * source.height;
    const bool plausible = pixels > 0 && pixels <= kMaxImagePixels && patch > 0 && patch <= 1024 &&
                           pool > 0 && pool <= 1024 && max_patches > 0 &&
                           max_patches <= kMaxImagePixels / (uint64_t{patch} * patch);
    const std::string what = concat("picture of ", describe(source), " for ", max_patches, " patches of ", patch,
                                    " pixels, pooled by ", pool);
    if (!plausible)
        return Error{Errc::invalid_argument, what,
                     concat("each must be positive, and no picture beyond ", kMaxImagePixels, " pixels")};

    // Order and rounding of every step as in transformers' get_aspect_ratio_preserving_size: the last bit
    // decides whether an exact-ratio picture keeps its last row. All integers here are below 2^53, hence
    // exact.
    const double width = source.width;
    const double height = source.height;
    const double area = static_cast<double>(max_patches) * patch * patch;
    const double side = geometry.side();
    const double factor = std::sqrt(area / (height * width));
    const double tokens_high = std::floor(factor * height / side);
    const double tokens_wide = std::floor(factor * width / side);
    if (tokens_high == 0 && tokens_wide == 0)
        return Error{Errc::media_unsupported, what + " becomes empty", "use a larger soft-token budget"};
    const uint64_t budget_tokens = max_patches / (uint64_t{pool} * pool);
    ImageSize target;
    if (tokens_high == 0) {
        target = {long_side(width / height, budget_tokens, geometry.side()), geometry.side()};
    } else if (tokens_wide == 0) {
        target = {geometry.side(), long_side(height / width, budget_tokens, geometry.side())};
    } else {
        target = {static_cast<uint32_t>(tokens_wide * side), static_cast<uint32_t>(tokens_high * side)};
    }
    const double target_area = static_cast<double>(target.width) * target.height;
    if (target_area == 0 || target_area > area)
        return Error{Errc::media_unsupported, concat(what, " becomes ", describe(target), ", which breaks the budget"),
                     "crop the picture, or use a larger soft-token budget"};
    return target;
}

Result<Image> resize_image(const Image& image, ImageSize size) {
    const ImageSize source{image.width, image.height};
    const bool consistent = image.rgb.size() == size_t{image.width} * image.height * 3 && !image.rgb.empty();
    const bool bearable = std::max(image.width, image.height) <= kMaxImageSide &&
                          uint64_t{size.width} * std::max(image.height, size.height) <= kMaxImagePixels;
    if (!consistent || !bearable || size.width == 0 || size.height == 0)
        return Error{Errc::invalid_argument,
                     concat("cannot resize ", describe(source), " (", image.rgb.size(), " bytes) to ", describe(size)),
                     concat("both sizes must be positive, the bytes width*height*3, sides at most ", kMaxImageSide,
                            " and no step beyond ", kMaxImagePixels, " pixels")};
    try {
        return resize_both(image, size);
    } catch (const std::bad_alloc&) {
        return Error{Errc::out_of_memory, concat("no memory to resize ", describe(source), " to ", describe(size)),
                     "close other programs or scale the picture down first"};
    }
}

}  // namespace lapidary::model
