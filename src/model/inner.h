/* SPDX-License-Identifier: MIT */
/* What the model's own files share. Nobody else includes this. */
#pragma once

#include <stddef.h>

#include "abi/op.h"
#include "model/model.h"

/* Bounds on what hostile events can make the model keep. */
enum {
	MODEL_REQUESTS = 4 * 1024 * 1024,
	MODEL_RANGES = 8 * 1024 * 1024,
	MODEL_RINGS = 65536,
	MODEL_PROCESSES = 65536,
	MODEL_THREADS = 65536, /* per process */
	MODEL_FDS = 1024 * 1024,
	MODEL_GROUPS = 1024, /* per ring */
	MODEL_SLOTS = 65536, /* of fixed files, per ring */
	MODEL_BUFFERS = 16384,
	MODEL_UNKNOWN = 4096, /* requests per ring that may have ended unseen */
};
#define MODEL_BYTES (UINT64_C(512) << 20)

/* What one event is about. Handlers complete it and hand it on as a moment. */
struct step {
	struct model *model;
	const struct event *event;
	struct model_process *process;
	struct model_thread *thread;
	struct model_ring *ring;
};

void model_tell(const struct step *step, enum moment_kind kind, struct model_request *request);
void model_tell_fd(const struct step *step, struct model_fd *fd);
void model_tell_completion(const struct step *step, struct model_request *request, bool final, bool certain);

/* Zeroed memory counted against MODEL_BYTES, or NULL. */
void *model_take_bytes(struct model *model, size_t n, size_t size);
void model_give_bytes(struct model *model, void *memory, size_t n, size_t size);

/* Handlers: 0, -ENOMEM, or -EBADMSG for an event that makes no sense (it is counted and ignored). */
typedef int model_handler(struct step *step);

/* processes.c */
model_handler process_start, process_exec, process_fork, process_exit, process_credentials, process_thread_start, process_thread_exit;
struct model_process *process_get(struct model *model, uint32_t pid); /* makes it; NULL when there is no room */
struct model_thread *process_thread_get(struct model_process *process, uint32_t tid);
void process_deinit(struct model *model, struct model_process *process);

/* fds.c */
model_handler fd_described, fd_closed, fd_dup, fd_pair;
void fd_close_number(struct model_process *process, int32_t fd); /* by the ring itself: nobody is told */
int fds_copy(struct model_process *from, struct model_process *to);
void fds_clear(struct model_process *process);

/* rings.c */
model_handler ring_setup, ring_unmapped, ring_closed, ring_resized, ring_overflow, ring_lost;
void ring_drop(struct step *step, struct model_ring *ring); /* ends its requests and frees it */
void ring_deinit(struct model *model, struct model_ring *ring);

/* register.c */
model_handler register_applied;
void register_slot(struct model_ring *ring, uint32_t index, bool used, const struct model_object *object, int32_t fd);

/* pbufs.c */
model_handler pbufs_added;
struct model_group *pbuf_group_new(struct model *model, struct model_ring *ring, uint16_t id);
void pbuf_group_drop(struct model *model, struct model_ring *ring, uint16_t id);
void pbuf_group_deinit(struct model *model, struct model_group *group);
void pbufs_completed(struct model *model, const struct model_request *request, const struct uring_cqe *cqe);

/* calls.c */
model_handler call_enter, call_submit, call_return, call_bounds;

/* completions.c */
model_handler completion_seen;

/* cancel.c */
void cancel_requested(struct model_request *canceller);
void cancel_answered(struct model_request *canceller);
void cancel_sync(struct model_ring *ring, const void *argument, bool answered);

/* chains.c */
void chain_add(struct model_ring *ring, struct model_request *request);
void chain_leave(struct model_request *request);
void chain_settle(struct model_request *request, int32_t result);

/* requests.c */
void request_append(struct model_ring *ring, struct model_request *request);
void request_consume(const struct step *step, struct model_request *request); /* tells CONSUMED */
void request_leave(const struct step *step, struct model_request *request);   /* tells LEFT */
void request_unknown(struct model_request *request);
void request_answered(struct model_request *request); /* by a completion that is not its last */
void request_end(struct model *model, struct model_request *request); /* tells nobody */
void request_lost(const struct step *step, struct model_request *request); /* tells ENDED, then ends it */
void requests_lost_all(const struct step *step, struct model_ring *ring, const struct model_process *process);
void requests_trim_unknown(const struct step *step, struct model_ring *ring);

/* ranges.c: the index */
void ranges_remove(struct model_ranges *ranges, struct model_range *range);
void ranges_deinit(struct model_ranges *ranges);
int ranges_index_request(struct model_request *request);

/* tags.c: this one will be put soon. They are scattered, and waiting for the memory was a tenth of all work. */
void model_tag_expect(const struct model_ring *ring, uint64_t user_data);

/* arguments.c: which memory a request uses */
int arguments_ranges(struct model *model, struct model_request *request, const struct event_submit *event);
void arguments_give(struct model *model, struct model_request *request);
void arguments_give_consumed(struct model *model, struct model_request *request);

/* release.c */
model_handler release_told;
