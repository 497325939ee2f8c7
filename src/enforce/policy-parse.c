/* SPDX-License-Identifier: MIT */
/*
 * Text becomes a policy.
 *
 * The text is YAML, of which JSON is a part. A policy is written by people who get it wrong, and read again when
 * something was denied; so each message says file, line, column and what would have been right. libcyaml, which maps
 * YAML onto structs, was tried and gives that for the values that it understands itself only: a key that it does not
 * know is reported at the key before it, a key given twice as "unexpected event" at the first one, and what it has
 * loaded (a list of names, of which the third is no operation) has no positions any more. libyaml's document keeps a
 * mark with every node, so it is walked here, by the table of keys at the bottom.
 *
 * Nothing is believed: scalars are copied into bounded buffers, a document is walked no deeper than policies are, so
 * aliases cannot make it grow, and what is quoted in a message is printable.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/err.h"
#include "base/near.h"
#include "enforce/policy-inner.h"

enum { WORD_BYTES = 64, MAX_TEXT = 1024 * 1024, N_KEYS_MAX = 32 };

struct key;

struct reader {
	const char *file;
	unsigned int depth;
	yaml_document_t *document;
	const struct key *key;
	bool inverted; /* defaultAction: allow, where ops are those denied */
	struct policy policy;
	struct err *err;
};

typedef int reader_function(struct reader *reader, yaml_node_t *value);

struct key {
	const char *name;
	reader_function *read;
	enum policy_field field; /* whose line this is; POLICY_N_FIELDS = none's */
	enum groups_set set;
};

/* ---- messages ---- */

static int complain(struct reader *reader, const yaml_node_t *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(struct reader *reader, const yaml_node_t *node, const char *format, ...)
{
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return err_set(reader->err, -EINVAL, "%s:%zu:%zu: %s%s%s", reader->file, node->start_mark.line + 1,
		       node->start_mark.column + 1, reader->key ? reader->key->name : "", reader->key ? ": " : "",
		       text);
}

static const char *kind_of(const yaml_node_t *node)
{
	if (node->type == YAML_MAPPING_NODE)
		return "a mapping";
	if (node->type == YAML_SEQUENCE_NODE)
		return "a list";
	return node->data.scalar.length ? "a word" : "nothing";
}

/* A terminal shall not obey what is quoted, and a line shall stay one. */
static void quote(char out[WORD_BYTES], const yaml_node_t *node)
{
	size_t n = node->data.scalar.length < WORD_BYTES - 4 ? node->data.scalar.length : WORD_BYTES - 4;

	for (size_t i = 0; i < n; i++)
		out[i] = isprint(node->data.scalar.value[i]) ? (char)node->data.scalar.value[i] : '?';
	snprintf(out + n, WORD_BYTES - n, "%s", n < node->data.scalar.length ? "..." : "");
}

/* ---- scalars ---- */

/* The scalar as a word; what is no word (too long, a NUL in it) becomes one that nothing is called. */
static int word_of(struct reader *reader, const yaml_node_t *node, const char *expected, char ret_word[WORD_BYTES])
{
	if (node->type != YAML_SCALAR_NODE || !node->data.scalar.length)
		return complain(reader, node, "expected %s, not %s", expected, kind_of(node));
	quote(ret_word, node);
	return 0;
}

static int choice_of(struct reader *reader, const yaml_node_t *node, const char *const *choices, const char *expected,
		     unsigned int *ret_index)
{
	char word[WORD_BYTES];
	int r = word_of(reader, node, expected, word);

	for (unsigned int i = 0; r == 0 && choices[i]; i++)
		if (strcmp(choices[i], word) == 0)
			return *ret_index = i, 0;
	return r < 0 ? r : complain(reader, node, "expected %s, not \"%s\"", expected, word);
}

static int bool_of(struct reader *reader, const yaml_node_t *node, bool *ret)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "denied", "allowed", NULL };
	unsigned int i = 0;
	int r = choice_of(reader, node, words, "true or false", &i);

	if (r == 0)
		*ret = i % 2;
	return r;
}

