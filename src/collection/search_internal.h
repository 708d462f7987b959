/*
 * search_internal.h
 *		What searches and queries share: the columns of an answer, conditions, statements that
 *		are kept, requests, hits, rankers.  README.md has the steps of a search.
 */
#ifndef MILVUS_SEARCH_INTERNAL_H
#define MILVUS_SEARCH_INTERNAL_H

#include "collection/collection_internal.h"
#include "collection/condition.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/tuplestore.h"

/* Alias of the collection's table in every statement. */
#define SEARCH_ALIAS "t"

/* ---- output.c: what an answer has of a row ---- */

typedef enum OutputKind
{
	OUTPUT_FIELD,				/* one column */
	OUTPUT_STRUCT,				/* a struct array: its sub-fields' columns, one behind the other */
	OUTPUT_META,				/* all keys of $meta, as if they were fields */
	OUTPUT_KEY,					/* one key of $meta */
} OutputKind;

typedef struct OutputItem
{
	OutputKind	kind;
	const char *name;			/* in the entity */
	int			column;			/* index into Output.columns */
	int			ncolumns;		/* of OUTPUT_STRUCT */
} OutputItem;

typedef struct OutputColumn
{
	const CollectionField *field;
	const char *sql;
	Oid			typid;			/* of sql */
} OutputColumn;

typedef struct Output
{
	int			ncolumns;
	OutputColumn *columns;
	int			nitems;
	OutputItem *items;
	const char *timezone;		/* times are told in it; NULL: UTC */
} Output;

/* The fields that an answer is to have; NIL: none.  "*" means all of them. */
extern Output *OutputRead(const Collection *collection, List *names, const char *timezone);
/* ", t.a, t.b": nothing where there are no columns. */
extern void OutputAppendColumns(const Output *output, StringInfo sql);
/* An entity, of the values of the columns in their order. */
extern Jsonb *OutputEntity(const Output *output, const Datum *values, const bool *isnull);
/* A value as JSON, by its type and not by a field. */
extern void OutputPushValue(JsonbParseState **state, JsonbIteratorToken token, Datum value, bool isnull, Oid typid, const char *timezone);
extern void OutputPushKey(JsonbParseState **state, const char *key);

/* ---- statement.c: SQL that is prepared once a session ---- */

typedef struct Params
{
	int			n;
	int			room;
	Oid		   *types;
	Datum	   *values;
	bool		has_filter;		/* some are of a filter's templates */
} Params;

/* Add one; its number, from 1 on. */
extern int	ParamsAdd(Params *params, Oid type, Datum value);
extern void ParamsAddFilter(Params *params, const FilterSQL *filter);

/* Rows of a statement; false ends it.  In the memory context of StatementRun's caller. */
typedef bool (*StatementRow) (TupleTableSlot *slot, void *arg);

/* A call of one of the functions: settings that hold until its end. */
typedef struct SearchScope
{
	MemoryContext context;		/* of the call */
	int			nest;			/* of settings; 0: none were set */
} SearchScope;

/* Run a function that returns a set, connected to SPI, with a tuplestore made. */
extern Datum SearchCall(FunctionCallInfo fcinfo, void (*function) (FunctionCallInfo fcinfo, SearchScope *scope));
extern void ScopeSet(SearchScope *scope, const char *name, const char *value);
/* Its settings end, before the call does. */
extern void ScopeEnd(SearchScope *scope);

/*
 * A prepared statement of the text.  What it is planned by beside the text (settings) is in `shape`.
 * few_rows: it is ended before its end, so it is planned for its first rows.
 */
extern SPIPlanPtr StatementPrepare(const Collection *collection, const char *sql, const char *shape, const Params *params, bool few_rows);
/* Run it with the caller's snapshot. */
extern void StatementRun(SPIPlanPtr plan, const Params *params, StatementRow row, void *arg);

/* ---- conditions (where.c) ---- */

typedef struct Where
{
	const Collection *collection;
	const char *filter;			/* NULL: none */
	Jsonb	   *filter_params;
	const char *timezone;
	Jsonb	   *ids;			/* NULL: not by ids */
	List	   *partition_names;
	List	   *loaded_names;		/* where none are named and some are released: the others */
	const FilterSQL *compiled;	/* of filter, once the condition was written */
} Where;

