/* Locks in shared memory.  call: `mutex`, `semaphore`: taken and given back in one process, with nobody else there.
 * measure: `contended`: two processes take the same mutex again and again, for a critical section of 1 µs. */
#include "bench.h"
#include <pthread.h>
#include <semaphore.h>

enum { CALIBRATIONS = 2000, STEPS = 2000, STRIDE = 64 };
static struct shared {
  pthread_mutex_t mutex;
  _Alignas(64) sem_t semaphore;
  _Alignas(64) volatile int here[2];
  _Alignas(64) uint64_t counted[2];
} *shared;
static volatile uint32_t sink;

static void check(int error) {
  if ((errno = error) != 0) fail("pthread");
}
static void prepare(void) { /* the same kind of mutex as vecino's */
  pthread_mutexattr_t attributes;
  shared = pages(sizeof *shared);
  check(pthread_mutexattr_init(&attributes));
  check(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
  check(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
  check(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK));
  check(pthread_mutex_init(&shared->mutex, &attributes));
  if (sem_init(&shared->semaphore, 1, 1)) fail("sem_init");
}
static void lock_batch(long count) {
  for (long i = 0; i < count; i++)
    if (pthread_mutex_lock(&shared->mutex) || pthread_mutex_unlock(&shared->mutex)) fail("the mutex");
}
static void semaphore_batch(long count) {
  for (long i = 0; i < count; i++)
    if (sem_trywait(&shared->semaphore) || sem_post(&shared->semaphore)) fail("the semaphore");
}

/* Each step waits for the one before, as in rows/lock-contended.mjs. */
INLINE void work(long steps) {
  uint32_t value = sink;
  for (long i = 0; i < steps; i++) {
    value = value * 1664525 + 1013904223;
    __asm__ volatile("" : "+r"(value));
  }
  sink = value;
}
static long steps_of_a_microsecond(void) {
  double least = 1e9;
  for (int i = 0; i < CALIBRATIONS; i++) {
    double began = now();
    work(STEPS);
    double time = now() - began;
    if (time < least) least = time;
  }
  return (long)(1e3 * STEPS / least);
}
static void contend(const struct order *order, enum role role) {
  long steps = steps_of_a_microsecond();
  meet(shared->here, role);
  double began = now(), warm = began + order->warm_up, end = warm + order->duration, time = began;
  uint64_t count = 0;
  while (time < end) {
    for (int i = 0; i < STRIDE; i++) {
      check(pthread_mutex_lock(&shared->mutex));
      work(steps);
      check(pthread_mutex_unlock(&shared->mutex));
    }
    time = now();
    if (time >= warm && time < end) count += STRIDE;
  }
  shared->counted[role] = count;
}
static int contended(const struct order *order) {
  for (enum role role = ASK; role <= ANSWER; role++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child > 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(order->cpus[role]);
    contend(order, role);
    _exit(0);
  }
  for (int left = 2, status; left > 0; left--)
    if (wait(&status) < 0 || status != 0) fail("a process of the two");
  printf("{\"metrics\":{\"acquisitions\":%.2f}}\n", (double)(shared->counted[0] + shared->counted[1]) / (order->duration / 1e9));
  return 0;
}

int main(int argc, char **argv) {
  struct order order = read_order(argc, argv);
  prepare();
  if (has_option(&order, "contended")) return contended(&order);
  return calls(&order, has_option(&order, "mutex") ? lock_batch : semaphore_batch);
}
