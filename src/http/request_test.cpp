#include <random>

#include <gtest/gtest.h>

#include "http/request_reader.hpp"
#include "http/response_text.hpp"

namespace hf::http {
namespace {

constexpr std::string_view kHost = "Host: localhost\r\n";

ReaderLimits small_limits() { return {.body_bytes_max = 64, .header_bytes_max = 512}; }

/// Status of the refusal, or 0 for a request that is complete, or 1 for an unfinished one.
int verdict(const std::string& bytes) {
  RequestReader reader(small_limits());
  const auto state = reader.feed(bytes);
  if (state == ReadState::refused) return reader.fault().status;
  return state == ReadState::complete ? 0 : 1;
}

std::string with_lines(std::string_view lines) {
  return "POST /a HTTP/1.1\r\n" + std::string(lines) + "\r\n";
}

TEST(RequestTarget, is_split_and_decoded_once) {
  const auto target = parse_target("GET", "/a%20b/%252e/../c?x=%41&y");
  ASSERT_TRUE(target.has_value());
  EXPECT_EQ(target->path, "/a b/%2e/../c");
  EXPECT_EQ(target->query, "x=%41&y");
  EXPECT_EQ(parse_target("GET", "https://host:8443/v1?q")->path, "/v1");
  EXPECT_EQ(parse_target("GET", "http://host")->path, "/");
  EXPECT_EQ(parse_target("OPTIONS", "*")->path, "*");
}

TEST(RequestTarget, refuses_what_is_ambiguous) {
  for (const auto* bad : {"", "a", "*", "/%", "/%4", "/%zz", "/%00", "/%ff", "/a#b", "ftp://h/",
                          "http:///a", "http://u@h/", "/a b", "/\x01"}) {
    EXPECT_FALSE(parse_target("GET", bad).has_value()) << bad;
  }
}

TEST(RequestRules, host_and_id_forms) {
  for (const auto* good : {"a", "a.b-c:80", "127.0.0.1:1", "[::1]", "[::1]:8443", "a:"}) {
    EXPECT_TRUE(valid_host(good)) << good;
  }
  for (const auto* bad : {"", ":80", "a b", "a/b", "u@a", "[::1", "[]", "[::1]x", "a:8x", "a,b"}) {
    EXPECT_FALSE(valid_host(bad)) << bad;
  }
  EXPECT_TRUE(valid_request_id("aZ9._-"));
  EXPECT_FALSE(valid_request_id(""));
  EXPECT_FALSE(valid_request_id("a b"));
  EXPECT_FALSE(valid_request_id(std::string(129, 'a')));
  EXPECT_EQ(new_request_id().size(), 32U);
  EXPECT_NE(new_request_id(), new_request_id());
}

TEST(RequestReader, reads_a_request_with_a_body) {
  RequestReader reader(small_limits());
  ASSERT_EQ(reader.feed("\r\nPOST /a?b=c HTTP/1.1\r\nHoSt: x\r\nX-Request-Id: id-1\r\n"
                        "Content-Length: 3\r\n\r\nabcGET"),
            ReadState::complete);
  const auto parsed = reader.take();
  EXPECT_EQ(parsed.request.method, "POST");
  EXPECT_EQ(parsed.request.path, "/a");
  EXPECT_EQ(parsed.request.query, "b=c");
  EXPECT_EQ(parsed.request.header("host"), "x");
  EXPECT_EQ(parsed.request.body, "abc");
  EXPECT_EQ(parsed.request.id, "id-1");
  EXPECT_TRUE(parsed.keep_alive);
  EXPECT_EQ(reader.state(), ReadState::header);
}

TEST(RequestReader, refuses_smuggling_and_broken_framing) {
  const std::string host(kHost);
  EXPECT_EQ(verdict(with_lines(host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "Content-Length: 3\r\nContent-Length: 3\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "Content-Length: 3\r\nContent-Length: 4\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "Content-Length: 3, 3\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "Content-Length: +3\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "Content-Length: 99999999999999999999\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "Transfer-Encoding: gzip, chunked\r\n")), 501);
  EXPECT_NE(verdict(with_lines(host + "Transfer-Encoding: xchunked\r\n")), 1);
  EXPECT_EQ(verdict(with_lines(host + "Transfer-Encoding : chunked\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "A: b\r\n c\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "A: b\nC: d\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + "A: b\rC: d\r\n")), 400);
  EXPECT_EQ(verdict(with_lines(host + std::string("A: b\0c\r\n", 8))), 400);
  EXPECT_EQ(verdict("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(RequestReader, requires_exactly_one_valid_host) {
  EXPECT_EQ(verdict(with_lines("")), 400);
  EXPECT_EQ(verdict(with_lines("Host: a\r\nHost: a\r\n")), 400);
  EXPECT_EQ(verdict(with_lines("Host: a b\r\n")), 400);
  EXPECT_EQ(verdict("GET / HTTP/1.0\r\n\r\n"), 0);
}

TEST(RequestReader, checks_method_version_and_target) {
  EXPECT_EQ(verdict("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
  EXPECT_EQ(verdict("get / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
  EXPECT_EQ(verdict("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(verdict("GET x HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(verdict("\x16\x03\x01 nonsense\r\n\r\n"), 400);
  EXPECT_EQ(verdict("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n"), 417);
}

TEST(RequestReader, limits_header_fields_and_body) {
  EXPECT_EQ(verdict(with_lines("Host: a\r\nX: " + std::string(600, 'x') + "\r\n")), 431);
  EXPECT_EQ(verdict("GET /" + std::string(600, 'x')), 431);
  EXPECT_EQ(verdict(with_lines("Host: a\r\nContent-Length: 65\r\n")), 413);
  EXPECT_EQ(verdict(with_lines("Host: a\r\nContent-Length: 64\r\n")), 1);
  const auto chunked = with_lines("Host: a\r\nTransfer-Encoding: chunked\r\n");
  EXPECT_EQ(verdict(chunked + "41\r\n" + std::string(65, 'x')), 413);
  EXPECT_EQ(verdict(chunked + "40\r\n" + std::string(64, 'x') + "\r\n1\r\nx"), 413);
  EXPECT_EQ(verdict(chunked + "40\r\n" + std::string(64, 'x') + "\r\n0\r\n\r\n"), 0);
  EXPECT_EQ(verdict(chunked + "zz\r\n"), 400);
  EXPECT_EQ(verdict(chunked + "1\r\nxy\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(verdict(chunked + "1;a=" + std::string(9000, 'x')), 400);
  std::string many = "Host: a\r\n";
  for (int i = 0; i < 130; ++i) many += "a:\r\n";
  RequestReader reader({});
  EXPECT_EQ(reader.feed(with_lines(many)), ReadState::refused);
  EXPECT_EQ(reader.fault().status, 431);
}

TEST(RequestReader, gives_the_same_whatever_the_pieces) {
  std::string bytes;
  for (int i = 0; i < 20; ++i) {
    bytes += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" +
             "\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n" +
             "GET /g HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  std::mt19937 random(7);
  for (unsigned round = 0; round < 50; ++round) {
    RequestReader reader(small_limits());
    std::vector<std::string> seen;
    for (std::size_t at = 0; at < bytes.size();) {
      const auto piece = 1 + random() % (round + 1);
      auto state = reader.feed(std::string_view(bytes).substr(at, piece));
      at += piece;
      for (; state == ReadState::complete; state = reader.state()) {
        const auto parsed = reader.take();
        seen.push_back(parsed.request.path + "=" + parsed.request.body);
      }
    }
    ASSERT_EQ(seen.size(), 40U);
    for (std::size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(seen[2 * i], "/" + std::to_string(i) + "=abcde");
      EXPECT_EQ(seen[2 * i + 1], "/g=");
    }
  }
}

TEST(ResponseText, cannot_be_split_by_header_values) {
  const auto text = head_text({.content_type = "a/b", .request_id = "i", .body_bytes = 2},
                              {{"x", "a\r\nevil: 1"}, {"bad name", "v"}, {"Content-Length", "9"},
                               {"ok", "v"}, {"Cache-Control", "public"}});
  EXPECT_FALSE(text.contains("evil"));
  EXPECT_FALSE(text.contains("bad name"));
  EXPECT_FALSE(text.contains(": 9\r\n"));
  EXPECT_TRUE(text.contains("\r\ncontent-length: 2\r\n"));
  EXPECT_FALSE(text.contains("Content-Length"));
  EXPECT_TRUE(text.contains("\r\nok: v\r\n"));
  EXPECT_FALSE(text.contains("no-store"));
}

}  // namespace
}  // namespace hf::http
