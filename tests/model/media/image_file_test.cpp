// Every picture fixture against Pillow's bytes, and every way a file can be wrong: one clear error each.
#include "model/media/image_file.h"

#include <doctest/doctest.h>

#include <cstring>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "model/media/patches.h"
#include "model/media/resize.h"
#include "tests/model/media/support.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary;
using namespace lapidary::model;

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> pictures() {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(fixture_dir())) {
        const fs::path& path = entry.path();
        for (const char* kind : {".png", ".jpg", ".webp", ".gif"})
            if (path.extension() == kind) paths.push_back(path);
    }
    return paths;
}

Image expected_rgb(const fs::path& picture) {
    const std::vector<uint8_t> bytes = file_bytes(picture.string() + ".rgb");
    REQUIRE(bytes.size() >= 8);
    Image image;
    std::memcpy(&image.width, bytes.data(), 4);
    std::memcpy(&image.height, bytes.data() + 4, 4);
    image.rgb.assign(bytes.begin() + 8, bytes.end());
    return image;
}

Error decode_error(const std::vector<uint8_t>& bytes) {
    const auto image = decode_image(bytes, "the picture");
    REQUIRE_FALSE(image.has_value());
    CHECK(image.error().message.find("the picture") == 0);
    CHECK_FALSE(image.error().hint.empty());
    return image.error();
}

bool mentions(const Error& error, std::string_view text) {
    return error.message.find(text) != std::string::npos;
}

void put_big_endian(std::vector<uint8_t>& bytes, size_t at, uint32_t value, size_t count) {
    for (size_t i = 0; i < count; ++i) bytes[at + i] = static_cast<uint8_t>(value >> 8 * (count - 1 - i));
}

// Position of the two bytes of a JPEG's height; the width follows.
size_t jpeg_height_at(const std::vector<uint8_t>& bytes) {
    for (size_t i = 2; i + 9 < bytes.size(); ++i) {
        if (bytes[i] == 0xff && (bytes[i + 1] == 0xc0 || bytes[i + 1] == 0xc2)) return i + 5;
    }
    FAIL("no frame header");
    return 0;
}

}  // namespace

TEST_CASE("read_image: the goldens' PNG files as transformers sees them") {
    const auto& rows = processor_golden("files");
    CHECK(rows.size() == 11);
    for (const auto& row : rows) {
        const auto name = row["file"].get<std::string>();
        const Image image = read_image(golden_dir() / "media" / name).value();
        CHECK(image.height == row["height"]);
        CHECK(image.width == row["width"]);
        CHECK_MESSAGE(crc32_text(image.rgb) == row["crc32_rgb_u8"].get<std::string>(), name);
        const auto& want = row["resized_70"];
        const ImageSize size = target_size({image.width, image.height}, 70).value();
        CHECK(size == ImageSize{want["target"][1], want["target"][0]});
        const Image resized = resize_image(image, size).value();
        CHECK_MESSAGE(crc32_text(resized.rgb) == want["crc32_rgb_u8"].get<std::string>(), name);
        const PatchRows patches = image_to_patches(resized, 48, PatchOrder::interleaved).value();
        CHECK(patches.positions.size() == want["soft_tokens"]);
        CHECK_MESSAGE(crc32_text(patches.values) == want["crc32_patches_f32"].get<std::string>(), name);
    }
}

TEST_CASE("read_image: every fixture, byte for byte as Pillow") {
    const auto paths = pictures();
    CHECK(paths.size() >= 60);
    for (const fs::path& path : paths) {
        CAPTURE(path.filename().string());
        const auto image = read_image(path);
        REQUIRE(image.has_value());
        const Image want = expected_rgb(path);
        CHECK(image->width == want.width);
        CHECK(image->height == want.height);
        CHECK(image->rgb == want.rgb);
    }
}

TEST_CASE("read_image: the bundled samples have the sizes that samples.json gives") {
    const auto bytes = file_bytes(samples_dir() / "samples.json");
    const auto samples = nlohmann::json::parse(bytes.begin(), bytes.end());
    int pictures_seen = 0;
    for (const auto& sample : samples.at("samples")) {
        if (sample.at("type") != "image") continue;
        const auto image = read_image(samples_dir() / sample.at("file").get<std::string>());
        REQUIRE(image.has_value());
        CHECK(image->width == sample.at("width").get<uint32_t>());
        CHECK(image->height == sample.at("height").get<uint32_t>());
        ++pictures_seen;
    }
    CHECK(pictures_seen == 6);
}

