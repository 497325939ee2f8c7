/* SPDX-License-Identifier: MIT */
/* Who is stuck, and in which circle: small models built by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "abi/op.h"
#include "hazard/graph.h"
#include "model/model.h"

enum { PIPE = 100, OTHER_PIPE = 101, LEFT = 200, RIGHT = 201, EVENT = 300, REQUESTS = GRAPH_NODES + 1 };

struct fixture {
	struct model model;
	struct model_process process;
	struct model_ring ring;
	struct model_fd fds[4];
	struct model_request requests[REQUESTS];
	unsigned n;
	struct graph graph;
	struct graph_cycle cycle;
};

static struct fixture *it;

static void own_pair(unsigned slot, uint16_t type, uint64_t inode)
{
	it->fds[slot] = (struct model_fd){ .fd = (int32_t)slot + 3, .open = true, .private_pair = true };
	it->fds[slot].object = (struct model_object){ .type = type, .inode = inode };
	assert_int_equal(map_put(&it->process.fds, slot + 4, &it->fds[slot]), 0);
}

static int start(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	it = &fixture;
	it->ring.process = &it->process;
	it->ring.id = 1;
	own_pair(0, EVENT_FD_PIPE, PIPE);
	own_pair(1, EVENT_FD_PIPE, OTHER_PIPE);
	own_pair(2, EVENT_FD_STREAM, LEFT);
	own_pair(3, EVENT_FD_STREAM, RIGHT);
	return map_put(&it->model.rings, 1, &it->ring);
}

static int stop(void **state)
{
	map_deinit(&it->model.rings);
	map_deinit(&it->process.fds);
	return 0;
}

/* Appends a request in flight; a link flag on the one before makes it a member of its chain. */
static struct model_request *add(uint8_t opcode, uint8_t flags, struct model_object object)
{
	struct model_request *before = it->n ? &it->requests[it->n - 1] : NULL;
	struct model_request *request = &it->requests[it->n++];

	*request = (struct model_request){ .op = abi_op(opcode), .ring = &it->ring, .process = &it->process };
	request->sqe = (struct uring_sqe){ .opcode = opcode, .flags = flags, .fd = 3, .len = 1, .user_data = it->n };
	request->object = object;
	request->state = REQUEST_INFLIGHT;
	request->seq = it->n;
	request->chain = flags & URING_SQE_IO_LINK ? it->n : 0;
	if (before) {
		before->next = request;
		request->prev = before;
	} else {
		it->ring.first = request;
	}
	if (before && (before->sqe.flags & URING_SQE_IO_LINK)) {
		before->chain_next = request;
		request->chain_prev = before;
		request->chain = before->chain;
	}
	it->ring.last = request;
	return request;
}

static struct model_object pipe_end(uint64_t inode, uint16_t access)
{
	return (struct model_object){ .type = EVENT_FD_PIPE, .inode = inode, .access = access };
}

static struct model_request *reads(uint64_t inode, uint8_t flags)
{
	return add(URING_OP_READ, flags, pipe_end(inode, 0));
}

static struct model_request *writes(uint64_t inode, uint8_t flags)
{
	return add(URING_OP_WRITE, flags, pipe_end(inode, 1));
}

static struct model_request *plain(uint8_t opcode, uint8_t flags)
{
	return add(opcode, flags, (struct model_object){ .type = EVENT_FD_UNKNOWN });
}

static unsigned n_stuck(void)
{
	unsigned n = 0;

	assert_true(graph_solve(&it->graph, &it->model, &it->process));
	for (unsigned i = 0; i < it->graph.n; i++)
		n += !it->graph.nodes[i].ends;
	return n;
}

static void expect_circle(const struct model_request *from, unsigned n, unsigned n_products, unsigned n_drains)
{
	assert_true(graph_cycle(&it->graph, &it->model, from, &it->cycle));
	assert_int_equal(it->cycle.n, n);
	assert_int_equal(it->cycle.n_products, n_products);
	assert_int_equal(it->cycle.n_drains, n_drains);
	assert_int_equal(it->cycle.steps[0].why, GRAPH_PRODUCT);
	assert_ptr_equal(it->cycle.steps[0].from, it->cycle.steps[n - 1].to);
}

static void chain_waits_for_itself(void **state)
{
	struct model_request *first = reads(PIPE, URING_SQE_IO_LINK);
	struct model_request *last;

	plain(URING_OP_NOP, URING_SQE_IO_LINK);
	last = writes(PIPE, 0);
	assert_int_equal(n_stuck(), 3);
	expect_circle(first, 2, 1, 0);
	expect_circle(last, 2, 1, 0);
}

static void producer_in_front(void **state)
{
	writes(PIPE, URING_SQE_IO_LINK);
	reads(PIPE, 0);
	assert_int_equal(n_stuck(), 0);
}

static void another_request_feeds_it(void **state)
{
	reads(PIPE, URING_SQE_IO_LINK);
	writes(PIPE, 0);
	writes(PIPE, 0);
	assert_int_equal(n_stuck(), 0);
}

static void nobody_feeds_it(void **state)
{
	reads(PIPE, URING_SQE_IO_LINK);
	writes(OTHER_PIPE, 0);
	assert_int_equal(n_stuck(), 0);
}

static void pipe_of_unknown_origin(void **state)
{
	reads(999, URING_SQE_IO_LINK);
	writes(999, 0);
	assert_int_equal(n_stuck(), 0);
}

static void does_not_wait(void **state)
{
	struct model_request *first = reads(PIPE, URING_SQE_IO_LINK);

	writes(PIPE, 0);
	first->object.open_flags = 04000; /* O_NONBLOCK */
	assert_int_equal(n_stuck(), 0);
}

