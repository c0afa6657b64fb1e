/* Locks whose owner's death the kernel reports: the robust futexes of get_robust_list(2), in the layout of the C library's
 * pthread_mutex_t (glibc, 64 bit), so that a C program takes part with pthread_mutex_lock(3). A lock belongs to the thread.
 *
 *   +0 word: thread id, bit 31 somebody waits, bit 30 the owner died      +16 kind        +24 previous in the thread's list
 *   +4 count   +8 owner   +12 users                                       +20 spare       +32 next: the kernel follows these
 *
 * Why not pthread_mutex_trylock itself: the C library follows the list's pointers, which lie in shared memory, when it unlocks; here only
 * the kernel does, which survives what a peer writes there (robust_list.h). And a waiter's bit can be set in the step that takes the lock. */
#include "robust_list.h"
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- taking and giving --------------------------------------------------------------------------------------- */

static long wake_all(struct lock *lock) { return syscall(SYS_futex, &lock->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

static int take(struct locks *locks, struct place *place, uint32_t bits) {
  struct lock *lock = place->lock;
  if (place->mapping->closed) return -EBADF;
  if (place->mode == MUTEX && *(volatile uint32_t *)&lock->kind != place->kind) return -EINVAL;
  if (place->held) return -EDEADLK;
  uint32_t seen = atomic_load(&lock->word);
  for (;;) {
    uint32_t owner = seen & FUTEX_TID_MASK;
    if ((seen & FUTEX_OWNER_DIED) == 0 && owner != 0) return owner == locks->tid ? -EDEADLK : -EBUSY;
    if (locks->held >= MOST_HELD) return -EAGAIN;
    set_pending(locks, node_of(place));
    if (atomic_compare_exchange_strong(&lock->word, &seen, locks->tid | (seen & FUTEX_WAITERS) | bits)) break;
    set_pending(locks, 0);
  }
  bool died = (seen & FUTEX_OWNER_DIED) != 0;
  if (place->mode == MUTEX) {
    if (!died && lock->owner == NOT_RECOVERABLE) {
      lock->count = 0;
      if ((atomic_exchange(&lock->word, 0) & FUTEX_WAITERS) != 0) wake_all(lock);
      set_pending(locks, 0);
      return -ENOTRECOVERABLE;
    }
    lock->count = 1;
    lock->owner = died ? INCONSISTENT : locks->tid;
    if (!died) lock->users++; /* the dead one's use is still counted */
  }
  STEP();
  enlist(locks, place);
  set_pending(locks, 0);
  return died ? -EOWNERDEAD : 0;
}
/* Gives it to whoever is first: all who wait are woken, since one that was woken alone could be killed before it acts. */
static int give(struct locks *locks, struct place *place, uint32_t left, struct instance *instance) {
  struct lock *lock = place->lock;
  if (!place->held) return -EPERM;
  uint32_t seen = atomic_load(&lock->word);
  bool intact = (seen & FUTEX_TID_MASK) == locks->tid && (seen & FUTEX_OWNER_DIED) == 0;
  set_pending(locks, intact ? node_of(place) : 0);
  delist(locks, place);
  if (intact) {
    if (place->mode == MUTEX && left == 0) {
      lock->owner = lock->owner == INCONSISTENT ? NOT_RECOVERABLE : 0;
      lock->users--;
    }
    STEP();
    if (left != 0) left |= seen & FUTEX_WAITERS;
    if ((atomic_exchange(&lock->word, left) & FUTEX_WAITERS) != 0) {
      wake_all(lock);
      instance->counters->calls++;
    }
    set_pending(locks, 0);
  }
  mapping_drop(place->mapping);
  return intact ? 0 : -EILSEQ;
}

/* ---- for TypeScript ------------------------------------------------------------------------------------------ */

static struct locks *locks_of(struct instance *instance) {
  if (instance->locks != NULL) return instance->locks;
  struct locks *locks = calloc(1, sizeof *locks);
  size_t length;
  if (locks == NULL) return NULL;
  locks->tid = (uint32_t)syscall(SYS_gettid);
  if (syscall(SYS_get_robust_list, 0, &locks->head, &length) != 0) locks->head = NULL;
  if (locks->head == NULL) { /* musl registers one at a thread's first robust mutex only */
    locks->own.list.next = &locks->own.list;
    locks->own.futex_offset = -NEXT_OFFSET;
    if (syscall(SYS_set_robust_list, &locks->own, sizeof locks->own) == 0) locks->head = &locks->own;
  }
  if (locks->head == NULL || locks->head->futex_offset != -NEXT_OFFSET) {
    free(locks);
    errno = EOPNOTSUPP;
    return NULL;
  }
  return instance->locks = locks;
}
static inline struct place *place_of(const struct locks *locks, int32_t index) {
  return locks == NULL || index < 0 || index >= locks->count ? NULL : locks->places[index];
}

static struct place *place_at(struct instance *instance, napi_env env, napi_value id) {
  return place_of(instance->locks, arg_int(env, id));
}
static inline struct instance *hot(napi_env env, napi_callback_info info, struct place **place) {
  void *data;
  napi_get_cb_info(env, info, NULL, NULL, NULL, &data);
  struct instance *instance = data;
  *place = place_of(instance->locks, instance->lock_call[0]);
  return instance;
}

static napi_value call_lock_register(napi_env env, napi_callback_info info) { /* view, offset, bare: a number for it */
  ARGUMENTS(3);
  struct bytes bytes = arg_bytes(env, argv[0]);
  double at = arg_double(env, argv[1]);
  bool bare = false;
  napi_get_value_bool(env, argv[2], &bare);
  if (!(at >= 0 && at + sizeof(struct lock) <= (double)bytes.length)) return give_int(env, -EINVAL);
  struct lock *lock = (struct lock *)(void *)(bytes.data + (size_t)at);
  if ((uintptr_t)lock % _Alignof(struct lock) != 0) return give_int(env, -EINVAL);
  struct locks *locks = locks_of(instance);
  if (locks == NULL) return give_int(env, -errno);
  int index = 0;
  while (index < locks->count && locks->places[index] != NULL) index++;
  if (index == locks->count) {
    int more = locks->count == 0 ? 16 : 2 * locks->count;
    struct place **places = realloc(locks->places, (size_t)more * sizeof *places);
    if (places == NULL) return give_int(env, -ENOMEM);
    memset(places + locks->count, 0, (size_t)(more - locks->count) * sizeof *places);
    locks->places = places;
    locks->count = more;
  }
  struct place *place = calloc(1, sizeof *place);
  if (place == NULL) return give_int(env, -ENOMEM);
  place->lock = lock;
  place->mode = bare ? BARE : MUTEX;
  place->kind = lock->kind;
  place->mapping = mapping_share(lock, sizeof *lock);
  if (place->mapping == NULL) { /* no memory of ours */
    free(place);
    return give_int(env, -EFAULT);
  }
  locks->places[index] = place;
  return give_int(env, index);
}
static napi_value call_lock_forget(napi_env env, napi_callback_info info) { /* id; EBUSY while it is held */
  ARGUMENTS(1);
  struct place *place = place_at(instance, env, argv[0]);
  if (place == NULL) return give_int(env, -EBADF);
  if (place->held) return give_int(env, -EBUSY);
  instance->locks->places[arg_int(env, argv[0])] = NULL;
  mapping_leave(place->mapping);
  free(place);
  return give_int(env, 0);
}
/* The hot path: the lock's number comes, and the result goes, through two words that TypeScript sees as `lockCall`, since an argument
 * and a result of Node-API would cost half as much as the lock. */
static napi_value call_lock_acquire(napi_env env, napi_callback_info info) {
  struct place *place;
  struct instance *instance = hot(env, info, &place);
  instance->lock_call[1] = place == NULL ? -EBADF : take(instance->locks, place, 0);
  return NULL;
}
static napi_value call_lock_release(napi_env env, napi_callback_info info) {
  struct place *place;
  struct instance *instance = hot(env, info, &place);
  instance->lock_call[1] = place == NULL ? -EBADF : give(instance->locks, place, 0, instance);
  return NULL;
}
/* Takes it with the waiters' bit set, in one step. */
static napi_value call_lock_acquire_awaited(napi_env env, napi_callback_info info) { /* id */
  ARGUMENTS(1);
  struct place *place = place_at(instance, env, argv[0]);
  return give_int(env, place == NULL ? -EBADF : take(instance->locks, place, FUTEX_WAITERS));
}
/* Gives it up as if this thread had died. */
static napi_value call_lock_abandon(napi_env env, napi_callback_info info) { /* id */
  ARGUMENTS(1);
  struct place *place = place_at(instance, env, argv[0]);
  return give_int(env, place == NULL ? -EBADF : give(instance->locks, place, FUTEX_OWNER_DIED, instance));
}
static napi_value call_lock_consistent(napi_env env, napi_callback_info info) { /* id: pthread_mutex_consistent(3) */
  ARGUMENTS(1);
  struct place *place = place_at(instance, env, argv[0]);
  if (place == NULL || !place->held || place->mode != MUTEX) return give_int(env, -EPERM);
  if (place->lock->owner != INCONSISTENT) return give_int(env, -EINVAL);
  place->lock->owner = instance->locks->tid;
  return give_int(env, 0);
}
/* Writes a word `offset` bytes from a lock that is held, also where JavaScript has closed the memory: it stays for that long. */
static napi_value call_lock_store(napi_env env, napi_callback_info info) { /* id, offset, value */
  ARGUMENTS(3);
  struct place *place = place_at(instance, env, argv[0]);
  if (place == NULL || !place->held) return give_int(env, -EPERM);
  int64_t length = (int64_t)place->mapping->length;
  int64_t at = (uint8_t *)place->lock - (uint8_t *)place->mapping->start + (int64_t)arg_int(env, argv[1]);
  if (at < 0 || at > length - 4 || at % 4 != 0) return give_int(env, -EINVAL);
  atomic_store((_Atomic uint32_t *)(void *)((uint8_t *)place->mapping->start + at), (uint32_t)arg_int64(env, argv[2]));
  return give_int(env, 0);
}
static napi_value call_lock_held(napi_env env, napi_callback_info info) { /* how many this thread holds */
  ARGUMENTS(1);
  return give_int(env, instance->locks == NULL ? 0 : instance->locks->held);
}

/* The environment ends: what it holds is given up as the kernel would, for the memory may be unmapped before the thread ends. */
void locks_abandon(struct instance *instance) {
  struct locks *locks = instance->locks;
  if (locks == NULL) return;
  for (int i = 0; i < locks->count; i++) {
    struct place *place = locks->places[i];
    if (place == NULL) continue;
    if (place->held) give(locks, place, FUTEX_OWNER_DIED, instance);
    mapping_leave(place->mapping);
    free(place);
  }
  if (locks->head == &locks->own) syscall(SYS_set_robust_list, NULL, sizeof locks->own);
  instance->locks = NULL;
  free(locks->places);
  free(locks);
}

void export_robust(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"lockRegister", call_lock_register}, {"lockForget", call_lock_forget}, {"lockAcquire", call_lock_acquire}, {"lockAcquireAwaited", call_lock_acquire_awaited},
    {"lockRelease", call_lock_release}, {"lockAbandon", call_lock_abandon}, {"lockConsistent", call_lock_consistent}, {"lockStore", call_lock_store},
    {"locksHeld", call_lock_held},
  };
  EXPORT_METHODS(methods);
  napi_value buffer = NULL;
  void *call = NULL;
  napi_ref keep; /* for as long as the environment lives */
  napi_create_arraybuffer(env, 2 * sizeof(int32_t), &call, &buffer);
  napi_create_reference(env, buffer, 1, &keep);
  napi_set_named_property(env, exports, "lockCall", buffer);
  instance->lock_call = call;
}
