/* SPDX-License-Identifier: MIT */
#include "enforce/agent-rules.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "enforce/oci.h"
#include "enforce/policy.h"

struct choice {
	bool refuse;
	struct policy policy;
};

struct rule {
	char metadata[OCI_TEXT_BYTES], annotation[OCI_TEXT_BYTES], id[OCI_ID_BYTES]; /* patterns; empty = any */
	size_t line;
	struct choice choice;
};

struct agent_rules {
	struct agent_force force;
	bool by_name; /* no file: metadata may name a curated profile */
	struct choice fallback;
	size_t n;
	struct rule rules[AGENT_RULES_MAX];
};

struct agent_rules *agent_rules_free(struct agent_rules *rules)
{
	free(rules);
	return NULL;
}

size_t agent_rules_count(const struct agent_rules *rules)
{
	return rules->n;
}

CLEANUP_DEFINE(rules, struct agent_rules, agent_rules_free);

/* ---- policies ---- */

static bool is_kept(const struct agent_force *force, enum policy_field field)
{
	return mechanism_force(force->mechanism, false, field, NULL) != MECHANISM_NOTHING;
}

/* Limits of processes are kept, but containers whose capabilities undo them get no rings: that may not be wanted. */
static void leave_limits(const struct agent_force *force, struct policy *policy)
{
	if (force->accepted[POLICY_BUFFER_BYTES])
		policy->buffer_bytes = UINT64_MAX;
	if (force->accepted[POLICY_REGISTERED_FILES])
		policy->registered_files = POLICY_NO_LIMIT;
}

static int find_policy(const struct agent_force *force, const char *name, struct policy *ret_policy, struct err *err)
{
	int r = policy_find(name, ret_policy, err);

	for (int field = 0; r == 0 && field < POLICY_N_FIELDS; field++)
		if (policy_restricts(ret_policy, (enum policy_field)field) &&
		    !is_kept(force, (enum policy_field)field) && !force->accepted[field])
			r = err_set(err, -EPERM,
				    "policy %s: the agent cannot enforce %s; --allow-unenforced %s accepts that", name,
				    policy_field_name((enum policy_field)field),
				    policy_field_name((enum policy_field)field));
	if (r == 0)
		leave_limits(force, ret_policy);
	return r;
}

/* ---- reading ---- */

struct reader {
	const struct agent_force *force;
	const char *file;
	yaml_document_t document;
	struct err *err;
};

static int complain(struct reader *reader, const yaml_node_t *node, const char *what)
{
	return err_set(reader->err, -EINVAL, "%s:%zu:%zu: %s", reader->file, node->start_mark.line + 1,
		       node->start_mark.column + 1, what);
}

static const char *text_of(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	return node->type == YAML_SCALAR_NODE && strlen(text) == node->data.scalar.length ? text : NULL;
}

static int take_choice(struct reader *reader, const yaml_node_t *node, struct choice *choice)
{
	const char *name = text_of(node);
	int r;

	if (!name || !*name)
		return complain(reader, node, "expected a policy's name or file, or \"refuse\"");
	choice->refuse = strcmp(name, "refuse") == 0;
	if (choice->refuse)
		return 0;
	r = find_policy(reader->force, name, &choice->policy, reader->err);
	return r < 0 ? err_wrap(reader->err, r, "%s:%zu", reader->file, node->start_mark.line + 1) : 0;
}

