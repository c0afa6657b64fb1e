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

/* signal_threads.c. One caller at a time; signal_listen.c has the lock. */
int signals_prepare(napi_env env, struct instance *instance);      /* once; 0, or the errno negated */
void signals_block(uint64_t set);                                  /* in every thread of the process */
void signals_unblock(uint64_t set, bool discard);                  /* back to what they did before; `discard` what waits in a thread */
void signals_hand_to_libuv(int number);                            /* if libuv listens to it */
int signals_ignore(int number);                                    /* -EBUSY if libuv listens to it */
void signals_restore(int number);                                  /* undoes signals_ignore */

/* signal_delivery.c: see there. All of it under the lock. */
struct record { int32_t signal, code, pid, uid, value, status; };
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
