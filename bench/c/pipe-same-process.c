/* write(2) and read(2) of a pipe in one process. With `idle-thread`, a second thread sleeps: the kernel and the C library take
 * shortcuts in a process that has only one (fdget without a reference count, no cancellation), which no Node process ever gets. */
#include "bench.h"
#include <pthread.h>

static int ends[2];
static size_t size;
static uint8_t out[65536], in[65536];

static void batch(long count) {
  for (long i = 0; i < count; i++) {
    if (write(ends[1], out, size) != (ssize_t)size || read(ends[0], in, size) != (ssize_t)size) fail("pipe");
    TOUCH(in);
  }
}
static void *sleep_on(void *nothing) {
  for (;;) pause();
  return nothing;
}
int main(int argc, char **argv) {
  struct order order = read_order(argc, argv);
  pthread_t thread;
  size = order.size;
  if (size > sizeof out) fail("at most %zu bytes fit into the pipe", sizeof out);
  if (pipe(ends)) fail("pipe");
  if (has_option(&order, "idle-thread") && pthread_create(&thread, NULL, sleep_on, NULL)) fail("pthread_create");
  return calls(&order, batch);
}
