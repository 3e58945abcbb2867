// How much of a model file its reader needs.
#pragma once

namespace lapidary::runtime {

// front: what lies before the bytes of the tensors. Those may be missing, their places are not checked against the
// file's size, and nobody may follow them.
enum class Extent { whole, front };

}  // namespace lapidary::runtime
