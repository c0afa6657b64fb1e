/* System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2); and both transfers as something to be waited for.
 *
 * A queue has no descriptor. Whoever waits in the event loop has a helper thread (thread.c) that blocks for it:
 *   - for room, in msgsnd itself: interrupted, it has not sent;
 *   - for a message, in a msgrcv with room for 0 bytes. When a message comes that the caller wants, it fails with E2BIG and
 *     leaves the message where it is, so a wait never holds one, whoever is killed or cancelled. Only a message of 0 bytes
 *     does it receive; the wait then ends with 0 and the message's type, and at the environment's end it is put back. */
#include "thread.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Messages land as the buffer pool's other readers want them: a double (here the type), then the content. */
enum { HEADER = sizeof(double), SMALL = 8192 };

static bool arg_type(napi_env env, napi_value value, long *type) { /* false: more than a long holds (32-bit machines) */
  int64_t number = arg_int64(env, value);
  *type = (long)number;
  return *type == number;
}

static napi_value call_msgget(napi_env env, napi_callback_info info) { /* key, flags and mode */
  ARGUMENTS(2);
  return give_call(env, instance, msgget(arg_int(env, argv[0]), arg_int(env, argv[1])));
}
static napi_value call_msgsnd(napi_env env, napi_callback_info info) { /* id, type, typed array, flags */
  ARGUMENTS(4);
  void *data;
  size_t length;
  struct { long type; char text[SMALL]; } small, *message = &small;
  if (napi_get_typedarray_info(env, argv[2], NULL, &length, &data, NULL, NULL) != napi_ok) return give_int(env, -EINVAL);
  if (length > SMALL && (message = malloc(sizeof(long) + length)) == NULL) return give_int(env, -ENOMEM);
  long result = -1;
  errno = EINVAL;
  if (arg_type(env, argv[1], &message->type)) {
    if (length > 0) memcpy(message->text, data, length);
    result = syscall(SYS_msgsnd, arg_int(env, argv[0]), message, length, arg_int(env, argv[3]));
  }
  if (result == 0) instance->counters->bytes_out += (double)length;
  napi_value given = give_call(env, instance, result);
  if (message != &small) free(message);
  return given;
}
static napi_value receive(napi_env env, struct instance *instance, uint8_t *at, size_t size, napi_value *argv) { /* id, type, flags */
  long type, *header = (long *)(void *)(at + HEADER - sizeof(long)); /* the kernel writes a long, then the content */
  if (!arg_type(env, argv[1], &type)) return give_int(env, -EINVAL);
  ssize_t result = syscall(SYS_msgrcv, arg_int(env, argv[0]), header, size, type, arg_int(env, argv[2]));
  if (result >= 0) {
    long got = *header;
    double number = (double)got;
    memcpy(at, &number, sizeof number);
    instance->counters->bytes_in += (double)result;
  }
  return give_call(env, instance, result);
}
static napi_value call_msgrcv(napi_env env, napi_callback_info info) { /* id, type, flags, Uint8Array: header and content */
  ARGUMENTS(4);
  struct bytes bytes = arg_bytes(env, argv[3]);
  if (bytes.length < HEADER || (uintptr_t)bytes.data % HEADER != 0) return give_int(env, -EINVAL);
  return receive(env, instance, bytes.data, bytes.length - HEADER, argv);
}
static napi_value call_msgrcv_pooled(napi_env env, napi_callback_info info) { /* id, type, flags, offset (of the header), size of the content */
  ARGUMENTS(5);
  uint32_t offset = UINT32_MAX, size = 0;
  napi_get_value_uint32(env, argv[3], &offset);
  napi_get_value_uint32(env, argv[4], &size);
  if (offset % HEADER != 0 || (uint64_t)offset + HEADER + size > instance->pool_length) return give_int(env, -EINVAL);
  return receive(env, instance, instance->pool + offset, size, argv);
}