/* " WHERE ..." or nothing. */
extern void WhereAppend(Where *where, StringInfo sql, Params *params);
/* ERROR unless what is searched is loaded; without names of partitions, those that are. */
extern void WhereCheckLoaded(Where *where);
/* ids of a JSON array as an array of the key's type; *n: how many. */
extern Datum ReadIds(const Collection *collection, Jsonb *ids, Oid *array_type, int *n);
/* "t.id" */
extern const char *PrimarySql(const Collection *collection);
extern const char *ColumnSql(const char *column);
extern void CheckConsistency(const char *level, bool has_timestamp, int64 timestamp);
/* ERROR unless there is a zone of this name. */
extern void CheckTimezone(const char *timezone);

typedef struct SortKey
{
	const char *sql;
	Oid			typid;
	Oid			collation;
	bool		descending;
	bool		nulls_first;
} SortKey;

/* "field:desc:nulls_first" of search and query. */
extern SortKey *SortKeyRead(const Collection *collection, const char *text, const char *timezone);
/* What a name means where one value of a row is wanted: a field, a dynamic key, a JSON path. */
extern char *FieldPathSql(const Collection *collection, const char *name, const char *timezone, MilvusType *type, Oid *typid);

/* ---- request.c: one search ---- */

/* How a distance of PostgreSQL's operator, smaller is nearer, becomes Milvus's. */
typedef enum ScoreKind
{
	SCORE_AS_IS,
	SCORE_SQUARE,				/* L2 */
	SCORE_NEGATE,				/* IP */
	SCORE_COSINE,				/* 1 - d */
} ScoreKind;

typedef enum SearchTarget
{
	TARGET_VECTOR,
	TARGET_LIST,				/* lists of vectors as a whole, MAX_SIM */
	TARGET_ELEMENT,				/* each vector of a list by itself */
} SearchTarget;

typedef struct SearchSetting
{
	const char *name;
	const char *value;
} SearchSetting;

typedef struct Ranker Ranker;

typedef struct SearchRequest
{
	Where		where;
	const char *data;			/* text; NULL: by search_ids */
	Jsonb	   *search_ids;
	const char *anns_field;
	Jsonb	   *search_params;
	JsonbContainer *inner_params;	/* "params" in search_params; NULL: it has none */
	int64		limit;
	int64		offset;
	int			round_decimal;
	const char *group_by;
	int			group_size;
	bool		strict_group_size;
	List	   *order_by_names;
	Jsonb	   *ranker_json;
	List	   *output_names;
	const char *timezone;

	/* read from it */
	const Collection *collection;
	const CollectionField *field;
	MilvusMetric metric;
	ScoreKind	score;
	bool		similarity;		/* larger is nearer */
	SearchTarget target;
	Oid			vector_type;	/* of a query */
	int			nq;
	Datum	   *vectors;
	List	   *settings;		/* SearchSetting */
	bool		has_radius;
	bool		has_range_filter;
	double		radius;
	double		range_filter;
	Ranker	   *ranker;			/* NULL: none */
	Ranker	   *column_ranker;	/* whose columns the statement has: ranker, or that of a hybrid search */
	int			norder;
	SortKey   **order;
	Output	   *output;

	/* columns of the statement: distance, id, then these */
	int			offset_column;	/* number in a list; 0: none */
	int			group_column;
	Oid			group_type;
	int			order_column;
	int			rank_column;
	int			output_column;
	SPIPlanPtr	plan;
	Params	   *params;			/* the first is the vector */
	bool		streams;		/* no LIMIT: the reader says when it is enough */
	bool		batched;		/* the statement takes all vectors and has the number of each as its last column */
} SearchRequest;

/* Check and complete what was asked for. */
extern void RequestRead(SearchRequest *request);
/* Limits and offsets, with Milvus's texts. */
extern void CheckTopk(const char *name, int64 value);
extern void CheckNq(int64 nq);
extern void CheckRoundDecimal(int round_decimal);
extern void CheckGroupSize(int64 group_size);
extern double RoundScore(double score, int round_decimal);
/* Parameters that hold while it runs. */
extern void RequestApplySettings(SearchScope *scope, const SearchRequest *request);

/* ---- vectors.c: data ---- */

/* Dimensions of the sparse vectors of a collection: Milvus's positions are uint32. */
#define SPARSE_DIMENSIONS INT64CONST(4294967295)

