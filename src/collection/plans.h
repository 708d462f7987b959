/*
 * plans.h
 *		SQL of collections, prepared once a session.
 */
#ifndef MILVUS_COLLECTION_PLANS_H
#define MILVUS_COLLECTION_PLANS_H

#include "collection/collection.h"
#include "executor/spi.h"

/*
 * Calls that prepare and run statements lie between these, whatever way they end; they may be nested, as a
 * trigger or a policy calls functions of ours.  Plans are forgotten only when none runs.
 */
extern void PlansBegin(void);
extern void PlansEnd(void);

/*
 * The plan of a statement about a collection; shape: what else tells one from another (settings that costs
 * depend on).  Connected to SPI, between PlansBegin() and PlansEnd(), and valid until both end.
 */
extern SPIPlanPtr PlanPrepare(const Collection *collection, const char *sql, const char *shape,
							  int nparams, const Oid *types, int cursor_options);

#endif
