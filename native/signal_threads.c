/* A signal is taken from the kernel's queue, in order and with all that it carries, only if every thread of the process
 * blocks it: otherwise the kernel hands it to a thread that does not, and two threads that get two of them race. A mask can be
 * changed by its own thread alone, and most threads here are not ours (V8's, libuv's). So each thread that disagrees is interrupted by
 * a signal, SIGSTKFLT, that Linux itself never sends; its handler changes the mask that the interrupted thread will go on with. Threads
 * that are started later inherit the mask. What children of child_process inherit, libuv resets before exec.
 *
 * The disposition stays whose it is, so libuv may set and remove its own handler as it likes, and is called by us
 * (signals_hand_to_libuv) for what we take. Only where nobody listens we put on_stray, for threads whose mask is not what we
 * made it: `node --prof` sleeps with an own mask, other addons may. It gives the signal back to the queue; the default action
 * would end the process. What stood there before, which may be a handler of Node's own (it restores the terminal before SIGINT
 * ends the process; SIGUSR1 starts the debugger), is put back afterwards.
 *
 * Masks and dispositions belong to the process and its threads, so this state does too. The handlers read atomics only. */
#include "signals.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <uv.h>

#ifdef SIGSTKFLT
#define REARRANGE SIGSTKFLT
#else
#define REARRANGE (SIGRTMAX - 3)
#endif

static _Atomic(uint64_t) blocked;   /* what every thread is to block */
static _Atomic(uint64_t) unblocked; /* what every thread blocked once, and is not to block any more */
static _Atomic(uint64_t) discarded; /* of that, what is thrown away where it waits for one thread */
static atomic_int process;          /* its pid; another one in a child between fork and exec */
static void (*libuv)(int);          /* libuv's handler */
static struct sigaction beneath[LAST_SIGNAL + 1]; /* what on_stray stands in front of */
static uint64_t guarded, ignored;                 /* where on_stray stands; what signals_ignore changed */
static struct sigaction original[LAST_SIGNAL + 1];

static void discard_pending(uint64_t set) {
  static const struct timespec now;
  for (int i = 0; i < 1000 && syscall(SYS_rt_sigtimedwait, &set, NULL, &now, sizeof set) > 0; i++);
}
static void on_rearrange(int number, siginfo_t *info, void *context) {
  int saved = errno;
  sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
  uint64_t block = atomic_load(&blocked), unblock = atomic_load(&unblocked), discard = atomic_load(&discarded);
  EACH_SIGNAL(each, block) sigaddset(mask, each);
  EACH_SIGNAL(each, unblock) {
    if (sigismember(mask, each) && (discard & BIT(each)) != 0) discard_pending(BIT(each));
    sigdelset(mask, each);
  }
  errno = saved;
}
static void on_stray(int number, siginfo_t *info, void *context) {
  int saved = errno;
  pid_t self = getpid();
  if (self != atomic_load(&process)) { /* a fork that has not become another program yet: as if we had never been there */
    signal(number, SIG_DFL);
    raise(number);
    return;
  }
  sigaddset(&((ucontext_t *)context)->uc_sigmask, number);
  if (syscall(SYS_rt_sigqueueinfo, self, number, info) != 0) { /* only the main thread may repeat a code that is the kernel's */
    info->si_code += STRAY;
    syscall(SYS_rt_sigqueueinfo, self, number, info);
  }
  errno = saved;
}

/* ---- every thread's mask ------------------------------------------------------------------------------------- */

static bool read_mask(const char *thread, uint64_t *mask) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/self/task/%.20s/status", thread);
  FILE *file = fopen(path, "re");
  if (file == NULL) return false; /* it has ended */
  unsigned long long bits;
  bool found = false;
  while (!found && fgets(line, sizeof line, file) != NULL) found = sscanf(line, "SigBlk: %llx", &bits) == 1;
  fclose(file);
  *mask = bits;
  return found;
}
/* Interrupts whoever disagrees, and tells whether nobody did. A thread that blocks everything for a moment may be about to
 * restore an older mask: it is interrupted too, as soon as it can be, but not waited for. */
