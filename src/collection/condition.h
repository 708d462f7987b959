/*
 * condition.h
 *		Filters of a collection: its description as the filter language wants it, and
 *		compiled filters, kept for the session.
 */
#ifndef MILVUS_COLLECTION_CONDITION_H
#define MILVUS_COLLECTION_CONDITION_H

#include "collection/collection.h"
#include "collection/filter/filter.h"

/* The collection's fields as filters name them.  Stays as the collection does. */
extern const FilterSchema *CollectionFilterSchema(const Collection *collection);

/* The time zone of times without offset: the collection's, else its database's; NULL: neither has one, UTC. */
extern const char *CollectionTimezone(const Collection *collection);

/*
 * What FilterCompile needs to know of the collection; templates come from params (NULL: none).
 * alias: of the table, unquoted.  timezone: of times without offset; NULL: CollectionTimezone.
 */
extern void CollectionFilterOptions(const Collection *collection, Jsonb *params, const char *alias, int first_param,
									const char *timezone, FilterOptions *options);

/*
 * Compile a filter (NULL: the empty one).  The arguments are those of CollectionFilterOptions.
 * The result is in the current memory context; equal calls are answered from the session's cache.
 */
extern FilterSQL *CollectionCompileFilter(const Collection *collection, const char *text, Jsonb *params,
										  const char *alias, int first_param, const char *timezone);

#endif							/* MILVUS_COLLECTION_CONDITION_H */
