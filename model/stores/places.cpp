// Ollama's envconfig, huggingface_hub's constants, LM Studio's settings and llama.cpp's cache; see places.h.
#include "model/stores/places.h"

#include <algorithm>
#include <cstdlib>

#include "model/stores/store_files.h"
#include "runtime/file/json_file.h"

namespace lapidary::stores {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxPointerBytes = 4096, kMaxSettingsBytes = 4 << 20;

// Where the service that Ollama's installer makes for Linux keeps them: it has a user of its own.
constexpr const char* kOllamaService = "/usr/share/ollama/.ollama/models";

class Home {
  public:
    explicit Home(const Variables& variables) : variables_(variables), home_(variables("HOME")) {}

    bool known() const { return home_.is_absolute(); }
    fs::path under(const char* rest) const { return home_ / rest; }
    // The folder that a variable names, "~/x" being in the home; empty where it names none.
    fs::path variable(const char* name) const { return expanded(variables_(name)); }
    fs::path expanded(const std::string& text) const {
        const bool tilde = text == "~" || text.starts_with("~/");
        const fs::path path = tilde && known() ? home_ / text.substr(std::min<size_t>(text.size(), 2)) : fs::path(text);
        return path.is_absolute() ? path : fs::path();
    }
    // $XDG_CACHE_HOME, else ~/.cache; empty where neither is known.
    fs::path cache() const {
        const fs::path named = variable("XDG_CACHE_HOME");
        return !named.empty() ? named : known() ? under(".cache") : fs::path();
    }

  private:
    const Variables& variables_;
    fs::path home_;
};

void add(std::vector<fs::path>& list, const fs::path& folder) {
    if (!folder.empty() && std::find(list.begin(), list.end(), folder) == list.end()) list.push_back(folder);
}

std::vector<fs::path> of_ollama(const Home& home) {
    std::vector<fs::path> out;
    const fs::path named = home.variable("OLLAMA_MODELS");
    add(out, !named.empty() ? named : home.known() ? home.under(".ollama/models") : fs::path());
    add(out, kOllamaService);
    return out;
}

fs::path of_hugging_face(const Home& home) {
    if (const fs::path hub = home.variable("HF_HUB_CACHE"); !hub.empty()) return hub;
    if (const fs::path own = home.variable("HF_HOME"); !own.empty()) return own / "hub";
    const fs::path cache = home.cache();
    return cache.empty() ? cache : cache / "huggingface" / "hub";
}

// The folder that a home's settings.json names for downloads.
fs::path downloads_of(const Home& home, const fs::path& own, std::vector<StoreProblem>& problems) {
    const fs::path file = own / "settings.json";
    std::error_code ignored;
    if (!fs::exists(file, ignored)) return {};
    const auto settings = runtime::read_json_file(file, kMaxSettingsBytes);
    if (!settings) {
        problems.push_back({Program::lm_studio, file, settings.error().message, "if models are kept elsewhere, name them by their paths"});
        return {};
    }
    const auto folder = settings->find("downloadsFolder");
    return folder != settings->end() && folder->is_string() ? home.expanded(folder->get<std::string>()) : fs::path();
}

std::vector<fs::path> of_lm_studio(const Home& home, std::vector<StoreProblem>& problems) {
    std::vector<fs::path> out;
    if (!home.known()) return out;
    fs::path own = home.under(".lmstudio");
    if (const auto pointer = runtime::read_text_file(home.under(".lmstudio-home-pointer"), kMaxPointerBytes)) {
        const fs::path named = home.expanded(pointer->substr(0, pointer->find_first_of("\r\n")));
        if (!named.empty()) own = named;
    }
    add(out, downloads_of(home, own, problems));
    add(out, own / "models");
    add(out, home.under(".cache/lm-studio/models"));  // of older versions
    return out;
}

fs::path of_llama_cpp(const Home& home) {
    if (const fs::path named = home.variable("LLAMA_CACHE"); !named.empty()) return named;
#ifdef __APPLE__
    return home.known() ? home.under("Library/Caches/llama.cpp") : fs::path();
#else
    const fs::path cache = home.cache();
    return cache.empty() ? cache : cache / "llama.cpp";
#endif
}

}  // namespace

std::string title_of(Program program) {
    switch (program) {
        case Program::ollama: return "Ollama";
        case Program::hugging_face: return "Hugging Face";
        case Program::lm_studio: return "LM Studio";
        case Program::llama_cpp: break;
    }
    return "llama.cpp";
}

std::string prefix_of(Program program) {
    switch (program) {
        case Program::ollama: return "ollama:";
        case Program::hugging_face: return "hf:";
        case Program::lm_studio: return "lmstudio:";
        case Program::llama_cpp: break;
    }
    return "llama.cpp:";
}

Places places_of(const Variables& variables) {
    const Home home(variables);
    Places places;
    places.ollama = of_ollama(home);
    add(places.hugging_face, of_hugging_face(home));
    places.lm_studio = of_lm_studio(home, places.problems);
    add(places.llama_cpp, of_llama_cpp(home));
    return places;
}

Places places_here() {
    return places_of([](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value ? value : "");
    });
}

}  // namespace lapidary::stores
