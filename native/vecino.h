/* What every file of the addon shares: one call of the kernel per function, its result handed back as an integer.
 *
 * Convention: a function returns what the system call returned, or the errno negated. Nothing here throws, retries,
 * interprets or loops; src/system does. Integers cross the boundary because they cost nothing there: an error object
 * made for every EAGAIN would cost more than the call. */
#ifndef VECINO_H
#define VECINO_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Counted for each environment (main thread or worker) and read by TypeScript as a Float64Array. */
struct counters {
  double calls;        /* system calls made */
  double bytes_in;     /* copied from the kernel into the process */
  double bytes_out;    /* copied from the process into the kernel */
  double bytes_within; /* moved by the kernel on our behalf, never seen by the process */
};

struct watch;
struct helper;
struct worker;
struct listener;
struct envelope;
struct ring;
struct waiter;
struct locks;
struct mapping;

/* The state of one environment; it is the `data` of every function, so that no call looks it up. */
struct instance {
  napi_env env;
  struct counters *counters;
  uint8_t *pool;           /* transfer.c: where small reads land */
  uint32_t pool_length;
  struct envelope *envelope; /* socket_message.c: what comes with a message besides its bytes, */
  uint8_t *overflow;         /* and where a message goes on that is longer than the buffer pool's rest */
  size_t overflow_length;
  struct watch *watches;   /* watch.c: those whose libuv handle is not closed yet */
  struct helper *helpers;  /* thread.c: those not finished yet */
  struct worker *workers;  /* thread.c: idle threads, kept for the next helper */
  unsigned workers_kept;
  struct listener *listener; /* signal_listen.c: NULL while nothing here listens to signals */
  struct ring *ring;       /* ring.c: where this environment waits for words; NULL while it does not */
  struct waiter *waiter;   /* waiter.c: the same on older kernels */
  struct mapping *reserved; /* mapping.c: closed, and not collected yet */
  double reserved_bytes;    /* of addresses that they take */
  struct locks *locks;     /* robust.c: what this thread holds */
  int32_t *lock_call;      /* robust.c: the number and the result of its hot calls */
  unsigned closing;        /* libuv handles asked to close that have not closed yet */
  bool ending;             /* teardown has begun */
  napi_async_cleanup_hook_handle teardown;
};

void instance_release(struct instance *instance);

/* ---- arguments ---------------------------------------------------------------------------------------------- */

#define ARGUMENTS(count)                                                              \
  napi_value argv[count];                                                             \
  size_t argc = count;                                                                \
  void *instance_data;                                                                \
  napi_get_cb_info(env, info, &argc, argv, NULL, &instance_data);                     \
  struct instance *instance = instance_data;                                          \
  (void)instance

static inline double arg_double(napi_env env, napi_value value) {
  double result = -1;
  napi_get_value_double(env, value, &result);
  return result;
}
/* A value of the wrong type reads as -1, an invalid descriptor, so a slip in TypeScript is EBADF and not descriptor 0.
 * Node-API makes 0 of NaN, of the infinities and of 2**32; those are -1 too. */
static inline bool is_zero(napi_env env, napi_value value) {
  double number = arg_double(env, value);
  return number > -1 && number < 1;
}
static inline int32_t arg_int(napi_env env, napi_value value) {
  int32_t result = -1;
  napi_get_value_int32(env, value, &result);
  return result == 0 && !is_zero(env, value) ? -1 : result;
}
static inline int64_t arg_int64(napi_env env, napi_value value) {
  int64_t result = -1;
  napi_get_value_int64(env, value, &result);
  return result == 0 && !is_zero(env, value) ? -1 : result;
}

struct bytes { uint8_t *data; size_t length; };

