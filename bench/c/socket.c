/* A connected pair of sockets between two processes, blocking. OPTION: unix, seqpacket or tcp (over loopback, TCP_NODELAY).
 * Of a stream as many bytes as are there are received at once, and handed out message by message. */
#include "bench.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { CHUNK = 65536 };
static int pair[2], fd;
static bool messages;
static uint8_t chunk[CHUNK];
static size_t at, filled;

static void tcp_pair(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1)) fail("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &length)) fail("getsockname");
  pair[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(pair[0], (struct sockaddr *)&address, length)) fail("connect");
  if ((pair[1] = accept(listener, NULL, NULL)) < 0) fail("accept");
  close(listener);
  for (int i = 0; i < 2; i++) if (setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) fail("setsockopt");
}
static void prepare(const struct order *order) {
  messages = has_option(order, "seqpacket");
  if (has_option(order, "tcp")) tcp_pair();
  else if (socketpair(AF_UNIX, messages ? SOCK_SEQPACKET : SOCK_STREAM, 0, pair)) fail("socketpair");
}
static void join(const struct order *order, enum role role) {
  (void)order;
  fd = pair[role];
  close(pair[!role]); /* so that the peer's death is an end of file */
}
static void send_message(const uint8_t *message, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t count = send(fd, message + done, size - done, MSG_NOSIGNAL);
    if (count < 0) fail("send");
    done += (size_t)count;
  }
}
static void receive_message(uint8_t *message, size_t size) {
  if (messages) {
    if (recv(fd, message, size, 0) != (ssize_t)size) fail("recv");
    return;
  }
  for (size_t done = 0; done < size;) {
    if (at == filled) {
      ssize_t count = recv(fd, chunk, CHUNK, 0);
      if (count <= 0) fail("recv");
      at = 0;
      filled = (size_t)count;
    }
    size_t part = filled - at < size - done ? filled - at : size - done;
    memcpy(message + done, chunk + at, part);
    at += part;
    done += part;
  }
}
int main(int argc, char **argv) {
  static const struct transport transport = {prepare, join, send_message, receive_message};
  struct order order = read_order(argc, argv);
  return two_processes(&order, &transport);
}
