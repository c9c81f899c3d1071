// What a hub or a package index sends: repositories, file lists, pages of wheels, pip's configuration.
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "runtime/catalogue.h"
#include "runtime/hub.h"
#include "runtime/package_index.h"
#include "store/key_store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    HubRepository repository;
    repository.name = "a/b";
    KeyLimits limits;
    switch (data[0] % 8) {
      case 0: read_repository(text, &repository); break;
      case 1:
        read_files(text, &repository);
        choose_files(repository, data[0] & 64 ? "q4_k_m" : "");
        break;
      case 2: wheel_of_page(text, true, "https://i/simple/a/", "a", "1"); break;
      case 3: wheel_of_page(text, false, "https://i/simple/a/", "a", "1"); break;
      case 4: index_of_pip_conf(text); break;
      case 5: ModelPlace::parse(std::string(text)); break;
      case 6:
        looks_like_key(text);
        read_rate(text, &limits);
        read_quota(text, &limits);
        break;
      default: read_expiry(text, 1); break;
    }
  } catch (const Error&) {
  }
  return 0;
}
