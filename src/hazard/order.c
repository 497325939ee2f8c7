/* SPDX-License-Identifier: MIT */
/* Requests in flight together whose order matters and which nothing puts in order. */
#include "hazard/hazard.h"
#include "hazard/known.h"

/* So many requests in flight on the file are looked at, the newest first. */
enum { NEIGHBOURS = 64 };

static bool is_stream(const struct model_request *request)
{
	return request->object.type == EVENT_FD_STREAM || request->object.type == EVENT_FD_PIPE;
}

static bool plain_transfer(const struct model_request *request, uint32_t trait)
{
	bool bundle = (request->sqe.opcode == URING_OP_SEND || request->sqe.opcode == URING_OP_RECV) &&
		      (request->sqe.ioprio & URING_RECVSEND_BUNDLE);

	return known_trait(request, trait) && is_stream(request) && !request->multishot && !bundle && !request->refused;
}

/* An older request of the same kind on the same stream that may still be waiting when this one starts. */
static const struct model_request *unordered_with(const struct model_request *request, uint32_t trait)
{
	const struct model_request *other = model_on_file(request);

	for (unsigned n = 0; other && n < NEIGHBOURS; other = other->file_next, n++)
		if (other != request && known_inflight(other) && plain_transfer(other, trait) &&
		    known_same_file(other, request) && !known_ordered(other, request) && other->seq < request->seq)
			return other;
	return NULL;
}

static void look_ordering_assumed_stream(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request, *other = NULL;
	struct finding *finding;
	bool sends;

	if (!request || !is_stream(request) || !known_sure(hazard_model(context), moment) || request->uncertain)
		return;
	sends = plain_transfer(request, ABI_STREAM_SEND);
	if (sends)
		other = unordered_with(request, ABI_STREAM_SEND);
	else if (plain_transfer(request, ABI_STREAM_RECV))
		other = unordered_with(request, ABI_STREAM_RECV);
	if (!other)
		return;
	finding = hazard_finding(context, moment, request);
	finding->level = HAZARD_WARNING;
	hazard_message(finding,
		       "%s (user_data 0x%llx) and %s (user_data 0x%llx) are both in flight on the %s behind fd %d and "
		       "not linked: %s",
		       other->op->name, (unsigned long long)other->sqe.user_data, request->op->name,
		       (unsigned long long)request->sqe.user_data,
		       request->object.type == EVENT_FD_PIPE ? "pipe" : "stream socket", request->sqe.fd,
		       sends ? "their bytes may be sent in any order and interleaved"
			     : "either may get the bytes that come first");
	hazard_stack(finding, "the other submitted by", other->process->pid, other->stack);
	hazard_report(context, finding);
}

