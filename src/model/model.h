/* SPDX-License-Identifier: MIT */
/*
 * What is true now: processes, threads, descriptors, rings, requests and the memory they use, rebuilt from events alone.
 *
 * model_apply() takes one event and tells an observer each *moment* it amounts to: a request taken by the kernel, memory released
 * while requests point to it, a ring closed. Rules look at moments and at the model behind them and never at raw events' order.
 *
 * The model does no I/O, has no clock (time is the events' time) and no globals; once its pools are warm, applying an event
 * touches no heap. Everything an event says is taken as hostile: unknown rings, impossible counts and truncated tails are ignored
 * and counted in `n_rejected`.
 *
 * Identity. A completion names (ring, user_data). Where several requests in flight share both, a CQE ends one of them and nobody can say
 * which: they all become `ambiguous` until the count is back to zero, and rules must not accuse on an ambiguous request's lifetime.
 * Where completions went by unseen (EVENT_CQ_LOST), or a request asked for none (CQE_SKIP_SUCCESS), it becomes REQUEST_UNKNOWN.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/pool.h"
#include "event/event.h"

struct abi_op;
struct model_process;
struct model_ring;
struct model_request;

/* ---- memory a request uses ---- */

struct model_range {
	uint64_t address, length;
	struct model_request *request;
	const char *name;	/* which argument: "buf", "iov[2]", "msg", "msg_control" ... */
	uint8_t direction;	/* enum abi_direction */
	uint8_t lifetime;	/* enum abi_lifetime */
	uint8_t kind;		/* enum abi_kind: ABI_DATA is the data itself, all else is an indirect argument */
	uint8_t provided;	/* a provided buffer handed out by the program, not by this SQE */
	bool released;		/* a release of it was already told */
	bool indexed;		/* model_overlaps() finds it */
	struct model_range *next;	/* of the same request */
	struct model_range_link {
		struct model_range *range;
		struct model_range_link *next, **back;
	} links[2]; /* private to ranges.c */
};

/* The ranges of one process by address; private to ranges.c. */
enum { MODEL_RANGE_LEVELS = 5 };
struct model_ranges { struct model_range_link **buckets; uint32_t n_buckets, n_links; uint32_t n_level[MODEL_RANGE_LEVELS]; };

/* ---- descriptors and what is behind them ---- */

struct model_object {
	uint16_t type;		/* enum event_fd_type */
	uint64_t device, inode;
	uint32_t open_flags;
	uint16_t access;
	uint32_t ring;
	uint64_t peer_inode;	/* the other end of a socketpair, 0 = not known */
	uint64_t file_size;
};

struct model_fd {
	int32_t fd;
	uint32_t generation;	/* of the number: grows with each close/dup2 onto it */
	bool open;		/* false: known to be closed */
	bool private_pair;	/* made by pipe()/socketpair() in this process */
	struct model_object object;
};

/* ---- requests ---- */

enum request_state {
	REQUEST_STAGED,		/* lay in the SQ when enter was called */
	REQUEST_QUEUED,		/* enter returned and left it there */
	REQUEST_INFLIGHT,	/* the kernel has taken it */
	REQUEST_DONE,		/* final CQE seen; told once in MOMENT_COMPLETE, then recycled */
	REQUEST_UNKNOWN,	/* may have ended unseen */
};