/* Digits, and K, M or G where bytes are counted. `most` stands for no limit, and may be written so. */
static int parse_number(const char *word, bool bytes, uint64_t *ret)
{
	static const char units[] = "KMG";
	size_t digits = strspn(word, "0123456789");
	const char *unit = word[digits] ? strchr(units, word[digits]) : NULL;
	uint64_t number = 0;

	if (!digits || (word[digits] && (!bytes || !unit || word[digits + 1])))
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(word[i] - '0'), &number))
			return -ERANGE;
	for (; unit && unit >= units; unit--)
		if (__builtin_mul_overflow(number, 1024, &number))
			return -ERANGE;
	*ret = number;
	return 0;
}

static int number_of(struct reader *reader, const yaml_node_t *node, uint64_t least, uint64_t most, bool bytes,
		     uint64_t *ret)
{
	char word[WORD_BYTES], expected[96];
	uint64_t number;
	int r;

	snprintf(expected, sizeof expected, "a number from %llu%s%s or \"unlimited\"", (unsigned long long)least,
		 bytes ? " on (K, M and G may follow)" : "",
		 most < POLICY_NO_LIMIT ? ""
		 : bytes                ? ""
					: " on");
	if (most < POLICY_NO_LIMIT)
		snprintf(expected, sizeof expected, "a number from %llu to %llu, or \"unlimited\"",
			 (unsigned long long)least, (unsigned long long)most);
	r = word_of(reader, node, expected, word);
	if (r < 0)
		return r;
	if (strcmp(word, "unlimited") == 0)
		return *ret = UINT64_MAX, 0;
	if (parse_number(word, bytes, &number) < 0 || number < least || number > most ||
	    (number == most && most >= POLICY_NO_LIMIT))
		return complain(reader, node, "expected %s, not \"%s\"", expected, word);
	*ret = number;
	return 0;
}

/* ---- sets ---- */

/* Nobody shall allow by the way what another field is there to allow. */
static int check_elsewhere(struct reader *reader, const yaml_node_t *node, const char *word)
{
	const struct groups_bits others = policy_others(reader->key->field);
	int member = groups_find_member(reader->key->set, word);

	if (member < 0 || !groups_has(&others, (unsigned int)member))
		return 0;
	return complain(reader, node, "%s is not allowed here but by \"%s\"", word,
			reader->key->field == POLICY_SETUP_FLAGS ? "sqpoll: allowed" : "personalities: true");
}

static int no_such_word(struct reader *reader, const yaml_node_t *node, const char *word)
{
	char hint[128];

	return complain(reader, node, "expected %s, or a group of them: there is no \"%s\"%s",
			reader->key->set == GROUPS_OPS            ? "an operation"
			: reader->key->set == GROUPS_FAMILIES     ? "an address family"
			: reader->key->set == GROUPS_REGISTER_OPS ? "a register call"
								  : "a flag",
			word, near_hint(hint, sizeof hint, word, groups_list(reader->key->set)));
}

/* One word, with a sign or without. The first sign of a list makes it change what held before. */
static int apply_word(struct reader *reader, const yaml_node_t *node, bool first, struct groups_bits *bits)
{
	char text[WORD_BYTES];
	const char *word = text;
	struct groups_bits named;
	int r = word_of(reader, node, "a name", text);

	if (r < 0)
		return r;
	if (*text == '-' || *text == '+')
		word++;
	else if (first)
		memset(bits, 0, sizeof *bits);
	if (groups_find(reader->key->set, word, &named) < 0)
		return no_such_word(reader, node, word);
	for (size_t i = 0; i < GROUPS_WORDS; i++)
		bits->words[i] = *text == '-' ? bits->words[i] & ~named.words[i] : bits->words[i] | named.words[i];
	return *text == '-' ? 0 : check_elsewhere(reader, node, word);
}

static int apply_words(struct reader *reader, const yaml_node_t *value, struct groups_bits *bits)
{
	yaml_node_item_t *item;
	int r = 0;

	if (value->type == YAML_SCALAR_NODE && value->data.scalar.length)
		return apply_word(reader, value, true, bits);
	if (value->type != YAML_SEQUENCE_NODE)
		return complain(reader, value, "expected a list of names, not %s", kind_of(value));
	item = value->data.sequence.items.start;
	if (item == value->data.sequence.items.top)
		memset(bits, 0, sizeof *bits);
	for (; r == 0 && item < value->data.sequence.items.top; item++)
		r = apply_word(reader, yaml_document_get_node(reader->document, *item),
			       item == value->data.sequence.items.start, bits);
	return r;
}