static void has_a_limit(void **state)
{
	reads(PIPE, URING_SQE_IO_LINK);
	plain(URING_OP_LINK_TIMEOUT, URING_SQE_IO_LINK);
	writes(PIPE, 0);
	assert_int_equal(n_stuck(), 0);
}

static void is_cancelled(void **state)
{
	reads(PIPE, URING_SQE_IO_LINK);
	writes(PIPE, 0);
	plain(URING_OP_ASYNC_CANCEL, 0);
	assert_int_equal(n_stuck(), 0);
}

static void closing_the_other_end_feeds_it(void **state)
{
	reads(PIPE, URING_SQE_IO_LINK);
	writes(PIPE, 0);
	add(URING_OP_CLOSE, 0, pipe_end(PIPE, 1));
	assert_int_equal(n_stuck(), 0);
}

static void chains_wait_for_each_other(void **state)
{
	struct model_request *first = reads(PIPE, URING_SQE_IO_LINK);

	writes(OTHER_PIPE, 0);
	reads(OTHER_PIPE, URING_SQE_IO_LINK);
	writes(PIPE, 0);
	assert_int_equal(n_stuck(), 4);
	expect_circle(first, 4, 2, 0);
}

static void drain_between(void **state)
{
	struct model_request *first = reads(PIPE, 0);

	plain(URING_OP_NOP, URING_SQE_IO_DRAIN);
	writes(PIPE, 0);
	assert_int_equal(n_stuck(), 3);
	expect_circle(first, 3, 1, 2);
}

static void drain_in_a_chain_holds_its_head(void **state)
{
	struct model_request *first = reads(PIPE, 0);

	writes(PIPE, URING_SQE_IO_LINK);
	plain(URING_OP_NOP, URING_SQE_IO_DRAIN);
	assert_int_equal(n_stuck(), 3);
	expect_circle(first, 2, 1, 1);
}

static void drain_behind_what_ends(void **state)
{
	writes(PIPE, 0);
	reads(PIPE, 0);
	plain(URING_OP_NOP, URING_SQE_IO_DRAIN);
	assert_int_equal(n_stuck(), 0);
}

static void socket_pair(void **state)
{
	struct model_object left = { .type = EVENT_FD_STREAM, .inode = LEFT, .peer_inode = RIGHT };
	struct model_object right = { .type = EVENT_FD_STREAM, .inode = RIGHT, .peer_inode = LEFT };
	struct model_request *first = add(URING_OP_RECV, URING_SQE_IO_LINK, left);

	add(URING_OP_SEND, 0, right);
	assert_int_equal(n_stuck(), 2);
	expect_circle(first, 2, 1, 0);
	it->requests[1].object = left; /* feeds the other end */
	assert_int_equal(n_stuck(), 0);
}

static void private_futex(void **state)
{
	struct model_request *wait = plain(URING_OP_FUTEX_WAIT, URING_SQE_IO_LINK);
	struct model_request *wake = plain(URING_OP_FUTEX_WAKE, 0);

	wait->sqe.addr = wake->sqe.addr = 0x1000;
	wait->sqe.fd = wake->sqe.fd = 128 | 2;
	assert_int_equal(n_stuck(), 2);
	wake->sqe.addr = 0x1004;
	assert_int_equal(n_stuck(), 0);
	wake->sqe.addr = 0x1000;
	wait->sqe.fd = 2; /* other processes may wake it */
	assert_int_equal(n_stuck(), 0);
}

static void eventfd_of_a_ring(void **state)
{
	struct model_object event = { .type = EVENT_FD_EVENTFD, .inode = EVENT, .access = 2 };
	struct model_fd fd = { .fd = 9, .open = true, .object = event };

	add(URING_OP_READ, URING_SQE_IO_LINK, event);
	add(URING_OP_WRITE, 0, event);
	assert_int_equal(n_stuck(), 2);
	assert_int_equal(map_put(&it->process.fds, 10, &fd), 0);
	it->ring.eventfd_registered = true;
	it->ring.eventfd = 9;
	assert_int_equal(n_stuck(), 0);
}

static void fate_not_known(void **state)
{
	struct model_request *request = reads(PIPE, URING_SQE_IO_LINK);

	writes(PIPE, 0);
	request->state = REQUEST_UNKNOWN;
	assert_false(graph_solve(&it->graph, &it->model, &it->process));
	request->state = REQUEST_INFLIGHT;
	request->ambiguous = true;
	assert_false(graph_solve(&it->graph, &it->model, &it->process));
}

static void too_many(void **state)
{
	for (unsigned i = 0; i < GRAPH_NODES; i++)
		reads(PIPE, 0);
	assert_true(graph_solve(&it->graph, &it->model, &it->process));
	reads(PIPE, 0);
	assert_false(graph_solve(&it->graph, &it->model, &it->process));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chain_waits_for_itself),
		TEST(producer_in_front),
		TEST(another_request_feeds_it),
		TEST(nobody_feeds_it),
		TEST(pipe_of_unknown_origin),
		TEST(does_not_wait),
		TEST(has_a_limit),
		TEST(is_cancelled),
		TEST(closing_the_other_end_feeds_it),
		TEST(chains_wait_for_each_other),
		TEST(drain_between),
		TEST(drain_in_a_chain_holds_its_head),
		TEST(drain_behind_what_ends),
		TEST(socket_pair),
		TEST(private_futex),
		TEST(eventfd_of_a_ring),
		TEST(fate_not_known),
		TEST(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
