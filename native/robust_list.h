/* A thread's list of the robust locks that it holds, get_robust_list(2): the kernel follows it when the thread dies.
 *
 * The list's pointers lie in shared memory, where any peer can overwrite them. So its order is also kept in private memory, and what
 * peers can write is never followed. (Unless another addon holds robust mutexes in this thread: their nodes are trusted as the C
 * library trusts them.)
 *
 * Crash guarantee: list_op_pending names the lock while it changes hands, so a kill between any two steps finds it here or there. */
#ifndef ROBUST_LIST_H
#define ROBUST_LIST_H
#include "mapping.h"
#include "vecino.h"
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>

struct lock { /* in shared memory */
  _Atomic uint32_t word;
  uint32_t count, owner, users, kind, spare;
  uintptr_t previous, next;
};
_Static_assert(offsetof(struct lock, next) == 32 && sizeof(struct lock) == 40, "64 bit");
enum { NEXT_OFFSET = 32, INCONSISTENT = INT_MAX, NOT_RECOVERABLE = INT_MAX - 1 };
/* The kernel marks no more than ROBUST_LIST_LIMIT locks of a dead thread. */
enum { MOST_HELD = 2048 };
enum mode { MUTEX, BARE /* the word and the list alone: the other fields are its user's */ };

struct place {
  struct lock *lock;
  struct mapping *mapping;
  struct place *older, *newer; /* neighbours in the list, where they are ours */
  uintptr_t next;              /* what followed when it was enlisted */
  enum mode mode;
  uint32_t kind;
  bool held;
};
struct locks {
  struct robust_list_head *head; /* the thread's */
  struct robust_list_head own;   /* for a thread that has none */
  struct place **places;
  struct place *newest;          /* enlisted last, or NULL */
  int count, held;
  uint32_t tid;
};

static inline uintptr_t node_of(const struct place *place) { return (uintptr_t)&place->lock->next; }
#define STEP() atomic_signal_fence(memory_order_seq_cst) /* a kill sees what stands before it */

static inline uintptr_t head_of(const struct locks *locks) { return (uintptr_t)&locks->head->list; }
static inline uintptr_t first_of(const struct locks *locks) { return (uintptr_t)locks->head->list.next; }
static inline void set_first(struct locks *locks, uintptr_t node) {
  ((volatile struct robust_list *)&locks->head->list)->next = (struct robust_list *)node;
}
static inline void set_pending(struct locks *locks, uintptr_t node) {
  STEP();
  ((volatile struct robust_list_head *)locks->head)->list_op_pending = (struct robust_list *)node;
  STEP();
}
static inline struct place *ours(const struct locks *locks, uintptr_t node) {
  if (locks->newest != NULL && node_of(locks->newest) == node) return locks->newest;
  for (int i = 0; i < locks->count; i++)
    if (locks->places[i] != NULL && locks->places[i]->held && node_of(locks->places[i]) == node) return locks->places[i];
  return NULL;
}
static inline void set_next(struct place *place, uintptr_t node) { *(volatile uintptr_t *)&place->lock->next = node; }
static inline bool is_foreign(const struct locks *locks, const struct place *place) {
  return place->older == NULL && place->next != head_of(locks);
}
static inline uintptr_t next_of(const struct locks *locks, const struct place *place) {
  if (place->older != NULL) return node_of(place->older);
  return is_foreign(locks, place) ? *(volatile uintptr_t *)&place->lock->next : head_of(locks);
}
static inline void tell_foreign(const struct locks *locks, uintptr_t node, uintptr_t previous) { /* they are linked both ways */
  if (node != head_of(locks)) *(volatile uintptr_t *)((node & ~(uintptr_t)1) - 8) = previous;
}

static inline void enlist(struct locks *locks, struct place *place) {
  uintptr_t first = first_of(locks);
  place->next = first;
  place->newer = NULL;
  place->older = first == head_of(locks) ? NULL : ours(locks, first);
  place->lock->previous = head_of(locks);
  set_next(place, first);
  if (place->older != NULL) place->older->newer = place;
  else tell_foreign(locks, first, node_of(place));
  STEP();
  set_first(locks, node_of(place));
  place->held = true;
  locks->newest = place;
  locks->held++;
  mapping_hold(place->mapping);
}

/* The list anew from what we know, when it was found broken. */
static inline void relink(struct locks *locks) {
  uintptr_t next = head_of(locks);
  struct place *older = NULL;
  for (int i = 0; i < locks->count; i++) {
    struct place *place = locks->places[i];
    if (place == NULL || !place->held) continue;
    *place = (struct place){place->lock, place->mapping, older, NULL, next, place->mode, place->kind, true};
    set_next(place, next);
    if (older != NULL) older->newer = place;
    older = place;
    next = node_of(place);
  }
  set_first(locks, next);
}
static inline void unlink_foreign(struct locks *locks, struct place *place) { /* what comes before it is not ours */
  uintptr_t cursor = first_of(locks), after = next_of(locks, place);
  for (int steps = 0; steps < 2 * MOST_HELD && cursor != head_of(locks); steps++) {
    struct place *known = ours(locks, cursor);
    uintptr_t following = known != NULL ? next_of(locks, known) : *(volatile uintptr_t *)(cursor & ~(uintptr_t)1);
    if (following == node_of(place)) {
      if (known == NULL) {
        *(volatile uintptr_t *)(cursor & ~(uintptr_t)1) = after;
      } else {
        set_next(known, after);
        known->next = after;
        known->older = place->older;
      }
      if (place->older != NULL) place->older->newer = known;
      else tell_foreign(locks, after, cursor);
      place->held = false;
      return;
    }
    cursor = following;
  }
  place->held = false;
  relink(locks);
}
static inline void delist(struct locks *locks, struct place *place) {
  uintptr_t after = next_of(locks, place);
  struct place *newer = place->newer, *older = place->older;
  if (locks->newest == place) locks->newest = older;
  if (newer == NULL && first_of(locks) != node_of(place)) {
    unlink_foreign(locks, place);
  } else {
    if (newer == NULL) {
      set_first(locks, after);
    } else {
      set_next(newer, after);
      newer->next = after;
      newer->older = older;
    }
    if (older != NULL) older->newer = newer;
    else tell_foreign(locks, after, newer == NULL ? head_of(locks) : node_of(newer));
    place->held = false;
  }
  place->lock->previous = 0;
  set_next(place, 0);
  locks->held--;
}

#endif
