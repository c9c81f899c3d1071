#include <curl/curl.h>

#include <cstdlib>
#include <memory>

#include "net/http_post.h"

namespace ingot {
namespace {

size_t throw_away(char*, size_t size, size_t count, void*) { return size * count; }

}  // namespace

bool can_post() { return true; }

PostAnswer http_post(const std::string& url, std::string_view content_type, std::string_view body, std::chrono::milliseconds time) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(started == CURLE_OK ? curl_easy_init() : nullptr, curl_easy_cleanup);
  CURL* curl = handle.get();
  if (!curl) return {0, "libcurl does not start"};
  const std::string type = "Content-Type: " + std::string(content_type);
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(curl_slist_append(curl_slist_append(nullptr, type.c_str()), "Expect:"), curl_slist_free_all);
  char message[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(time.count()));
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "ingot/" INGOT_VERSION);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, throw_away);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE"})
    if (const char* file = std::getenv(name); file && *file) {
      curl_easy_setopt(curl, CURLOPT_CAINFO, file);
      break;
    }
  const CURLcode result = curl_easy_perform(curl);
  if (result != CURLE_OK) return {0, *message ? message : curl_easy_strerror(result)};
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return {static_cast<int>(status), ""};
}

}  // namespace ingot
