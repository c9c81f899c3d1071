// site.toml: what belongs to the place and not to the AI: addresses, certificates, prices, what is logged. Never packed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// [flywheel]: how AIs learn from use here.
struct FlywheelSite {
  bool turn = true;          // turns begin by themselves, as the recipe says (serve.flywheel, serve.turn_after)
  double every_hours = 0;    // and after this time, where there is anything new; 0: by the amount of feedback alone
  double minutes = 60;       // that a turn may take
  int64_t memory_mib = 0;    // that a turn may take; 0: any
  int64_t nice = 19;         // of a turn: 0 as the service itself, 19 only what nobody else wants
  int64_t burst = 200;       // records of one source within a minute that are held for a look; 0: none are
  int64_t days = 0;          // that feedback is kept; 0: without end
  struct Source {
    std::string name;        // of a key, or "local" for those who need none
    bool consent = true;     // may be learnt from
    int64_t days = 0;
  };
  std::vector<Source> sources;
};

struct Site {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;
  std::vector<std::string> names;    // further names that the service is reached by (a proxy's)
  std::filesystem::path data;        // empty: the command line's, or the default

  std::filesystem::path certificate, key;  // PEM; both or none: then plain HTTP

  bool pass_on = false;              // a question that is another AI's subject is answered by that one instead of declined

  double price_per_hour = 0;         // of the machine; 0: not stated
  std::string currency = "USD";

  bool log_requests = false;         // questions and answers
  int64_t log_days = 30;             // 0: without end
  bool log_redact = true;            // private data is taken out before anything is written

  bool plaintext = false;            // off loopback without a certificate: keys and texts cross the network in the clear
  std::string otlp;                  // where traces are sent, OTLP/HTTP; empty: none are made
  FlywheelSite flywheel;

  bool tls() const { return !certificate.empty(); }
};

// Paths in it are relative to `folder`. Throws Error (input) with file:line; a key that is not known is refused.
Site parse_site(std::string_view text, const std::string& where, const std::filesystem::path& folder);
Site read_site(const std::filesystem::path& file);

}  // namespace ingot