static struct groups_bits complement(enum groups_set set, struct groups_bits bits)
{
	for (unsigned int member = 0; member < groups_size(set); member++)
		if (groups_has(&bits, member))
			groups_take(&bits, member);
		else
			groups_put(&bits, member);
	return bits;
}

static int read_set(struct reader *reader, yaml_node_t *value)
{
	struct groups_bits bits = policy_bits(&reader->policy, reader->key->field);
	bool inverted = reader->inverted && reader->key->field == POLICY_OPS;
	int r;

	if (inverted)
		bits = complement(reader->key->set, bits);
	r = apply_words(reader, value, &bits);
	if (inverted)
		bits = complement(reader->key->set, bits);
	if (r == 0)
		policy_put_bits(&reader->policy, reader->key->field, &bits);
	return r;
}

static int read_denied(struct reader *reader, yaml_node_t *value)
{
	struct groups_bits bits = { { 0 } };
	int r = apply_words(reader, value, &bits);

	if (r == 0)
		reader->policy.sqe_flags &= (uint8_t)~bits.words[0];
	return r;
}

static int read_required(struct reader *reader, yaml_node_t *value)
{
	char flag[GROUPS_NAME_BYTES];
	int r = read_set(reader, value), missing;

	if (r < 0)
		return r;
	missing = reader->policy.required_sqe_flags & ~reader->policy.sqe_flags;
	if (missing)
		return complain(
			reader, value, "%s is required here, but sqeFlags do not allow it",
			groups_name(GROUPS_SQE_FLAGS, (unsigned int)__builtin_ctz((unsigned int)missing), flag));
	return 0;
}

/* ---- single values ---- */

static int read_number(struct reader *reader, yaml_node_t *value)
{
	const struct policy_limit *limit = policy_limit(reader->key->field);
	uint64_t number;
	int r = number_of(reader, value, limit->least, limit->most, limit->size == sizeof(uint64_t), &number);

	if (r == 0)
		policy_put_number(&reader->policy, reader->key->field, number);
	return r;
}

