// Which projector serves a GGUF model. One that the user names is used or refused; otherwise those that lie beside the
// model are compared, and only when something asks for pictures or sound: text never depends on them.
#pragma once

#include "model/load/loader.h"

namespace lapidary::model {

// The word for `mmproj` that means: take none, look for none.
inline constexpr const char* kNoProjector = "none";

// Gives `model` what options.inputs asks for, as far as it does not bring that itself.
// Of the projectors beside it those count that have the model's width and shapes. Best is one that takes all that
// any of them takes; then one that names the same model (general.name); then the most exact (f32, bf16, f16, then
// more bits); then the first name. What was passed over is in model.notes.
// A model that another program keeps has the projector that is kept with it, or none.
// When inputs are required and none serves, the error says what was looked at and why it was rejected.
Result<void> attach_projector(const LoadOptions& options, LoadedModel& model);

}  // namespace lapidary::model
