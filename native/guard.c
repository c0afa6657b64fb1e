/* Lets the process live when a mapping of ours faults, and remembers that it did.
 *
 * SIGBUS: somebody truncated the file under a mapping. The part from the faulting page to the end becomes private zeros.
 * SIGSEGV: the process wrote to a mapping that it opened read-only. Those are MAP_PRIVATE, so the page becomes a private
 *   copy; what was written reaches nobody.
 * Either way the slot's damage is set, TypeScript finds it there and throws CorruptError; any other fault goes to the handler that
 * was there before (V8 has one for WebAssembly), or to the kernel's default.
 *
 * A range that is reserved (mapping.c) keeps its slot: a thread may have faulted just before its pages were replaced, and finds, when the
 * handler returns, that they are there.
 *
 * This is the one piece of state that belongs to the process and not to an environment, because signal handlers do. The
 * handler takes no lock: slots are claimed and freed under a mutex, and read in the handler by atomic loads, with a second look at
 * the one that is written last. Everybody else takes the mutex. */
#include "guard.h"
#include "vecino.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct slot {
  atomic_uintptr_t start; /* 0: free. Written last when claimed, first when freed. */
  atomic_size_t length;
  atomic_int damage;
  atomic_bool read_only;
  atomic_bool reserved;
  void *owner; /* under the mutex */
};
enum { CHUNK = 256, CHUNKS = 4096, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE };
static _Atomic(struct slot *) chunks[CHUNKS];
static atomic_int slots; /* how many have ever been claimed */
static int vacant;       /* no slot below it is free; under the mutex */
static pthread_mutex_t claiming = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static struct sigaction before_bus, before_segv;
static uintptr_t page_size;

static struct slot *slot_at(int index) {
  if (index < 0 || index >= atomic_load(&slots)) return NULL;
  return &atomic_load(&chunks[index / CHUNK])[index % CHUNK];
}

static void hand_on(int signal, siginfo_t *info, void *context) {
  const struct sigaction *before = signal == SIGBUS ? &before_bus : &before_segv;
  if (before->sa_flags & SA_SIGINFO) {
    before->sa_sigaction(signal, info, context);
  } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
    before->sa_handler(signal);
  } else {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(signal, &standard, NULL);      /* a fault faults again on return, and ends the process */
    if (info->si_code <= 0) raise(signal);   /* one that was sent does not */
  }
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  int saved = errno;
  uintptr_t address = (uintptr_t)info->si_addr, page = address & ~(page_size - 1);
  for (int i = 0, n = atomic_load(&slots); i < n && info->si_code > 0; i++) {
    struct slot *slot = slot_at(i);
    uintptr_t start = atomic_load(&slot->start), length = atomic_load(&slot->length);
    if (start == 0 || address < start || address - start >= length) continue;
    if (atomic_load(&slot->start) != start) continue; /* claimed anew between the loads: this length is not of that start */
    if (signal == SIGBUS) {
      int protection = atomic_load(&slot->read_only) ? PROT_READ : PROT_READ | PROT_WRITE;
      size_t rest = start + length - page;
      if (mmap((void *)page, rest, protection, ANONYMOUS, -1, 0) == MAP_FAILED) break;
      atomic_fetch_or(&slot->damage, GUARD_TRUNCATED);
    } else {
      if (!atomic_load(&slot->read_only) || mprotect((void *)page, page_size, PROT_READ | PROT_WRITE) != 0) break;
      atomic_fetch_or(&slot->damage, GUARD_WRITTEN);
    }
    errno = saved;
    return;
  }
  errno = saved;
  hand_on(signal, info, context);
}

static void install(void) {
  page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &before_bus);
  sigaction(SIGSEGV, &action, &before_segv);
}

int guard_add(void *start, size_t length, bool read_only, void *owner) {
  pthread_once(&installed, install);
  pthread_mutex_lock(&claiming);
  int count = atomic_load(&slots), index = vacant;
  while (index < count && atomic_load(&slot_at(index)->start) != 0) index++;
  if (index == count) {
    struct slot *chunk = index / CHUNK < CHUNKS ? atomic_load(&chunks[index / CHUNK]) : NULL;
    if (chunk == NULL && index / CHUNK < CHUNKS) {
      chunk = calloc(CHUNK, sizeof *chunk); /* never freed: the handler may be reading it */
      atomic_store(&chunks[index / CHUNK], chunk);
    }
    if (chunk == NULL) index = -1;
    else atomic_store(&slots, count + 1);
  }
  if (index >= 0) {
    struct slot *slot = slot_at(index);
    atomic_store(&slot->length, length);
    atomic_store(&slot->damage, 0);
    atomic_store(&slot->read_only, read_only);
    atomic_store(&slot->reserved, false);
    slot->owner = owner;
    atomic_store(&slot->start, (uintptr_t)start);
    vacant = index + 1;
  }
  pthread_mutex_unlock(&claiming);
  return index;
}
void guard_remove(int index) {
  struct slot *slot = slot_at(index);
  if (slot == NULL) return;
  pthread_mutex_lock(&claiming);
  slot->owner = NULL;
  atomic_store(&slot->start, 0);
  if (index < vacant) vacant = index;
  pthread_mutex_unlock(&claiming);
}
void guard_set_reserved(int index) { atomic_store(&slot_at(index)->reserved, true); }
void guard_set_read_only(int index) { atomic_store(&slot_at(index)->read_only, true); }
void *guard_owner(int index) {
  struct slot *slot = slot_at(index);
  if (slot == NULL) return NULL;
  pthread_mutex_lock(&claiming);
  void *owner = slot->owner;
  pthread_mutex_unlock(&claiming);
  return owner;
}
void *guard_find(const void *bytes, size_t length) {
  void *owner = NULL;
  uintptr_t at = (uintptr_t)bytes;
  pthread_mutex_lock(&claiming);
  for (int i = 0, n = atomic_load(&slots); i < n && owner == NULL; i++) {
    struct slot *slot = slot_at(i);
    uintptr_t start = atomic_load(&slot->start), size = atomic_load(&slot->length);
    if (start != 0 && at >= start && at - start <= size && length <= size - (at - start)) owner = slot->owner;
  }
  pthread_mutex_unlock(&claiming);
  return owner;
}
int guard_damage(int index) {
  struct slot *slot = slot_at(index);
  return slot == NULL ? 0 : atomic_load(&slot->damage);
}

/* For the tests: how many are mapped, and how many only reserved. The mappings themselves are reached through memory.c. */
static int count(bool reserved) {
  int found = 0;
  for (int i = 0, n = atomic_load(&slots); i < n; i++) {
    struct slot *slot = slot_at(i);
    if (atomic_load(&slot->start) != 0 && atomic_load(&slot->reserved) == reserved) found++;
  }
  return found;
}
static napi_value call_mapping_count(napi_env env, napi_callback_info info) { return give_int(env, count(false)); }
static napi_value call_reservation_count(napi_env env, napi_callback_info info) { return give_int(env, count(true)); }
void export_guard(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"mappingCount", call_mapping_count}, {"reservationCount", call_reservation_count}};
  EXPORT_METHODS(methods);
}