struct model_request {
	struct uring_sqe sqe;
	const struct abi_op *op;
	struct model_ring *ring;
	struct model_process *process;
	uint32_t tid;		/* submitting thread */
	uint32_t stack;		/* where it was submitted */
	uint32_t slot, sq_index;
	uint64_t call;		/* the enter call that submitted it */
	uint64_t seq, time;	/* of its SUBMIT */
	uint8_t state;		/* enum request_state */
	bool multishot;
	bool ambiguous;		/* shares (ring, user_data) with others and one of them completed */
	bool uncertain;		/* its submission was EVENT_UNCERTAIN */
	bool awaiting_notif;	/* zero copy: result CQE with F_MORE seen */
	bool sq_kept;		/* SQPOLL kept: nobody saw the kernel take it */
	bool chained;		/* member of a chain of at least two, or carries IO_LINK/HARDLINK itself */
	bool refused;		/* model_refusal() said so at submission */
	bool cancel_requested;	/* an ASYNC_CANCEL or SYNC_CANCEL named it */
	bool cancel_answered;	/* ... and that was answered, before this request's own end */
	bool link_broken;	/* an earlier member of its chain failed: the kernel will cancel it */
	bool listed;		/* under its user_data in the ring's map */
	uint32_t n_cqes;	/* seen so far */
	int32_t result;		/* of the newest CQE */
	uint32_t chain;		/* number of its chain in the ring, 0 = none */
	struct model_request *chain_prev, *chain_next;	/* members that are still known */
	struct model_fd *fd;	/* sqe.fd as known when submitted; NULL = fixed file, no fd, or not known */
	uint32_t fd_generation;
	struct model_object object; /* what the request's file is (fixed slots included), type UNKNOWN if not known */
	struct model_range *ranges;
	const struct event_submit *event; /* only during MOMENT_SUBMIT: the event with its arguments */
	struct model_request *same_next, *same_prev;	/* others with the same (ring, user_data) */
	struct model_request *next, *prev;		/* all open requests of the ring, oldest first */
	struct model_request *file_next, *file_prev;	/* see model_on_file() */
	bool on_file;
	uint64_t rule_bits[3];	/* one bit per rule that said its word already; see hazard_mark_request() */
};

/* ---- provided buffers ---- */

enum { MODEL_PBUF_IDS = 65536 };

struct model_group {
	uint16_t id;
	bool is_ring;		/* registered ring, else legacy PROVIDE_BUFFERS */
	uint32_t flags;		/* enum uring_pbuf_flag */
	uint32_t n_entries;
	uint64_t ring_address;
	uint32_t n_available;	/* given to the kernel and not yet consumed, as far as known */
	uint32_t n_consumed;	/* handed to the program and not yet given back */
	bool known;		/* false: additions were missed, counts are not to be trusted */
	uint64_t *owned;	/* bitmap by id: 1 = the kernel owns it */
	uint64_t *seen;		/* bitmap by id: was ever added */
	uint64_t *early;	/* bitmap by id: was handed out before its addition was told */
};

/* ---- registered buffers and files ---- */

struct model_buffer { uint64_t address, length; bool stale; uint32_t stale_how; uint32_t stale_stack; };

struct model_slot { bool used; struct model_object object; int32_t fd; };

/* ---- rings ---- */

enum { MODEL_FILE_BUCKETS = 64 };

struct model_slot_shadow { struct uring_sqe sqe; bool valid; bool failed; uint32_t pid, stack; /* who submitted it */ };

/*
 * In which slot a user_data was last consumed, for the newest some thousand values: more than the shadow remembers, since a program that uses
 * request objects again may do so after many rounds through the ring. A later value takes an older one's place in the table.
 */
enum { MODEL_TAGS = 4096 };
struct model_tag { uint64_t user_data; uint32_t slot_plus_one; };