static int read_name(struct reader *reader, yaml_node_t *value)
{
	char word[WORD_BYTES];
	int r = word_of(reader, value, "a name", word);

	if (r < 0)
		return r;
	for (const char *c = word; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return complain(reader, value, "expected letters, digits, '.', '_' and '-', not \"%s\"", word);
	if (value->data.scalar.length >= WORD_BYTES - 4)
		return complain(reader, value, "expected a name of less than %d letters", WORD_BYTES - 4);
	memcpy(reader->policy.name, word, sizeof word);
	return 0;
}

static int read_extends(struct reader *reader, yaml_node_t *value)
{
	struct err inner = { "" };
	char path[POLICY_FILE_BYTES];
	struct policy base;
	int r;

	if (value->type != YAML_SCALAR_NODE || !value->data.scalar.length || value->data.scalar.length >= sizeof path ||
	    memchr(value->data.scalar.value, 0, value->data.scalar.length))
		return complain(reader, value, "expected the name of a profile or a file");
	if (reader->depth >= POLICY_MAX_DEPTH)
		return complain(reader, value, "policies extend each other more than %d deep", POLICY_MAX_DEPTH);
	memcpy(path, value->data.scalar.value, value->data.scalar.length);
	path[value->data.scalar.length] = '\0';
	r = policy_find_at(path, reader->file, reader->depth + 1, &base, &inner);
	if (r < 0)
		return complain(reader, value, "%s", inner.text);
	memset(base.lines, 0, sizeof base.lines);
	memset(base.name, 0, sizeof base.name);
	reader->policy = base;
	return 0;
}

static int read_default_action(struct reader *reader, yaml_node_t *value)
{
	static const char *const actions[] = { "deny",           "allow",         "SCMP_ACT_ERRNO",
					       "SCMP_ACT_ALLOW", "SCMP_ACT_KILL", NULL };
	unsigned int i = 0;
	int r = choice_of(reader, value, actions, "allow or deny", &i);

	if (r < 0)
		return r;
	reader->inverted = i % 2;
	reader->policy = reader->inverted ? policy_allow_all() : policy_deny_all();
	return 0;
}

static int read_answer(struct reader *reader, yaml_node_t *value)
{
	static const char *const answers[] = {
		[POLICY_ANSWER_EPERM] = "EPERM", [POLICY_ANSWER_ENOSYS] = "ENOSYS", NULL
	};
	unsigned int i = 0;
	int r = choice_of(reader, value, answers, "EPERM or ENOSYS", &i);

	if (r == 0)
		reader->policy.answer = (uint8_t)i;
	return r;
}

static int read_personalities(struct reader *reader, yaml_node_t *value)
{
	return bool_of(reader, value, &reader->policy.personalities);
}

/* ---- mappings ---- */

static const struct key *find_key(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

static const char *nearest_key(const struct key *keys, const char *name)
{
	for (const struct key *key = keys; key->name; key++)
		if (near_is(name, key->name) || near_is(key->name, name))
			return key->name;
	return NULL;
}

static int no_such_key(struct reader *reader, const yaml_node_t *node, const struct key *keys, const char *word)
{
	const char *nearest = nearest_key(keys, word);
	char all[256];
	size_t used = 0;

	if (nearest)
		return complain(reader, node, "there is no \"%s\"; did you mean \"%s\"?", word, nearest);
	for (const struct key *key = keys; key->name && used < sizeof all; key++)
		used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", key == keys ? "" : ", ", key->name);
	return complain(reader, node, "there is no \"%s\"; expected one of %s", word, all);
}

/* Finds the value of each key, before any is read: the order of reading is the table's. */
static int sort_keys(struct reader *reader, const yaml_node_t *mapping, const struct key *keys,
		     yaml_node_t *values[N_KEYS_MAX], const yaml_node_t *names[N_KEYS_MAX])
{
	for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
	     pair++) {
		yaml_node_t *node = yaml_document_get_node(reader->document, pair->key);
		char word[WORD_BYTES];
		const struct key *key;
		int r = word_of(reader, node, "a name", word);

		if (r < 0)
			return r;
		key = find_key(keys, word);
		if (!key)
			return no_such_key(reader, node, keys, word);
		if (values[key - keys])
			return complain(reader, node, "\"%s\" was given before, in line %zu", word,
					names[key - keys]->start_mark.line + 1);
		values[key - keys] = yaml_document_get_node(reader->document, pair->value);
		names[key - keys] = node;
	}
	return 0;
}

static int read_mapping(struct reader *reader, const yaml_node_t *mapping, const struct key *keys)
{
	yaml_node_t *values[N_KEYS_MAX] = { NULL };
	const yaml_node_t *names[N_KEYS_MAX] = { NULL };
	const struct key *outer = reader->key;
	int r = sort_keys(reader, mapping, keys, values, names);

	for (const struct key *key = keys; r == 0 && key->name; key++) {
		size_t line = values[key - keys] ? names[key - keys]->start_mark.line + 1 : 0;

		if (!values[key - keys])
			continue;
		reader->key = key;
		r = key->read(reader, values[key - keys]);
		if (key->field < POLICY_N_FIELDS)
			reader->policy.lines[key->field] = line < UINT32_MAX ? (uint32_t)line : UINT32_MAX;
		reader->key = outer;
	}
	return r;
}

static int read_limit_32(struct reader *reader, const yaml_node_t *value, uint32_t *ret)
{
	uint64_t number;
	int r = number_of(reader, value, 0, POLICY_NO_LIMIT, false, &number);

	if (r == 0)
		*ret = number >= POLICY_NO_LIMIT ? POLICY_NO_LIMIT : (uint32_t)number;
	return r;
}

static int read_sqpoll_allowed(struct reader *reader, yaml_node_t *value)
{
	return bool_of(reader, value, &reader->policy.sqpoll.allowed);
}

static int read_sqpoll_per_container(struct reader *reader, yaml_node_t *value)
{
	return read_limit_32(reader, value, &reader->policy.sqpoll.per_container);
}

static int read_sqpoll_per_cpu(struct reader *reader, yaml_node_t *value)
{
	return bool_of(reader, value, &reader->policy.sqpoll.per_cpu);
}

static int read_sqpoll_idle(struct reader *reader, yaml_node_t *value)
{
	return read_limit_32(reader, value, &reader->policy.sqpoll.max_idle_ms);
}

static const struct key sqpoll_keys[] = {
	{ "allowed", read_sqpoll_allowed, POLICY_N_FIELDS, GROUPS_N },
	{ "perContainer", read_sqpoll_per_container, POLICY_N_FIELDS, GROUPS_N },
	{ "perCpu", read_sqpoll_per_cpu, POLICY_N_FIELDS, GROUPS_N },
	{ "maxIdleMs", read_sqpoll_idle, POLICY_N_FIELDS, GROUPS_N },
	{ NULL },
};

static const struct key workers_keys[] = {
	{ "bounded", read_number, POLICY_WORKERS_BOUNDED, GROUPS_N },
	{ "unbounded", read_number, POLICY_WORKERS_UNBOUNDED, GROUPS_N },
	{ NULL },
};

/* Who names a budget means to allow it. */
static int read_sqpoll(struct reader *reader, yaml_node_t *value)
{
	if (value->type != YAML_MAPPING_NODE)
		return read_sqpoll_allowed(reader, value);
	reader->policy.sqpoll.allowed = true;
	return read_mapping(reader, value, sqpoll_keys);
}

static int read_workers(struct reader *reader, yaml_node_t *value)
{
	if (value->type != YAML_MAPPING_NODE)
		return complain(reader, value, "expected { bounded: NUMBER, unbounded: NUMBER }, not %s",
				kind_of(value));
	return read_mapping(reader, value, workers_keys);
}

/* In the order of reading: what others stand on comes first. */
static const struct key keys[] = {
	{ "extends", read_extends, POLICY_N_FIELDS, GROUPS_N },
	{ "defaultAction", read_default_action, POLICY_N_FIELDS, GROUPS_N },
	{ "name", read_name, POLICY_N_FIELDS, GROUPS_N },
	{ "ops", read_set, POLICY_OPS, GROUPS_OPS },
	{ "sqeFlags", read_set, POLICY_SQE_FLAGS, GROUPS_SQE_FLAGS },
	{ "deniedSqeFlags", read_denied, POLICY_SQE_FLAGS, GROUPS_SQE_FLAGS },
	{ "requiredSqeFlags", read_required, POLICY_REQUIRED_SQE_FLAGS, GROUPS_SQE_FLAGS },
	{ "registerOps", read_set, POLICY_REGISTER_OPS, GROUPS_REGISTER_OPS },
	{ "setupFlags", read_set, POLICY_SETUP_FLAGS, GROUPS_SETUP_FLAGS },
	{ "socketFamilies", read_set, POLICY_SOCKET_FAMILIES, GROUPS_FAMILIES },
	{ "sqEntries", read_number, POLICY_SQ_ENTRIES, GROUPS_N },
	{ "cqEntries", read_number, POLICY_CQ_ENTRIES, GROUPS_N },
	{ "ringsPerProcess", read_number, POLICY_RINGS_PER_PROCESS, GROUPS_N },
	{ "ringsPerContainer", read_number, POLICY_RINGS_PER_CONTAINER, GROUPS_N },
	{ "registeredBufferBytes", read_number, POLICY_BUFFER_BYTES, GROUPS_N },
	{ "registeredFiles", read_number, POLICY_REGISTERED_FILES, GROUPS_N },
	{ "workers", read_workers, POLICY_N_FIELDS, GROUPS_N },
	{ "sqpoll", read_sqpoll, POLICY_SQPOLL, GROUPS_N },
	{ "personalities", read_personalities, POLICY_PERSONALITIES, GROUPS_N },
	{ "answer", read_answer, POLICY_N_FIELDS, GROUPS_N },
	{ NULL },
};
_Static_assert(sizeof keys / sizeof *keys <= N_KEYS_MAX, "sort_keys() has no room for so many");

/* ---- the document ---- */

static int check_bases(struct reader *reader, const yaml_node_t *root)
{
	yaml_node_t *values[N_KEYS_MAX] = { NULL };
	const yaml_node_t *names[N_KEYS_MAX] = { NULL };
	int r = sort_keys(reader, root, keys, values, names);

	if (r == 0 && values[0] && values[1])
		return complain(reader, names[1], "\"extends\" says already what holds where this policy says nothing");
	return r;
}

/* What a policy is called that does not say it: as its file. */
static void name_after_file(struct policy *policy)
{
	const char *slash = strrchr(policy->file, '/'), *base = slash ? slash + 1 : policy->file;
	size_t n = strcspn(base, ".");

	snprintf(policy->name, sizeof policy->name, "%.*s",
		 (int)(n < sizeof policy->name - 1 ? n : sizeof policy->name - 1), base);
	for (char *c = policy->name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			*c = '-';
}

static int read_document(struct reader *reader)
{
	static const yaml_node_t beginning;
	const yaml_node_t *root = yaml_document_get_root_node(reader->document);
	int r;

	if (!root || root->type != YAML_MAPPING_NODE)
		return complain(reader, root ? root : &beginning, "expected a policy (ops: [...]), not %s",
				root ? kind_of(root) : "an empty file");
	reader->policy = policy_deny_all();
	r = check_bases(reader, root);
	if (r == 0)
		r = read_mapping(reader, root, keys);
	if (r < 0)
		return r;
	snprintf(reader->policy.file, sizeof reader->policy.file, "%s", reader->file);
	if (!*reader->policy.name)
		name_after_file(&reader->policy);
	policy_settle(&reader->policy);
	return 0;
}

/* Bytes that are no UTF-8 have no mark, but an offset. */
static yaml_mark_t mark_at(const char *text, size_t offset)
{
	yaml_mark_t mark = { .index = offset };

	for (size_t i = 0; i < offset; i++) {
		mark.column = text[i] == '\n' ? 0 : mark.column + 1;
		mark.line += text[i] == '\n';
	}
	return mark;
}

static int complain_yaml(struct reader *reader, const yaml_parser_t *parser, const char *text, size_t size)
{
	yaml_node_t where = { .start_mark = parser->problem_mark };

	if (parser->error == YAML_MEMORY_ERROR)
		return err_set(reader->err, -ENOMEM, "out of memory");
	if (parser->error == YAML_READER_ERROR)
		where.start_mark = mark_at(text, parser->problem_offset < size ? parser->problem_offset : size);
	return complain(reader, &where, "%s%s%s", parser->context ? parser->context : "", parser->context ? ": " : "",
			parser->problem ? parser->problem : "no YAML");
}

static int check_end(struct reader *reader, yaml_parser_t *parser, const char *text, size_t size)
{
	yaml_document_t second;
	yaml_node_t *root;
	int r = 0;

	if (!yaml_parser_load(parser, &second))
		return complain_yaml(reader, parser, text, size);
	root = yaml_document_get_root_node(&second);
	if (root)
		r = complain(reader, root, "expected one policy in a file; this is the second");
	yaml_document_delete(&second);
	return r;
}

int policy_parse_at(const char *text, size_t size, const char *file, unsigned int depth, struct policy *ret_policy,
		    struct err *err)
{
	struct reader reader = { .file = file, .depth = depth, .err = err };
	yaml_parser_t parser;
	yaml_document_t document;
	int r;

	if (size > MAX_TEXT)
		return err_set(err, -EFBIG, "%s: a policy is no larger than %d bytes", file, MAX_TEXT);
	if (!yaml_parser_initialize(&parser))
		return err_set(err, -ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	if (!yaml_parser_load(&parser, &document)) {
		r = complain_yaml(&reader, &parser, text, size);
		yaml_parser_delete(&parser);
		return r;
	}
	reader.document = &document;
	r = read_document(&reader);
	if (r == 0)
		r = check_end(&reader, &parser, text, size);
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	if (r == 0)
		*ret_policy = reader.policy;
	return r;
}

int policy_parse(const char *text, size_t size, const char *file, struct policy *ret_policy, struct err *err)
{
	return policy_parse_at(text, size, file, 0, ret_policy, err);
}