static bool sweep(uint64_t block, uint64_t unblock) {
  DIR *folder = opendir("/proc/self/task");
  if (folder == NULL) return true;
  bool agreed = true;
  pid_t process_id = getpid(), self = (pid_t)syscall(SYS_gettid);
  for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    pid_t thread = (pid_t)atoi(entry->d_name);
    uint64_t mask;
    if (thread <= 0 || thread == self || !read_mask(entry->d_name, &mask)) continue;
    bool reachable = (mask & BIT(REARRANGE)) == 0, agrees = (mask & block) == block && (mask & unblock) == 0;
    if (reachable && agrees) continue;
    syscall(SYS_tgkill, process_id, thread, REARRANGE);
    if (reachable) agreed = false;
  }
  closedir(folder);
  return agreed;
}
static void rearrange(uint64_t block, uint64_t unblock, uint64_t discard) {
  struct sigaction action = {.sa_sigaction = on_rearrange, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
  struct timespec nap = {.tv_nsec = 50000};
  sigset_t mine;
  sigfillset(&action.sa_mask);
  sigaction(REARRANGE, &action, NULL);
  /* These stay, for a thread that is late. */
  atomic_store(&discarded, (atomic_load(&discarded) & ~block & ~unblock) | discard);
  atomic_store(&unblocked, (atomic_load(&unblocked) & ~block) | unblock);
  atomic_store(&blocked, (atomic_load(&blocked) | block) & ~unblock);
  sigemptyset(&mine);
  EACH_SIGNAL(each, block | unblock) sigaddset(&mine, each);
  if (discard != 0) discard_pending(discard);
  pthread_sigmask(block != 0 ? SIG_BLOCK : SIG_UNBLOCK, &mine, NULL);
  /* Until two sweeps in a row find nothing: a thread that has been started by one that was still to be interrupted may be missing
   * in the first. Whoever does not answer in time (stopped by a debugger) changes its mask before it does anything else. */
  for (int quiet = 0, tries = 0; quiet < 2 && tries < 2000; tries++) {
    if (sweep(block, unblock)) quiet++;
    else {
      quiet = 0;
      nanosleep(&nap, NULL);
    }
  }
}

/* ---- dispositions -------------------------------------------------------------------------------------------- */

static bool is_libuv(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == libuv && libuv != NULL;
}
static bool is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_stray;
}

void signals_block(uint64_t set) {
  atomic_store(&process, getpid());
  EACH_SIGNAL(number, set) {
    struct sigaction now, stray = {.sa_sigaction = on_stray, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    if (sigaction(number, NULL, &now) != 0 || is_libuv(&now) || is_ours(&now)) continue;
    if ((now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN) continue;
    beneath[number] = now;
    guarded |= BIT(number);
    sigfillset(&stray.sa_mask);
    sigaction(number, &stray, NULL);
  }
  if (set != 0) rearrange(set, 0, 0);
}
void signals_unblock(uint64_t set, bool discard) {
  EACH_SIGNAL(number, set & guarded) {
    struct sigaction now;
    if (sigaction(number, NULL, &now) == 0 && is_ours(&now)) sigaction(number, &beneath[number], NULL);
  }
  guarded &= ~set;
  uint64_t unheard = 0;
  EACH_SIGNAL(number, set) {
    struct sigaction now;
    if (discard && sigaction(number, NULL, &now) == 0 && !is_libuv(&now)) unheard |= BIT(number);
  }
  if (set != 0) rearrange(0, set, unheard);
}

void signals_hand_to_libuv(int number) {
  struct sigaction now;
  if (sigaction(number, NULL, &now) != 0 || !is_libuv(&now)) return;
  sigset_t all, before; /* its handler takes a lock and counts on not being interrupted by itself */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  if ((now.sa_flags & SA_RESETHAND) != 0) signal(number, SIG_DFL);
  libuv(number);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int signals_ignore(int number) {
  struct sigaction now, none = {.sa_handler = SIG_IGN};
  if (number < 1 || number > LAST_SIGNAL) return -EINVAL;
  if (sigaction(number, NULL, &now) != 0) return -errno;
  if (is_libuv(&now)) return -EBUSY;
  bool ours = is_ours(&now);
  if ((ignored & BIT(number)) == 0) original[number] = ours ? beneath[number] : now;
  ignored |= BIT(number);
  if (ours) beneath[number] = none;
  else if (sigaction(number, &none, NULL) != 0) return -errno;
  return 0;
}
void signals_restore(int number) {
  struct sigaction now;
  if (number < 1 || number > LAST_SIGNAL || (ignored & BIT(number)) == 0) return;
  ignored &= ~BIT(number);
  if (sigaction(number, NULL, &now) != 0) return;
  if (is_ours(&now)) beneath[number] = original[number];
  else if ((now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN) sigaction(number, &original[number], NULL);
}

/* ---- who libuv's handler is ---------------------------------------------------------------------------------- */

static void on_probe(uv_signal_t *probe, int number) {}
static void on_probe_closed(uv_handle_t *handle) {
  struct instance *instance = handle->data;
  free(handle);
  instance->closing--;
  instance_release(instance);
}
/* libuv has one handler for all signals, and it is known by being set. */
int signals_find_libuv(void *context, void (**found)(int)) {
  struct instance *instance = context;
  if (access("/proc/self/task", R_OK) != 0) return -errno;
  uv_loop_t *loop;
  uv_signal_t *probe = calloc(1, sizeof *probe);
  if (probe == NULL || napi_get_uv_event_loop(instance->env, &loop) != napi_ok || uv_signal_init(loop, probe) != 0) {
    free(probe);
    return -ENOMEM;
  }
  struct sigaction action;
  probe->data = instance;
  if (uv_signal_start(probe, on_probe, REARRANGE) == 0 && sigaction(REARRANGE, NULL, &action) == 0) *found = action.sa_handler;
  instance->closing++;
  uv_close((uv_handle_t *)probe, on_probe_closed);
  return 0;
}
void signals_know_libuv(void (*handler)(int)) { libuv = handler; }
