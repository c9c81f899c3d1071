#include "net/tls.h"

#include <openssl/ssl.h>
#include <sys/stat.h>

#include <boost/asio/ssl/context.hpp>

#include "core/error.h"

namespace ingot {
namespace {

namespace ssl = boost::asio::ssl;

std::string stamp_of(const std::filesystem::path& file) {
  struct stat info {};
  if (stat(file.c_str(), &info) != 0) return "-";
  return std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + ":" + std::to_string(info.st_size) + ":" + std::to_string(info.st_ino);
}

// This service speaks HTTP/1.1 and nothing else.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered, unsigned int size, void*) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11 - 1, offered, size) != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

std::shared_ptr<ssl::context> load(const std::filesystem::path& certificate, const std::filesystem::path& key) {
  for (const auto* file : {&certificate, &key}) {
    std::error_code unknown;
    if (!std::filesystem::exists(*file, unknown)) bad_input("No such file or directory", file->string(), "name the PEM files of the certificate and its key; relative paths in site.toml are relative to it");
  }
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20");  // of TLS 1.2: forward secrecy, authenticated
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);              // idle connections hold no buffers
  SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
  boost::system::error_code failed;
  context->use_certificate_chain_file(certificate.string(), failed);
  if (failed) bad_input("not a readable certificate: " + failed.message(), certificate.string(), "give a PEM file with the certificate and its chain");
  context->use_private_key_file(key.string(), ssl::context::pem, failed);
  if (failed) bad_input("not the readable private key of this certificate: " + failed.message(), key.string(), "give the PEM file of the key, without a passphrase");
  if (SSL_CTX_check_private_key(native) != 1) bad_input("it does not belong to the certificate", key.string(), "give the key that the certificate was made for");
  return context;
}

}  // namespace

TlsCertificate::TlsCertificate(std::filesystem::path certificate, std::filesystem::path key) : certificate_(std::move(certificate)), key_(std::move(key)) {
  context_ = load(certificate_, key_);
  stamp_ = stamp_of(certificate_) + stamp_of(key_);
}

std::shared_ptr<ssl::context> TlsCertificate::context() const {
  std::lock_guard lock(mutex_);
  return context_;
}

std::string TlsCertificate::reload(bool always) {
  const std::string stamp = stamp_of(certificate_) + stamp_of(key_);
  {
    std::lock_guard lock(mutex_);
    if (!always && stamp == stamp_) return {};
  }
  try {
    auto context = load(certificate_, key_);
    std::lock_guard lock(mutex_);
    context_ = std::move(context);
    stamp_ = stamp;
    return "the certificate was read again: " + certificate_.string();
  } catch (const Error& error) {
    // Half of a renewal may be there: the other file's change brings us here again.
    std::lock_guard lock(mutex_);
    stamp_ = stamp;
    return std::string("the new certificate is not used, the old one stays: ") + error.what();
  }
}

}  // namespace ingot
