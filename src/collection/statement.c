/*
 * statement.c
 *		SQL of searches and queries, and settings of a call.
 *
 * Statements are prepared once a session (plans.c); values are parameters.  Rows go straight from the executor to whoever wants them, which may say that it
 * is enough.
 */
#include "postgres.h"

#include "collection/plans.h"
#include "collection/search_internal.h"
#include "executor/spi.h"
#include "nodes/params.h"
#include "optimizer/optimizer.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* ---- parameters ---- */

int
ParamsAdd(Params *params, Oid type, Datum value)
{
	if (params->n == params->room)
	{
		params->room = Max(8, params->room * 2);
		params->types = params->types == NULL ? palloc(sizeof(Oid) * params->room) :
			repalloc(params->types, sizeof(Oid) * params->room);
		params->values = params->values == NULL ? palloc(sizeof(Datum) * params->room) :
			repalloc(params->values, sizeof(Datum) * params->room);
	}
	params->types[params->n] = type;
	params->values[params->n] = value;
	return ++params->n;
}

void
ParamsAddFilter(Params *params, const FilterSQL *filter)
{
	for (int i = 0; i < filter->nparams; i++)
		ParamsAdd(params, filter->params[i].type, FilterParamDatum(&filter->params[i]));
	if (filter->nparams > 0)
		params->has_filter = true;
}

/* ---- scopes ---- */

Datum
SearchCall(FunctionCallInfo fcinfo, void (*function) (FunctionCallInfo fcinfo, SearchScope *scope))
{
	SearchScope scope = {.context = CurrentMemoryContext};

	PlansBegin();
	PG_TRY();
	{
		InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		/* what the function makes is its caller's */
		MemoryContextSwitchTo(scope.context);
		function(fcinfo, &scope);
		SPI_finish();
		ScopeEnd(&scope);
	}
	PG_FINALLY();
	{
		PlansEnd();
	}
	PG_END_TRY();
	return (Datum) 0;
}

void
ScopeSet(SearchScope *scope, const char *name, const char *value)
{
	if (scope->nest == 0)
		scope->nest = NewGUCNestLevel();
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void
ScopeEnd(SearchScope *scope)
{
	if (scope->nest > 0)
		AtEOXact_GUC(true, scope->nest);
	scope->nest = 0;
}

/* ---- statements ---- */

SPIPlanPtr
StatementPrepare(const Collection *collection, const char *sql, const char *shape, const Params *params, bool few_rows)
{
	int			options = CURSOR_OPT_PARALLEL_OK;

	/*
	 * Vectors and ids do not change a plan, so it is made once for all; values of templates may, so
	 * there the server chooses.
	 */
	if (!params->has_filter)
		options |= CURSOR_OPT_GENERIC_PLAN;
	if (few_rows)
		options |= CURSOR_OPT_FAST_PLAN;
	return PlanPrepare(collection, sql, shape, params->n, params->types, options);
}

typedef struct RowReceiver
{
	DestReceiver pub;
	StatementRow row;
	void	   *arg;
	MemoryContext context;
} RowReceiver;

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static bool
receiver_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;
	MemoryContext before = MemoryContextSwitchTo(receiver->context);
	bool		more;

	slot_getallattrs(slot);
	more = receiver->row(slot, receiver->arg);
	MemoryContextSwitchTo(before);
	return more;
}

static void
receiver_shutdown(DestReceiver *self)
{
}

void
StatementRun(SPIPlanPtr plan, const Params *params, StatementRow row, void *arg)
{
	RowReceiver receiver = {
		.pub = {receiver_row, receiver_startup, receiver_shutdown, receiver_shutdown, DestNone},
		.row = row,
		.arg = arg,
		.context = CurrentMemoryContext,
	};
	SPIExecuteOptions options = {.read_only = true,.dest = &receiver.pub};
	ParamListInfo list = makeParamList(params->n);
	int			result;

	for (int i = 0; i < params->n; i++)
	{
		list->params[i].value = params->values[i];
		list->params[i].isnull = false;
		list->params[i].pflags = PARAM_FLAG_CONST;
		list->params[i].ptype = params->types[i];
	}
	options.params = list;
	result = SPI_execute_plan_extended(plan, &options);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(result));
	MemoryContextSwitchTo(receiver.context);
	pfree(list);
}