static napi_value call_msg_stat(napi_env env, napi_callback_info info) { /* id, Float64Array of 5 */
  ARGUMENTS(2);
  struct msqid_ds status;
  struct bytes out = arg_bytes(env, argv[1]);
  if (out.length < 5 * sizeof(double)) return give_int(env, -EINVAL);
  int result = msgctl(arg_int(env, argv[0]), IPC_STAT, &status);
  if (result == 0) {
    double *field = (double *)(void *)out.data;
    field[0] = (double)status.msg_qnum, field[1] = (double)status.__msg_cbytes, field[2] = (double)status.msg_qbytes;
    field[3] = status.msg_lspid, field[4] = status.msg_lrpid;
  }
  return give_call(env, instance, result);
}
static napi_value call_msg_set_limit(napi_env env, napi_callback_info info) { /* id, bytes; IPC_SET sets all or nothing, hence IPC_STAT */
  ARGUMENTS(2);
  struct msqid_ds status;
  int result = msgctl(arg_int(env, argv[0]), IPC_STAT, &status);
  if (result == 0) {
    status.msg_qbytes = (msglen_t)arg_int64(env, argv[1]);
    result = msgctl(arg_int(env, argv[0]), IPC_SET, &status);
  }
  return give_call(env, instance, result);
}
static napi_value call_msg_remove(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  return give_call(env, instance, msgctl(arg_int(env, argv[0]), IPC_RMID, NULL));
}

/* ---- waiting for a message ---------------------------------------------------------------------------------- */

struct waiter {
  struct helper helper; /* first: a helper is cast back to its waiter */
  int id, flags;
  long type, result;    /* of msgrcv, or errno negated */
  struct { long type; char text[1]; } empty;
};
static void wait_for_message(struct helper *helper) {
  struct waiter *waiter = (struct waiter *)helper;
  do waiter->result = syscall(SYS_msgrcv, waiter->id, &waiter->empty, 0, waiter->type, waiter->flags);
  while (helper_again(helper, waiter->result));
  if (waiter->result < 0) waiter->result = -errno;
}
static void discard_waiter(struct helper *helper) {
  struct waiter *waiter = (struct waiter *)helper;
  if (waiter->result == 0) syscall(SYS_msgsnd, waiter->id, &waiter->empty, 0, IPC_NOWAIT);
  free(waiter);
}
static napi_value call_msg_wait_start(napi_env env, napi_callback_info info) { /* id, type, flags: the eventfd */
  ARGUMENTS(3);
  struct waiter *waiter = calloc(1, sizeof *waiter);
  if (waiter == NULL) return give_int(env, -ENOMEM);
  waiter->helper.block = wait_for_message;
  waiter->helper.discard = discard_waiter;
  waiter->id = arg_int(env, argv[0]);
  waiter->flags = arg_int(env, argv[2]);
  int event = arg_type(env, argv[1], &waiter->type) ? helper_start(instance, &waiter->helper) : -EINVAL;
  if (event < 0) free(waiter);
  return give_int(env, event);
}
/* As msgWaitFinish below, once the eventfd is readable; but thread and eventfd stay, for msgWaitResume or msgWaitFinish. */
static napi_value call_msg_wait_rest(napi_env env, napi_callback_info info) { /* eventfd, Float64Array of 1 */
  ARGUMENTS(2);
  struct bytes out = arg_bytes(env, argv[1]);
  struct waiter *waiter = (struct waiter *)helper_find(instance, arg_int(env, argv[0]), wait_for_message);
  if (waiter == NULL || out.length < sizeof(double)) return give_int(env, -EBADF);
  instance->counters->calls += 2;
  helper_rest(&waiter->helper);
  long result = waiter->result;
  *(double *)(void *)out.data = (double)waiter->empty.type;
  waiter->result = -EINTR; /* it has been told */
  return give_int(env, (int32_t)result);
}
static napi_value call_msg_wait_resume(napi_env env, napi_callback_info info) { /* eventfd */
  ARGUMENTS(1);
  struct waiter *waiter = (struct waiter *)helper_find(instance, arg_int(env, argv[0]), wait_for_message);
  if (waiter == NULL) return give_int(env, -EBADF);
  helper_resume(instance, &waiter->helper);
  return give_int(env, 0);
}
/* eventfd, cancel, Float64Array of 1: -E2BIG if there is a message; 0 if an empty one was received, whose type is then in the array. */
static napi_value call_msg_wait_finish(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  bool cancel = false;
  struct bytes out = arg_bytes(env, argv[2]);
  struct waiter *waiter = (struct waiter *)helper_find(instance, arg_int(env, argv[0]), wait_for_message);
  if (waiter == NULL || out.length < sizeof(double)) return give_int(env, -EBADF);
  napi_get_value_bool(env, argv[1], &cancel);
  instance->counters->calls += 2;
  helper_finish(instance, &waiter->helper, cancel);
  long result = waiter->result;
  *(double *)(void *)out.data = (double)waiter->empty.type;
  free(waiter);
  return give_int(env, (int32_t)result);
}