static int take_pattern(struct reader *reader, const yaml_node_t *node, char *to, size_t size)
{
	const char *text = text_of(node);

	if (!text || !*text || strlen(text) >= size)
		return complain(reader, node, "expected a pattern of 1 to 255 bytes, as a shell's");
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static const struct {
	const char *name;
	size_t offset, size;
} patterns[] = {
	{ "metadata", offsetof(struct rule, metadata), sizeof((struct rule *)0)->metadata },
	{ "annotation", offsetof(struct rule, annotation), sizeof((struct rule *)0)->annotation },
	{ "id", offsetof(struct rule, id), sizeof((struct rule *)0)->id },
};

/* Calls `take` for each key; a key given twice, or not a plain text, is an error. */
typedef int take_key(struct reader *reader, const yaml_node_t *key, const yaml_node_t *value, void *into);

static int each_key(struct reader *reader, const yaml_node_t *map, const char *expected, take_key *take, void *into)
{
	const yaml_node_pair_t *first = map->data.mapping.pairs.start, *end = map->data.mapping.pairs.top;
	int r = 0;

	if (map->type != YAML_MAPPING_NODE)
		return complain(reader, map, expected);
	for (const yaml_node_pair_t *pair = first; r == 0 && pair < end; pair++) {
		const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);

		for (const yaml_node_pair_t *other = first; text_of(key) && other < pair; other++)
			if (strcmp(text_of(yaml_document_get_node(&reader->document, other->key)), text_of(key)) == 0)
				return complain(reader, key, "this is said twice");
		if (!text_of(key))
			return complain(reader, key, expected);
		r = take(reader, key, yaml_document_get_node(&reader->document, pair->value), into);
	}
	return r;
}

struct rule_reader {
	struct rule *rule;
	bool has_policy, has_pattern;
};

static int take_rule_key(struct reader *reader, const yaml_node_t *key, const yaml_node_t *value, void *into)
{
	struct rule_reader *to = into;

	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		if (strcmp(patterns[i].name, text_of(key)) != 0)
			continue;
		to->has_pattern = true;
		return take_pattern(reader, value, (char *)to->rule + patterns[i].offset, patterns[i].size);
	}
	if (strcmp(text_of(key), "policy") != 0)
		return complain(reader, key, "expected one of metadata, annotation, id, policy");
	to->has_policy = true;
	return take_choice(reader, value, &to->rule->choice);
}

static int take_rules(struct reader *reader, const yaml_node_t *list, struct agent_rules *rules)
{
	int r = 0;

	if (list->type != YAML_SEQUENCE_NODE)
		return complain(reader, list, "expected a list of rules");
	for (const yaml_node_item_t *i = list->data.sequence.items.start; r == 0 && i < list->data.sequence.items.top;
	     i++) {
		const yaml_node_t *node = yaml_document_get_node(&reader->document, *i);
		struct rule_reader to = { .rule = &rules->rules[rules->n] };

		if (rules->n == AGENT_RULES_MAX)
			return complain(reader, node, "these are more than 256 rules");
		to.rule->line = node->start_mark.line + 1;
		r = each_key(reader, node, "expected a rule: metadata, annotation or id, and policy", take_rule_key,
			     &to);
		if (r == 0 && !(to.has_policy && to.has_pattern))
			r = complain(reader, node,
				     to.has_policy ? "expected metadata, annotation or id: a rule for every container "
						     "is \"default\""
						   : "expected \"policy\" in this rule");
		rules->n++;
	}
	return r;
}

struct file_reader {
	struct agent_rules *rules;
	bool has_default;
};

static int take_file_key(struct reader *reader, const yaml_node_t *key, const yaml_node_t *value, void *into)
{
	struct file_reader *to = into;

	if (strcmp(text_of(key), "default") == 0)
		return to->has_default = true, take_choice(reader, value, &to->rules->fallback);
	if (strcmp(text_of(key), "rules") == 0)
		return take_rules(reader, value, to->rules);
	return complain(reader, key, "expected one of default, rules");
}

static int take_fallback(const struct agent_force *force, const char *name, struct choice *choice, struct err *err)
{
	choice->refuse = strcmp(name, "refuse") == 0;
	return choice->refuse ? 0 : find_policy(force, name, &choice->policy, err);
}

static int take_document(struct reader *reader, const char *fallback, struct agent_rules *rules)
{
	const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	struct file_reader to = { .rules = rules };
	int r = root ? each_key(reader, root, "expected \"default\" or \"rules\"", take_file_key, &to) : 0;

	return r == 0 && !to.has_default ? take_fallback(reader->force, fallback, &rules->fallback, reader->err) : r;
}

