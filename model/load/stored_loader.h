// A model that another program keeps: what its store says beside the files.
#pragma once

#include "model/load/loader.h"

namespace lapidary::model {

// Gives `model` what its store (model.stored) says: the defaults of sampling, a system prompt, notes. `bare`: the name did not say
// which program's it is, so a note does.
void add_stored(bool bare, LoadedModel& model);

}  // namespace lapidary::model
