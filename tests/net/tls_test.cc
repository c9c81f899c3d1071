// The server under TLS, seen by OpenSSL's client and libcurl.
#include "net/tls.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "net/download.h"
#include "net/http_server.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

// A certificate for 127.0.0.1 that signs itself.
void make_certificate(const fs::path& certificate, const fs::path& key, long serial) {
  EVP_PKEY* pair = EVP_EC_gen("P-256");
  X509* x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  X509_NAME* name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(x, name);
  X509_set_pubkey(x, pair);
  X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(x, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(x, pair, EVP_sha256());
  const auto write = [](const fs::path& path, const auto& put) {
    BIO* out = BIO_new(BIO_s_mem());
    put(out);
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    write_file(path, {data, static_cast<size_t>(size)});
    BIO_free(out);
  };
  write(key, [&](BIO* out) { PEM_write_bio_PrivateKey(out, pair, nullptr, nullptr, 0, nullptr, nullptr); });
  write(certificate, [&](BIO* out) { PEM_write_bio_X509(out, x); });
  X509_free(x);
  EVP_PKEY_free(pair);
}

class TlsClient {
 public:
  TlsClient(uint16_t port, int version = 0) : context_(SSL_CTX_new(TLS_client_method())) {
    if (version) {
      SSL_CTX_set_security_level(context_, 0);
      SSL_CTX_set_min_proto_version(context_, version);
      SSL_CTX_set_max_proto_version(context_, version);
    }
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    good_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && SSL_connect(ssl_) == 1;
  }
  ~TlsClient() { leave(); SSL_free(ssl_); SSL_CTX_free(context_); }
  bool good() const { return good_; }
  std::string version() const { return SSL_get_version(ssl_); }
  void leave() {
    if (fd_ < 0) return;
    if (good_) SSL_shutdown(ssl_);
    close(fd_);
    fd_ = -1;
  }
  void send(const std::string& text) { SSL_write(ssl_, text.data(), static_cast<int>(text.size())); }
  // Until the text holds `end`, or the stream ends.
  std::string read_until(const std::string& end) {
    char buffer[16384];
    while (in_.find(end) == std::string::npos) {
      const int n = SSL_read(ssl_, buffer, sizeof buffer);
      if (n <= 0) break;
      in_.append(buffer, static_cast<size_t>(n));
    }
    const size_t at = in_.find(end);
    std::string out = in_.substr(0, at == std::string::npos ? at : at + end.size());
    in_.erase(0, out.size());
    return out;
  }
  bool ended_properly() {
    char byte;
    const int n = SSL_read(ssl_, &byte, 1);
    return n <= 0 && SSL_get_error(ssl_, n) == SSL_ERROR_ZERO_RETURN;
  }
  long serial() const {
    X509* peer = SSL_get1_peer_certificate(ssl_);
    const long number = peer ? ASN1_INTEGER_get(X509_get_serialNumber(peer)) : -1;
    X509_free(peer);
    return number;
  }

 private:
  SSL_CTX* context_;
  SSL* ssl_;
  int fd_;
  bool good_;
  std::string in_;
};

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    folder_ = fs::path(testing::TempDir()) / ("tls_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    certificate_ = folder_ / "c.pem";
    key_ = folder_ / "k.pem";
    make_certificate(certificate_, key_, 1);
    server_ = std::make_unique<HttpServer>("127.0.0.1", 0, HttpLimits{}, [this](std::shared_ptr<HttpExchange> exchange) {
      if (exchange->request().path == "/hold") {
        held_ = exchange;
        return;
      }
      exchange->send(200, "text/plain", exchange->request().method + " " + std::to_string(exchange->request().body.size()) + " " + exchange->request().path + ".");
    }, [](int, std::string_view message) { return std::string(message); });
    server_->use_tls(certificate_, key_, [this](const std::string& line) {
      std::lock_guard lock(mutex_);
      said_ += line + "\n";
    });
    thread_ = std::thread([this] { server_->run(); });
  }
  void TearDown() override {
    held_.reset();
    server_->stop();
    thread_.join();
    server_.reset();
    fs::remove_all(folder_);
  }
  bool soon(const std::function<bool()>& holds) {
    for (int i = 0; i < 500; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  std::string said() {
    std::lock_guard lock(mutex_);
    return said_;
  }

  fs::path folder_, certificate_, key_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  std::mutex mutex_;
  std::string said_;
  std::shared_ptr<HttpExchange> held_;
};

TEST_F(TlsTest, AnswersLibcurlAndKeepsTheConnection) {
  setenv("SSL_CERT_FILE", certificate_.c_str(), 1);
  EXPECT_EQ(http_get({"https://127.0.0.1:" + std::to_string(server_->port()) + "/a", {}, "", {}}).body, "GET 0 /a.");
  unsetenv("SSL_CERT_FILE");
  TlsClient client(server_->port());
  ASSERT_TRUE(client.good());
  for (int i = 0; i < 3; ++i) {
    const std::string body(i * 100'000, 'x');
    client.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_NE(client.read_until(" /b.").find("POST " + std::to_string(body.size())), std::string::npos);
  }
  client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");  // pipelined
  EXPECT_NE(client.read_until("/1."), "");
  EXPECT_NE(client.read_until("/2.").find("/2."), std::string::npos);
  client.send("GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(client.read_until("/3.").find("/3."), std::string::npos);
  EXPECT_TRUE(client.ended_properly());
}

TEST_F(TlsTest, SpeaksNothingOlderThanTls12) {
  EXPECT_FALSE(TlsClient(server_->port(), TLS1_1_VERSION).good());
  TlsClient two(server_->port(), TLS1_2_VERSION), three(server_->port(), TLS1_3_VERSION);
  EXPECT_EQ(two.version(), "TLSv1.2");
  EXPECT_EQ(three.version(), "TLSv1.3");
}

TEST_F(TlsTest, NoticesThatTheClientLeaves) {
  TlsClient client(server_->port());
  client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(soon([&] { return held_ != nullptr; }));
  EXPECT_FALSE(held_->gone());
  client.leave();
  EXPECT_TRUE(soon([&] { return held_->gone(); }));
}

TEST_F(TlsTest, ReadsTheCertificateAgain) {
  EXPECT_EQ(TlsClient(server_->port()).serial(), 1);
  TlsClient old(server_->port());
  make_certificate(certificate_, key_, 2);
  EXPECT_TRUE(soon([&] { return TlsClient(server_->port()).serial() == 2; }));  // by itself
  old.send("GET /still HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(old.read_until("/still.").find("/still."), std::string::npos);
  write_file(certificate_, "not a certificate");
  std::raise(SIGHUP);
  EXPECT_TRUE(soon([&] { return said().find("the old one stays") != std::string::npos; }));
  EXPECT_EQ(TlsClient(server_->port()).serial(), 2);
}

TEST_F(TlsTest, AHalfOpenHandshakeOrPlainHttpHarmsNobody) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server_->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
  char byte[64];
  while (recv(fd, byte, sizeof byte, 0) > 0) {
  }
  close(fd);
  EXPECT_TRUE(TlsClient(server_->port()).good());
}

TEST(TlsCertificate, RefusesWhatDoesNotFit) {
  const fs::path folder = fs::path(testing::TempDir()) / "tls_files";
  fs::create_directories(folder);
  make_certificate(folder / "a.pem", folder / "a.key", 1);
  make_certificate(folder / "b.pem", folder / "b.key", 2);
  EXPECT_THROW(TlsCertificate(folder / "a.pem", folder / "b.key"), Error);
  EXPECT_THROW(TlsCertificate(folder / "none.pem", folder / "a.key"), Error);
  EXPECT_THROW(TlsCertificate(folder / "a.key", folder / "a.key"), Error);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ingot
