/* io_uring(7), for one thing: waiting for any number of futex words in the event loop, without a thread (IORING_OP_FUTEX_WAIT,
 * Linux 6.7). One ring for an environment, used by its thread alone. Its descriptor is readable when a wait has ended.
 *
 * The numbers are spelled out because the headers of many distributions are older than their kernels. */
#include "vecino.h"
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OP_ASYNC_CANCEL = 14, OP_FUTEX_WAIT = 51 };
enum { SETUP_CQSIZE = 1 << 3, SETUP_COOP_TASKRUN = 1 << 8, SETUP_SINGLE_ISSUER = 1 << 12 };
enum { FUTEX2_SIZE_U32 = 2 };

struct ring {
  int fd;
  uint8_t *queues; /* both rings, one mapping */
  size_t queues_length;
  struct io_uring_sqe *entries;
  size_t entries_length;
  _Atomic uint32_t *submit_tail, *complete_head, *complete_tail;
  uint32_t *submit_array, submit_mask, complete_mask;
  struct io_uring_cqe *completions;
};

void ring_close(struct instance *instance) {
  struct ring *ring = instance->ring;
  if (ring == NULL) return;
  instance->ring = NULL;
  if (ring->entries != MAP_FAILED) munmap(ring->entries, ring->entries_length);
  if (ring->queues != MAP_FAILED) munmap(ring->queues, ring->queues_length);
  close(ring->fd); /* the kernel cancels what is pending */
  free(ring);
}

/* Whether this kernel knows the operation (IORING_REGISTER_PROBE is older than all that we need). */
static bool knows(int fd, unsigned operation) {
  struct { struct io_uring_probe head; struct io_uring_probe_op operations[64]; } probe;
  memset(&probe, 0, sizeof probe);
  return syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, &probe, 64) == 0 && probe.head.last_op >= operation &&
         (probe.operations[operation].flags & IO_URING_OP_SUPPORTED) != 0;
}

static napi_value call_ring_open(napi_env env, napi_callback_info info) { /* completions held without overflow: the descriptor */
  ARGUMENTS(1);
  if (instance->ring != NULL) return give_int(env, -EEXIST);
  struct io_uring_params params = {.flags = SETUP_CQSIZE | SETUP_COOP_TASKRUN | SETUP_SINGLE_ISSUER};
  params.cq_entries = (unsigned)arg_int(env, argv[0]);
  struct ring *ring = calloc(1, sizeof *ring);
  if (ring == NULL) return give_int(env, -ENOMEM);
  ring->fd = (int)syscall(SYS_io_uring_setup, 4, &params); /* close-on-exec by itself */
  if (ring->fd < 0) {
    int error = errno;
    free(ring);
    return give_int(env, -error);
  }
  instance->ring = ring;
  size_t submit = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
  size_t complete = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
  ring->queues_length = submit > complete ? submit : complete;
  ring->entries_length = params.sq_entries * sizeof(struct io_uring_sqe);
  const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
  ring->queues = mmap(NULL, ring->queues_length, prot, flags, ring->fd, IORING_OFF_SQ_RING);
  ring->entries = mmap(NULL, ring->entries_length, prot, flags, ring->fd, IORING_OFF_SQES);
  bool mapped = ring->queues != MAP_FAILED && ring->entries != MAP_FAILED;
  if (!mapped || (params.features & IORING_FEAT_SINGLE_MMAP) == 0 || !knows(ring->fd, OP_FUTEX_WAIT)) {
    ring_close(instance);
    return give_int(env, mapped ? -EOPNOTSUPP : -ENOMEM);
  }
#define AT(offset) ((void *)(ring->queues + (offset)))
  ring->submit_tail = AT(params.sq_off.tail);
  ring->submit_array = AT(params.sq_off.array);
  ring->submit_mask = *(uint32_t *)AT(params.sq_off.ring_mask);
  ring->complete_head = AT(params.cq_off.head);
  ring->complete_tail = AT(params.cq_off.tail);
  ring->complete_mask = *(uint32_t *)AT(params.cq_off.ring_mask);
  ring->completions = AT(params.cq_off.cqes);
#undef AT
  instance->counters->calls += 4;
  return give_int(env, ring->fd);
}
static napi_value call_ring_close(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  ring_close(instance);
  return give_int(env, 0);
}

