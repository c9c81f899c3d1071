// The certificate that a server shows, read again when its files change.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

namespace boost::asio::ssl {
class context;
}

namespace ingot {

class TlsCertificate {
 public:
  // PEM files: the certificate with its chain, and its private key. Throws Error (input, environment).
  TlsCertificate(std::filesystem::path certificate, std::filesystem::path key);

  // TLS 1.2 and later. Connections keep the one that they began with. Any thread.
  std::shared_ptr<boost::asio::ssl::context> context() const;

  // Reads the files again if their times or sizes changed, or always. "" if nothing had to be done; else what was done, or why
  // the old one stays.
  std::string reload(bool always);

 private:
  std::filesystem::path certificate_, key_;
  mutable std::mutex mutex_;  // guards the two below
  std::shared_ptr<boost::asio::ssl::context> context_;
  std::string stamp_;  // times and sizes of both files
};

}  // namespace ingot