/* ---- waiting for room --------------------------------------------------------------------------------------- */

struct sender {
  struct helper helper; /* first: a helper is cast back to its sender */
  int id;
  size_t length;
  long result;          /* of msgsnd, or errno negated */
  struct { long type; char text[]; } message;
};
static void send_message(struct helper *helper) {
  struct sender *sender = (struct sender *)helper;
  do sender->result = syscall(SYS_msgsnd, sender->id, &sender->message, sender->length, 0);
  while (helper_again(helper, sender->result));
  if (sender->result < 0) sender->result = -errno;
}
static void discard_sender(struct helper *helper) { free(helper); }

static napi_value call_msg_send_start(napi_env env, napi_callback_info info) { /* id, type, typed array: the eventfd */
  ARGUMENTS(3);
  void *data;
  size_t length;
  if (napi_get_typedarray_info(env, argv[2], NULL, &length, &data, NULL, NULL) != napi_ok) return give_int(env, -EINVAL);
  struct sender *sender = calloc(1, sizeof *sender + length);
  if (sender == NULL) return give_int(env, -ENOMEM);
  sender->helper.block = send_message;
  sender->helper.discard = discard_sender;
  sender->id = arg_int(env, argv[0]);
  sender->length = length;
  if (length > 0) memcpy(sender->message.text, data, length);
  int event = arg_type(env, argv[1], &sender->message.type) ? helper_start(instance, &sender->helper) : -EINVAL;
  if (event < 0) free(sender);
  return give_int(env, event);
}
static napi_value call_msg_send_finish(napi_env env, napi_callback_info info) { /* eventfd, cancel: msgsnd's result, -EINTR if cancelled */
  ARGUMENTS(2);
  bool cancel = false;
  struct sender *sender = (struct sender *)helper_find(instance, arg_int(env, argv[0]), send_message);
  if (sender == NULL) return give_int(env, -EBADF);
  napi_get_value_bool(env, argv[1], &cancel);
  instance->counters->calls += 2;
  helper_finish(instance, &sender->helper, cancel);
  long result = sender->result;
  if (result == 0) instance->counters->bytes_out += (double)sender->length;
  free(sender);
  return give_int(env, (int32_t)result);
}

void export_sysv_message(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"msgget", call_msgget}, {"msgsnd", call_msgsnd}, {"msgrcv", call_msgrcv}, {"msgrcvPooled", call_msgrcv_pooled},
    {"msgStat", call_msg_stat}, {"msgSetLimit", call_msg_set_limit}, {"msgRemove", call_msg_remove},
    {"msgWaitStart", call_msg_wait_start}, {"msgWaitFinish", call_msg_wait_finish},
    {"msgWaitRest", call_msg_wait_rest}, {"msgWaitResume", call_msg_wait_resume},
    {"msgSendStart", call_msg_send_start}, {"msgSendFinish", call_msg_send_finish},
  };
  static const struct constant constants[] = {{"MSG_NOERROR", MSG_NOERROR}, {"MSG_EXCEPT", MSG_EXCEPT}};
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}
