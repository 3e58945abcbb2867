// The modelled laptops; see machines.h. Each row holds figures as they were published, tokens per second of a known model; the
// arithmetic from there to rates is the same for all and stands above the rows. Sources: `ll#` ggml-org/llama.cpp, `nb#`
// brand-o/normiebench (llama-bench of Llama 3.1 8B Q4_K_M), `ol#` ollama/ollama, `ik#` ikawrakow/ik_llama.cpp.
#include "runtime/plan/machines.h"

#include <algorithm>

namespace lapidary::runtime {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

// A published model: GB that one token reads (the file less a table that is only looked up) and GMAC of one token of a prompt
// (weights less table and head) and of a reply.
struct Known {
    double read_gb, prompt_gmac, reply_gmac;
};
constexpr Known kLlama8b = {4.62, 6.98, 7.50};     // Q4_K_M: 4.92 GB less 0.525 G x 4.5 bits; 8.03 G less two of 0.525 G
constexpr Known kLlama8bQ40 = {4.36, 6.98, 7.50};  // Q4_0: 4.66 GB less the same
constexpr Known kLlama7b = {3.75, 6.48, 6.61};     // Llama 2, Q4_0: 3.83 GB less 0.131 G x 4.5 bits; 6.74 G less two of 0.131 G
constexpr Known kMistral7b = {4.30, 6.98, 7.11};   // Q4_K_M: 4.37 GB less 0.131 G x 4.5 bits; 7.24 G less two of 0.131 G
constexpr Known kGemma2b = {1.71, 2.02, 2.61};     // Gemma 2 2B Q4_K_M: 2.61 G with one table of 0.59 G, which is the head
constexpr Known kGemma12b = {6.96, 10.9, 11.9};    // Gemma 4 12B Q4_0, head Q6_K
constexpr Known kGemma31b = {18.75, 29.3, 30.7};   // Gemma 4 31B Q4_K_XL: 17.46 GiB; 30.7 G less 1.41 G of the head

// What 8 columns take to 1, where weights are unpacked once for all of them (ik discussion 164, 32 cores: 1.83), and what 2
// take where they are not (Metal, ll#25250: 1.81).
constexpr double kGoodColumns = 8 / 1.83, kMetalColumns = 2 / 1.81;

// Attention is computed in floating point: fp32 multiply-adds to int8 ones of a core, 58 to 226 G/s (Zen 4, AVX-512).
constexpr double kAttention = 0.25;

// `prompt` and `reply` are tokens per second of the models that were measured.
Rates rates(const Known& p, double prompt, const Known& r, double reply, double columns = kGoodColumns) {
    Rates out;
    out.read_gbps = reply * r.read_gb;
    out.many_gmacs = prompt * p.prompt_gmac;
    out.few_gmacs = std::min(out.many_gmacs, columns * reply * r.reply_gmac);
    out.attention_gmacs = kAttention * out.many_gmacs;
    return out;
}
Rates rates(const Known& both, double prompt, double reply, double columns = kGoodColumns) {
    return rates(both, prompt, both, reply, columns);
}

// Where nothing was published: GB/s and GMAC/s as the row's comment assumes them; 1.6 GMAC a GB of a model in 4 bits.
Rates assumed(double read_gbps, double many_gmacs) { return rates({1, 1, 1}, many_gmacs, {1, 1, 1.6}, read_gbps); }

// Desktop, browser and system take a quarter, at least 3 and at most 6 GiB (assumed): 5 of 8, 12 of 16, 26 of 32 GiB are left.
MachineFacts machine(const char* name, uint64_t gib, const Rates& cpu, const char* from) {
    MachineFacts out;
    out.name = name;
    out.total_bytes = gib * kGiB;
    out.usable_bytes = out.total_bytes - std::clamp<uint64_t>(out.total_bytes / 4, 3 * kGiB, 6 * kGiB);
    out.limited_by = "what a desktop leaves";
    out.cpu = cpu;
    out.handover_s = 50e-6;  // a submit and a fence (assumed); a meeting, which was not measured on any of them (ADR 22), as two
    out.rates_from = std::string("modelled: ") + from;
    return out;
}

// A GPU on the memory of the machine. Together they read 87 % of the bus at most (assumed; one device alone reached 84 %, the
// 8060S), shared as they read alone; products keep 75 % of their pace, as both share the power that each had alone (assumed).
// lent: of the memory, what the system lets it take: half under Windows and with amdgpu's defaults
// (rjmalagon/ollama-linux-amd-apu#4), two thirds under macOS (assumed for 16 and 24 GiB; 84 % of 128, antirez/ds4#893).
MachineFacts with_gpu(MachineFacts out, const char* name, double bus_gbps, const Rates& rates, double lent = 0.5) {
    PlanGpu gpu;
    gpu.name = name;
    gpu.heap_bytes = static_cast<uint64_t>(static_cast<double>(out.total_bytes) * lent);
    gpu.driver_bytes = 256 << 20;  // assumed
    gpu.rates = rates;
    const double both = out.cpu.read_gbps + rates.read_gbps, kept = std::min(1.0, 0.87 * bus_gbps / both);
    for (Rates* r : {&out.cpu, &gpu.rates}) {
        r->read_gbps_together = kept * r->read_gbps;
        r->many_gmacs_together = 0.75 * r->many_gmacs;
    }
    out.gpu = std::move(gpu);
    return out;
}

// One with memory of its own, of which the desktop leaves `heap`; nothing is shared but the power, of which each keeps 90 %
// (assumed).
MachineFacts with_card(MachineFacts out, const char* name, uint64_t heap, const Rates& rates) {
    out = with_gpu(std::move(out), name, 1e6, rates);  // no bus that both read
    out.gpu->unified = false;
    out.gpu->heap_bytes = heap;
    out.cpu.many_gmacs_together = 0.9 * out.cpu.many_gmacs;
    out.gpu->rates.many_gmacs_together = 0.9 * rates.many_gmacs;
    return out;
}

MachineFacts m780(const char* name, uint64_t gib) {  // 102.4 GB/s; CPU 347 GMAC/s, 44.5 GB/s; GPU 1770 and 75.4
    return with_gpu(machine(name, gib, rates(kLlama8b, 49.75, 9.63),
                            "Ryzen 7 8840U, LPDDR5-6400; CPU normiebench#8, GPU normiebench#10 (Vulkan)"),
                    "Radeon 780M", 102.4, rates(kLlama8b, 253.57, 16.31));
}

MachineFacts arc140v(const char* name, uint64_t gib) {  // 136.5 GB/s; CPU 162 GMAC/s, 43.5 GB/s; GPU 1201 and 64.7
    // Vulkan as it was measured; IPEX-LLM reached 4590 GMAC/s and 91 GB/s (708 and 24.35 tokens/s of Llama 2 7B Q4_0).
    return with_gpu(machine(name, gib, rates(kLlama7b, 25.05, 11.59),
                            "Core Ultra 7 258V, LPDDR5X-8533; CPU lhl on r/LocalLLaMA (Nov 2024), GPU eliza#7632 (prompts of 8B, "
                            "Vulkan) and llama.cpp#14001 (replies of 2B, Vulkan)"),
                    "Arc 140V", 136.5, rates(kLlama8b, 172, kGemma2b, 37.86));
}

std::vector<MachineModel> make_machines() {
    return {
        // Assumed but for the CPU (46 GMAC/s, 13.9 GB/s): a quarter of the Iris Xe's 96 units at 750 of 1300 MHz, 223 x 0.25 x
        // 0.58 = 32 GMAC/s, and its share of the CPU's reading, 13.9 x 5.54 / 6.70 = 11.5 GB/s. One channel of DDR4-3200.
        {"uhd-8g", "Intel N100, UHD Graphics, DDR4-3200, 8 GB",
         with_gpu(machine("uhd-8g", 8, rates(kLlama8b, 6.53, 3.01),
                          "Intel N100, DDR4-3200; CPU normiebench#38; GPU assumed from llama.cpp#5301"),
                  "UHD Graphics", 25.6, assumed(11.5, 32))},
        // 51.2 GB/s; CPU 178 GMAC/s, 31.7 GB/s; GPU 223 and 23.8: it reads less than the CPU.
        {"irisxe-16g", "Core i5-1135G7, Iris Xe, DDR4-3200, 16 GB",
         with_gpu(machine("irisxe-16g", 16, rates(kLlama8b, 25.52, 6.86),
                          "Core i5-1135G7, DDR4-3200; CPU normiebench#46, GPU llama.cpp#5301 (i7-1165G7, Mistral 7B, Vulkan of "
                          "Feb 2024)"),
                  "Iris Xe", 51.2, rates(kMistral7b, 31.92, 5.54))},
        {"arc140v-16g", "Core Ultra 7 256V, Arc 140V, LPDDR5X-8533, 16 GB", arc140v("arc140v-16g", 16)},
        {"arc140v-32g", "Core Ultra 7 258V, Arc 140V, LPDDR5X-8533, 32 GB", arc140v("arc140v-32g", 32)},
        // 102.4 GB/s; CPU assumed 6 of the 8 cores of an 8840U, 347 x 6 / 8 = 260 GMAC/s, and its 44.5 GB/s; GPU 676 and 44.0.
        {"740m-16g", "Ryzen Z1, Radeon 740M, LPDDR5-6400, 16 GB",
         with_gpu(machine("740m-16g", 16, assumed(44.5, 260),
                          "Ryzen Z1, LPDDR5-6400; CPU assumed from normiebench#8, GPU normiebench#20 (Vulkan)"),
                  "Radeon 740M", 102.4, rates(kLlama8b, 96.81, 9.52))},
        // 76.8 GB/s. CPU: no VNNI, 0.59 of one that has it (llama.cpp for AVX2 to Zen 4, 6.7 to 11.4 tokens/s on a 2-core VM),
        // 347 x 0.59 = 205 GMAC/s; 60 % of the bus, 46 GB/s. GPU: 313 tokens/s x 4 GMAC of Gemma 4 26B-A4B Q4_0 = 1250 GMAC/s;
        // replies of that model, 18.4 x 2.25 GB = 41 GB/s, count routing too, so 74 % of the bus as the 780M's, 57 GB/s.
        {"680m-16g", "Ryzen 7 6800H, Radeon 680M, DDR5-4800, 16 GB",
         with_gpu(machine("680m-16g", 16, assumed(46, 205),
                          "Ryzen 7 6800H, DDR5-4800; CPU assumed from normiebench#8, GPU gemmaclaw#350 (prompts of 26B-A4B, "
                          "Vulkan), its reading assumed"),
                  "Radeon 680M", 76.8, assumed(57, 1250))},
        {"780m-16g", "Ryzen 7 8840U, Radeon 780M, LPDDR5-6400, 16 GB", m780("780m-16g", 16)},
        {"780m-32g", "Ryzen 7 8840U, Radeon 780M, LPDDR5-6400, 32 GB", m780("780m-32g", 32)},
        // 120 GB/s. CPU: 12 cores, of which 8 are small, taken for 10 of the 8840U's, 347 x 10 / 8 = 434 GMAC/s; its 43 % of the
        // bus, 52 GB/s. GPU: 16 units to the 780M's 12, 1770 x 16 / 12 = 2360 GMAC/s; 14 tokens/s of Qwen3.5 9B Q4_K_XL, about
        // 6 GB = 84 GB/s.
        {"890m-32g", "Ryzen AI 9 HX 370, Radeon 890M, LPDDR5X-7500, 32 GB",
         with_gpu(machine("890m-32g", 32, assumed(52, 434),
                          "Ryzen AI 9 HX 370, LPDDR5X-7500; CPU assumed from normiebench#8, GPU's reading neph-io.com, its "
                          "products assumed from normiebench#10"),
                  "Radeon 890M", 120, assumed(84, 2360))},
        // 256 GB/s. CPU assumed: 16 Zen 4 cores, 105 tokens/s of Gemma 3 12B Q4_0 x 10.76 GMAC = 1130 GMAC/s (ik#351), and 85 % of
        // two dies' 64 GB/s = 109. GPU 8849 GMAC/s, 214.7 GB/s.
        {"8060s-64g", "Ryzen AI Max 395, Radeon 8060S, LPDDR5X-8000, 64 GB",
         with_gpu(machine("8060s-64g", 64, assumed(109, 1130),
                          "Ryzen AI Max 395, LPDDR5X-8000; CPU assumed from ik_llama.cpp#351, GPU kyuz0/amd-strix-halo-toolboxes "
                          "(Gemma 4 31B, RADV)"),
                  "Radeon 8060S", 256, rates(kGemma31b, 302, 11.45))},
        // 200 GB/s. CPU assumed: 8 of the M2 Max's cores at 3.2 of 3.5 GHz: 107 and 26.1 tokens/s of 8B Q4_0 (ik#351) x 0.91 =
        // 683 GMAC/s, 104 GB/s. GPU 1947 and 154.5.
        {"m1pro-16g", "Apple M1 Pro, 16 GB",
         with_gpu(machine("m1pro-16g", 16, rates(kLlama8bQ40, 97.8, 23.9),
                          "Apple M1 Pro; CPU assumed from ik_llama.cpp#351, GPU jotunheim (Gemma 4 12B, Metal)"),
                  "M1 Pro", 200, rates(kGemma12b, 178.6, 22.2, kMetalColumns), 2.0 / 3)},
        // 120 GB/s. CPU assumed: 4 large cores at 4.4 GHz and 6 small ones at half, 747 x (4 + 3) / 8 x 4.4 / 3.5 = 820 GMAC/s of
        // the M2 Max's 747; 70 % of the bus, 84 GB/s. GPU: prompts of Llama 8B, 1569 GMAC/s; 12.2 tokens/s x 7.45 GB = 91 GB/s.
        {"m4-24g", "Apple M4, 24 GB",
         with_gpu(machine("m4-24g", 24, assumed(84, 820),
                          "Apple M4; CPU assumed from ik_llama.cpp#351, GPU normiebench#3 (prompts, Metal) and ollama#16562 "
                          "(replies of Gemma 4 12B)"),
                  "M4", 120, rates(kLlama8b, 224.81, {7.45, 10.9, 11.9}, 12.2, kMetalColumns), 2.0 / 3)},
        // 135 GB/s. CPU: 19 tokens/s of Llama 3 8B Q4_0 (18 to 20, ol#5360) = 82.8 GB/s; 42 % of the 2.58 TMAC/s that cpufp#30
        // measured, as an M2 Max reaches, 1080 GMAC/s. GPU assumed: to the CPU as an Adreno 643's in reading, 8.2 to 12.2 = 55.7
        // GB/s; a quarter of 2.3 TMAC/s in fp32 = 575 GMAC/s.
        {"adreno-x1-16g", "Snapdragon X Elite, Adreno X1-85, LPDDR5X-8448, 16 GB",
         with_gpu(machine("adreno-x1-16g", 16, assumed(82.8, 1080),
                          "Snapdragon X Elite, LPDDR5X-8448; CPU ollama#5360 and pigirons/cpufp#30, GPU assumed from an Adreno "
                          "643"),
                  "Adreno X1-85", 135, assumed(55.7, 575))},
        // CPU 347 GMAC/s, 44.5 GB/s as the 8840U's. GPU: 47.2 tokens/s = 218 GB/s; prompts of an RTX 4070 Laptop with 4608 units to
        // 3072, 2365 x 2 / 3. Of 8 GiB the desktop takes half a one (assumed).
        {"rtx4060-16g", "Ryzen 7 8845H, GeForce RTX 4060 Laptop 8 GB, 16 GB",
         with_card(machine("rtx4060-16g", 16, rates(kLlama8b, 49.75, 9.63),
                           "Ryzen 7 8845H, RTX 4060 Laptop; CPU normiebench#8 (8840U), GPU AlexsJones/llmfit#958 (replies) and "
                           "normiebench#4 (prompts, from an RTX 4070 Laptop)"),
                   "GeForce RTX 4060 Laptop", 15 * kGiB / 2, rates(kLlama8b, 1577, 47.2))},
        // 674 GMAC/s, 54.4 GB/s: 104 tokens/s of prompts and 14 to 15 of replies of a 7B in 4 bits, taken for Llama 2.
        {"zen4-cpu-16g", "6 cores of Zen 4, DDR5, 16 GB, no GPU",
         machine("zen4-cpu-16g", 16, rates(kLlama7b, 104, 14.5),
                 "6 cores of Zen 4, DDR5; llama.cpp#9532 and llama.cpp#12829")},
    };
}

}  // namespace

const std::vector<MachineModel>& modelled_machines() {
    static const std::vector<MachineModel> machines = make_machines();
    return machines;
}

std::optional<MachineFacts> modelled_machine(std::string_view name) {
    for (const MachineModel& m : modelled_machines())
        if (name == m.name) return m.facts;
    return std::nullopt;
}

}  // namespace lapidary::runtime
