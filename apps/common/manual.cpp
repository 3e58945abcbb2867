// Help pages as roff; see manual.h.
#include "apps/common/manual.h"

#include <fmt/format.h>

namespace lapidary::cli {
namespace {

// Text as roff prints it unchanged: backslashes and hyphens escaped, nothing at the start of a line that is a request.
std::string roff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\') out += "\\e";
        else if (c == '-') out += "\\-";
        else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += std::string("\\&") + c;
        else out += c;
    }
    return out;
}

std::string option(const HelpEntry& entry) {
    std::string names;
    for (const std::string& name : entry.names)
        names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", roff(name));
    const std::string value = entry.metavar.empty() ? "" : fmt::format(" \\fI{}\\fR", roff(entry.metavar));
    return fmt::format(".TP\n{}{}\n{}\n", names, value, roff(entry.description));
}

std::string section_of(const HelpPage& page) {
    std::string text = fmt::format(".SS lapidary {}\n\\fBlapidary {}\\fR{}{}\n.PP\n{}\n", roff(page.verb),
                                   roff(page.verb), page.usage.empty() ? "" : " ", roff(page.usage), roff(page.summary));
    for (const HelpEntry& entry : page.entries)
        text += entry.names.empty() ? fmt::format(".PP\n\\fI{}\\fR\n", roff(entry.title)) : option(entry);
    return text;
}

constexpr std::string_view kRest = R"(.SH EXIT STATUS
0 ok, 1 failed, 2 usage, 3 model file, 4 does not fit, 5 device, 130 interrupted (Ctrl\-C), 143 and 129 by SIGTERM and SIGHUP.
.SH ENVIRONMENT
.TP
.B LAPIDARY_MODEL
the model where the command line names none
.TP
.B LAPIDARY_THREADS
threads where \-\-threads is not given
.TP
.B LAPIDARY_PLACEMENT
cpu, gpu, split or phases, where neither \-\-placement nor \-\-device is given
.TP
.B LAPIDARY_DEVICE
the GPU, by number or a part of its name, where \-\-device is not given
.TP
.B LAPIDARY_CPU
kernels of a lower level: ref, avx2, avxvnni, avx512, neon, neon_dot, neon_i8mm
.TP
.B XDG_CACHE_HOME
where lapidary/ keeps a GPU's compiled shaders and the verdicts on them (default ~/.cache)
.TP
.B NO_COLOR, FORCE_COLOR, TERM
colour of stderr; with TERM=dumb no colour and no line that is drawn over
.SH EXAMPLES
.nf
lapidary run gemma.gguf "Who wrote Faust?"
lapidary run gemma.gguf \-p "What is this?" \-\-image photo.jpg
cat notes.txt | lapidary run gemma.gguf "Summarise:" \-
lapidary pack gemma\-4\-12B\-it gemma.lapidary \-\-type q4_0
lapidary bench \-\-synthetic 12b \-\-layers 4
.fi
)";

}  // namespace

std::string manual_page(const std::vector<VerbSummary>& verbs, const std::vector<HelpPage>& pages,
                        std::string_view version) {
    std::string text = fmt::format(
        ".\\\" Made by `lapidary man`.\n.TH LAPIDARY 1 \"\" \"lapidary {}\" \"User Commands\"\n"
        ".SH NAME\nlapidary \\- Gemma 4 12B on this computer: text, pictures, speech and video in, text out\n"
        ".SH SYNOPSIS\n\\fBlapidary\\fR \\fIVERB\\fR [\\fIMODEL\\fR] [\\fIoptions\\fR]\n"
        ".SH DESCRIPTION\nMODEL is a GGUF file, a .lapidary file, or a Hugging Face folder. Without it the program "
        "takes $LAPIDARY_MODEL, then a small bundled model. Results go to standard output, everything else to "
        "standard error. \\fB\\-\\-\\fR ends the options.\n.SH VERBS\n",
        version);
    for (const VerbSummary& verb : verbs)
        text += fmt::format(".TP\n.B {}\n{}\n", roff(verb.name), roff(verb.summary));
    text += ".SH OPTIONS OF EVERY VERB\n";
    for (const HelpPage& page : pages) text += section_of(page);
    return text + std::string(kRest);
}

}  // namespace lapidary::cli
