/* What the C baselines share: the same loops, warm-up, marks and percentiles as harness/loops.mjs.
 *
 * A program is called as  PROGRAM KIND SIZE CPU_A CPU_B WARM_UP_MS DURATION_MS BATCH [OPTION]...
 * and prints one line of JSON: {"metrics":{"p50":…,"p99":…,"p99.9":…},"histogram":[[bucket,count],…]} or {"metrics":{"rate":…}}.
 *
 * For `round-trip` and `one-way` it fills in a `struct transport` and calls two_processes(); for `call`, it hands calls() a
 * function that does the thing `count` times. Both must stay visible to the compiler (static), so that they are inlined.
 *
 * With -DSIZE=n the compiler knows the size, as it does in a program that is written for one kind of message. A program that must
 * sign off when a process of it ends defines LEAVE() before it includes this. It is C, and C++ as well.
 */
#ifndef BENCH_H
#define BENCH_H
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INLINE static inline __attribute__((always_inline))
/* The compiler must believe that the memory is read and written here. */
#define TOUCH(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

enum mark { PLAIN, START, LAST };

struct order {
  const char *kind;
  size_t size;
  int cpus[2];
  double warm_up, duration; /* nanoseconds */
  long batch;
  char **options; /* NULL after the last */
};

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  if (errno) fprintf(stderr, ": %s", strerror(errno));
  fputc('\n', stderr);
  _exit(1);
}
static inline struct order read_order(int argc, char **argv) {
  if (argc < 8) { errno = 0; fail("usage: %s KIND SIZE CPU_A CPU_B WARM_UP_MS DURATION_MS BATCH [OPTION]...", argv[0]); }
  struct order order = {
    argv[1], strtoul(argv[2], NULL, 10), {atoi(argv[3]), atoi(argv[4])}, atof(argv[5]) * 1e6, atof(argv[6]) * 1e6, atol(argv[7]), argv + 8,
  };
#ifdef SIZE
  if (order.size != SIZE) { errno = 0; fail("compiled for messages of %d B", SIZE); }
#endif
  return order;
}
INLINE size_t size_of(const struct order *order) {
#ifdef SIZE
  (void)order;
  return SIZE;
#else
  return order->size;
#endif
}
static inline bool has_option(const struct order *order, const char *name) {
  for (char **option = order->options; *option; option++) if (strcmp(*option, name) == 0) return true;
  return false;
}
static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set)) fail("sched_setaffinity to %d", cpu);
}
INLINE double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}
/* Memory with its pages present, shared with forked children. */
static inline void *pages(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

/* ---- samples ------------------------------------------------------------------------------------------------- */

enum { CAPACITY = 1000000, LEAST = 10, FINENESS = 8, BUCKETS = 64 * FINENESS };
struct samples { double *times; size_t length; };

static struct samples new_samples(void) {
  struct samples samples = {(double *)pages(CAPACITY * sizeof(double)), 0};
  return samples;
}
INLINE bool wanted(const struct samples *samples, double time, double end) {
  return samples->length < LEAST || (time < end && samples->length < CAPACITY);
}
static int by_time(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static double percentile(const struct samples *samples, double part) {
  size_t index = (size_t)((double)samples->length * part);
  return samples->times[index < samples->length ? index : samples->length - 1];
}
static inline void print_samples(struct samples *samples) {
  static size_t buckets[BUCKETS];
  qsort(samples->times, samples->length, sizeof(double), by_time);
  for (size_t i = 0; i < samples->length; i++) {
    int bucket = (int)floor(log2(fmax(samples->times[i], 1)) * FINENESS);
    buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  }
  printf("{\"metrics\":{\"p50\":%.2f,\"p99\":%.2f,\"p99.9\":%.2f},\"histogram\":[", percentile(samples, 0.5), percentile(samples, 0.99), percentile(samples, 0.999));
  const char *comma = "";
  for (int i = 0; i < BUCKETS; i++) if (buckets[i]) { printf("%s[%d,%zu]", comma, i, buckets[i]); comma = ","; }
  printf("]}\n");
  fflush(stdout);
}

/* ---- call ---------------------------------------------------------------------------------------------------- */

INLINE int calls(const struct order *order, void (*batch)(long count)) {
  struct samples samples = new_samples();
  pin(order->cpus[0]);
  double before = now(), warm = before + order->warm_up, end = warm + order->duration;
  while (wanted(&samples, before, end)) {
    batch(order->batch);
    double after = now();
    if (before >= warm) samples.times[samples.length++] = (after - before) / (double)order->batch;
    before = now();
  }
  print_samples(&samples);
  return 0;
}

/* ---- two processes ------------------------------------------------------------------------------------------- */

enum role { ASK, ANSWER };
struct transport {
  void (*prepare)(const struct order *order);                /* before the two processes are there */
  void (*join)(const struct order *order, enum role role);   /* in each of them */
  void (*send)(const uint8_t *message, size_t size);
  void (*receive)(uint8_t *message, size_t size);
};

static void meet(volatile int *here, enum role role) { /* both start together */
  __atomic_store_n(&here[role], 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&here[!role], __ATOMIC_SEQ_CST)) usleep(100);
}
INLINE void ask_around(const struct order *order, const struct transport *transport, uint8_t *message) {
  struct samples samples = new_samples();
  double before = now(), warm = before + order->warm_up, end = warm + order->duration;
  while (wanted(&samples, before, end)) {
    transport->send(message, size_of(order));
    transport->receive(message, size_of(order));
    TOUCH(message);
    double after = now();
    if (before >= warm) samples.times[samples.length++] = after - before;
    before = after;
  }
  message[0] = LAST;
  transport->send(message, size_of(order));
  transport->receive(message, size_of(order));
  print_samples(&samples);
}
INLINE void answer_around(const struct order *order, const struct transport *transport, uint8_t *message) {
  do {
    transport->receive(message, size_of(order));
    TOUCH(message);
    transport->send(message, size_of(order));
  } while (message[0] != LAST);
}
INLINE void send_all(const struct order *order, const struct transport *transport, uint8_t *message) {
  double warm = now() + order->warm_up, end = warm + order->duration;
  uint64_t stride = size_of(order) > 65536 ? 1 : 64, enough = UINT64_MAX; /* after how many messages it may end */
  for (uint64_t sent = 1; message[0] != LAST; sent++) {
    message[0] = PLAIN;
    if (sent % stride == 0) {
      double time = now();
      if (enough == UINT64_MAX && time >= warm) { message[0] = START; enough = sent + LEAST; }
      else if (time >= end && sent >= enough) message[0] = LAST;
    }
    TOUCH(message);
    transport->send(message, size_of(order));
  }
}
INLINE void receive_all(const struct order *order, const struct transport *transport, uint8_t *message) {
  double began = 0;
  uint64_t count = 0;
  do {
    transport->receive(message, size_of(order));
    TOUCH(message);
    count++;
    if (message[0] == START) { began = now(); count = 0; }
  } while (message[0] != LAST);
  printf("{\"metrics\":{\"rate\":%.2f}}\n", (double)count / ((now() - began) / 1e9));
  fflush(stdout);
}
INLINE int two_processes(const struct order *order, const struct transport *transport) {
  volatile int *here = (volatile int *)pages(4096);
  bool around = strcmp(order->kind, "round-trip") == 0;
  pid_t children[2];
  transport->prepare(order);
  for (int index = ASK; index <= ANSWER; index++) {
    enum role role = (enum role)index;
    if ((children[role] = fork()) < 0) fail("fork");
    if (children[role] > 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(order->cpus[role]);
    uint8_t *message = (uint8_t *)pages(size_of(order));
    memset(message, 7, size_of(order));
    message[0] = PLAIN;
    transport->join(order, role);
    meet(here, role);
    if (around && role == ASK) ask_around(order, transport, message);
    else if (around) answer_around(order, transport, message);
    else if (role == ASK) send_all(order, transport, message);
    else receive_all(order, transport, message);
#ifdef LEAVE
    LEAVE();
#endif
    _exit(0);
  }
  for (int left = 2; left > 0; left--) {
    int status;
    pid_t child = wait(&status);
    if (child < 0) fail("wait");
    if (status == 0) continue;
    if (left == 2) kill(children[child == children[ASK] ? ANSWER : ASK], SIGKILL);
    return 1;
  }
  return 0;
}
#endif
