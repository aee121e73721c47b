#include "model/tune.h"

#include <memory>
#include <utility>

#include "base/parallel.h"
#include "model/format.h"
#include "model/mapped_file.h"
#include "model/model.h"
#include "model/step.h"
#include "model/trial.h"
#include "model/weight_rows.h"

namespace sparsenas {

Tuned Tune(const std::string& path, Isa isa, size_t threads,
           const std::function<void(size_t done, size_t layers)>& progress) {
  CheckThreads(threads);
  const MappedFile file(path);
  const ModelView model = ReadModel(file.bytes(), file.size(), path);
  const size_t layers = model.layers.size();
  std::vector<Decision> decisions;
  for (const LayerView& layer : model.layers) decisions.push_back(Decide(layer, isa, threads));
  const size_t weight_bytes = MakePlan(model, isa, threads, decisions).weight_bytes;
  Threads team(threads);
  std::vector<FormTimes> us(layers);
  for (size_t i = 0; i < layers; ++i) {
    progress(i, layers);
    const std::shared_ptr<const WeightRows> weights = decisions[i].weights;
    if (weights == nullptr) continue;
    const LayerView& layer = model.layers[i];
    const Trial trial = TryForms(layer, weights, decisions[i].choice.form, isa, team, weight_bytes);
    us[i] = trial.us;
    std::string note = MeasuredNote(trial.form, trial.us);
    // Where nothing else came near, the estimate says why.
    if (note.empty()) note = decisions[i].choice.note;
    decisions[i] = DecideAs(layer, {trial.form, std::move(note)}, weights, threads);
  }
  progress(layers, layers);
  Tuned tuned{MakePlan(model, isa, threads, decisions), std::move(us), {}};
  tuned.bytes = TunedFile(model, tuned.plan, tuned.us);
  return tuned;
}

}  // namespace sparsenas
