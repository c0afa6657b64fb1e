/* How far the two processors are from each other: one cache line there, another one back, nothing else. Cores of a virtual machine move
 * between neighbouring and distant hardware, and whatever goes through shared memory moves with them.
 *
 * PING CPU_A CPU_B WARM_UP_MS DURATION_MS prints {"p10":…,"p50":…} of one round trip, in nanoseconds. A sample is the mean of a
 * batch, because one round trip is about as short as a look at the clock. The tenth part tells how far the cores are even if other
 * programs disturb. */
#include "bench.h"

enum { BATCH = 50 };
struct lines { uint64_t there; char pad[248]; uint64_t back; }; /* on lines of their own, prefetched neighbours too */
static const uint64_t OVER = UINT64_MAX;

static void answer(struct lines *lines) {
  for (uint64_t seen = 0; seen != OVER;) {
    uint64_t now_there = __atomic_load_n(&lines->there, __ATOMIC_ACQUIRE);
    if (now_there == seen) continue;
    __atomic_store_n(&lines->back, seen = now_there, __ATOMIC_RELEASE);
  }
}
static void ask(struct lines *lines, double warm_up, double duration) {
  struct samples samples = new_samples();
  double before = now(), warm = before + warm_up, end = warm + duration;
  for (uint64_t round = 1; wanted(&samples, before, end);) {
    for (uint64_t last = round + BATCH; round < last; round++) {
      __atomic_store_n(&lines->there, round, __ATOMIC_RELEASE);
      while (__atomic_load_n(&lines->back, __ATOMIC_ACQUIRE) != round);
    }
    double after = now();
    if (before >= warm) samples.times[samples.length++] = (after - before) / BATCH;
    before = after;
  }
  __atomic_store_n(&lines->there, OVER, __ATOMIC_RELEASE);
  qsort(samples.times, samples.length, sizeof(double), by_time);
  printf("{\"p10\":%.2f,\"p50\":%.2f}\n", percentile(&samples, 0.1), percentile(&samples, 0.5));
  fflush(stdout);
}
int main(int argc, char **argv) {
  if (argc != 5) fail("usage: %s CPU_A CPU_B WARM_UP_MS DURATION_MS", argv[0]);
  struct lines *lines = pages(sizeof *lines);
  volatile int *here = pages(4096);
  pid_t child = fork();
  if (child < 0) fail("fork");
  enum role role = child == 0 ? ANSWER : ASK;
  if (role == ANSWER) prctl(PR_SET_PDEATHSIG, SIGKILL);
  pin(atoi(argv[1 + role]));
  meet(here, role);
  if (role == ASK) ask(lines, atof(argv[3]) * 1e6, atof(argv[4]) * 1e6);
  else answer(lines);
  return 0;
}