/* One entry, submitted at once: the queue never holds another. */
static napi_value submit(napi_env env, struct instance *instance, const struct io_uring_sqe *entry) {
  struct ring *ring = instance->ring;
  if (ring == NULL) return give_int(env, -EBADF);
  uint32_t tail = atomic_load_explicit(ring->submit_tail, memory_order_relaxed), index = tail & ring->submit_mask;
  ring->entries[index] = *entry;
  ring->submit_array[index] = index;
  atomic_store_explicit(ring->submit_tail, tail + 1, memory_order_release);
  long result;
  do result = syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0);
  while (result < 0 && errno == EINTR);
  if (result != 1) { /* not taken: take it back */
    int error = result < 0 ? errno : EAGAIN;
    atomic_store_explicit(ring->submit_tail, tail, memory_order_release);
    instance->counters->calls++;
    return give_int(env, -error);
  }
  return give_call(env, instance, 0);
}
static napi_value call_ring_futex_wait(napi_env env, napi_callback_info info) { /* view, offset, expected, id */
  ARGUMENTS(4);
  struct bytes bytes = arg_bytes(env, argv[0]);
  double at = arg_double(env, argv[1]);
  if (!(at >= 0 && at + 4 <= (double)bytes.length)) return give_int(env, -EINVAL);
  struct io_uring_sqe entry;
  memset(&entry, 0, sizeof entry);
  entry.opcode = OP_FUTEX_WAIT;
  entry.fd = FUTEX2_SIZE_U32;
  entry.addr = (uintptr_t)(bytes.data + (size_t)at);
  entry.off = (uint32_t)arg_int64(env, argv[2]);
  memcpy((uint8_t *)&entry + 48, &(uint64_t){UINT32_MAX}, 8); /* addr3: the futex's mask */
  entry.user_data = (uint64_t)arg_int64(env, argv[3]);
  return submit(env, instance, &entry);
}
static napi_value call_ring_cancel(napi_env env, napi_callback_info info) { /* id; its own completion has id 0 */
  ARGUMENTS(1);
  struct io_uring_sqe entry;
  memset(&entry, 0, sizeof entry);
  entry.opcode = OP_ASYNC_CANCEL;
  entry.fd = -1;
  entry.addr = (uint64_t)arg_int64(env, argv[0]);
  return submit(env, instance, &entry);
}
/* Completions as pairs of id and result (0: woken; an errno negated) into a Float64Array: how many. */
static napi_value call_ring_reap(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  struct ring *ring = instance->ring;
  struct bytes out = arg_bytes(env, argv[0]);
  double *pairs = (double *)(void *)out.data;
  if (ring == NULL || (uintptr_t)pairs % sizeof(double) != 0) return give_int(env, -EBADF);
  uint32_t head = atomic_load_explicit(ring->complete_head, memory_order_relaxed);
  uint32_t tail = atomic_load_explicit(ring->complete_tail, memory_order_acquire);
  if (head == tail) { /* those that overflowed wait in the kernel */
    syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    instance->counters->calls++;
    tail = atomic_load_explicit(ring->complete_tail, memory_order_acquire);
  }
  int32_t count = 0;
  for (; head != tail && (size_t)(count + 1) * 2 * sizeof(double) <= out.length; head++, count++) {
    const struct io_uring_cqe *completion = &ring->completions[head & ring->complete_mask];
    pairs[2 * count] = (double)completion->user_data;
    pairs[2 * count + 1] = completion->res;
  }
  atomic_store_explicit(ring->complete_head, head, memory_order_release);
  return give_int(env, count);
}

void export_ring(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"ringOpen", call_ring_open}, {"ringClose", call_ring_close}, {"ringFutexWait", call_ring_futex_wait},
    {"ringCancel", call_ring_cancel}, {"ringReap", call_ring_reap},
  };
  EXPORT_METHODS(methods);
}