const struct hazard hazard_ordering_assumed_stream = {
	.name = "ordering-assumed-stream",
	.family = "submission",
	.level = HAZARD_WARNING,
	.why = "Requests on one stream are issued in order, but those that have to wait finish in any order and in "
	       "pieces; each still reports success.",
	.fix = "Keep one send and one receive in flight per stream, or link them (with MSG_WAITALL on each send).",
	.wants = HAZARD_WANTS(CONSUMED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.only_traits = ABI_STREAM_SEND | ABI_STREAM_RECV,
	.when = { .consumed = HAZARD_WHEN_STREAM },
	.look = look_ordering_assumed_stream,
};

/* ---- offset-misuse ---- */

static bool positioned(const struct model_request *request)
{
	return known_trait(request, ABI_POSITIONED) && known_trait(request, ABI_READS_FILE | ABI_WRITES_FILE) &&
	       request->object.type == EVENT_FD_FILE && !(request->object.open_flags & 02000 /* O_APPEND */) &&
	       !request->refused;
}

static uint64_t data_length(const struct model_request *request)
{
	uint64_t sum = 0;

	for (const struct model_range *range = request->ranges; range; range = range->next)
		if (range->kind == ABI_DATA)
			sum += range->length;
	return sum;
}

static uint64_t data_address(const struct model_request *request)
{
	for (const struct model_range *range = request->ranges; range; range = range->next)
		if (range->kind == ABI_DATA)
			return range->address;
	return 0;
}

/*
 * Two writes in flight that overlap in the file: which one stays is chance. Programs that write the same whole block
 * twice at random (benchmarks) mean it; so only ranges that differ, the forgotten offset 0, and one batch that says
 * both count.
 */
static bool clashes(const struct model_request *a, const struct model_request *b)
{
	uint64_t a_length = data_length(a), b_length = data_length(b);

	if (a->sqe.off == UINT64_MAX && b->sqe.off == UINT64_MAX)
		return true;
	if (!known_trait(a, ABI_WRITES_FILE) || !known_trait(b, ABI_WRITES_FILE) || a->sqe.off == UINT64_MAX ||
	    b->sqe.off == UINT64_MAX)
		return false;
	if (!a_length || !b_length || a->sqe.off >= b->sqe.off + b_length || b->sqe.off >= a->sqe.off + a_length ||
	    data_address(a) == data_address(b))
		return false;
	return a->sqe.off != b->sqe.off || a->sqe.off == 0 || a->call == b->call;
}

static void report_offset(struct hazard_context *context, const struct moment *moment,
			  const struct model_request *other)
{
	const struct model_request *request = moment->request;
	struct finding *finding = hazard_finding(context, moment, request);

	if (request->sqe.off == UINT64_MAX)
		hazard_message(finding,
			       "%s and %s are both in flight on fd %d at the file's position (offset -1): which comes "
			       "first is open",
			       other->op->name, request->op->name, request->sqe.fd);
	else
		hazard_message(finding,
			       "%s to fd %d, bytes %llu to %llu of the file, overlaps the %s in flight from another "
			       "buffer at %llu: which data stays is open",
			       request->op->name, request->sqe.fd, (unsigned long long)request->sqe.off,
			       (unsigned long long)(request->sqe.off + data_length(request)), other->op->name,
			       (unsigned long long)other->sqe.off);
	hazard_stack(finding, "the other submitted by", other->process->pid, other->stack);
	hazard_report(context, finding);
}

/*
 * Writes one after another that all begin at offset 0, each from another place: the cell counts them (low byte), with
 * the descriptor (16 bits) and the low bits of the last address.
 */
enum { REWRITES = 3 };

static void count_rewrites(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request;
	uint64_t *cell = hazard_ring_cell(context, request->ring);
	uint64_t fd = (uint64_t)(uint16_t)request->sqe.fd + 1, address = data_address(request) & 0xffffffff;
	uint64_t n = *cell & 0xff;
	struct finding *finding;

	if (!known_trait(request, ABI_WRITES_FILE) || request->sqe.off || (*cell >> 8 & 0xffffff) != fd ||
	    *cell >> 32 == address) {
		bool first = known_trait(request, ABI_WRITES_FILE) && !request->sqe.off;

		if (n != 0xff)
			*cell = first ? address << 32 | fd << 8 | 1 : fd << 8;
		return;
	}
	if (n == 0xff)
		return;
	*cell = address << 32 | fd << 8 | (n + 1);
	if (n + 1 < REWRITES)
		return;
	*cell |= 0xff;
	finding = hazard_finding(context, moment, request);
	hazard_message(finding,
		       "the last %d writes to fd %d, from different buffers, all went to offset 0 of the file: each "
		       "overwrote the one before",
		       REWRITES, request->sqe.fd);
	hazard_report(context, finding);
}

static bool may_clash(const struct model_request *request)
{
	return request->sqe.off == UINT64_MAX || known_trait(request, ABI_WRITES_FILE);
}

static void look_offset_misuse(struct hazard_context *context, const struct moment *moment)
{
	const struct model_request *request = moment->request, *other;

	if (!request || !positioned(request) || !known_sure(hazard_model(context), moment) || request->uncertain)
		return;
	other = may_clash(request) ? model_on_file(request) : NULL;
	for (unsigned n = 0; other && n < NEIGHBOURS; other = other->file_next, n++)
		if (other != request && may_clash(other) && clashes(other, request) && known_inflight(other) &&
		    positioned(other) && known_same_file(other, request) && !known_ordered(other, request) &&
		    other->seq < request->seq) {
			report_offset(context, moment, other);
			return;
		}
	count_rewrites(context, moment);
}

const struct hazard hazard_offset_misuse = {
	.name = "offset-misuse",
	.family = "submission",
	.level = HAZARD_WARNING,
	.why = "A request goes to the offset in its entry: 0 is the file's start each time, and -1 (the file's "
	       "position) is not defined with several requests in flight.",
	.fix = "Keep the offset yourself and advance it by each result, or open the file with O_APPEND.",
	.wants = HAZARD_WANTS(CONSUMED),
	.needs = SOURCE_SQES | SOURCE_COMPLETIONS | SOURCE_FDS,
	.only_traits = ABI_POSITIONED,
	.look = look_offset_misuse,
};