/* The bytes of any view on an ArrayBuffer; NULL and 0 if it is detached or no view. */
static inline struct bytes arg_bytes(napi_env env, napi_value value) {
  struct bytes bytes = {NULL, 0};
  void *data;
  bool is_view = false;
  if (napi_is_buffer(env, value, &is_view) == napi_ok && is_view &&
      napi_get_buffer_info(env, value, &data, &bytes.length) == napi_ok)
    bytes.data = data;
  return bytes;
}
/* A part of them; false if it is not inside. Not to be taken for an empty part: reading 0 bytes would look like the end. */
static inline bool arg_slice(napi_env env, napi_value view, napi_value offset, napi_value length, struct bytes *part) {
  struct bytes bytes = arg_bytes(env, view);
  double from = arg_double(env, offset), count = arg_double(env, length);
  if (!(from >= 0 && count >= 0 && from + count <= (double)bytes.length)) return false;
  *part = (struct bytes){bytes.length == 0 ? NULL : bytes.data + (size_t)from, (size_t)count};
  return true;
}
/* `buffer` of `size`; false if the text is no string, does not fit or holds a NUL (a path would end there). */
bool arg_text(napi_env env, napi_value value, char *buffer, size_t size);

/* ---- results ------------------------------------------------------------------------------------------------ */

static inline napi_value give_int(napi_env env, int32_t value) {
  napi_value result = NULL;
  napi_create_int32(env, value, &result);
  return result;
}
static inline napi_value give_double(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}
/* The result of a system call: itself, or errno negated. */
static inline napi_value give_call(napi_env env, struct instance *instance, long result) {
  instance->counters->calls++;
  if (result < 0) result = -errno;
  return result >= INT32_MIN && result <= INT32_MAX ? give_int(env, (int32_t)result) : give_double(env, (double)result);
}

/* ---- descriptors: owned_descriptor.c ------------------------------------------------------------------------ */

/* Every call that makes descriptors hands them on by one of these: nothing may come between the making and the noting, for
 * a worker can be terminated after any call. */
int32_t descriptor_own(struct instance *instance, int fd); /* noted as the environment's: a serial number, or the errno negated */
bool descriptor_own_pair(struct instance *instance, const int pair[2]); /* false, ENOMEM: both are closed */
void descriptor_forget(int fd);                             /* before it is closed, and when it is given away */
/* The descriptor that a call made, or its errno negated. */
napi_value give_descriptor(napi_env env, struct instance *instance, long fd);

/* Milliseconds to a timespec; NULL (for ever) if negative. */
static inline struct timespec *arg_timeout(napi_env env, napi_value value, struct timespec *spec) {
  double milliseconds = arg_double(env, value);
  if (!(milliseconds >= 0)) return NULL;
  if (milliseconds > 1e12) milliseconds = 1e12;
  spec->tv_sec = (time_t)(milliseconds / 1e3);
  spec->tv_nsec = (long)((milliseconds - (double)spec->tv_sec * 1e3) * 1e6);
  if (spec->tv_nsec > 999999999) spec->tv_nsec = 999999999;
  return spec;
}

/* ---- what each file exports --------------------------------------------------------------------------------- */

struct method { const char *name; napi_callback callback; };
struct constant { const char *name; double value; };
void export_methods(napi_env env, napi_value exports, struct instance *instance, const struct method *list, size_t count);
void export_constants(napi_env env, napi_value exports, const struct constant *list, size_t count);
#define EXPORT_METHODS(list) export_methods(env, exports, instance, list, sizeof(list) / sizeof *(list))
#define EXPORT_CONSTANTS(list) export_constants(env, exports, list, sizeof(list) / sizeof *(list))

#define MODULES(X) \
  X(file) X(transfer) X(pipe) X(opener) X(memory) X(sysv_memory) X(guard) X(poll) X(watch) X(futex) \
  X(eventfd) X(socket) X(process) X(limit) X(mqueue) X(sysv_key) X(sysv_message) X(select) X(epoll) \
  X(signal) X(signal_listen) X(socket_message) X(socket_option) X(socket_address) X(membarrier) X(scheduling) X(ring) X(waiter) X(robust) \
  X(file_lock) X(owned_descriptor) X(sysv_semaphore) X(semaphore) X(inotify)
#define DECLARE(module) void export_##module(napi_env env, napi_value exports, struct instance *instance);
MODULES(DECLARE)
#undef DECLARE

/* For teardown, when an environment (a worker, or the program) ends. */
void watch_close_all(struct instance *instance);
void helper_discard_all(struct instance *instance);
void listener_forget(struct instance *instance);
void ring_close(struct instance *instance);
void locks_abandon(struct instance *instance);
void mappings_forget(struct instance *instance);
void waiter_close(struct instance *instance);
void descriptor_close_all(struct instance *instance);

#endif
