// Framing, limits, deadlines and TLS of the running server.
#include <filesystem>
#include <format>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "http/test_client.hpp"

namespace hf::http {
namespace {

using std::chrono::milliseconds;

void with_tls(ServerOptions& options) { options.tls = true; }

TEST(HttpServer, answers_with_our_headers) {
  TestServer server;
  TestClient client(server.port());
  const auto reply = client.ask(get("/echo/a%20b?c=d", "X-Request-Id: my-id\r\n"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "GET /echo/a b?c=d ");
  EXPECT_EQ(reply.headers.at("x-request-id"), "my-id");
  EXPECT_EQ(reply.headers.at("cache-control"), "no-store");
  EXPECT_EQ(reply.headers.at("x-content-type-options"), "nosniff");
  EXPECT_FALSE(reply.headers.contains("strict-transport-security"));
  const auto second = client.ask(get("/echo", "X-Request-Id: bad id\r\n"));
  EXPECT_EQ(second.headers.at("x-request-id").size(), 32U);
  EXPECT_EQ(client.ask(post("/echo", "body")).body, "POST /echo? body");
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpServer, serves_nothing_after_a_smuggling_attempt) {
  TestServer server;
  TestClient client(server.port());
  const auto reply = client.ask(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\n" + get("/echo"));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(reply.body.starts_with(R"({"error":{"message":")")) << reply.body;
  EXPECT_TRUE(reply.body.contains(R"("param":null,"code":"invalid_)")) << reply.body;
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.unread(), "");
  EXPECT_EQ(server.handled(), 0);
}

TEST(HttpServer, answers_a_good_request_before_the_bad_one) {
  TestServer server;
  TestClient client(server.port());
  client.send(get("/hold") + "BAD\r\n\r\n" + get("/echo"));
  server.held()->respond({.body = "first"});
  EXPECT_EQ(client.reply().body, "first");
  EXPECT_EQ(client.reply().status, 400);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(server.handled(), 1);
}

TEST(HttpServer, refuses_large_headers_and_bodies) {
  TestServer server([](auto& options) {
    options.header_bytes_max = 1024;
    options.body_bytes_max = 100'000;
  });
  TestClient header(server.port());
  EXPECT_EQ(header.ask(get("/", "X: " + std::string(2000, 'x') + "\r\n")).status, 431);
  EXPECT_TRUE(header.ended());
  TestClient sized(server.port());
  EXPECT_EQ(sized.ask(post("/echo", std::string(100'001, 'x'))).status, 413);
  EXPECT_TRUE(sized.ended());
  const std::string chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  TestClient pieces(server.port());
  EXPECT_EQ(pieces.ask(chunked + "186A1\r\n" + std::string(100'001, 'x')).status, 413);
  TestClient fits(server.port());
  const std::string body(100'000, 'x');
  EXPECT_EQ(fits.ask(post("/echo", body)).body, "POST /echo? " + body);
  EXPECT_EQ(fits.ask(chunked + "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n").body, "POST /echo? abc");
}

TEST(HttpServer, says_continue_only_if_the_body_is_welcome) {
  TestServer server([](auto& options) { options.body_bytes_max = 10; });
  const std::string expect = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
  TestClient welcome(server.port());
  EXPECT_EQ(welcome.ask(expect + "Content-Length: 3\r\n\r\n").status, 100);
  EXPECT_EQ(welcome.ask("abc").body, "POST /echo? abc");
  TestClient too_large(server.port());
  EXPECT_EQ(too_large.ask(expect + "Content-Length: 11\r\n\r\n").status, 413);
  TestClient behind(server.port());
  behind.send(get("/hold") + expect + "Content-Length: 3\r\n\r\n");
  server.held()->respond({.body = "first"});
  EXPECT_EQ(behind.reply().body, "first");
  EXPECT_EQ(behind.reply().status, 100);
  EXPECT_EQ(behind.ask("abc").body, "POST /echo? abc");
}

TEST(HttpServer, head_connection_close_and_http_1_0) {
  TestServer server;
  TestClient client(server.port());
  client.send("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto head = client.reply(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "12");
  EXPECT_EQ(client.ask(get("https://localhost/echo", "Connection: close\r\n")).body, "GET /echo? ");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.unread(), "");
  TestClient old(server.port());
  EXPECT_EQ(old.ask("GET /echo HTTP/1.0\r\n\r\n").headers.at("connection"), "close");
  EXPECT_TRUE(old.ended());
}

TEST(HttpServer, answers_pipelined_requests_in_order_without_loss) {
  TestServer server([](auto& options) { options.pipelined_max = 4; });
  TestClient client(server.port());
  std::string all = get("/hold");
  for (int i = 0; i < 40; ++i) all += post("/echo", std::to_string(i));
  client.send(all);
  auto first = server.held();
  ASSERT_TRUE(first);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(server.handled(), 1);
  first->respond({.body = "held"});
  EXPECT_EQ(client.reply().body, "held");
  for (int i = 0; i < 40; ++i) ASSERT_EQ(client.reply().body, std::format("POST /echo? {}", i));
  EXPECT_EQ(client.unread(), "");
  EXPECT_EQ(client.ask(get("/echo")).status, 200);
}

TEST(HttpServer, stops_reading_while_too_much_waits) {
  TestServer server([](auto& options) { options.pipelined_max = 2; });
  TestClient client(server.port());
  client.send(get("/hold"));
  auto first = server.held();
  const timeval short_wait{0, 200'000};
  ::setsockopt(client.socket(), SOL_SOCKET, SO_SNDTIMEO, &short_wait, sizeof(short_wait));
  const auto before = server.counter("holdfast_http_received_bytes_total");
  std::string many;
  while (many.size() < 32U << 20U) many += post("/echo", std::string(1000, 'x'));
  EXPECT_FALSE(client.send(many));
  EXPECT_LT(server.counter("holdfast_http_received_bytes_total") - before, 1 << 20U);
  first->respond({});
  EXPECT_EQ(client.reply().status, 200);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client.reply().status, 200);
}

TEST(HttpServer, a_half_closed_client_gets_its_answers) {
  TestServer server;
  TestClient client(server.port());
  client.send(get("/hold") + get("/echo"));
  client.end_writing();
  auto sink = server.held();
  std::this_thread::sleep_for(milliseconds(20));
  sink->respond({.body = "late"});
  EXPECT_EQ(client.reply().body, "late");
  EXPECT_EQ(client.reply().body, "GET /echo? ");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(eventually([&] { return server.connections() == 0; }));
}

TEST(HttpServer, deadlines_end_slow_clients) {
  TestServer server([](auto& options) {
    options.header_timeout = options.body_timeout = milliseconds(80);
    options.idle_timeout = milliseconds(160);
  });
  TestClient header(server.port());
  header.send("GET / HTTP/1.1\r\nHo");
  TestClient body(server.port());
  body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  TestClient idle(server.port());
  TestClient busy(server.port());
  busy.send(get("/hold"));
  EXPECT_EQ(header.reply().status, 408);
  EXPECT_TRUE(header.ended());
  EXPECT_EQ(body.reply().status, 408);
  EXPECT_TRUE(idle.ended());
  EXPECT_EQ(idle.unread(), "");
  auto sink = server.held();
  std::this_thread::sleep_for(milliseconds(200));
  sink->respond({.body = "x"});
  EXPECT_EQ(busy.reply().body, "x");
}

TEST(HttpServer, a_header_sent_byte_by_byte_runs_out_of_time) {
  TestServer server([](auto& options) { options.header_timeout = milliseconds(100); });
  TestClient client(server.port());
  const auto start = std::chrono::steady_clock::now();
  for (const char c : get("/echo", "X: " + std::string(400, 'x') + "\r\n")) {
    if (!client.send(std::string_view(&c, 1))) break;
    std::this_thread::sleep_for(milliseconds(1));
    if (!client.receive(milliseconds(0)).empty()) break;
  }
  EXPECT_TRUE(client.ended());
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(2500));
  EXPECT_EQ(server.handled(), 0);
}

TEST(HttpServer, too_many_connections_are_told_so) {
  TestServer per_ip([](auto& options) { options.connections_per_ip_max = 2; });
  TestClient a(per_ip.port());
  TestClient b(per_ip.port());
  EXPECT_EQ(a.ask(get("/echo")).status, 200);
  EXPECT_EQ(b.ask(get("/echo")).status, 200);
  {
    TestClient c(per_ip.port());
    const auto reply = c.ask(get("/echo"));
    EXPECT_EQ(reply.status, 429);
    EXPECT_TRUE(reply.headers.contains("retry-after"));
    EXPECT_TRUE(c.ended());
  }
  a.close_orderly();
  EXPECT_TRUE(eventually([&] { return per_ip.connections() == 1; }));
  TestClient d(per_ip.port());
  EXPECT_EQ(d.ask(get("/echo")).status, 200);
  TestServer total([](auto& options) { options.connections_max = 0; });
  TestClient e(total.port());
  EXPECT_EQ(e.ask(get("/echo")).status, 503);
  EXPECT_TRUE(e.ended());
}

TEST(HttpServer, survives_a_handler_that_forgets_or_throws) {
  TestServer server;
  TestClient client(server.port());
  client.send(get("/hold"));
  server.held().reset();
  EXPECT_EQ(client.reply().status, 500);
  EXPECT_EQ(client.ask(get("/echo")).status, 200);
}

TEST(HttpServer, start_errors_say_which_setting) {
  TestServer server;
  Metrics metrics;
  const api::Handler none = [](api::HttpRequest, std::shared_ptr<api::ResponseSink>) {};
  const auto taken = Server::start({.port = server.port(), .tls = false}, none, metrics);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, Errc::failed_precondition);
  EXPECT_TRUE(taken.error().message.contains("in use"));
  const auto address = Server::start({.address = "here", .tls = false}, none, metrics);
  EXPECT_EQ(address.error().code, Errc::invalid_argument);
  const auto foreign = Server::start({.address = "192.0.2.1", .tls = false}, none, metrics);
  EXPECT_TRUE(foreign.error().message.contains("address setting"));
  const auto no_files = Server::start({}, none, metrics);
  EXPECT_EQ(no_files.error().code, Errc::invalid_argument);
}

TEST(HttpServer, listens_on_ipv6_too) {
  TestServer server([](auto& options) { options.address = "::"; });
  TestClient client(server.port());
  EXPECT_EQ(client.ask(get("/echo")).status, 200);
}

TEST(Tls, serves_1_3_with_a_certificate_of_our_ca) {
  TestServer server(with_tls);
  TestClient client(server.port(),
                    {.tls = true, .ca_file = server.ca_file(), .alpn = "\x02h2\x08http/1.1"});
  ASSERT_EQ(client.tls_error(), "");
  EXPECT_EQ(client.alpn(), "http/1.1");
  const auto reply = client.ask(post("/echo", std::string(300'000, 'b')));
  EXPECT_EQ(reply.body.size(), 300'012U);
  EXPECT_TRUE(reply.headers.contains("strict-transport-security"));
}

TEST(Tls, refuses_1_2_with_an_alert) {
  TestServer server(with_tls);
  {
    TestClient client(server.port(), {.tls = true, .tls_version_max = TLS1_2_VERSION});
    EXPECT_TRUE(client.tls_error().contains("alert protocol version")) << client.tls_error();
  }
  EXPECT_TRUE(eventually(
      [&] { return server.counter("holdfast_tls_handshake_failures_total") == 1; }));
  {
    TestClient only_h2(server.port(), {.tls = true, .alpn = "\x02h2"});
    EXPECT_TRUE(only_h2.tls_error().contains("no application protocol")) << only_h2.tls_error();
  }
  EXPECT_TRUE(eventually([&] { return server.connections() == 0; }));
}

TEST(Tls, tells_a_plain_client_to_use_https) {
  TestServer server(with_tls);
  TestClient client(server.port());
  const auto reply = client.ask(get("/echo"));
  EXPECT_EQ(reply.status, 400);
  EXPECT_TRUE(reply.body.contains("This port speaks HTTPS"));
  EXPECT_TRUE(client.ended());
}

TEST(Tls, a_silent_handshake_runs_out_of_time) {
  TestServer server([](auto& options) {
    options.tls = true;
    options.handshake_timeout = milliseconds(80);
  });
  TestClient silent(server.port());
  TestClient partial(server.port());
  partial.send("\x16\x03\x01");
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(partial.ended());
}

TEST(Tls, takes_new_certificates_without_restart) {
  TestServer server(with_tls);
  const ClientSettings settings{.tls = true, .ca_file = server.ca_file()};
  TestClient before(server.port(), settings);
  ASSERT_TRUE(ensure_certificates(server.folder(), {"new.example.org"}).has_value());
  ASSERT_TRUE(server.server().reload_certificate().has_value());
  TestClient after(server.port(), settings);
  EXPECT_NE(before.server_serial(), after.server_serial());
  EXPECT_EQ(before.ask(get("/echo")).status, 200);
  EXPECT_EQ(after.ask(get("/echo")).status, 200);
  std::ofstream(server.files().key_file) << "junk";
  EXPECT_FALSE(server.server().reload_certificate().has_value());
  TestClient still(server.port(), settings);
  EXPECT_EQ(still.ask(get("/echo")).status, 200);
}

}  // namespace
}  // namespace hf::http
