// The client of the http workload: keep-alive connections with one request outstanding on each.
// It takes less than half of what one in JavaScript over `net` does, so that the server is what is
// measured.
#include <algorithm>
#include <charconv>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client.h"
#include "fail.h"

namespace {

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nhost: bench\r\n\r\n";
// The same as in bench/workloads/http.ts.
constexpr std::string_view kBody = "Hello over a socket.\n";
constexpr std::string_view kStatus = "HTTP/1.1 200 OK\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kLength = "\r\ncontent-length:";
// On each connection, before anything is timed.
constexpr int kVerifiedResponses = 20;

// `name` is in lower case.
size_t FindHeader(std::string_view head, std::string_view name) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (size_t at = head.find('\r'); at != std::string_view::npos; at = head.find('\r', at + 1)) {
    size_t same = 0;
    while (same < name.size() && at + same < head.size() && lower(head[at + same]) == name[same]) {
      ++same;
    }
    if (same == name.size()) return at + same;
  }
  Fail("a response without content-length");
}

// Bytes of the response that `bytes` begin with, 0 if it is not there as a whole. Every byte that
// is known is compared.
size_t CheckResponse(std::string_view bytes) {
  const size_t head_size = bytes.find(kHeadEnd);
  if (head_size == std::string_view::npos) return 0;
  const std::string_view head = bytes.substr(0, head_size + 2);
  if (!head.starts_with(kStatus)) Fail("not a response with status 200");
  std::string_view value = head.substr(FindHeader(head, kLength));
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  size_t length = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (error != std::errc() || *end != '\r' || length != kBody.size()) {
    Fail("a response of the wrong length");
  }
  const std::string_view body = bytes.substr(head_size + kHeadEnd.size());
  if (body.size() < length) return 0;
  if (body.substr(0, length) != kBody) Fail("a response with the wrong body");
  return head_size + kHeadEnd.size() + length;
}

class HttpClient : public Client {
 public:
  explicit HttpClient(const Load& load)
      : Client(load, OpenEpoll, kRequest.size()), connections_(load.connections) {}

 private:
  struct Connection {
    // Of a response that has come in part.
    std::string pending;
    bool asked = false;
    int to_verify = kVerifiedResponses;
  };

  void Send(size_t index) override {
    connections_[index].asked = true;
    io().Send(index, std::as_bytes(std::span(kRequest)));
  }

  void OnData(size_t index, std::span<const std::byte> bytes) override {
    bytes_.Add(bytes.size());
    Connection& connection = connections_[index];
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!connection.pending.empty()) text = connection.pending.append(text);
    const size_t size = CheckResponse(text);
    if (size == 0) {
      if (connection.pending.empty()) connection.pending = text;
      return;
    }
    if (!connection.asked || size != text.size()) Fail("a response came that nobody asked for");
    connection.pending.clear();
    connection.asked = false;
    Answered(index, verifying() && --connection.to_verify == 0);
  }

  std::vector<Connection> connections_;
};

}  // namespace

std::unique_ptr<Role> OpenHttp(const Load& load) {
  if (load.server) Fail("the server of this workload is node:http");
  return std::make_unique<HttpClient>(load);
}
