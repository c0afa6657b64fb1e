/* Threads that wait where no descriptor could, and that can be interrupted. See thread.c. */
#ifndef VECINO_THREAD_H
#define VECINO_THREAD_H
#include "vecino.h"
#include <pthread.h>
#include <stdatomic.h>

struct worker;

/* The first member of whoever needs one; allocated with malloc. */
struct helper {
  void (*block)(struct helper *);   /* in the thread: makes the blocking call while helper_again() says so */
  void (*discard)(struct helper *); /* at the environment's end, after the call's: undoes what block() got, and frees */
  int event;                        /* eventfd: readable once block() has returned; what TypeScript knows the helper by */
  atomic_bool cancelled;
  struct worker *worker;            /* the thread that works for it */
  struct helper *next, **link;
};

/* The eventfd, or the errno negated. The helper stays the caller's if it fails, and is the environment's until helper_finish if not. */
int helper_start(struct instance *instance, struct helper *helper);
/* In the thread: whether a call that gave EINTR is to be made again. */
bool helper_again(struct helper *helper, long result);
/* The helper of this environment with that eventfd and that work; NULL if there is none. */
struct helper *helper_find(struct instance *instance, int event, void (*block)(struct helper *));
/* Once the eventfd is readable: the work is over, the eventfd is not readable any more, and the thread stays the helper's. */
void helper_rest(struct helper *helper);
/* After helper_rest: the same work once more. */
void helper_resume(struct instance *instance, struct helper *helper);
/* Waits for the call's end, interrupting it until it comes if `cancel`, and closes the eventfd. The helper is the caller's to free. */
void helper_finish(struct instance *instance, struct helper *helper, bool cancel);
#endif