TEST_CASE("decode_image: every truncation of every fixture is an error, or has every pixel") {
    constexpr size_t kEndBytes = 12;  // of PNG; JPEG's has 2, and may have a byte of nothing but filling bits before it
    for (const fs::path& path : pictures()) {
        CAPTURE(path.filename().string());
        const std::vector<uint8_t> whole = file_bytes(path);
        const Image pixels = decode_image(whole, "whole").value();
        const bool goes_on = path.filename() == "animated.gif";  // with frames that are not read
        size_t wrong = 0;
        for (size_t size = 0; size < whole.size(); ++size) {
            // A copy of exactly this size, so that a read beyond the end is seen by the sanitizer.
            const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            const auto image = decode_image(cut, "cut");
            const bool good = image ? image->rgb == pixels.rgb && (goes_on || size + kEndBytes >= whole.size())
                                    : image.error().code == Errc::media_unsupported;
            wrong += !good;
        }
        // Whether a PNG that ends with its pixels, or three zeros behind them, had an orientation there, nobody can tell.
        CHECK(wrong == (path.filename() == "orientation_after_data.png" ? 4 : 0));
    }
}

TEST_CASE("decode_image: the end mark may be missing, and anything may stand behind it") {
    const struct {
        const char* name;
        std::ptrdiff_t end_bytes;
    } all[] = {{"rgb.png", 12}, {"grey_4bit_interlaced.png", 12}, {"rgb_progressive.jpg", 2}, {"grey.jpg", 2}, {"cmyk.jpg", 2}};
    for (const auto& entry : all) {
        CAPTURE(entry.name);
        const std::vector<uint8_t> whole = file_bytes(fixture_dir() / entry.name);
        const Image pixels = decode_image(whole, "whole").value();
        const auto endless = decode_image(std::span(whole).first(whole.size() - static_cast<size_t>(entry.end_bytes)), "x");
        REQUIRE(endless);
        CHECK(endless->rgb == pixels.rgb);
        std::vector<uint8_t> more = whole;
        more.resize(more.size() + 777, 0x5a);
        const auto longer = decode_image(more, "x");
        REQUIRE(longer);
        CHECK(longer->rgb == pixels.rgb);
    }
}

TEST_CASE("decode_image: of a cut PNG the part that is cut is named") {
    std::vector<uint8_t> png = file_bytes(fixture_dir() / "rgb.png");
    png.resize(40);
    CHECK(mentions(decode_error(png), "damaged PNG (40 bytes): it ends inside its part at byte 33"));
}

TEST_CASE("read_image: a size may be refused by its header") {
    const test::ScratchFolder folder;
    std::vector<uint8_t> png = file_bytes(fixture_dir() / "rgb.png");
    const Image whole = decode_image(png, "whole").value();
    png[45] ^= 0xff;  // in the pixels, so that only what comes before them can be read
    const fs::path path = folder.write("a.png", {reinterpret_cast<const char*>(png.data()), png.size()});
    const auto refuse = [&](uint32_t width, uint32_t height) -> Result<void> {
        CHECK(width == whole.width);
        CHECK(height == whole.height);
        return Error{Errc::context_full, "too many"};
    };
    CHECK(read_image(path, refuse).error().code == Errc::context_full);
    CHECK(read_image(path).error().code == Errc::media_unsupported);
    CHECK(read_image(fixture_dir() / "rgb.png", [](uint32_t, uint32_t) { return Result<void>(); }));
}

TEST_CASE("decode_image: any damaged byte gives a picture of the declared size or one error") {
    for (const fs::path& path : pictures()) {
        CAPTURE(path.filename().string());
        std::vector<uint8_t> bytes = file_bytes(path);
        for (size_t i = 0; i < bytes.size(); ++i) {
            for (const uint8_t flip : std::initializer_list<uint8_t>{0x01, 0x80, 0xff}) {
                bytes[i] ^= flip;
                const auto image = decode_image(bytes, "damaged");
                bytes[i] ^= flip;
                const bool sound = image ? image->rgb.size() == size_t{3} * image->width * image->height
                                         : image.error().code == Errc::media_unsupported;
                CHECK(sound);
            }
        }
    }
}