extern void ReadVectors(SearchRequest *request);

/* ---- hits.c: running a search ---- */

typedef struct Hit
{
	double		distance;		/* as the statement has it */
	double		score;			/* as Milvus reports it */
	Datum		id;
	int64		element;		/* in a list, from 0 */
	int			group;			/* number of its group, the best one's is 0; -1: not grouped */
	const char *group_name;		/* the group's value as text; NULL: null */
	Datum	   *values;			/* of the columns behind the id; NULL: none were asked for */
	bool	   *isnull;
	Jsonb	   *entity;
} Hit;

typedef struct Hits
{
	SearchRequest *request;
	bool		want_entity;	/* build it from output */
	bool		want_rows;		/* keep output's values */
	MemoryContext context;		/* of the hits */
	int			n;
	int			room;
	Hit		   *hits;
	bool		(*skip) (const Hit *hit, void *arg);	/* NULL: none is left out (iterators) */
	void	   *skip_arg;
	int64		wanted;			/* hits to be found: 0: offset + limit */
	bool		whole_ties;		/* and all that are as near as the last of them */
	/* groups */
	int			ngroups;
	int			nfull;
	int			groups_room;
	int		   *group_sizes;
	char	  **group_names;	/* values as text */
	struct HTAB *group_table;
	FmgrInfo	group_out;
	MemoryContext row_context;	/* of one row's group */
	Oid			id_type;
	bool		id_byval;
	bool		ascending;		/* by_rank: small scores first */
} Hits;

/* Make the statement.  skips: some hits will be left out by Hits.skip.  allow_batch: it is for HitsRunAll. */
extern void RequestPrepare(SearchRequest *request, bool skips, bool allow_batch);
/* The hits of one query, in order, offset not yet left out. */
extern void HitsRun(Hits *hits, SearchRequest *request, int query);
/* The hits of each query, told to `done` one query after the other; hits is empty again after it. */
typedef void (*HitsDone) (Hits *hits, int query, void *arg);
extern void HitsRunAll(Hits *hits, SearchRequest *request, HitsDone done, void *arg);
/* Empty; their memory is given back. */
extern void HitsReset(Hits *hits);
extern int	CompareIds(Oid type, Datum a, Datum b);
/* The part that the answer has, after ranker and sort keys: *first to *last - 1. */
extern void HitsFinish(Hits *hits, int *first, int *last);
extern char *IdText(Oid type, Datum id);
extern Jsonb *EntityWithOffset(Jsonb *entity, int64 element);

/* ---- rank.c ---- */

/* Searches of a hybrid search. */
#define MAX_SUB_REQUESTS 1024

typedef enum RankKind
{
	RANK_RRF,
	RANK_WEIGHTED,
	RANK_DECAY,
	RANK_BOOST,
} RankKind;

typedef struct Boost
{
	const char *filter;			/* NULL: all rows */
	Jsonb	   *filter_params;
	double		weight;
	bool		random;
	int64		seed;
	const char *seed_field;		/* NULL: the key */
	int			filter_column;	/* among the rank columns; -1: none */
	int			field_column;
} Boost;

struct Ranker
{
	RankKind	kind;
	double		k;				/* RRF */
	int			nweights;
	double	   *weights;
	bool		norm_score;
	enum
	{
		MODE_MAX, MODE_SUM, MODE_AVG
	}			mode;
	/* decay */
	enum
	{
		CURVE_GAUSS, CURVE_EXP, CURVE_LINEAR
	}			curve;
	const char *field;
	double		origin,
				scale,
				offset,
				decay;
	/* boost */
	int			nboosts;
	Boost	   *boosts;
	bool		boost_sum;		/* boost_mode */
	bool		function_sum;	/* function_mode */
	int			ncolumns;		/* it asks of a statement */
};

extern Ranker *RankerRead(const Collection *collection, Jsonb *json);
/* ", columns" that it needs. */
extern void RankerAppendColumns(Ranker *ranker, const Collection *collection, StringInfo sql, Params *params, const char *timezone);
/* A hit's new score, by the values of these columns. */
extern double RankerScore(const Ranker *ranker, double score, Datum id, Oid id_type, const Datum *values, const bool *isnull);
extern double NormalizeScore(double score, MilvusMetric metric, bool norm_score, bool to_greater);

#endif							/* MILVUS_SEARCH_INTERNAL_H */