struct model_ring {
	uint32_t id;		/* event.ring */
	int32_t fd;
	uint32_t creator_pid, creator_tid;
	uint32_t submitter_tid;	/* SINGLE_ISSUER: the creator, or who enabled it */
	uint32_t setup_flags;	/* as the program asked for (SQPOLL included when emulated) */
	bool sqpoll_emulated, sqpoll_kept;
	uint32_t sq_entries, cq_entries;
	struct uring_params params;
	uint32_t setup_stack;
	uint64_t setup_time;
	struct model_process *process;	/* that made it */
	bool closed, unmapped, disabled;
	bool restricted;		/* IORING_REGISTER_RESTRICTIONS was taken: */
	uint64_t allowed_ops[4];	/* bit per opcode */
	uint8_t allowed_flags, required_flags; /* of entries */
	uint32_t cq_head, cq_tail, sq_head, sq_tail, sq_flags; /* newest seen */
	uint64_t n_submitted, n_completed, n_enters;
	uint32_t n_open;	/* requests staged, queued, in flight or unknown */
	uint32_t n_inflight;
	uint32_t n_unknown;
	uint32_t n_multishot;	/* of the in-flight ones */
	uint32_t n_drains;	/* of the in-flight ones: with IOSQE_IO_DRAIN */
	bool lost;		/* EVENT_CQ_LOST at some time */
	struct model_request *first, *last;	/* open requests, oldest first */
	struct map by_user_data;	/* user_data -> first model_request of the set */
	struct model_request *by_file[MODEL_FILE_BUCKETS]; /* in flight on files that are known */
	struct model_slot_shadow *shadow; /* per SQE slot: the entry last consumed from it; NULL = out of memory */
	uint32_t n_shadow;
	struct model_tag *tags;		/* MODEL_TAGS of them, by hash; NULL = out of memory */
	bool tags_reused;		/* some user_data was consumed from two slots */
	struct map groups;	/* id -> struct model_group */
	struct model_buffer *buffers; uint32_t n_buffers;
	struct model_slot *slots; uint32_t n_slots; bool files_registered;
	bool eventfd_registered; int32_t eventfd;
	bool personalities;	/* some were registered at some time */
	uint64_t last_submit_time, last_enter_time;
	struct model_request *staged_first;	/* oldest staged request; all others come after it in the list */
	uint32_t n_staged, n_queued;
	struct model_request *chain_open;	/* the call's newest entry asked to be linked to the next one */
	uint32_t last_chain;
	uint64_t rule_bits[3];
	uint64_t rule_cells[192];	/* one per rule; see hazard_ring_cell() */
};

/* ---- processes and threads ---- */

struct model_thread {
	uint32_t tid;
	struct model_process *process;
	uint64_t stack_low, stack_high;
	bool exited;
	struct model_ring *in_enter;	/* blocked or running in enter on this ring, NULL = not */
	struct event_enter enter;	/* that call (also valid after it, for its return) */
	struct event_bounds bounds[4];	/* told ahead of the SUBMIT they concern */
	uint32_t n_bounds;
	uint32_t n_staged;		/* entries of that call told so far */
};

struct model_process {
	uint32_t pid, parent;
	bool exited, clean_exit;
	char path[256];
	uint32_t uid, gid, euid;
	uint32_t page_size;
	uint32_t n_threads;		/* living */
	uint32_t n_children;		/* living forked children that did not exec */
	bool forked;			/* has ever forked */
	struct map threads;		/* tid -> model_thread */
	struct map fds;			/* fd + 1 -> model_fd */
	bool shares_parent;		/* forked and has not exec'ed: counted in the parent's n_children */
	int32_t setup_error;		/* of the newest io_uring_setup, 0 = it made a ring */
	uint32_t setup_error_stack;
	bool execing;			/* EVENT_EXEC came; a PROCESS_START shows that it succeeded */
	struct model_ranges ranges;
	uint64_t n_requests;		/* seen from this process */
	uint32_t n_sending;		/* zero-copy sends that were answered and whose notification is awaited */
	uint64_t rule_bits[3];
};

/* ---- moments ---- */

enum moment_kind {
	MOMENT_NONE,
	MOMENT_PROCESS_START, MOMENT_EXEC, MOMENT_FORK, MOMENT_PROCESS_EXIT,
	MOMENT_THREAD_EXIT,	/* thread; its requests are still listed */
	MOMENT_CREDENTIALS,
	MOMENT_RING_SETUP,	/* event is event_setup; ring is NULL when it failed */
	MOMENT_RING_UNMAPPED, MOMENT_RING_CLOSED, /* requests still listed */
	MOMENT_REGISTER,	/* after the model applied it */
	MOMENT_ENTER,		/* the call is about to be made; its SUBMITs follow */
	MOMENT_SUBMIT,		/* request is staged: ranges built, not yet in the interval set; shadow still holds the slot's former entry */
	MOMENT_CALL,		/* the call has returned and the model knows what was consumed; told before CONSUMED/LEFT of its requests.
				   thread->enter is the call, event the return */
	MOMENT_CONSUMED,	/* request is in flight now; its ranges are NOT yet in the interval set (ask for overlaps now) */
	MOMENT_LEFT,		/* request stays in the SQ */
	MOMENT_COMPLETE,	/* event is event_complete; request may be NULL (nobody known); final says whether it ends it */
	MOMENT_ENDED,		/* request is leaving the model for another reason than a CQE (ring gone, process gone) */
	MOMENT_OVERFLOW, MOMENT_CQ_LOST,
	MOMENT_BUFFERS,		/* told before the model applies it: the group's bitmaps still say who owned what */
	MOMENT_BOUNDS,		/* event_bounds, request = the staged request it concerns */
	MOMENT_RELEASE,		/* event_release; ask model_overlaps() */
	MOMENT_FD_CLOSE,	/* fd (before it is marked closed); event is event_fd or event_fd_dup */
	MOMENT_TICK,
	MOMENT_LOST,
	MOMENT_CHECKSUM, MOMENT_SLOT_CHANGED, MOMENT_STALLED,
	MOMENT_STRAY_CALL,	/* event_stray: a call on a descriptor that is no ring */
	MOMENT_FINISH,		/* the observation ends; no event */
	MOMENT_COUNT,
};