TEST_CASE("decode_image: headers that claim what the body cannot hold are refused before allocating") {
    std::vector<uint8_t> png = file_bytes(fixture_dir() / "rgb.png");
    const auto set_size = [&png](uint32_t width, uint32_t height) {
        put_big_endian(png, 16, width, 4);
        put_big_endian(png, 20, height, 4);
        put_big_endian(png, 29, crc32(std::span(png).subspan(12, 17)), 4);
    };
    set_size(13000, 13000);
    CHECK(mentions(decode_error(png), "claims 13000x13000"));
    set_size(13378, 13377);  // one row more than Pillow decodes
    CHECK(mentions(decode_error(png), std::to_string(kMaxImagePixels)));
    set_size(0x7fffffff, 0x7fffffff);
    CHECK(decode_error(png).code == Errc::media_unsupported);
    set_size(0, 7);
    CHECK(decode_error(png).code == Errc::media_unsupported);

    std::vector<uint8_t> jpeg = file_bytes(fixture_dir() / "rgb_progressive.jpg");
    const size_t at = jpeg_height_at(jpeg);
    put_big_endian(jpeg, at, 13000, 2);
    put_big_endian(jpeg, at + 2, 13001, 2);
    CHECK(mentions(decode_error(jpeg), "claims 13001x13000"));
    put_big_endian(jpeg, at, 65500, 2);
    put_big_endian(jpeg, at + 2, 65500, 2);
    CHECK(mentions(decode_error(jpeg), std::to_string(kMaxImagePixels)));
}

TEST_CASE("decode_image: a GIF that claims more than its bytes hold, and one without a frame") {
    std::vector<uint8_t> gif = file_bytes(fixture_dir() / "plain.gif");
    for (const size_t at : {6, 8}) gif[at] = gif[at + 1] = 0x30;  // of its screen
    CHECK(mentions(decode_error(gif), "claims 12336x12336"));
    gif = file_bytes(fixture_dir() / "plain.gif");
    gif.resize(6 + 7 + 768);
    gif.push_back(';');
    CHECK(mentions(decode_error(gif), "without a frame"));
}

TEST_CASE("decode_image: other formats, text and nothing are refused by name") {
    CHECK(mentions(read_image(fixture_dir() / "refused.bmp").error(), "is BMP"));
    CHECK(mentions(read_image(fixture_dir() / "refused.tiff").error(), "is TIFF"));
    CHECK(mentions(read_image(fixture_dir() / "README.md").error(), "is text"));
    CHECK(mentions(read_image(samples_dir() / "speech_1.wav").error(), "is WAV"));
    CHECK(mentions(read_image(samples_dir() / "video_1.mp4").error(), "MPEG-4 video"));
    CHECK(mentions(decode_error({}), "empty"));
    CHECK(mentions(decode_error({0, 1, 2, 3}), "unknown data"));
}

TEST_CASE("read_image: missing files, directories, empty files and devices") {
    CHECK(read_image(fixture_dir() / "absent.png").error().code == Errc::not_found);
    CHECK(mentions(read_image(fixture_dir()).error(), "directory"));
    CHECK(read_image(fixture_dir()).error().code == Errc::media_unsupported);
    CHECK(mentions(read_image("/dev/zero").error(), "not a regular file"));
    const fs::path empty = fs::temp_directory_path() / "lapidary_empty_picture.png";
    std::ofstream(empty).close();
    CHECK(mentions(read_image(empty).error(), "0 bytes"));
    fs::remove(empty);
}

TEST_CASE("read_image: the extension does not matter") {
    const fs::path path = fs::temp_directory_path() / "lapidary_picture.txt";
    fs::copy_file(fixture_dir() / "rgb.png", path, fs::copy_options::overwrite_existing);
    CHECK(read_image(path).has_value());
    fs::remove(path);
}

TEST_CASE("check_image: kind and header, no pixels") {
    CHECK(check_image(fixture_dir() / "rgb.png").has_value());
    CHECK(check_image(fixture_dir() / "rgb_progressive.jpg").has_value());
    CHECK(mentions(check_image(fixture_dir() / "tone.mp3").error(), "is MP3, not PNG, JPEG, WebP or GIF"));
    CHECK(check_image(fixture_dir() / "absent.png").error().code == Errc::not_found);
    CHECK(check_image(fixture_dir()).error().code == Errc::media_unsupported);
}
