/* What the files about signals share. A set of signals is 64 bits, as in the kernel: bit 0 is signal 1. */
#ifndef VECINO_SIGNALS_H
#define VECINO_SIGNALS_H
#include "vecino.h"
#include <pthread.h>
#include <signal.h>

#define BIT(number) (UINT64_C(1) << ((number) - 1))
#define LAST_SIGNAL 64
#define EACH_SIGNAL(number, set) for (int number = 1; number <= LAST_SIGNAL; number++) if (((set) & BIT(number)) != 0)

/* Added to si_code by a thread that gives a signal back to the queue but may not with this code; codes are from -60 to 128. */
enum { STRAY = -1000 };

/* One signal, with what the kernel told of it. */
struct record { int32_t signal, code, pid, uid, value, status; };
struct listener;

/* Listening to signals, for one copy of the addon or for all of them: signal_members.c, found by signal_core.c. Results: what was asked
 * for, or the errno negated. */
struct signal_core {
  int (*prepare)(int (*find_libuv)(void *context, void (**libuv)(int)), void *context); /* before the others; `find_libuv` is called once */
  int (*join)(struct listener **out, int32_t descriptors[2]);                          /* the signalfd, the bell */
  void (*leave)(struct listener *listener);
  int (*handle)(struct listener *listener, int signal, bool handled);                   /* whether it has handlers for it */
  void (*hold)(uint64_t set, bool wanted);                                              /* whether they are kept in the kernel's queue */
  int (*take)(struct listener *listener, struct record *records, uint32_t most);        /* what has come: how many */
  int (*wait)(struct listener *listener, uint64_t set);                                 /* for one of these: what the wait is known by */
  int (*take_wait)(struct listener *listener, int wait, struct record *record, bool quiet); /* 1 if it has come; `quiet`: hushes the bell */
  int (*end_wait)(struct listener *listener, int wait, struct record *record);          /* 1 if it has come */
  int (*try_wait)(struct listener *listener, uint64_t set, struct record *record);      /* one that is there: 1; NULL: nobody who listens */
  int (*ignore)(int signal);
  void (*restore)(int signal);
};
const struct signal_core *signal_core(void);

/* signal_threads.c. One caller at a time; signal_members.c has the lock. */
int signals_find_libuv(void *instance, void (**libuv)(int));       /* libuv's handler; 0, or the errno negated */
void signals_know_libuv(void (*handler)(int));                     /* once, before all that follows */
void signals_block(uint64_t set);                                  /* in every thread of the process */
void signals_unblock(uint64_t set, bool discard);                  /* back to what they did before; `discard` what waits in a thread */
void signals_hand_to_libuv(int number);                            /* if libuv listens to it */
int signals_ignore(int number);                                    /* -EBUSY if libuv listens to it */
void signals_restore(int number);                                  /* undoes signals_ignore */

/* signal_delivery.c: see there. All of it under the lock. */
struct wait { /* for one signal of a set */
  struct wait *next;
  uint64_t set;
  int id;
  bool filled;
  struct record record;
};
struct listener {
  struct listener *next;
  struct wait *waits; /* oldest first */
  uint64_t handled;   /* what it has handlers for */
  struct record *records;
  uint32_t capacity, first, count; /* a ring; the capacity is 0 or a power of two */
  uint32_t queued[LAST_SIGNAL + 1];
  int bell;
  bool rung, full;
};
struct delivery {
  pthread_mutex_t lock;
  struct listener *listeners;
  uint64_t held;     /* blocked by the program's wish */
  uint64_t arranged; /* what all threads block */
  uint64_t watched;  /* what the signalfd is readable for */
  int descriptor;    /* the signalfd; -1 while nobody listens */
};
extern struct delivery delivery;
void delivery_ring(struct listener *listener);
void delivery_hush(struct listener *listener);
void delivery_refresh(void);                              /* after a change: what the signalfd is readable for */
int delivery_receive(uint64_t set, struct record *record); /* one of the set from the kernel's queue: its number, 0 if there is none */
void delivery_give(const struct record *record);          /* to all who listen, libuv included */
void delivery_take(int most);                             /* what may be taken now, and gives it */
#endif
