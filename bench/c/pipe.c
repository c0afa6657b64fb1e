/* Two pipes between two processes, blocking. As many bytes as are there are read at once, and handed out message by message. */
#include "bench.h"

enum { CHUNK = 65536 };
static int there[2], back[2], reader, writer;
static uint8_t chunk[CHUNK];
static size_t at, filled;

static void prepare(const struct order *order) {
  (void)order;
  if (pipe(there) || pipe(back)) fail("pipe");
}
static void join(const struct order *order, enum role role) {
  (void)order;
  reader = role == ASK ? back[0] : there[0];
  writer = role == ASK ? there[1] : back[1];
  close(role == ASK ? back[1] : there[1]); /* so that the peer's death is an end of file */
  close(role == ASK ? there[0] : back[0]);
}
static void send_message(const uint8_t *message, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t count = write(writer, message + done, size - done);
    if (count < 0) fail("write");
    done += (size_t)count;
  }
}
static void receive_message(uint8_t *message, size_t size) {
  for (size_t done = 0; done < size;) {
    if (at == filled) {
      ssize_t count = read(reader, chunk, CHUNK);
      if (count <= 0) fail("read");
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
