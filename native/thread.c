/* Some calls can wait for ever and have no descriptor that could be polled: open(2) of a FIFO, msgrcv(2), msgsnd(2).
 * Each runs in a thread of its own (never one of libuv's four), which tells its end through an eventfd.
 *
 * It can be cancelled: a signal with an empty handler makes the call fail with EINTR, and since only the thread itself
 * looks at the call's result, nothing that it got can be lost. The signal is SIGRTMAX-2, the one the JVM uses for the same
 * purpose; its handler belongs to the process, as signal handlers do, and is the only state here that does.
 *
 * A few threads that have ended their work are kept for the next, because making one costs more than most waits. They sleep
 * on a futex, for ever if need be, and go with the environment. */
#include "thread.h"
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INTERRUPT (SIGRTMAX - 2)
enum { KEPT = 4 };

enum { IDLE, BUSY, OVER };
struct worker {
  atomic_int state; /* a futex: BUSY from helper_start until block() has returned; OVER ends the thread */
  struct helper *helper;
  pthread_t thread;
  struct worker *next; /* of those kept */
};

static void on_interrupt(int signal) { (void)signal; }
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static void install(void) {
  struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: the point is EINTR */
  sigemptyset(&action.sa_mask);
  sigaction(INTERRUPT, &action, NULL);
}

static void sleep_while(struct worker *worker, int state, const struct timespec *patience) {
  syscall(SYS_futex, &worker->state, FUTEX_WAIT_PRIVATE, state, patience, NULL, 0);
}
static void set_state(struct worker *worker, int state) {
  atomic_store(&worker->state, state);
  syscall(SYS_futex, &worker->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *run(void *data) {
  struct worker *worker = data;
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, INTERRUPT);
  pthread_sigmask(SIG_UNBLOCK, &interrupt, NULL);
  for (;;) {
    int state = atomic_load(&worker->state);
    if (state == OVER) return NULL;
    if (state == IDLE) {
      sleep_while(worker, IDLE, NULL);
      continue;
    }
    worker->helper->block(worker->helper);
    eventfd_write(worker->helper->event, 1);
    set_state(worker, IDLE); /* the helper may be gone from here on */
  }
}
bool helper_again(struct helper *helper, long result) {
  return result < 0 && errno == EINTR && !atomic_load(&helper->cancelled);
}

static int worker_create(struct worker **out, struct helper *helper) {
  struct worker *worker = calloc(1, sizeof *worker);
  if (worker == NULL) return -ENOMEM;
  worker->helper = helper;
  atomic_init(&worker->state, BUSY);
  sigset_t all, before; /* the program's signals are not this thread's business */
  pthread_attr_t attributes;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  int error = pthread_create(&worker->thread, &attributes, run, worker);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) free(worker);
  else *out = worker;
  return -error;
}
static void worker_end(struct worker *worker) {
  set_state(worker, OVER);
  pthread_join(worker->thread, NULL);
  free(worker);
}

int helper_start(struct instance *instance, struct helper *helper) {
  pthread_once(&installed, install);
  helper->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (helper->event < 0) return -errno;
  atomic_init(&helper->cancelled, false);
  struct worker *worker = instance->workers;
  if (worker != NULL) {
    instance->workers = worker->next;
    instance->workers_kept--;
    worker->helper = helper;
    set_state(worker, BUSY);
  } else {
    int error = worker_create(&worker, helper);
    if (error != 0) {
      close(helper->event);
      return error;
    }
  }
  instance->counters->calls += 2;
  helper->worker = worker;
  helper->next = instance->helpers;
  helper->link = &instance->helpers;
  if (helper->next != NULL) helper->next->link = &helper->next;
  instance->helpers = helper;
  return helper->event;
}

struct helper *helper_find(struct instance *instance, int event, void (*block)(struct helper *)) {
  for (struct helper *helper = instance->helpers; helper != NULL; helper = helper->next) {
    if (helper->event == event && helper->block == block) return helper;
  }
  return NULL;
}

void helper_rest(struct helper *helper) {
  eventfd_t count;
  while (atomic_load(&helper->worker->state) == BUSY) sleep_while(helper->worker, BUSY, NULL);
  eventfd_read(helper->event, &count);
}
void helper_resume(struct instance *instance, struct helper *helper) {
  instance->counters->calls++;
  set_state(helper->worker, BUSY);
}

void helper_finish(struct instance *instance, struct helper *helper, bool cancel) {
  static const struct timespec patience = {.tv_nsec = 1000000};
  struct worker *worker = helper->worker;
  *helper->link = helper->next;
  if (helper->next != NULL) helper->next->link = helper->link;
  if (cancel) atomic_store(&helper->cancelled, true);
  while (atomic_load(&worker->state) == BUSY) {
    /* Again and again: a signal that comes just before the call blocks is spent for nothing. */
    if (cancel) pthread_kill(worker->thread, INTERRUPT);
    sleep_while(worker, BUSY, cancel ? &patience : NULL);
  }
  close(helper->event);
  if (instance->workers_kept == KEPT || instance->ending) {
    worker_end(worker);
  } else {
    worker->next = instance->workers;
    instance->workers = worker;
    instance->workers_kept++;
  }
}

void helper_discard_all(struct instance *instance) {
  while (instance->helpers != NULL) {
    struct helper *helper = instance->helpers;
    helper_finish(instance, helper, true);
    helper->discard(helper);
  }
  while (instance->workers != NULL) {
    struct worker *worker = instance->workers;
    instance->workers = worker->next;
    worker_end(worker);
  }
}