static int is_no_yaml(const yaml_parser_t *parser, const char *file, struct err *err)
{
	return err_set(err, -EINVAL, "%s:%zu:%zu: %s", file, parser->problem_mark.line + 1,
		       parser->problem_mark.column + 1, parser->problem ? parser->problem : "this is no YAML");
}

int agent_rules_parse(const char *text, size_t size, const char *file, const char *fallback,
		      const struct agent_force *force, struct agent_rules **ret_rules, struct err *err)
{
	CLEANUP(cleanup_rules) struct agent_rules *rules = calloc(1, sizeof *rules);
	struct reader reader = { .force = force, .file = file, .err = err };
	yaml_parser_t parser;
	int r;

	if (!rules || !yaml_parser_initialize(&parser))
		return err_set(err, -ENOMEM, "out of memory");
	rules->force = *force;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	if (yaml_parser_load(&parser, &reader.document)) {
		r = take_document(&reader, fallback, rules);
		yaml_document_delete(&reader.document);
	} else {
		r = is_no_yaml(&parser, file, err);
	}
	yaml_parser_delete(&parser);
	if (r < 0)
		return r;
	*ret_rules = rules;
	rules = NULL;
	return 0;
}

static int load_none(const char *fallback, const struct agent_force *force, struct agent_rules **ret_rules,
		     struct err *err)
{
	CLEANUP(cleanup_rules) struct agent_rules *rules = calloc(1, sizeof *rules);
	int r;

	if (!rules)
		return err_set(err, -ENOMEM, "out of memory");
	rules->by_name = true;
	rules->force = *force;
	r = take_fallback(force, fallback, &rules->fallback, err);
	if (r < 0)
		return r;
	*ret_rules = rules;
	rules = NULL;
	return 0;
}

int agent_rules_load(const char *path, const char *fallback, const struct agent_force *force,
		     struct agent_rules **ret_rules, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = -1;
	CLEANUP(cleanup_free) char *text = NULL;
	size_t used = 0;
	ssize_t n;

	if (!path)
		return load_none(fallback, force, ret_rules, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	text = malloc(AGENT_RULES_MAX_BYTES + 1);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	while ((n = read(fd, text + used, AGENT_RULES_MAX_BYTES + 1 - used)) > 0)
		used += (size_t)n;
	if (n < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (used > AGENT_RULES_MAX_BYTES)
		return err_set(err, -EINVAL, "%s: is larger than %d bytes", path, AGENT_RULES_MAX_BYTES);
	return agent_rules_parse(text, used, path, fallback, force, ret_rules, err);
}

/* ---- matching ---- */

static bool fits(const char *pattern, const char *text)
{
	return !*pattern || fnmatch(pattern, text, 0) == 0;
}

/* Letters, digits and '-': so that metadata can never be taken for a file's name. */
static bool is_curated_name(const char *text)
{
	return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

static int give(const struct choice *choice, struct policy *ret_policy)
{
	if (choice->refuse)
		return AGENT_RULES_REFUSE;
	*ret_policy = choice->policy;
	return 0;
}

int agent_rules_match(const struct agent_rules *rules, const struct oci_state *state, struct policy *ret_policy,
		      char ret_why[static AGENT_WHY_BYTES])
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct rule *rule = &rules->rules[i];

		if (!fits(rule->metadata, state->metadata) || !fits(rule->annotation, state->policy) ||
		    !fits(rule->id, state->id))
			continue;
		snprintf(ret_why, AGENT_WHY_BYTES, "rule %zu (line %zu)", i + 1, rule->line);
		return give(&rule->choice, ret_policy);
	}
	if (rules->by_name && is_curated_name(state->metadata)) {
		int r = find_policy(&rules->force, state->metadata, ret_policy, NULL);

		/* -EPERM: it is there, and cannot be enforced; another in its place is not what was asked for. */
		snprintf(ret_why, AGENT_WHY_BYTES, "listenerMetadata%s", r == -EPERM ? ", unenforceable" : "");
		if (r == 0 || r == -EPERM)
			return r == 0 ? 0 : AGENT_RULES_REFUSE;
	}
	snprintf(ret_why, AGENT_WHY_BYTES, "default");
	return give(&rules->fallback, ret_policy);
}
