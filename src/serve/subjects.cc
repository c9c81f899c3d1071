#include "serve/subjects.h"

#include "foundry/ai.h"
#include "guard/topic/router.h"
#include "serve/model_registry.h"

namespace ingot {

struct Subjects::State {
  std::vector<std::string> names;
  std::unique_ptr<const Router> router;
};

void Subjects::renew(const ModelRegistry& models) {
  auto next = std::make_shared<State>();
  std::vector<std::shared_ptr<const Rails>> rails;
  for (const auto& one : models.list()) {
    if (!one.ai) continue;
    next->names.push_back(one.name);
    rails.emplace_back(one.ai, &one.ai->rails());
  }
  if (!rails.empty()) next->router = std::make_unique<const Router>(std::move(rails));
  std::lock_guard lock(mutex_);
  state_ = std::move(next);
}

std::shared_ptr<const Subjects::State> Subjects::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

Subjects::Answer Subjects::route(const std::string& text) const {
  const auto held = state();
  Answer answer;
  if (!held || !held->router) return answer;
  const Route route = held->router->route(text);
  if (route.best) answer.best = held->names[*route.best];
  for (size_t i = 0; i < held->names.size(); ++i) answer.scores.emplace_back(held->names[i], route.scores[i]);
  return answer;
}

std::string Subjects::other_than(const std::string& name, const std::string& text) const {
  const auto held = state();
  if (!held || held->names.size() < 2) return "";
  const Route route = held->router->route(text);
  return route.best && held->names[*route.best] != name ? held->names[*route.best] : "";
}

}  // namespace ingot
