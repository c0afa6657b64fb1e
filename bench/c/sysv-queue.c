/* Two System V message queues between two processes, blocking. Their keys are made of the process group (harness/sysv.mjs), by which
 * they are removed when this program was killed. */
#include "bench.h"
#include <sys/ipc.h>
#include <sys/msg.h>

static int queues[2], to, from;
static struct { long type; uint8_t content[65536]; } outgoing = {.type = 1}, incoming;

static void prepare(const struct order *order) {
  if (order->size > sizeof outgoing.content) { errno = 0; fail("at most %zu bytes", sizeof outgoing.content); }
  for (int i = 0; i < 2; i++) {
    key_t key = 0x56000000 + 2 * (int)getpgrp() + i;
    if ((queues[i] = msgget(key, IPC_CREAT | IPC_EXCL | 0600)) < 0) fail("msgget");
  }
}
static void join(const struct order *order, enum role role) {
  (void)order;
  to = queues[role];
  from = queues[!role];
}
static void send_message(const uint8_t *message, size_t size) {
  memcpy(outgoing.content, message, size);
  if (msgsnd(to, &outgoing, size, 0)) fail("msgsnd");
}
static void receive_message(uint8_t *message, size_t size) {
  if (msgrcv(from, &incoming, sizeof incoming.content, 0, 0) < 0) fail("msgrcv");
  memcpy(message, incoming.content, size);
}
int main(int argc, char **argv) {
  static const struct transport transport = {prepare, join, send_message, receive_message};
  struct order order = read_order(argc, argv);
  int status = two_processes(&order, &transport);
  for (int i = 0; i < 2; i++) msgctl(queues[i], IPC_RMID, NULL);
  return status;
}
