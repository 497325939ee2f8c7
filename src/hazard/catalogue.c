/* SPDX-License-Identifier: MIT */
/* Every rule, sorted by name. */
#include <string.h>

#include "hazard/hazard.h"

/* clang-format off */
#define CATALOGUE(X) \
	X(bad_fd) \
	X(batch_aborted_at_bad_sqe) \
	X(buffer_freed_in_flight) \
	X(buffer_overrun_plain) \
	X(buffers_overlap_in_flight) \
	X(cancel_is_not_completion) \
	X(close_does_not_cancel) \
	X(cq_over_advance) \
	X(cq_overflow_unflushed) \
	X(cqe_not_seen) \
	X(drain_behind_unbounded_op) \
	X(exit_with_io_in_flight) \
	X(fd_recycled) \
	X(fixed_buffer_bounds) \
	X(fixed_buffer_stale_mapping) \
	X(fixed_flag_forgotten) \
	X(forgotten_submit) \
	X(fork_shared_ring) \
	X(indirect_argument_freed) \
	X(invalid_sqe_fields) \
	X(link_broken_by_short_io) \
	X(link_cleanup_cancelled) \
	X(link_cross_wait) \
	X(link_invalid_member_cancels_all) \
	X(link_on_multishot) \
	X(link_self_wait) \
	X(link_short_send_continues) \
	X(link_split_by_submit) \
	X(link_timeout_misplaced) \
	X(multishot_double_arm) \
	X(multishot_killed_by_overflow) \
	X(multishot_more_ignored) \
	X(offset_misuse) \
	X(ordering_assumed_stream) \
	X(pbuf_double_recycle) \
	X(pbuf_exhausted) \
	X(request_overdue) \
	X(restrictions_misused) \
	X(ring_memlock_enomem) \
	X(seccomp_bypass) \
	X(setup_flag_conflict) \
	X(single_issuer_violation) \
	X(sqe_abandoned_replay) \
	X(sqpoll_cpu_burn) \
	X(sqpoll_frozen_credentials) \
	X(sqpoll_sqe_mutation) \
	X(sqpoll_thread_per_ring) \
	X(stale_user_data) \
	X(submit_failure_leaves_sqe_queued) \
	X(submitter_thread_exit) \
	X(timeout_as_delay) \
	X(unreaped_cqe_at_exit) \
	X(uring_unavailable_no_fallback) \
	X(user_data_collision) \
	X(wait_without_inflight) \
	X(zc_buffer_reuse) \
	X(zc_notif_unaccounted)
/* clang-format on */

#define DECLARE(name) extern const struct hazard hazard_##name;
CATALOGUE(DECLARE)

#define LIST(name) &hazard_##name,
const struct hazard *const hazard_catalogue[] = { CATALOGUE(LIST) NULL };

const struct hazard *hazard_find(const char *name)
{
	for (const struct hazard *const *hazard = hazard_catalogue; *hazard; hazard++)
		if (!strcmp((*hazard)->name, name))
			return *hazard;
	return NULL;
}
