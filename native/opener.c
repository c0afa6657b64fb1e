/* open(2) of a FIFO waits for the other side, for ever if need be, and no descriptor exists yet that could be polled.
 * So it runs in a thread of its own (never one of libuv's four), which tells its end through an eventfd.
 *
 * It can be cancelled: a signal with an empty handler makes open() fail with EINTR, and since only the thread itself
 * looks at open's result, no descriptor can be lost. The signal is SIGRTMAX-2, the one the JVM uses for the same purpose. */
#include "vecino.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define INTERRUPT (SIGRTMAX - 2)

struct opener {
  struct opener *next;
  pthread_t thread;
  int event;          /* eventfd: readable once `result` is set; also what TypeScript knows this opener by */
  int flags;
  atomic_bool cancelled;
  int result;         /* descriptor, or errno negated */
  char path[PATH_MAX];
};

static void on_interrupt(int signal) { (void)signal; }
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static void install(void) {
  struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: the point is EINTR */
  sigemptyset(&action.sa_mask);
  sigaction(INTERRUPT, &action, NULL);
}

static void *run(void *data) {
  struct opener *opener = data;
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, INTERRUPT);
  pthread_sigmask(SIG_UNBLOCK, &interrupt, NULL);
  do opener->result = open(opener->path, opener->flags);
  while (opener->result < 0 && errno == EINTR && !atomic_load(&opener->cancelled));
  if (opener->result < 0) opener->result = -errno;
  eventfd_write(opener->event, 1);
  return NULL;
}

static napi_value call_opener_start(napi_env env, napi_callback_info info) { /* path, flags: the eventfd */
  ARGUMENTS(2);
  pthread_once(&installed, install);
  struct opener *opener = calloc(1, sizeof *opener);
  if (opener == NULL) return give_int(env, -ENOMEM);
  if (!arg_text(env, argv[0], opener->path, sizeof opener->path)) {
    free(opener);
    return give_int(env, -ENAMETOOLONG);
  }
  opener->flags = arg_int(env, argv[1]);
  opener->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (opener->event < 0) {
    int error = errno;
    free(opener);
    return give_int(env, -error);
  }
  sigset_t all, before; /* the program's signals are not this thread's business */
  pthread_attr_t attributes;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  int error = pthread_create(&opener->thread, &attributes, run, opener);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    close(opener->event);
    free(opener);
    return give_int(env, -error);
  }
  instance->tally->calls += 2;
  opener->next = instance->openers;
  instance->openers = opener;
  return give_int(env, opener->event);
}

/* Waits for the thread's end (interrupting it until it comes, if cancelled) and gives what open() gave. */
static int finish(struct opener *opener, bool cancel) {
  struct pollfd entry = {.fd = opener->event, .events = POLLIN};
  if (cancel) atomic_store(&opener->cancelled, true);
  /* Again and again: a signal that comes just before open() blocks is spent for nothing. */
  while (cancel && poll(&entry, 1, 0) == 0) {
    pthread_kill(opener->thread, INTERRUPT);
    poll(&entry, 1, 1);
  }
  pthread_join(opener->thread, NULL);
  int result = opener->result;
  close(opener->event);
  free(opener);
  return result;
}

static napi_value call_opener_finish(napi_env env, napi_callback_info info) { /* eventfd, cancel: the descriptor */
  ARGUMENTS(2);
  int event = arg_int(env, argv[0]);
  bool cancel = false;
  napi_get_value_bool(env, argv[1], &cancel);
  for (struct opener **link = &instance->openers; *link != NULL; link = &(*link)->next) {
    if ((*link)->event != event) continue;
    struct opener *opener = *link;
    *link = opener->next;
    instance->tally->calls += 2;
    return give_int(env, finish(opener, cancel));
  }
  return give_int(env, -EBADF);
}

void opener_cancel_all(struct instance *instance) {
  while (instance->openers != NULL) {
    struct opener *opener = instance->openers;
    instance->openers = opener->next;
    int result = finish(opener, true);
    if (result >= 0) close(result);
  }
}

void export_opener(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"openerStart", call_opener_start}, {"openerFinish", call_opener_finish}};
  EXPORT_METHODS(methods);
}
