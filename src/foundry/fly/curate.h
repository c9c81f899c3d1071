// What of the feedback is fit to learn from, and why the rest is not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "foundry/fly/near_duplicates.h"

namespace ingot {

// One piece of feedback that says what the right answer is.
struct Correction {
  int64_t id = 0;                        // rises with arrival
  std::string receipt;
  std::string text, name, component;     // name: the engineer or the label; component may be empty
  std::string source, person;            // the key; who said it
  int64_t time = 0, arrived = 0;         // of the event (0: not told), at the service; seconds since 1970
  bool direct = true;                    // a person corrected an answer; false: a tracker's event
  bool consent = true;
  std::string state;                     // "", "accepted", "rejected"

  // Whose vote it is: the key's, or where no key was asked for, the person's.
  std::string voter() const { return source == "local" ? "local " + person : source; }
};

struct CurateOptions {
  double near = 0.8;          // similarity from which two texts count as one
  size_t burst = 200;         // records of one source within a minute that make it a burst; 0: never
  size_t free_votes = 50;     // records of one source that are taken however little others say
  size_t new_name = 3;        // records that a name nobody knows must have
  size_t fewest_bytes = 12, fewest_words = 3;  // of a text; less is low effort
  size_t suspect_from = 20;   // records that the champion is sure of, before a source is judged by them
  double sure = 0.5;          // its probability from which it is
};

// How the champion sees a record, asked once for each that is otherwise fit.
struct Opinion {
  bool stopped = false;       // by a rail
  bool known = true;          // the name is one that it has
  bool expected = true;       // the name is among its first ones
  bool first = true;          // the name is its first
  double confidence = 1;      // its probability of its own first name
};

// How often the champion is right where it is sure, beside how sure it is.
struct Sureness {
  size_t records = 0;
  double right = 0, sure = 0, squares = 0;  // hits; sums of the probabilities and of their squares
  void add(const Opinion& opinion, double from) {
    if (opinion.confidence < from) return;
    ++records;
    right += opinion.first;
    sure += opinion.confidence;
    squares += opinion.confidence * opinion.confidence;
  }
  double ratio() const { return sure > 0 ? right / sure : 1; }
};

struct Curated {
  std::vector<size_t> kept;                             // indices, in order of arrival
  std::vector<std::pair<size_t, std::string>> dropped;  // index, reason
  std::vector<std::pair<size_t, std::string>> held;     // kept apart until the owner has looked
  std::map<std::string, size_t> dropped_by, held_by;    // reason -> how many
};

class Curator {
 public:
  // reference: on the held-out records.
  Curator(CurateOptions options, Sureness reference) : options_(options), reference_(reference), evaluation_(options.near) {}

  // What judges must never be learnt from.
  void keep_out(const std::string& text);
  Curated curate(const std::vector<Correction>& corrections, const std::function<Opinion(const Correction&)>& opinion) const;

 private:
  CurateOptions options_;
  Sureness reference_;
  std::set<std::string> judged_;     // content hashes
  NearDuplicates evaluation_;
};

}  // namespace ingot