struct moment {
	enum moment_kind kind;
	const struct event *event;	/* what caused it; cast by its kind. Never NULL but for FINISH */
	struct model_process *process;
	struct model_thread *thread;	/* may be NULL */
	struct model_ring *ring;	/* may be NULL */
	struct model_request *request;	/* may be NULL */
	struct model_fd *fd;
	bool final;			/* COMPLETE: the request's last CQE (no F_MORE) */
	bool certain;			/* COMPLETE: it is certain that this request is the one */
	bool uncertain;			/* the event was EVENT_UNCERTAIN, or events were lost: accuse of nothing */
	uint64_t time;
};

struct model;

typedef void model_observer(void *context, struct model *model, const struct moment *moment);

struct model {
	struct map processes;	/* pid -> model_process */
	struct map rings;	/* id -> model_ring (closed ones go after RING_CLOSED was told) */
	struct pool requests, ranges;
	model_observer *observer;
	uint64_t wanted;	/* bits 1 << enum moment_kind: others are not told */
	void *observer_context;
	uint64_t time, seq;
	uint64_t n_events, n_requests, n_completions, n_enters, n_rejected, n_lost;
	uint32_t n_rings, n_processes;	/* ever seen */
	uint64_t n_bytes;		/* held in tables whose size events decide; see MODEL_BYTES in inner.h */
	struct model_process *last_process; /* whom the newest event came from: most come in runs */
	bool lost;		/* events were lost: absence of an event proves nothing any more */
};

/* The observer may be NULL. Returns NULL when out of memory. */
struct model *model_new(model_observer *observer, void *context);
struct model *model_free(struct model *model);

/* Applies one event (of any kind, also unknown ones). 0, or -ENOMEM when state could not be kept (it then counts as lost). */
int model_apply(struct model *model, const struct event *event);

/* Whether the user_data was last consumed from another slot than this; and the noting of it. */
bool model_tag_elsewhere(const struct model_ring *ring, uint64_t user_data, uint32_t slot);
void model_tag_put(struct model_ring *ring, uint64_t user_data, uint32_t slot);

/* Ends the observation: tells MOMENT_FINISH. */
void model_finish(struct model *model);

/*
 * Calls `each` for every range of an open request (in flight or left queued) of the process that overlaps [address, address + length),
 * once per range. Stops when `each` returns false.
 */
typedef bool model_range_visitor(void *context, struct model_range *range);
void model_overlaps(struct model_process *process, uint64_t address, uint64_t length, model_range_visitor *each, void *context);

struct model_thread *model_thread_get(struct model_process *process, uint32_t tid);	/* NULL = not known */
struct model_fd *model_fd_get(struct model_process *process, int32_t fd);		/* NULL = not known */
struct model_group *model_group_get(struct model_ring *ring, uint16_t id);		/* NULL = not known */

/* Why the kernel does not even start the request: -errno and what of the entry is at fault (may be NULL), or 0. */
int model_refusal(const struct model_request *request, const char **ret_field);

/* First request of the ring that is in flight under this user_data, or NULL; follow same_next. */
struct model_request *model_same_user_data(struct model_ring *ring, uint64_t user_data);

/*
 * Requests of the ring in flight that may be on the same file as this one (`object` says), newest first; follow file_next. Whoever walks
 * on the way of every request stops after a few: there may be very many.
 */
struct model_request *model_on_file(const struct model_request *request);
