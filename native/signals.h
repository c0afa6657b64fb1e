/* What the files about signals share. A set of signals is 64 bits, as in the kernel: bit 0 is signal 1. */
#ifndef VECINO_SIGNALS_H
#define VECINO_SIGNALS_H
#include "vecino.h"
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
#endif
